"""The command line: ``pymixed fit FORMULA --data NAME|FILE``, also ``python -m pymixed fit ...``."""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import GLMMSolution, LMMSolution, __version__, datasets, glmer, lmer
from .errors import InputError, PymixedError

if TYPE_CHECKING:
    import pandas as pd

OK, NOT_CONVERGED, BAD_INPUT = 0, 1, 2

_DESCRIPTION = "Fit linear and generalized linear mixed models. Exit codes: 0 fitted, 1 not converged, 2 bad input."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name; those of the process by default.

    Returns
    -------
    int
        0 when the model was fitted, 1 when the fit did not converge, 2 for bad input (reported on standard error).

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
    if options.family is None and (options.zi is not None or options.n_agq is not None):
        parser.error("--n-agq and --zi need --family: a linear model has neither")
    if options.family is not None and options.ml:
        parser.error("--ml goes without --family: generalized linear models are fitted by maximum likelihood anyway")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            solution = _fit(options)
            print(_json(solution) if options.json else solution.summary())
    except PymixedError as error:
        print(f"pymixed: error: {error}", file=sys.stderr)
        return BAD_INPUT
    for warning in caught:
        print(f"pymixed: warning: {warning.message}", file=sys.stderr)
    return OK if solution.converged else NOT_CONVERGED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pymixed", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"pymixed {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    fit = commands.add_parser("fit", help="fit a model and print its summary", description=_DESCRIPTION)
    fit.add_argument("formula", metavar="FORMULA", help='in the manner of lme4, "y ~ x + (x | g)"')
    fit.add_argument(
        "--data",
        required=True,
        metavar="NAME|FILE",
        help=f"a CSV or Parquet file, or one of {', '.join(datasets.names())}",
    )
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument(
        "--family",
        metavar="NAME",
        help="a generalized linear model: binomial, poisson, negative_binomial, ...; its default link",
    )
    fit.add_argument(
        "--n-agq", type=int, metavar="K", help="nodes of adaptive quadrature; 1 (default): Laplace, 0: profiled"
    )
    fit.add_argument("--zi", metavar="FORMULA", help='zero inflation of counts, "~ x"')
    fit.add_argument("--weights", metavar="COLUMN", help="column of prior weights")
    fit.add_argument("--offset", metavar="COLUMN", help="column added to the linear predictor")
    fit.add_argument("--optimizer", metavar="NAME", default="newton", help="newton (default) or one of SciPy's")
    fit.add_argument("--json", action="store_true", help="print the estimates as JSON")
    return parser


def _fit(options: argparse.Namespace) -> LMMSolution | GLMMSolution:
    shared = {"weights": options.weights, "offset": options.offset, "optimizer": options.optimizer}
    table = _table(options.data)
    if options.family is None:
        return lmer(options.formula, table, reml=not options.ml, **shared)
    n_agq = 1 if options.n_agq is None else options.n_agq
    return glmer(options.formula, table, family=options.family, n_agq=n_agq, zi=options.zi, **shared)


def _table(source: str) -> pd.DataFrame:
    if source in datasets.names():
        return datasets.load(source)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"--data: expected a file or one of {', '.join(datasets.names())}; got {source!r}")
    import pandas as pd

    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (ImportError, OSError, ValueError) as error:
        raise InputError(f"--data: cannot read {source!r}: {error}") from error


def _json(solution: LMMSolution | GLMMSolution) -> str:
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
    return json.dumps(_finite(content), indent=2, allow_nan=False)


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


def _finite(value: Any) -> Any:
    """Replace what JSON has no number for (NaN, infinities) by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
