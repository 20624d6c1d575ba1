"""Which events a window counts, as a person writes it: `kind == 'buy' and price > 10`.

The grammar is a small part of Python's: comparisons of a column with a constant, `in` a list,
joined by `and`, `or` and `not`. A comparison with a missing value does not hold. The same text is
asked of a table and of a single event.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import polars as pl
from msgspec import Struct

from headrace.errors import InputError, nearest

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SHAPE = "comparisons of a column with a value, such as kind == 'buy' and price > 10"
_DEEPEST = 100
_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
Constant = str | float | bool


class Compare(Struct, frozen=True):
    """A column beside a constant, or beside some of which one must equal it."""

    column: str
    compare: Callable[[Any, Any], Any] | None
    constants: list[Constant]

    def mask(self, frame: pl.DataFrame) -> pl.Series:
        """Where it holds, as booleans `(M,)`."""
        column = frame[self.column]
        compare = self.compare or operator.eq
        # Not `is_in`, which refuses whole numbers beside fractions.
        masks: list[pl.Series] = [compare(column, constant) for constant in self.constants]
        if not masks:
            return pl.repeat(False, len(column), eager=True)
        return reduce(operator.or_, masks).fill_null(False)

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether it holds for one event."""
        value = event.get(self.column)
        if value is None:
            return False
        return (
            value in self.constants
            if self.compare is None
            else bool(self.compare(value, self.constants[0]))
        )


class Combination(Struct, frozen=True):
    """Conditions of which all (`and`), any (`or`) or the only one not (`not`) must hold."""

    how: str
    parts: "list[Condition]"

    def mask(self, frame: pl.DataFrame) -> pl.Series:
        """Where it holds, as booleans `(M,)`."""
        masks = [part.mask(frame) for part in self.parts]
        return (
            ~masks[0]
            if self.how == "not"
            else reduce(operator.and_ if self.how == "and" else operator.or_, masks)
        )

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether it holds for one event."""
        if self.how == "not":
            return not self.parts[0].holds(event)
        return (all if self.how == "and" else any)(part.holds(event) for part in self.parts)


Condition = Compare | Combination


def parse_condition(text: str, where: str, schema: Mapping[str, pl.DataType]) -> Condition:
    """Reads a condition; raises `InputError` where it is none, or compares what cannot be compared.

    >>> schema = {"kind": pl.String(), "price": pl.Float64()}
    >>> found = parse_condition("kind in ['buy', 'gift'] and not price < 10", "w", schema)
    >>> found.holds({"kind": "buy", "price": 12.0}), found.holds({"kind": "view", "price": 12.0})
    (True, False)
    >>> found.mask(pl.DataFrame({"kind": ["gift", "gift"], "price": [9.0, None]})).to_list()
    [False, True]
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        _check_depth(tree, where)
        return _read(tree.body, where, schema)
    except (MemoryError, RecursionError):  # so deep that Python cannot read it
        raise _too_deep(where) from None
    except SyntaxError as error:
        raise InputError(where, f"{text!r} cannot be read ({error.msg})", _SHAPE) from None


def _check_depth(tree: ast.AST, where: str) -> None:
    """Raises `InputError` for a condition that nests deeper than any that a person writes."""
    level = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise _too_deep(where)


def _too_deep(where: str) -> InputError:
    return InputError(where, f"a condition nested deeper than {_DEEPEST} levels", _SHAPE)


def condition_columns(text: str | None) -> set[str]:
    """The columns that a condition reads."""
    nodes = ast.walk(ast.parse((text or "True").strip(), mode="eval"))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _read(node: ast.expr, where: str, schema: Mapping[str, pl.DataType]) -> Condition:
    if isinstance(node, ast.BoolOp):
        how = "and" if isinstance(node.op, ast.And) else "or"
        return Combination(how, [_read(part, where, schema) for part in node.values])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Combination("not", [_read(node.operand, where, schema)])
    if isinstance(node, ast.Name):  # a column of booleans
        return _compare(node, ast.Eq(), ast.Constant(True), where, schema)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _compare(node.left, node.ops[0], node.comparators[0], where, schema)
    raise InputError(where, f"{ast.unparse(node)!r}", _SHAPE)


def _compare(
    left: ast.expr, op: ast.cmpop, right: ast.expr, where: str, schema: Mapping[str, pl.DataType]
) -> Condition:
    if not isinstance(left, ast.Name):
        raise InputError(where, f"{ast.unparse(left)!r} on the left", _SHAPE)
    column = left.id
    if column not in schema:
        raise InputError(
            where,
            f"no column {column!r}",
            "one of: " + ", ".join(schema),
            nearest(column, list(schema)),
        )
    try:
        value = ast.literal_eval(right)
    except (ValueError, TypeError):  # no constant, or a set of lists
        raise InputError(where, f"{ast.unparse(right)!r} beside {column!r}", _SHAPE) from None
    listed = isinstance(op, ast.In | ast.NotIn)
    constants = list(value) if listed and isinstance(value, list | tuple | set) else [value]
    if (listed and not isinstance(value, list | tuple | set)) or (
        not listed and type(op) not in _COMPARE
    ):
        raise InputError(where, f"{ast.unparse(right)!r} beside {column!r}", _SHAPE)
    kind = _kind(schema[column])
    wrong = [one for one in constants if _kind_of(one) != kind]
    if wrong:
        raise InputError(
            where, f"{column!r} holds {kind}, but is compared with {wrong[0]!r}", f"{kind}"
        )
    if kind == "true or false" and isinstance(op, _ORDERS):
        found = f"{column!r} is true or false, which have no order"
        raise InputError(where, found, "== or !=")
    constants = [_within_range(constant) for constant in constants]
    if listed:
        within = Compare(column, None, constants)
        return within if isinstance(op, ast.In) else Combination("not", [within])
    return Compare(column, _COMPARE[type(op)], constants)


def _within_range(constant: Constant) -> Constant:
    """A whole number beyond 64 bits as a float: Polars compares columns with no such number."""
    if isinstance(constant, int) and not -(2**63) <= constant < 2**63:
        try:
            return float(constant)
        except OverflowError:
            return math.inf if constant > 0 else -math.inf
    return constant


def _kind(dtype: pl.DataType) -> str:
    if dtype == pl.Boolean:
        return "true or false"
    return "numbers" if dtype.is_numeric() else "text" if dtype == pl.String else f"{dtype}"


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return (
        "numbers"
        if isinstance(value, int | float)
        else "text"
        if isinstance(value, str)
        else "something else"
    )
