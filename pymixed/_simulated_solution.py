"""Responses simulated from a fitted model: the methods of a solution that draw."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array, P, check_choice, check_number
from ._distributions import Binomial, is_whole
from ._frames import first_offender, numbers
from ._inference.contrasts import kept_columns
from ._inference.drawing import Draw, draw_responses, in_rows_given, warn_of_domain
from ._inference.resampling import make_plan
from ._inference.truth import ParameterNames
from ._predicted_solution import PredictedSolution
from ._prediction import own_rows
from .errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedSolution(PredictedSolution[P]):
    """A fitted mixed model that can be simulated from; see the two kinds."""

    def simulate(self, n: int = 1, seed: int | None = None, re: str = "new", newdata: Any = None,
                 params: Mapping[str, Any] | None = None, offset: ArrayLike | None = None,
                 weights: ArrayLike | None = None) -> Array:
        """Draw responses from the fitted model.

        Parameters
        ----------
        n : int
            Number of responses.
        seed : int, optional
            Non-negative, below 2**64; drawn by default. Response j depends on the seed and j alone, whatever n.
        re : str
            ``"new"``: every response has random effects of its own, new ones for every level; ``"fitted"``: levels of
            the fit have their conditional modes.
        newdata : table, optional
            Rows to draw responses of, any table that the fit accepts; the rows of the fit by default. Levels that the
            fit has not seen have random effects drawn for them, for all of their rows together.
        params : mapping, optional
            Parameters that are to differ from the estimates: ``"beta"``, ``"theta"``, ``"sigma"`` of a linear model,
            ``"family_parameters"`` and ``"zi_beta"`` of a generalized one. Each an array, in the order of
            `coefficient_names`, `theta_names`, ..., or a mapping by these names: ``{"beta": {"Days": 0}}``.
        offset : array_like (rows,), optional
            That of the new rows, where the fit was given its own as an array.
        weights : array_like (rows,), optional
            Prior weights of new rows, 1 by default: numbers of trials of a binomial response. Those of the fit's rows
            are the fit's.

        Returns
        -------
        (rows, n) array
            A response per column, as `refit` and `pymixed.fit_many` take it. Without `newdata` there is a row for every
            row that the fit's data had, NaN where the fit left it out. Of a binomial response proportions of the
            trials, which are the weights; of one with two labels 1 for the second.

        Raises
        ------
        InputError, InputTypeError
            If an argument is unknown or of the wrong form, a column is missing, the family is a custom one, or the fit
            holds no rows and there are no new ones.

        Warns
        -----
        DomainWarning
            A link gives no mean for some linear predictors; such responses are NaN.

        Notes
        -----
        With new random effects, response j in the rows of the fit is the one that replicate j of ``bootstrap`` with the
        same seed is fitted to. A weight w makes a row the mean of w rows where such means have a distribution of the
        same kind (binomial, Gaussian, Gamma, inverse Gaussian, Tweedie); elsewhere it changes nothing.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> Y = fit.simulate(3, seed=1)
        >>> Y.shape
        (180, 3)
        >>> fit.refit(Y[:, 0]).coefficients.round(1).tolist()
        [263.2, 10.2]
        >>> fit.simulate(seed=1, newdata={"Days": [0, 9], "Subject": ["another"] * 2}, params={"sigma": 1}).shape
        (2, 1)
        """
        check_number("n", n, Integral)
        check_choice("re", re, ("new", "fitted"))
        design, family = self._design, self._response_family
        plan = make_plan(design, "parametric", seed, None, None)
        names = ParameterNames.of(design, self.coefficient_names, family)
        point = names.read(params or {}, self._model_point())
        if newdata is None:
            for argument, values in (("offset", offset), ("weights", weights)):
                if values is not None:
                    raise InputError(f"{argument}: expected only together with newdata, the rows of the fit have "
                                     "theirs")
            if re == "new":
                Y = self._engine.resampler(design, point).responses(plan, 0, int(n))
                warn_of_domain(Y, family, stacklevel=3)
                return in_rows_given(design, Y)
            rows, prior = own_rows(design), design.weights
        else:
            rows = design.new_rows(newdata, offset=offset)
            prior = None if weights is None else self._new_weights(weights, len(rows.X))
        modes = self.random_effects if re == "fitted" else None
        Y = draw_responses(self._engine, design, rows, prior, kept_columns(design, self.params), modes,
                           Draw(point, plan.seed, family), int(n))
        warn_of_domain(Y, family, stacklevel=3)
        return in_rows_given(design, Y) if newdata is None else Y

    def _new_weights(self, weights: ArrayLike, n: int) -> Array:
        """Prior weights of new rows, checked."""
        prior = numbers(weights, "weights", n)
        family = self._response_family
        bad = ~(np.isfinite(prior) & (prior > 0))
        expected = "positive values"
        if family is not None and isinstance(family.distribution, Binomial):
            bad |= ~is_whole(prior)
            expected = "whole numbers of trials for the binomial family"
        if bad.any():
            raise InputError(f"weights: expected {expected}, got {first_offender(prior, bad, None)}")
        return prior
