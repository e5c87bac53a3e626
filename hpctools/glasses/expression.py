"""Arithmetic expressions in data files: numbers, names, + - * / **, and a few functions; nothing else."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "min": min, "max": max,
}  # fmt: skip


class ExpressionError(ValueError):
    """An expression that cannot be read or has no value."""

    user_error = True


def evaluate(text: str, value_of: Callable[[str], float]) -> float:
    """The value of an expression; `value_of` gives the value of a name or raises ExpressionError.

    Raises ExpressionError, which names the expression, for anything that is not plain arithmetic and where the
    arithmetic fails (division by zero, overflow).
    """
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval")
        return _value(tree.body, value_of)
    except SyntaxError as error:
        raise ExpressionError(f"expression {text!r}: {error.msg}") from None
    except (ArithmeticError, TypeError, ValueError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"expression {text!r}: {error}") from None


def _value(node: Any, value_of: Callable[[str], float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name):
        return value_of(node.id)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return float(_BINARY[type(node.op)](_value(node.left, value_of), _value(node.right, value_of)))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return float(_UNARY[type(node.op)](_value(node.operand, value_of)))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and not node.keywords
    ):
        return float(_FUNCTIONS[node.func.id](*(_value(argument, value_of) for argument in node.args)))
    raise ExpressionError(f"found {ast.unparse(node)!r}; expected numbers, names, + - * / ** and the functions "
                          f"{', '.join(_FUNCTIONS)}")
