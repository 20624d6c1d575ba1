"""A context and its candidates, read into the arrays that the graph takes.

Each input has columns of both. Those of the context are read once, and repeated:

    context      {"user_age": 31, "city": "Rome"}
    candidates   [{"price": 5.0, "kind": "book"}, {"price": 9.0, "kind": "film"}]

                 user_age  price              city    kind
    numbers    [[ 31,       5 ],      codes [[ 7,      2 ],
                [ 31,       9 ]]             [ 7,      4 ]]

Which columns the context has divides the others from them, for all candidates alike. So candidates
can be decoded into a type that is made for the columns that are left (see `make_row_type`).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from types import GenericAlias
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct, structs

from headrace.errors import InputError, nearest
from headrace.features import Feeds
from headrace.predict.gaps import has_no_gaps, may_have_gaps
from headrace.predict.rows import (
    InputTensor,
    Row,
    RowGaps,
    RowReader,
    make_row_type,
    trim_names,
)

_MOST_PLANS = 64
_Values = tuple[Any, ...]


class _Half(NamedTuple):
    """The columns of one input that come from one side.

    `places` are those in the input, `at` those among the values of a context, or of a candidate.
    """

    tensor: InputTensor
    places: list[int]
    at: slice


class _Plan(NamedTuple):
    """The halves of each input for one set of columns of a context, and how values are read.

    `order` says of each column of the model whether it is the context's, and its place there.
    `row_type` is a type for candidates that have all other columns; None where none can be made.
    """

    inputs: list[tuple[InputTensor, _Half | None, _Half | None]]
    get_context: Callable[[Row], _Values]
    get_candidate: Callable[[Row], _Values]
    order: list[tuple[bool, int]]
    row_type: type[Struct] | None


class ListReader:
    """A reader of lists: a context, and the candidates that are put in order in it.

    Parameters: `further`, columns beside the model's that candidates of a `row_type` may have.
    """

    def __init__(self, reader: RowReader, further: Iterable[str] = ()) -> None:
        self._reader = reader
        self._further = tuple(further)
        self._names = [column.name for tensor in reader.tensors for column in tensor.columns]
        # A column of codes that are numbers may be in two inputs.
        self._different = frozenset(self._names)
        self._find_plan = lru_cache(_MOST_PLANS)(self._make_plan)

    def row_type(self, context: Row) -> type[Struct] | None:
        """Return a type for candidates that have all columns that a context lacks, and no other."""
        return self._find_plan(*self._divide(context)).row_type

    def read_typed(
        self, context: Row, candidates: Sequence[Struct], first: int = 0
    ) -> tuple[Feeds, RowGaps]:
        """Read a list whose candidates have the `row_type` for its context; see `read`."""
        return self._fill(context, candidates, structs.astuple, first)

    def read(
        self, context: Row, candidates: Sequence[Row], first: int = 0
    ) -> tuple[Feeds, RowGaps]:
        """Read a list, or the part of one that begins at `first`: return its feeds and its gaps.

        Raises `InputError` for a column that both have, for one that a candidate lacks, and for a
        value that cannot be used; it names the context or the candidate.
        """
        try:
            return self._read(context, candidates, first)
        except (KeyError, TypeError, AttributeError):
            # Perhaps only blanks around a name hide a column.
            context = trim_names(_check_row(context, "context"))
            candidates = [
                trim_names(_check_row(row, f"candidate {number}"))
                for number, row in enumerate(candidates, first + 1)
            ]
            self._check_names(context, candidates, first)
            return self._read(context, candidates, first)

    def _read(self, context: Row, candidates: Sequence[Row], first: int) -> tuple[Feeds, RowGaps]:
        shared = context.keys()
        # A candidate of as many columns as are left has these alone, or lacks one of them.
        width = len(self._different.difference(shared))
        for number, candidate in enumerate(candidates, first + 1):
            if len(candidate) != width and not shared.isdisjoint(candidate):
                raise _twice(context, candidate, number)
        return self._fill(context, candidates, None, first)

    def _divide(self, context: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the model's columns in a context, and the further columns that it lacks."""
        own = tuple(name for name in self._names if name in context)
        return own, tuple(name for name in self._further if name not in context)

    def _fill(
        self,
        context: Row,
        candidates: Sequence[Any],
        get_values: Callable[[Any], _Values] | None,
        first: int,
    ) -> tuple[Feeds, RowGaps]:
        """Fill the arrays, and find gaps; `get_values` returns the values of a typed candidate."""
        plan = self._find_plan(*self._divide(context))
        shared = [(value,) for value in plan.get_context(context)]
        columns = list(zip(*map(get_values or plan.get_candidate, candidates), strict=True))
        feeds: Feeds = {}
        count = len(candidates)
        for tensor, of_context, of_candidates in plan.inputs:
            if of_candidates is None:
                assert of_context is not None
                once = self._build(of_context, shared, None)
                feeds[tensor.name] = np.repeat(once, count, axis=0)
                continue
            array = self._build(of_candidates, columns, first)
            if of_context is not None:
                whole = np.empty((count, len(tensor.columns)), array.dtype)
                whole[:, of_candidates.places] = array
                whole[:, of_context.places] = self._build(of_context, shared, None)
                array = whole
            feeds[tensor.name] = array
        return feeds, self._find_gaps(plan, feeds, shared, columns)

    def _find_gaps(
        self, plan: _Plan, feeds: Feeds, shared: list[_Values], columns: list[_Values]
    ) -> RowGaps:
        """Find the gaps of candidates by their places."""
        suspects = [one for one, *_ in plan.inputs if not has_no_gaps(one.name, feeds[one.name])]
        if not suspects:
            return {}
        masks = [may_have_gaps(one.name, feeds[one.name], one.full) for one in suspects]
        places = np.flatnonzero(np.any([mask.any(axis=1) for mask in masks], axis=0)).tolist()
        rows = [
            tuple(shared[at][0] if is_own else columns[at][place] for is_own, at in plan.order)
            for place in places
        ]
        return self._reader.find_gaps(rows, places)

    def _build(self, half: _Half, columns: list[_Values], first: int | None) -> Any:
        """Build the array of one half; its first row is the candidate at `first`, if it is one."""
        try:
            return self._reader.build_array(half.tensor, columns[half.at])
        except InputError as error:
            row, _, column = error.where.partition(", ")
            where = "context"
            if first is not None:
                where = f"candidate {first + int(row.removeprefix('row '))}"
            raise InputError(f"{where}, {column}", error.found, error.expected, error.do) from None

    def _make_plan(self, own: tuple[str, ...], further: tuple[str, ...]) -> _Plan:
        """Plan for contexts with the columns `own`; see `_divide`."""
        inputs = []
        shared: list[str] = []
        others: list[str] = []
        for tensor in self._reader.tensors:
            of_context = [at for at, one in enumerate(tensor.columns) if one.name in own]
            of_others = [at for at, one in enumerate(tensor.columns) if one.name not in own]
            halves = (_halve(tensor, of_context, shared), _halve(tensor, of_others, others))
            inputs.append((tensor, *halves))
        row_type = make_row_type(tuple(others), further) if others else None
        places = {name: (True, at) for at, name in enumerate(shared)}
        places |= {name: (False, at) for at, name in enumerate(others)}
        order = [places[name] for name in self._names]
        return _Plan(inputs, _make_getter(shared), _make_getter(others), order, row_type)

    def _check_names(self, context: Row, candidates: Iterable[Row], first: int) -> None:
        """Raise `InputError` for a column that neither the context nor a candidate has."""
        for number, candidate in enumerate(candidates, first + 1):
            for name in self._names:
                if name not in context and name not in candidate:
                    raise InputError(
                        f"candidate {number}, column {name!r}",
                        "no such column in it or in the context",
                        "every column of the model (null where missing)",
                        nearest(name, [*context, *candidate]),
                    )


def decode_candidates(raw: bytes | msgspec.Raw, row_type: type[Struct] | None) -> list[Any] | None:
    """Decode candidates into a type; None where one has other columns, or there is no type."""
    if row_type is None:
        return None
    try:
        return _find_decoder(row_type)(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@lru_cache(_MOST_PLANS)
def _find_decoder(row_type: type[Struct]) -> Callable[[Any], list[Any]]:
    rows: Any = GenericAlias(list, (row_type,))
    return msgspec.json.Decoder(rows).decode


def _halve(tensor: InputTensor, places: list[int], names: list[str]) -> _Half | None:
    """Return the columns of an input at some places, and add their names to those of its side.

    Returns None where there are none.
    """
    if not places:
        return None
    start = len(names)
    names += [tensor.columns[place].name for place in places]
    own = structs.replace(
        tensor,
        columns=[tensor.columns[place] for place in places],
        codes=[tensor.codes[place] for place in places] if tensor.codes else [],
        flags=[new for new, place in enumerate(places) if place in tensor.flags],
        full=tensor.full[places],
    )
    return _Half(own, places, slice(start, len(names)))


def _make_getter(names: list[str]) -> Callable[[Row], _Values]:
    """Make a getter of some columns' values as a tuple."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)


def _check_row(row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        found = f"{type(row).__name__} {str(row)[:40]!r}"
        raise InputError(where, found, "an object of columns and values")
    return row


def _twice(context: Row, candidate: Any, number: int) -> InputError:
    names = [name for name in context if name in candidate]
    where = f"candidate {number}, column {str(names[0])[:60]!r}" if names else f"candidate {number}"
    return InputError(where, "in the context as well", "a column in one of them")
