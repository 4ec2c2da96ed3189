"""What each shipped data set holds and where it was first published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A numeric column."""

    meaning: str


@dataclass(frozen=True)
class Factor:
    """A categorical column; its levels stand in sorted order (numbers by value) where none are given."""

    meaning: str
    levels: tuple[str, ...] | None = None
    ordered: bool = False


@dataclass(frozen=True)
class Dataset:
    """Description of a shipped data set.

    Attributes
    ----------
    name : str
        What `load` takes.
    description : str
        What was measured, on what, in which design.
    source : str
        The publication that the data come from.
    n_rows : int
        Number of observations.
    columns : Mapping[str, Number | Factor]
        The columns in their order, each with its meaning.
    """

    name: str
    description: str
    source: str
    n_rows: int
    columns: Mapping[str, Number | Factor]

    def __str__(self) -> str:
        width = max(map(len, self.columns))
        lines = [f"{self.name}: {self.description}", "", f"{self.n_rows} rows; columns"]
        lines += [f"  {name:<{width}}  {column.meaning}" for name, column in self.columns.items()]
        return "\n".join([*lines, "", f"Source: {self.source}"])


_DAVIES = (
    "Davies, O. L. & Goldsmith, P. L. (eds) (1972). Statistical Methods in Research and Production, 4th ed. "
    "Oliver and Boyd, section"
)

_VERBAGG_ITEMS = tuple(
    "S4wantCurse" if (situation, mode, act) == (4, "Want", "Curse") else f"S{situation}{mode}{act}"  # spelt so there
    for mode in ("Want", "Do")
    for situation in (1, 2, 3, 4)
    for act in ("Curse", "Scold", "Shout")
)

# Children of the study by increasing mean distance within their sex, as nlme orders them.
_ORTHODONT_SUBJECTS = tuple(
    [f"M{k:02d}" for k in (16, 5, 2, 11, 7, 8, 3, 12, 13, 14, 9, 15, 6, 4, 1, 10)]
    + [f"F{k:02d}" for k in (10, 9, 6, 1, 5, 7, 2, 8, 3, 4, 11)]
)

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "sleepstudy",
            "average reaction time of 18 long-distance truck drivers on each of ten days with three hours in bed a "
            "night (days 0 and 1: training, day 2: baseline)",
            "Belenky, G., Wesensten, N. J., Thorne, D. R., Thomas, M. L., Sing, H. C., Redmond, D. P., Russo, M. B. & "
            "Balkin, T. J. (2003). Patterns of performance degradation and restoration during sleep restriction and "
            "subsequent recovery: a sleep dose-response study. Journal of Sleep Research 12, 1-12.",
            180,
            {
                "Reaction": Number("average reaction time (ms)"),
                "Days": Number("days of sleep deprivation (0 to 9)"),
                "Subject": Factor("driver"),
            },
        ),
        Dataset(
            "dyestuff",
            "yield of the dyestuff Naphthalene Black 12B in five preparations from each of six batches of an "
            "intermediate product",
            f"{_DAVIES} 6.4.",
            30,
            {"Batch": Factor("batch of the intermediate product"), "Yield": Number("yield (grams of standard colour)")},
        ),
        Dataset(
            "dyestuff2",
            "constructed data in the design of dyestuff whose variance between batches is estimated as zero",
            "Box, G. E. P. & Tiao, G. C. (1973). Bayesian Inference in Statistical Analysis. Addison-Wesley, section "
            "5.1.2.",
            30,
            {"Batch": Factor("batch"), "Yield": Number("response")},
        ),
        Dataset(
            "penicillin",
            "zones of inhibition that six samples of penicillin give on each of 24 plates (completely crossed)",
            f"{_DAVIES} 6.6.",
            144,
            {
                "diameter": Number("diameter of the zone of inhibition of growth (mm)"),
                "plate": Factor("assay plate"),
                "sample": Factor("penicillin sample"),
            },
        ),
        Dataset(
            "pastes",
            "strength of a chemical paste, assayed twice in each of three casks of each of ten deliveries (casks "
            "nested in batches)",
            f"{_DAVIES} 6.5.",
            60,
            {
                "strength": Number("strength of the paste"),
                "batch": Factor("delivery batch"),
                "cask": Factor("cask within its batch"),
                "sample": Factor("batch and cask, one label per cask"),
            },
        ),
        Dataset(
            "cake",
            "angle at which chocolate cakes break, a split-plot design: fifteen mixes of each of three recipes, the "
            "batter of a mix baked at six temperatures",
            "Cook, F. E. (1938). Chocolate cake, I. Optimum baking temperature. Master's thesis, Iowa State College; "
            "Cochran, W. G. & Cox, G. M. (1957). Experimental Designs, 2nd ed. Wiley, page 300.",
            270,
            {
                "replicate": Factor("mix within its recipe"),
                "recipe": Factor("recipe"),
                "temperature": Factor("temperature of baking (degrees Fahrenheit)", ordered=True),
                "angle": Number("angle at which the cake broke (degrees)"),
                "temp": Number("temperature as a number"),
            },
        ),
        Dataset(
            "cbpp",
            "new cases of contagious bovine pleuropneumonia in four periods of a follow-up of 15 herds of zebu cattle "
            "in the Ethiopian highlands",
            "Lesnoff, M., Laval, G., Bonnet, P., Abdicho, S., Workalemahu, A., Kifle, D., Peyraud, A., Lancelot, R. & "
            "Thiaucourt, F. (2004). Within-herd spread of contagious bovine pleuropneumonia in Ethiopian highlands. "
            "Preventive Veterinary Medicine 64, 27-40.",
            56,
            {
                "herd": Factor("herd"),
                "incidence": Number("new serological cases in the period"),
                "size": Number("size of the herd at the start of the period"),
                "period": Factor("period"),
            },
        ),
        Dataset(
            "verbagg",
            "answers of 316 students to 24 items on verbal aggression",
            "De Boeck, P. & Wilson, M. (eds) (2004). Explanatory Item Response Models. Springer.",
            7584,
            {
                "Anger": Number("trait anger of the person (State-Trait Anger Expression Inventory)"),
                "Gender": Factor("gender of the person"),
                "item": Factor("item: situation, mode and behaviour", _VERBAGG_ITEMS),
                "resp": Factor("answer", ("no", "perhaps", "yes"), ordered=True),
                "id": Factor("person"),
                "btype": Factor("behaviour"),
                "situ": Factor("who is to blame in the situation"),
                "mode": Factor("wanting to do it, or doing it", ("want", "do")),
                "r2": Factor("the answer in two classes: N is no, Y is perhaps or yes"),
            },
        ),
        Dataset(
            "insteval",
            "ratings of lectures by students of ETH Zurich, anonymized: 2,972 students, 1,128 lecturers, partially "
            "crossed",
            "ETH Zurich, course evaluations by students; published as InstEval with Bates, D., Maechler, M., Bolker, "
            "B. & Walker, S. (2015). Fitting linear mixed-effects models using lme4. Journal of Statistical Software "
            "67(1).",
            73421,
            {
                "s": Factor("student"),
                "d": Factor("lecturer"),
                "studage": Factor("semester in which the student is", ordered=True),
                "lectage": Factor("how many semesters ago the lecture was", ordered=True),
                "service": Factor("1 for a lecture held for another department than the lecturer's own"),
                "dept": Factor(
                    "department of the lecture (code)",
                    ("15", "5", "10", "12", "6", "7", "4", "8", "9", "14", "1", "3", "11", "2"),
                ),
                "y": Number("rating, 1 (poor) to 5 (very good)"),
            },
        ),
        Dataset(
            "grouseticks",
            "ticks on the heads of red grouse chicks, chicks in broods in locations, three years",
            "Elston, D. A., Moss, R., Boulinier, T., Arrowsmith, C. & Lambin, X. (2001). Analysis of aggregation, a "
            "worked example: numbers of ticks on red grouse chicks. Parasitology 122, 563-569.",
            403,
            {
                "INDEX": Factor("chick"),
                "TICKS": Number("number of ticks"),
                "BROOD": Factor("brood"),
                "HEIGHT": Number("height above sea level (m)"),
                "YEAR": Factor("year less 1900"),
                "LOCATION": Factor("location"),
                "cHEIGHT": Number("height less its mean (m)"),
            },
        ),
        Dataset(
            "oats",
            "yield of oats in a split-plot experiment: three varieties on the main plots of six blocks, four amounts "
            "of nitrogen on the subplots",
            "Yates, F. (1935). Complex experiments. Journal of the Royal Statistical Society, Supplement 2, 181-247; "
            "Venables, W. N. & Ripley, B. D. (2002). Modern Applied Statistics with S, 4th ed. Springer, section 10.2.",
            72,
            {
                "Block": Factor("block", ("VI", "V", "III", "IV", "II", "I"), ordered=True),
                "Variety": Factor("variety"),
                "nitro": Number("nitrogen (hundredweight per acre)"),
                "yield": Number("yield (quarter-pounds per subplot)"),
            },
        ),
        Dataset(
            "orthodont",
            "distance between pituitary and pterygomaxillary fissure of 16 boys and 11 girls at the ages of 8, 10, 12 "
            "and 14",
            "Potthoff, R. F. & Roy, S. N. (1964). A generalized multivariate analysis of variance model useful "
            "especially for growth curve problems. Biometrika 51, 313-326.",
            108,
            {
                "distance": Number("distance (mm)"),
                "age": Number("age (years)"),
                "Subject": Factor("child", _ORTHODONT_SUBJECTS, ordered=True),
                "Sex": Factor("sex", ("Male", "Female")),
            },
        ),
    )
}
