"""What a formula from a file may have: encoding rows evaluates its expressions, so nothing but computing."""
from __future__ import annotations

import ast
from collections.abc import Collection

import numpy as np

from .._model_matrix import EVALUATED, factor_expressions, part_texts
from ..errors import InputError
from ..formula import ParsedFormula

_ALLOWED = (ast.Expression, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call,
            ast.keyword, ast.List, ast.Tuple, ast.IfExp, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


class UnsafeFormulaError(InputError):
    """A formula that a file may not have."""


def check_formula(parsed: ParsedFormula, columns: Collection[str]) -> None:
    """Refuse expressions that could do anything else than compute with columns."""
    for text, whole in part_texts(parsed, columns).items():
        for expression in factor_expressions(text, whole):
            if expression.strip("`") not in columns:
                _check(expression)


def _check(expression: str) -> None:
    try:
        tree = ast.parse(_unquoted(expression), mode="eval")
    except SyntaxError:
        raise UnsafeFormulaError(f"formula: {expression!r} cannot be read") from None
    for node in ast.walk(tree):
        allowed = isinstance(node, _ALLOWED) or _is_known_attribute(node)
        if isinstance(node, ast.Call):
            allowed = ((isinstance(node.func, ast.Name) and node.func.id in EVALUATED)
                       or _is_known_attribute(node.func))
        if not allowed:
            raise UnsafeFormulaError(
                f"formula: expected columns, operators, numbers and functions such as log, scale, poly or bs "
                f"in a file, got {expression!r}")


def _is_known_attribute(node: ast.AST) -> bool:
    """A function np.log of arrays element by element, or a coding contr.sum."""
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
        return False
    if node.value.id == "np":
        return isinstance(getattr(np, node.attr, None), np.ufunc)
    return node.value.id == "contr" and not node.attr.startswith("_")


def _unquoted(expression: str) -> str:
    parts = expression.split("`")
    return "".join(part if i % 2 == 0 else "column" for i, part in enumerate(parts))
