"""The command line: ``pymixed fit``, ``pymixed predict`` and ``pymixed summary``, also ``python -m pymixed ...``."""
from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import GLMMSolution, LMMSolution, __version__, datasets, get_cmake_dir, get_include, glmer, lmer
from ._reports.json import to_json
from .errors import InputError, PymixedError

if TYPE_CHECKING:
    import pandas as pd

OK, NOT_CONVERGED, BAD_INPUT = 0, 1, 2

_DESCRIPTION = """Fit linear and generalized linear mixed models, predict from them, report them.
Exit codes: 0 done, 1 the model did not converge, 2 bad input."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name; those of the process by default.

    Returns
    -------
    int
        0 when all was done, 1 when the model did not converge, 2 for bad input (reported on standard error).

    Raises
    ------
    SystemExit
        The arguments cannot be understood (code 2), or help or the version was asked for (code 0).

    Examples
    --------
    >>> from pymixed.cli import main
    >>> main(["fit", "Yield ~ 1 + (1 | Batch)", "--data", "nowhere.csv"])
    2
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            solution = options.run(options, parser)
    except BrokenPipeError:  # whoever reads has enough: as other commands end then
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  the interpreter flushes it at its end
        return OK
    except (PymixedError, OSError) as error:
        print(f"pymixed: error: {error}", file=sys.stderr)
        return BAD_INPUT
    for warning in caught:
        print(f"pymixed: warning: {warning.message}", file=sys.stderr)
    return OK if solution.converged else NOT_CONVERGED


# ---- arguments -------------------------------------------------------------------------------------------------------

def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pymixed", description=_DESCRIPTION,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"pymixed {__version__}")
    parser.add_argument("--cmakedir", action="version", version=get_cmake_dir(),
                        help="print the folder of the CMake package and exit")
    parser.add_argument("--include", action="version", version=get_include(),
                        help="print the folder of the C and C++ headers and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_fit(commands.add_parser("fit", help="fit a model, print its summary and save it"))
    _add_predict(commands.add_parser("predict", help="predict for the rows of a table from a saved model"))
    _add_summary(commands.add_parser("summary", help="print the summary of a saved model"))
    return parser


def _add_fit(fit: argparse.ArgumentParser) -> None:
    fit.set_defaults(run=_fit)
    fit.add_argument("formula", metavar="FORMULA", help='in the manner of lme4, "y ~ x + (x | g)"')
    fit.add_argument("--data", required=True, metavar="NAME|FILE",
                     help=f"a CSV or Parquet file, or one of {', '.join(datasets.names())}")
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument("--family", metavar="NAME",
                     help="a generalized linear model: binomial, poisson, negative_binomial, ...; its default link")
    fit.add_argument("--n-agq", type=int, metavar="K",
                     help="nodes of adaptive quadrature; 1 (default): Laplace, 0: profiled")
    fit.add_argument("--zi", metavar="FORMULA", help='zero inflation of counts, "~ x"')
    fit.add_argument("--weights", metavar="COLUMN", help="column of prior weights")
    fit.add_argument("--offset", metavar="COLUMN", help="column added to the linear predictor")
    fit.add_argument("--optimizer", metavar="NAME", default="newton", help="newton (default) or one of SciPy's")
    fit.add_argument("--save", metavar="FILE", help="write the model, for predict and summary; .pmx by custom")
    fit.add_argument("--with-rows", action="store_true", help="keep the rows of the data in that file")
    fit.add_argument("--json", action="store_true", help="print the estimates as JSON")


def _add_predict(predict: argparse.ArgumentParser) -> None:
    predict.set_defaults(run=_predict)
    predict.add_argument("model", metavar="MODEL", help="a file that fit --save or save() wrote")
    predict.add_argument("--data", required=True, metavar="NAME|FILE", help="rows to predict for, without a response")
    predict.add_argument("--out", metavar="FILE", help="a CSV or Parquet file; standard output, as CSV, by default")
    predict.add_argument("--append", action="store_true", help="the columns of the data before the predictions")
    predict.add_argument("--re", default="all", metavar="GROUPS",
                         help="random effects to add: all (default), none, or grouping factors with commas between")
    predict.add_argument("--new-levels", default="error", choices=("error", "population", "missing"),
                         help="what a level gives that the fit has not seen")
    predict.add_argument("--type", default="response", choices=("response", "link", "marginal"),
                         help="the mean (default), the linear predictor, or the mean over the population")
    predict.add_argument("--se", action="store_true", help="standard errors")
    predict.add_argument("--interval", choices=("confidence", "prediction"), help="limits, of the mean or a response")
    predict.add_argument("--level", type=float, default=0.95, metavar="P", help="probability of the interval (0.95)")
    predict.add_argument("--offset", metavar="COLUMN", help="of a model that was given its offsets as an array")
    predict.add_argument("--json", action="store_true", help="print a list of records as JSON")


def _add_summary(summary: argparse.ArgumentParser) -> None:
    summary.set_defaults(run=_summary)
    summary.add_argument("model", metavar="MODEL", help="a file that fit --save or save() wrote")
    summary.add_argument("--format", default="text", choices=("text", "markdown", "latex", "html"))
    summary.add_argument("--json", action="store_true", help="print the estimates as JSON")


# ---- commands --------------------------------------------------------------------------------------------------------

def _fit(options: argparse.Namespace, parser: argparse.ArgumentParser) -> LMMSolution | GLMMSolution:
    if options.family is None and (options.zi is not None or options.n_agq is not None):
        parser.error("--n-agq and --zi need --family: a linear model has neither")
    if options.family is not None and options.ml:
        parser.error("--ml goes without --family: generalized linear models are fitted by maximum likelihood anyway")
    if options.with_rows and options.save is None:
        parser.error("--with-rows needs --save, the file to keep them in")
    shared = {"weights": options.weights, "offset": options.offset, "optimizer": options.optimizer}
    table = _table(options.data, {})
    solution: LMMSolution | GLMMSolution
    if options.family is None:
        solution = lmer(options.formula, table, reml=not options.ml, **shared)
    else:
        n_agq = 1 if options.n_agq is None else options.n_agq
        solution = glmer(options.formula, table, family=options.family, n_agq=n_agq, zi=options.zi, **shared)
    if options.save is not None:
        solution.save(options.save, slim=not options.with_rows)
    print(to_json(solution) if options.json else solution.summary())
    return solution


def _predict(options: argparse.Namespace, parser: argparse.ArgumentParser) -> LMMSolution | GLMMSolution:
    if options.json and options.out is not None:
        parser.error("--json prints, it goes without --out")
    solution = _loaded(options.model)
    table = _table(options.data, _text_columns(solution))
    if options.offset is not None and options.offset not in table:
        raise InputError(f"--offset: expected a column of the data, got {options.offset!r}")
    found = solution.predict(
        table, re=options.re if options.re in ("all", "none") else options.re.split(","),
        new_levels=options.new_levels, type=options.type, se=options.se, interval=options.interval,
        level=options.level, offset=None if options.offset is None else table[options.offset])
    _write(table, found, options)
    return solution


def _write(table: pd.DataFrame, found: Any, options: argparse.Namespace) -> None:
    """Predictions to where they are wanted."""
    import pandas as pd

    predictions = found if isinstance(found, pd.DataFrame) else pd.DataFrame({"estimate": found}, index=table.index)
    if options.append:
        if both := [name for name in predictions.columns if name in table]:
            raise InputError(f"--append: the data have a column {both[0]!r} themselves")
        predictions = pd.concat([table, predictions], axis=1)
    if options.json:
        print(predictions.to_json(orient="records", double_precision=15))
    elif options.out is None:
        predictions.to_csv(sys.stdout, index=False)
    elif Path(options.out).suffix == ".parquet":
        predictions.to_parquet(options.out, index=False)
    else:
        predictions.to_csv(options.out, index=False)


def _summary(options: argparse.Namespace, _: argparse.ArgumentParser) -> LMMSolution | GLMMSolution:
    solution = _loaded(options.model)
    summary = solution.summary()
    formats = {"text": summary.__str__, "markdown": summary.to_markdown, "latex": summary.to_latex,
               "html": summary._repr_html_}
    print(to_json(solution) if options.json else formats[options.format]())
    return solution


def _loaded(path: str) -> LMMSolution | GLMMSolution:
    from . import load  # reads formulas

    return load(path)


# ---- tables ----------------------------------------------------------------------------------------------------------

def _table(source: str, kinds: Mapping[str, type]) -> pd.DataFrame:
    """A table by its name, columns of a CSV file of these kinds."""
    if source in datasets.names():
        return datasets.load(source)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"--data: expected a file or one of {', '.join(datasets.names())}; got {source!r}")
    import pandas as pd

    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=dict(kinds))
    except (ImportError, OSError, ValueError) as error:
        raise InputError(f"--data: cannot read {source!r}: {error}") from error


def _text_columns(solution: LMMSolution | GLMMSolution) -> dict[str, type]:
    """Columns whose labels were texts when the model was fitted; in a CSV file they may look like numbers."""
    from ._from_formula import FormulaEncoder

    design = solution._design
    levels, encoder = {factor.name: factor.levels for factor in design.factors}, design.encoder
    if not isinstance(encoder, FormulaEncoder):
        return {}
    levels |= encoder.coded_levels()
    texts = {name: str for name, labels in levels.items() if labels.dtype.kind in "OU"}
    crossed = {name: str for names in encoder.factors if len(names) > 1 for name in names}  # their labels are texts
    return {name: kind for name, kind in {**texts, **crossed}.items() if encoder.categorical.get(name, True)}
