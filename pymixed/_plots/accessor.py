"""What `plot` of a solution is: a method per kind of plot."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._common import check_choice
from .._described_solution import DescribedSolution
from .._inference.intervals import normal_quantile
from ..errors import InputError
from .from_solution import columns_of, shown_covariances, shown_modes, shown_shrinkage, standard_modes
from .random_effects import draw_covariances, draw_modes, draw_shrinkage
from .residuals import Sample, draw_quantiles, draw_residuals, draw_scale_location

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Plots:
    """Plots of a fitted model, ``fit.plot.<kind>()``.

    They need matplotlib, ``pip install "pymixed[plot]"``. Each draws on `ax`, or on a new figure of pyplot, and returns
    the Axes, an array of them where it has several panels; keywords that are not named go to the artist that matters
    most. Nothing is shown before ``matplotlib.pyplot.show()``; a notebook shows figures by itself.

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    >>> fit.plot
    <Plots: caterpillar, emmeans, profile, qq, random_covariance, residuals, scale_location, shrinkage>
    >>> [panel.get_ylabel() for panel in fit.plot.caterpillar()]
    ['Subject', 'Subject']
    """

    _solution: DescribedSolution[Any]

    def __repr__(self) -> str:
        return f"<Plots: {', '.join(sorted(name for name in vars(type(self)) if not name.startswith('_')))}>"

    # ---- random effects ----------------------------------------------------------------------------------------------

    def caterpillar(self, group: str | None = None, term: str | Iterable[str] | None = None, level: float = 0.95,
                    order: bool | str = True, ax: Any = None, **points: Any) -> Any:
        """Conditional modes of the random effects with intervals, a panel per column.

        Parameters
        ----------
        group : str, optional
            Grouping factor, all by default.
        term : str or iterable of str, optional
            Columns as in `ranef`, such as ``"(Intercept)"``; all by default.
        level : float
            Of the intervals, which are normal with the conditional standard deviations of `ranef(condvar=True)`.
        order : bool or str
            Whether the levels of a factor are ordered by their modes in its first panel, or the column to order them
            by; else they keep their own order.
        ax : Axes or sequence of Axes, optional
            As many as there are panels.
        **points
            For `Axes.scatter`, which draws the modes; their colour is that of the intervals too.

        Returns
        -------
        Axes or array of Axes

        Raises
        ------
        InputError, InputTypeError
            If a group, a column or the level is unknown or out of range.
        ImportError
            If matplotlib is not installed, as from every plot.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> ax = fit.plot.caterpillar(term="Days")
        >>> ax.get_xlabel()
        'Days, mode with 95% interval'
        """
        z, columns = normal_quantile(level), columns_of(self._solution, group, term)
        return draw_modes(shown_modes(self._solution, columns, order), z, level, ax, points)

    def shrinkage(self, group: str | None = None, term: str | Iterable[str] | None = None, ax: Any = None,
                  **arrows: Any) -> Any:
        """Arrows from estimates of each level on its own to the coefficients of the fit, `coef`.

        An estimate without shrinkage is by weighted least squares from the rows of the level, with all parts of the
        model but the factor's columns held at the fit. Levels whose rows do not determine it start from the fixed
        effects, and so do all levels of a generalized model and of one that was fitted from sums over rows.

        Parameters
        ----------
        group, term
            As for `caterpillar`. A factor with one column shows its levels one above the other, a factor with more a
            plane for each pair of columns.
        ax : Axes or sequence of Axes, optional
            As many as there are panels.
        **arrows
            For `Axes.quiver`, which draws the arrows.

        Returns
        -------
        Axes or array of Axes

        Raises
        ------
        InputError
            If a group or column is unknown.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> ax = fit.plot.shrinkage("Subject")
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('(Intercept)', 'Days')
        """
        return draw_shrinkage(shown_shrinkage(self._solution, columns_of(self._solution, group, term)), ax, arrows)

    def random_covariance(self, group: str | None = None, levels: Iterable[float] = (0.5, 0.95), ax: Any = None,
                          **points: Any) -> Any:
        """Conditional modes of two columns of a term, with ellipses of their estimated distribution.

        Modes lie closer to zero than the random effects that they predict.

        Parameters
        ----------
        group : str, optional
            Grouping factor, all by default.
        levels : iterable of float
            Shares of the levels that the ellipses hold.
        ax : Axes or sequence of Axes, optional
            As many as there are panels: one for each pair of columns of each term.
        **points
            For `Axes.scatter`, which draws the modes.

        Returns
        -------
        Axes or array of Axes

        Raises
        ------
        InputError, InputTypeError
            If the group is unknown, a level out of range, or no term has two columns.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> ax = fit.plot.random_covariance()
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('(Intercept)', 'Days')
        """
        shares = [levels] if isinstance(levels, (int, float)) else list(levels)
        for share in shares:
            normal_quantile(share)  # checks it
        return draw_covariances(shown_covariances(self._solution, group), shares, ax, points)

    # ---- residuals ---------------------------------------------------------------------------------------------------

    def qq(self, kind: str = "residuals", group: str | None = None, term: str | Iterable[str] | None = None,
           level: float = 0.95, seed: int | None = 0, ax: Any = None, **points: Any) -> Any:
        """Quantiles of residuals or of random effects against those of the normal distribution.

        The band is pointwise: the limits of each order statistic of independent normal values, from the beta
        distribution of uniform ones. Among n points about n (1 - level) leave it where all is well.

        Parameters
        ----------
        kind : str
            ``"residuals"``: those of a linear model over sigma (times the root of the prior weight), with the line
            through their quartiles; quantile residuals of a generalized model, with the line of slope 1 through 0.
            ``"random"``: conditional modes, a panel per column, each mode over its standard deviation sqrt(Var(b) -
            Var(b | y)), with that line too; columns without variance are left out.
        group, term
            As for `caterpillar`, of random effects.
        level : float
            Of the band.
        seed : int, optional
            Of quantile residuals of a discrete response.
        ax : Axes or sequence of Axes, optional
            As many as there are panels.
        **points
            For `Axes.scatter`.

        Returns
        -------
        Axes or array of Axes

        Raises
        ------
        InputError, InputTypeError
            If an argument is unknown or out of range, the model has no such residuals, or its fit holds no rows.

        References
        ----------
        Lange & Ryan (1989), Assessing normality in random effects models, Ann. Stat. 17(2). Dunn & Smyth (1996),
        Randomized quantile residuals, J. Comput. Graph. Stat. 5(3).

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.plot.qq().get_ylabel()
        'Standardised residual'
        >>> [panel.get_ylabel() for panel in fit.plot.qq("random")]
        ['(Intercept) | Subject, standardised', 'Days | Subject, standardised']
        """
        check_choice("kind", kind, ("residuals", "random"))
        normal_quantile(level)  # checks it
        if kind == "random":
            columns = columns_of(self._solution, group, term)
            return draw_quantiles(list(standard_modes(self._solution, columns)), level, ax, points)
        for argument, value in (("group", group), ("term", term)):
            if value is not None:
                raise InputError(f"{argument}: expected None with kind='residuals', got {value!r}")
        shown = self._solution._shown_residuals(None, seed)
        return draw_quantiles([Sample(shown.standard, shown.standard_name, shown.is_normal)], level, ax, points)

    def residuals(self, kind: str | None = None, seed: int | None = 0, ax: Any = None, **points: Any) -> Axes:
        """Residuals against fitted values, with a smooth by local straight lines.

        Parameters
        ----------
        kind : str, optional
            As for `resid`; by default ``"pearson"`` for a linear model and ``"quantile"`` for a generalized one, which
            are standard normal where the model is right, whatever the response.
        seed : int, optional
            Of quantile residuals of a discrete response.
        ax : Axes, optional
        **points
            For `Axes.scatter`. Without any, more than 20,000 rows are counted in hexagons, shaded by the logarithm.

        Returns
        -------
        Axes
            Fitted values are on the scale of the linear predictor.

        Raises
        ------
        InputError
            If the model has no such residuals, or its fit holds no rows.

        References
        ----------
        Cleveland (1979), Robust locally weighted regression, J. Am. Stat. Assoc. 74(368), for the smooth.

        Examples
        --------
        >>> import pymixed as pm
        >>> data = pm.datasets.load("cbpp")
        >>> fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", data)
        >>> fit.plot.residuals().get_ylabel()
        'Quantile residual'
        """
        return draw_residuals(self._solution._shown_residuals(kind, seed), ax, points)

    def scale_location(self, kind: str | None = None, seed: int | None = 0, ax: Any = None, **points: Any) -> Axes:
        """Roots of the absolute standardised residuals against fitted values: a slope is a variance that changes.

        Parameters
        ----------
        kind, seed, ax, **points
            As for `residuals`.

        Returns
        -------
        Axes

        Raises
        ------
        InputError
            As for `residuals`.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.plot.scale_location().get_ylabel()
        '√|standardised residual|'
        """
        return draw_scale_location(self._solution._shown_residuals(kind, seed), ax, points)

    # ---- inference ---------------------------------------------------------------------------------------------------

    def profile(self, parameters: str | Iterable[str] | None = None, kind: str = "zeta", level: float = 0.95,
                ax: Any = None, **line: Any) -> Any:
        """Profile likelihoods, a panel per parameter: those of `profile`, drawn by the `plot` of its result.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Names as in the index of `conf_int`, all by default.
        kind, level, ax, **line
            As for `plot` of a `Profile`.

        Returns
        -------
        Axes or array of Axes

        Raises
        ------
        InputError, InputTypeError
            As from `profile`, and if the kind is unknown.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
        >>> ax = fit.plot.profile("sd_(Intercept)|Batch", kind="density")
        >>> ax.get_xlabel()
        'sd_(Intercept)|Batch'
        """
        check_choice("kind", kind, ("zeta", "density"))
        normal_quantile(level)  # before the work
        return self._solution.profile(parameters).plot(kind, level, ax, **line)

    def emmeans(self, specs: str | Iterable[str], by: str | Iterable[str] | None = None,
                at: Mapping[str, Any] | None = None, type: str = "link",  # noqa: A002  R's name
                ddf: str | None = None, level: float = 0.95, weights: str = "equal", ax: Any = None,
                **points: Any) -> Axes:
        """Estimated marginal means with intervals: those of `emmeans`, drawn by the `plot` of its result.

        Parameters
        ----------
        specs, by, at, type, ddf, level, weights
            As for `emmeans`.
        ax, **points
            As for `plot` of `MarginalMeans`.

        Returns
        -------
        Axes

        Raises
        ------
        InputError, InputTypeError
            As from `emmeans`.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", pm.datasets.load("cake"))
        >>> fit.plot.emmeans("temperature", by="recipe").get_xlabel()
        'temperature'
        """
        return self._solution.emmeans(specs, by, at, type, ddf, level, weights).plot(ax, **points)
