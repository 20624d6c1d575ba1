"""The condition that picks a window's events, such as `kind == 'buy' and price > 10`.

The grammar is a small part of Python's:

    condition   comparison | condition and condition | condition or condition | not condition
    comparison  column == constant       also != < <= > >=
                column in [constant, …]  also not in
                column                   of booleans

A comparison with a missing value does not hold. One text gives the condition of a table, by
`mask`, and that of a single event, by `holds`.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import chain
from typing import Any

import polars as pl
from msgspec import Struct

from headrace.errors import InputError, nearest

_OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_EXPECTED = "comparisons of a column with a value, such as kind == 'buy' and price > 10"
_MAX_DEPTH = 100
Constant = str | float | bool
Schema = Mapping[str, pl.DataType]
"""The types of a table's columns, by name."""


class Comparison(Struct, frozen=True):
    """A comparison of a column with its one constant.

    Without `compare` it is `in`: the column must equal any of the constants.
    """

    column: str
    compare: Callable[[Any, Any], Any] | None
    constants: list[Constant]

    def mask(self, frame: pl.DataFrame) -> pl.Series:
        """Return the rows in which it holds, as booleans `(M,)`."""
        column = frame[self.column]
        compare = self.compare or operator.eq
        # Not `is_in`, which refuses to compare whole numbers with fractions.
        masks: list[pl.Series] = [compare(column, constant) for constant in self.constants]
        if not masks:
            return pl.repeat(False, len(column), eager=True)
        return reduce(operator.or_, masks).fill_null(False)

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Say whether it holds for one event."""
        value = event.get(self.column)
        if value is None:
            return False
        if self.compare is None:
            return value in self.constants
        return bool(self.compare(value, self.constants[0]))


class Combination(Struct, frozen=True):
    """A condition made of others: all of them hold (`and`), any (`or`), or the only one does not.

    `how` is `and`, `or` or `not`.
    """

    how: str
    parts: "list[Condition]"

    def mask(self, frame: pl.DataFrame) -> pl.Series:
        """Return the rows in which it holds, as booleans `(M,)`."""
        masks = [part.mask(frame) for part in self.parts]
        if self.how == "not":
            return ~masks[0]
        return reduce(operator.and_ if self.how == "and" else operator.or_, masks)

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Say whether it holds for one event."""
        if self.how == "not":
            return not self.parts[0].holds(event)
        if self.how == "and":
            return all(part.holds(event) for part in self.parts)
        return any(part.holds(event) for part in self.parts)


Condition = Comparison | Combination


def parse_condition(text: str, where: str, schema: Schema) -> Condition:
    """Read a condition on the columns of `schema`.

    Raises `InputError`, with the place `where`, if the text is no condition, or if it compares a
    column with a constant of another type.

    >>> schema = {"kind": pl.String(), "price": pl.Float64()}
    >>> condition = parse_condition("kind in ['buy', 'gift'] and not price < 10", "w", schema)
    >>> condition.holds({"kind": "buy", "price": 12.0})
    True
    >>> condition.holds({"kind": "view", "price": 12.0})
    False
    >>> condition.mask(pl.DataFrame({"kind": ["gift", "gift"], "price": [9.0, None]})).to_list()
    [False, True]
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        _check_depth(tree, where)
        return _read_node(tree.body, where, schema)
    except (MemoryError, RecursionError):  # so deep that Python cannot read it
        raise _depth_error(where) from None
    except SyntaxError as error:
        raise InputError(where, f"{text!r} cannot be read ({error.msg})", _EXPECTED) from None


def list_condition_columns(text: str | None) -> set[str]:
    """Return the columns that a condition reads.

    >>> sorted(list_condition_columns("kind == 'buy' and price > 10"))
    ['kind', 'price']
    """
    nodes = ast.walk(ast.parse((text or "True").strip(), mode="eval"))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _check_depth(tree: ast.AST, where: str) -> None:
    """Raise `InputError` for a condition that nests deeper than any that a person writes."""
    level = [tree]
    for _ in range(_MAX_DEPTH):
        level = list(chain.from_iterable(map(ast.iter_child_nodes, level)))
        if not level:
            return
    raise _depth_error(where)


def _depth_error(where: str) -> InputError:
    return InputError(where, f"a condition nested deeper than {_MAX_DEPTH} levels", _EXPECTED)


def _read_node(node: ast.expr, where: str, schema: Schema) -> Condition:
    """Read a condition from Python's tree of its text."""
    if isinstance(node, ast.BoolOp):
        how = "and" if isinstance(node.op, ast.And) else "or"
        return Combination(how, [_read_node(part, where, schema) for part in node.values])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Combination("not", [_read_node(node.operand, where, schema)])
    if isinstance(node, ast.Name):  # a column of booleans
        return _read_comparison(node, ast.Eq(), ast.Constant(True), where, schema)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _read_comparison(node.left, node.ops[0], node.comparators[0], where, schema)
    raise InputError(where, f"{ast.unparse(node)!r}", _EXPECTED)


def _read_comparison(
    left: ast.expr, op: ast.cmpop, right: ast.expr, where: str, schema: Schema
) -> Condition:
    """Read a comparison of a column on the left with constants on the right."""
    if not isinstance(left, ast.Name):
        raise InputError(where, f"{ast.unparse(left)!r} on the left", _EXPECTED)
    column = left.id
    if column not in schema:
        expected = "one of: " + ", ".join(schema)
        raise InputError(where, f"no column {column!r}", expected, nearest(column, list(schema)))

    constants = _read_constants(column, op, right, where)
    _check_types(column, op, constants, where, schema)
    constants = [_limit_to_64_bits(constant) for constant in constants]
    if isinstance(op, ast.In):
        return Comparison(column, None, constants)
    if isinstance(op, ast.NotIn):
        return Combination("not", [Comparison(column, None, constants)])
    return Comparison(column, _OPERATORS[type(op)], constants)


def _read_constants(column: str, op: ast.cmpop, right: ast.expr, where: str) -> list[Constant]:
    """Read the constants on the right of an operator: a list after `in`, one after the others."""
    try:
        value = ast.literal_eval(right)
    except (ValueError, TypeError):  # no constant, or a set of lists
        raise _constant_error(column, right, where) from None

    if isinstance(op, ast.In | ast.NotIn):
        if isinstance(value, list | tuple | set):
            return list(value)
    elif type(op) in _OPERATORS:
        return [value]
    raise _constant_error(column, right, where)


def _constant_error(column: str, right: ast.expr, where: str) -> InputError:
    return InputError(where, f"{ast.unparse(right)!r} beside {column!r}", _EXPECTED)


def _check_types(
    column: str, op: ast.cmpop, constants: list[Constant], where: str, schema: Schema
) -> None:
    """Raise `InputError` if a column holds another type than a constant, or has no order."""
    kind = _name_type(schema[column])
    for constant in constants:
        if _name_type_of(constant) != kind:
            found = f"{column!r} holds {kind}, but is compared with {constant!r}"
            raise InputError(where, found, f"{kind}")

    if kind == "true or false" and isinstance(op, _ORDERS):
        found = f"{column!r} is true or false, which have no order"
        raise InputError(where, found, "== or !=")


def _limit_to_64_bits(constant: Constant) -> Constant:
    """Turn a whole number of more than 64 bits, which Polars cannot compare, into a float."""
    if isinstance(constant, int) and not -(2**63) <= constant < 2**63:
        try:
            return float(constant)
        except OverflowError:
            return math.inf if constant > 0 else -math.inf
    return constant


def _name_type(dtype: pl.DataType) -> str:
    """Name the type of a column in plain words."""
    if dtype == pl.Boolean:
        return "true or false"
    if dtype.is_numeric():
        return "numbers"
    if dtype == pl.String:
        return "text"
    return f"{dtype}"


def _name_type_of(value: Any) -> str:
    """Name the type of a constant as `_name_type` names that of a column."""
    # Python takes true and false for whole numbers, so they come first.
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "numbers"
    if isinstance(value, str):
        return "text"
    return "something else"
