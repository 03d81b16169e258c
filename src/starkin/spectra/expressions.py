"""Conditions on label columns: ``bp_rp < 1.5 & parallax/parallax_error > 10``.

The text is parsed by Python's own parser and walked here, node by node: numbers,
strings, column names, arithmetic, comparisons, ``and or not`` and four functions
are all there is, so that nothing in a configuration file can run code.

As in pandas and SQL, and unlike in Python, ``& | ~`` bind like ``and or not``. A
missing value makes a comparison unknown, and unknown is not true: ``x < 1`` and
``not x < 1`` both drop stars without x; ``x < 1 or y < 1`` keeps those that pass by
y (three-valued logic, as in SQL). Infinite and undefined results are missing too.
"""

from __future__ import annotations

import ast
import operator
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from astropy.table import Table

from .errors import StarkinError

__all__ = ["evaluate"]

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS = {"abs": np.abs, "sqrt": np.sqrt, "log10": np.log10}
_WORDS = {"&": "and", "|": "or", "~": "not"}


@dataclass(frozen=True)
class _Value:
    """Numbers or text, one a star or one for all."""

    data: np.ndarray
    missing: np.ndarray


@dataclass(frozen=True)
class _Truth:
    """Yes, no or (neither) unknown."""

    yes: np.ndarray
    no: np.ndarray


def evaluate(expression: str, table: Table) -> np.ndarray:
    """Which rows of a table meet a condition.

    Parameters
    ----------
    expression : str
        Of column names, numbers, 'text', ``+ - * / % **``, ``< <= > >= == !=`` (also
        chained), ``& | ~`` or ``and or not``, parentheses, and the functions ``abs``,
        ``sqrt``, ``log10``, ``missing(column)`` and ``bits(column, n, …)``: whether any
        of these bits, counted from 0, is set.
    table : Table
        The columns.

    Returns
    -------
    ndarray of bool, shape (len(table),)
        False where the answer hangs on a missing value.

    Raises
    ------
    StarkinError
        If the expression makes no sense or names a column that is not there.
    """
    try:
        tree = ast.parse(_python(expression), mode="eval")
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError, MemoryError) as error:
        raise StarkinError(f"The condition {expression!r} cannot be read: {error}.") from None
    try:
        with np.errstate(all="ignore"):
            result = _Walker(expression, table).visit(tree.body)
    except (TypeError, RecursionError) as error:
        # numpy's own complaint, as when text is compared with a number
        raise StarkinError(f"The condition {expression!r} cannot be used: {error}.") from None
    if not isinstance(result, _Truth):
        raise StarkinError(
            f"The condition {expression!r} gives numbers, not a yes or no: compare them."
        )
    return np.broadcast_to(result.yes, (len(table),)).copy()


def _python(expression: str) -> str:
    """The expression with ``& | ~`` spelt so that they bind as users expect."""
    source = " ".join(expression.splitlines()).strip()
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return " ".join(_WORDS.get(token.string, token.string) for token in tokens).strip()


class _Walker:
    def __init__(self, expression: str, table: Table) -> None:
        self.expression = expression
        self.table = table

    def visit(self, node: ast.AST) -> _Value | _Truth:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise self._refused(node)
        return method(node)

    def _refused(self, node: ast.AST) -> StarkinError:
        part = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
        return StarkinError(
            f"The condition {self.expression!r} contains {part!r}, which conditions may not: use "
            "column names, numbers, arithmetic, comparisons, & | ~ and abs, sqrt, log10, missing, "
            "bits."
        )

    def _value(self, node: ast.AST) -> _Value:
        value = self.visit(node)
        if isinstance(value, _Value):
            return value
        raise StarkinError(
            f"The condition {self.expression!r} uses a yes or no where a number is meant: "
            f"{ast.unparse(node)!r}."  # type: ignore[arg-type]
        )

    def _truth(self, node: ast.AST) -> _Truth:
        truth = self.visit(node)
        if isinstance(truth, _Truth):
            return truth
        if truth.data.dtype.kind == "b":
            yes = truth.data & ~truth.missing
            return _Truth(yes, ~truth.data & ~truth.missing)
        raise StarkinError(
            f"The condition {self.expression!r} uses a number where a yes or no is meant: "
            f"{ast.unparse(node)!r}."  # type: ignore[arg-type]
        )

    # --- leaves -------------------------------------------------------------
    def _constant(self, node: ast.Constant) -> _Value:
        if not isinstance(node.value, (int, float, str)):
            raise self._refused(node)
        return _Value(np.asarray(node.value), np.asarray(False))

    def _name(self, node: ast.Name) -> _Value:
        if node.id not in self.table.colnames:
            raise StarkinError(
                f"The condition {self.expression!r} needs the label column {node.id!r}, which is "
                f"not there; the columns are {', '.join(self.table.colnames) or 'none'}."
            )
        column = np.ma.asarray(self.table[node.id])
        if column.ndim != 1:
            raise StarkinError(f"The label column {node.id!r} holds arrays and cannot be compared.")
        data, missing = np.asarray(column.data), np.ma.getmaskarray(column)
        if data.dtype.kind == "f":
            missing = missing | ~np.isfinite(data)
        elif data.dtype.kind in "OSU":
            text = np.array([v.decode() if isinstance(v, bytes) else v for v in data], dtype=object)
            missing = missing | np.array([v is None or v == "" for v in text], dtype=bool)
            data = np.where(missing, "", text).astype(str)
        return _Value(data, missing)

    # --- arithmetic ---------------------------------------------------------
    def _binop(self, node: ast.BinOp) -> _Value:
        if type(node.op) not in _ARITHMETIC:
            raise self._refused(node)
        left, right = self._number(node.left), self._number(node.right)
        return _result(_ARITHMETIC[type(node.op)](left.data, right.data), left, right)

    def _number(self, node: ast.AST) -> _Value:
        """As floats: integer columns overflow and refuse negative powers."""
        value = self._value(node)
        if value.data.dtype.kind not in "bifu":
            raise StarkinError(
                f"The condition {self.expression!r} calculates with text: {ast.unparse(node)!r}."  # type: ignore[arg-type]
            )
        return _Value(value.data.astype(np.float64), value.missing)

    def _unaryop(self, node: ast.UnaryOp) -> _Value | _Truth:
        if isinstance(node.op, ast.Not):
            truth = self._truth(node.operand)
            return _Truth(truth.no, truth.yes)
        if isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self._value(node.operand)
            return _Value(
                -value.data if isinstance(node.op, ast.USub) else value.data, value.missing
            )
        raise self._refused(node)

    # --- yes and no ---------------------------------------------------------
    def _compare(self, node: ast.Compare) -> _Truth:
        if any(type(op) not in _COMPARISONS for op in node.ops):
            raise self._refused(node)
        operands = [self._value(n) for n in (node.left, *node.comparators)]
        together = _Truth(np.asarray(True), np.asarray(False))
        for op, left, right in zip(node.ops, operands, operands[1:], strict=False):
            if (left.data.dtype.kind == "U") != (right.data.dtype.kind == "U"):
                raise StarkinError(
                    f"The condition {self.expression!r} compares text with numbers: put text, and "
                    "only text, in quotes."
                )
            answer = np.asarray(_COMPARISONS[type(op)](left.data, right.data))
            known = ~(left.missing | right.missing)
            together = _both(together, _Truth(answer & known, ~answer & known))
        return together

    def _boolop(self, node: ast.BoolOp) -> _Truth:
        terms = [self._truth(value) for value in node.values]
        if isinstance(node.op, ast.Or):  # De Morgan
            terms = [_Truth(t.no, t.yes) for t in terms]
        together = terms[0]
        for term in terms[1:]:
            together = _both(together, term)
        return _Truth(together.no, together.yes) if isinstance(node.op, ast.Or) else together

    # --- functions ----------------------------------------------------------
    def _call(self, node: ast.Call) -> _Value | _Truth:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if node.keywords or not node.args:
            raise self._refused(node)
        if name in _FUNCTIONS and len(node.args) == 1:
            value = self._number(node.args[0])
            return _result(_FUNCTIONS[name](value.data), value, value)
        if name == "missing" and len(node.args) == 1:
            value = self._value(node.args[0])
            return _Truth(value.missing, ~value.missing)
        if name == "bits" and len(node.args) > 1:
            return self._bits(node)
        raise self._refused(node)

    def _bits(self, node: ast.Call) -> _Truth:
        value = self._number(node.args[0])
        wanted = 0
        for arg in node.args[1:]:
            if not (isinstance(arg, ast.Constant) and type(arg.value) is int and arg.value < 63):
                raise self._refused(node)
            wanted |= 1 << arg.value
        # A negative flag (-9999 is common) is a missing one, not one with most bits set.
        missing = value.missing | ~(value.data >= 0) | (value.data >= 2.0**53)
        flags = np.where(missing, 0, value.data).astype(np.int64)
        return _Truth(~missing & ((flags & wanted) != 0), ~missing & ((flags & wanted) == 0))


def _result(data: np.ndarray, left: _Value, right: _Value) -> _Value:
    data = np.asarray(data)
    return _Value(data, left.missing | right.missing | ~np.isfinite(data))


def _both(left: _Truth, right: _Truth) -> _Truth:
    return _Truth(left.yes & right.yes, left.no | right.no)
