"""A fitted model as JSON, for programs that read it."""
from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..solution import GLMMSolution, LMMSolution


def to_json(solution: LMMSolution | GLMMSolution) -> str:
    """Estimates and facts of a fit; what JSON has no number for is null."""
    content = {
        "n_obs": solution.n_obs,
        "n_groups": dict(solution.n_groups),
        **(_linear(solution) if isinstance(solution, LMMSolution) else _generalized(solution)),
        "variance_components": solution.varcorr().to_dict("records"),
        "theta": dict(zip(solution.theta_names, solution.theta.tolist(), strict=True)),
        "log_likelihood": solution.log_likelihood,
        "aic": solution.aic,
        "bic": solution.bic,
        "converged": solution.converged,
        "n_iter": solution.n_iter,
        "warnings": [{"code": warning.code, "message": str(warning)} for warning in solution.warnings],
    }
    return json.dumps(finite(content), indent=2, allow_nan=False)


def _linear(solution: LMMSolution) -> dict[str, Any]:
    columns = {
        "estimate": solution.coefficients,
        "se": solution.se,
        "df": solution.df_satterthwaite,
        "t": solution.t_values,
        "p": solution.p_values,
    }
    return {
        "method": "REML" if solution.reml else "ML",
        "coefficients": _rows(solution.coefficient_names, columns),
        "sigma": solution.residual_std,
    }


def _generalized(solution: GLMMSolution) -> dict[str, Any]:
    columns = {
        "estimate": solution.coefficients,
        "se": solution.se,
        "z": solution.z_values,
        "p": solution.p_values,
    }
    return {
        "method": solution.info["method"],
        "family": solution.family_name,
        "link": solution.link_name,
        "coefficients": _rows(solution.coefficient_names, columns),
        "family_parameters": dict(solution.family_parameters),
        "zero_inflation": _rows(
            solution.zi_names, {"estimate": solution.zi_coefficients, "se": solution.zi_se}
        ),
        "deviance": solution.deviance,
    }


def _rows(names: Sequence[str], columns: Mapping[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    """A record per name."""
    return [
        {"name": name, **{key: float(values[i]) for key, values in columns.items()}} for i, name in enumerate(names)
    ]


def finite(value: Any) -> Any:
    """Replace what JSON has no number for (NaN, infinities) by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
