"""A context and its candidates, read into the arrays that the graph takes.

Each input has columns of both. Those of the context are read once, and repeated:

    context      {"user_age": 31, "city": "Rome"}
    candidates   [{"price": 5.0, "kind": "book"}, {"price": 9.0, "kind": "film"}]

                 user_age  price              city    kind
    numbers    [[ 31,       5 ],      codes [[ 7,      2 ],
                [ 31,       9 ]]             [ 7,      4 ]]
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from msgspec import structs

from headrace.errors import InputError, nearest
from headrace.features import Feeds
from headrace.predict.rows import InputTensor, Row, RowReader, trim_names

_MOST_PLANS = 64


class _Half(NamedTuple):
    """The columns of one input that come from one side: their places in it, and how to read them.

    `get_values` returns their values in a row.
    """

    places: list[int]
    tensor: InputTensor
    get_values: Callable[[Row], tuple[Any, ...]]


class ListReader:
    """A reader of lists: a context, and the candidates that are put in order in it."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._names = [column.name for tensor in reader.tensors for column in tensor.columns]
        self._plan = lru_cache(_MOST_PLANS)(self._make_plan)

    def read(self, context: Row, candidates: Sequence[Row], first: int = 0) -> Feeds:
        """Read a list, or the part of one that begins at `first`: return the feeds of its rows.

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

    def _read(self, context: Row, candidates: Sequence[Row], first: int) -> Feeds:
        shared = context.keys()
        for number, candidate in enumerate(candidates, first + 1):
            if not shared.isdisjoint(candidate):
                raise _twice(context, candidate, number)
        feeds: Feeds = {}
        count = len(candidates)
        own = tuple(name for name in self._names if name in context)
        for tensor, of_context, of_candidates in self._plan(own):
            parts = []
            if of_context is not None:
                parts.append((of_context, self._build(of_context, [context], None)))
            if of_candidates is not None:
                parts.append((of_candidates, self._build(of_candidates, candidates, first)))
            if len(parts) == 1:
                array = parts[0][1]
                feeds[tensor.name] = np.repeat(array, count, axis=0) if of_context else array
                continue
            width = len(tensor.columns)
            whole = np.empty((count, width), parts[0][1].dtype)
            for half, array in parts:
                whole[:, half.places] = array
            feeds[tensor.name] = whole
        return feeds

    def _build(self, half: _Half, rows: Sequence[Row], first: int | None) -> Any:
        """Build the array of one half; its first row is the candidate at `first`, if it is one."""
        columns = list(zip(*map(half.get_values, rows), strict=True))
        try:
            return self._reader.build_array(half.tensor, columns)
        except InputError as error:
            row, _, column = error.where.partition(", ")
            where = "context"
            if first is not None:
                where = f"candidate {first + int(row.removeprefix('row '))}"
            raise InputError(f"{where}, {column}", error.found, error.expected, error.do) from None

    def _make_plan(
        self, own: tuple[str, ...]
    ) -> list[tuple[InputTensor, _Half | None, _Half | None]]:
        """Divide the columns of each input into those of the context, `own`, and the others."""
        plan = []
        for tensor in self._reader.tensors:
            names = [column.name for column in tensor.columns]
            of_context = [at for at, name in enumerate(names) if name in own]
            others = [at for at, name in enumerate(names) if name not in own]
            plan.append((tensor, _halve(tensor, of_context), _halve(tensor, others)))
        return plan

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


def _halve(tensor: InputTensor, places: list[int]) -> _Half | None:
    """Return the columns of an input at some places; None where there are none."""
    if not places:
        return None
    names = [tensor.columns[at].name for at in places]
    own = structs.replace(
        tensor,
        columns=[tensor.columns[at] for at in places],
        codes=[tensor.codes[at] for at in places] if tensor.codes else [],
        flags=[place for place, at in enumerate(places) if at in tensor.flags],
        full=tensor.full[places],
    )
    get_one = itemgetter(names[0])
    return _Half(places, own, itemgetter(*names) if len(names) > 1 else lambda row: (get_one(row),))


def _check_row(row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        found = f"{type(row).__name__} {str(row)[:40]!r}"
        raise InputError(where, found, "an object of columns and values")
    return row


def _twice(context: Row, candidate: Any, number: int) -> InputError:
    names = [name for name in context if name in candidate]
    where = f"candidate {number}, column {str(names[0])[:60]!r}" if names else f"candidate {number}"
    return InputError(where, "in the context as well", "a column in one of them")
