"""Batching without waiting: rows that arrive in one turn of the event loop are predicted together.

    turn 1   request a ──> submit      the first to wait calls _run for the next turn
    turn 2   request b ──> submit
             _run: b has joined a, so more may be on its way; once more in the next turn
    turn 3   _run: nobody has joined; a and b go through the graph as one batch

So a request that is alone is predicted in the next turn, and a batch is gathered for at most
`_MAX_TURNS` further ones.
"""

import asyncio
from typing import Any, Protocol

from msgspec import Struct

from headrace.clock import SYSTEM, Clock
from headrace.errors import InputError
from headrace.serve.http.messages import Problem, build_unavailable

_MAX_TURNS = 4
Row = dict[str, Any]
Prediction = dict[str, Any]
Answer = tuple[list[Any], list[Prediction]]
"""The rows as they were predicted (with window features, for instance), and their predictions."""


class BatchHandler(Protocol):
    """A predictor of batches: `ServedModel` takes rows as dicts, `FastRows` as structs."""

    def answer(self, rows: list[Any]) -> Answer:
        """Predict rows; raises `InputError` where one of them cannot be used."""
        ...

    def problem(self, rows: list[Any], error: InputError) -> Problem:
        """Describe why the rows of one request cannot be predicted."""
        ...


class _Waiting(Struct):
    """The rows of a request that wait, the future for their answer, and the end of their time."""

    rows: list[Any]
    done: asyncio.Future[Answer]
    until_s: float | None


class Batcher:
    """Gathers the rows of requests while each turn of the loop brings more, then predicts them.

    At most `max_rows` rows wait: a request that comes then is refused, and so is one whose deadline
    is over before its turn. A request with bad rows spoils no other.
    """

    def __init__(self, max_rows: int, clock: Clock = SYSTEM) -> None:
        self._max_rows = max_rows
        self._clock = clock
        self._queues: dict[BatchHandler, list[_Waiting]] = {}
        self.waiting = 0
        self._peak = 0
        # Requests that joined others since the last turn, and turns since the first one came.
        self._joined = 0
        self._turns = 0

    def admit(self) -> None:
        """Raise `Problem` (503) where no more rows may wait.

        Routes call this before they read a body, which costs more than the refusal.
        """
        if self.waiting >= self._max_rows:
            detail = f"at most {self._max_rows}"
            raise build_unavailable("overloaded", "Too many rows are waiting", detail)

    def submit(
        self,
        handler: BatchHandler,
        rows: list[Any],
        until_s: float | None = None,
        admitted: bool = False,
    ) -> asyncio.Future[Answer]:
        """Queue rows, and return a future for their answer.

        Parameters:
            handler: predicts the rows, together with others that are queued for it.
            rows: the rows of one request, or a part of them.
            until_s: the time of `clock.monotonic_s` from which an answer is of no use.
            admitted: true for the further parts of a request, which are not refused any more.

        Raises `Problem` (503) where no more rows may wait; the future raises it (504) after
        `until_s`.
        """
        if not admitted:
            self.admit()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        if self._queues:
            self._joined += 1
        else:
            loop.call_soon(self._run)
        self._queues.setdefault(handler, []).append(_Waiting(rows, done, until_s))
        self.waiting += len(rows)
        return done

    def take_peak(self) -> int:
        """Return how many rows waited at most since the last call."""
        peak = max(self._peak, self.waiting)
        self._peak = 0
        return peak

    def _run(self) -> None:
        """Predict all that waits, or wait another turn where requests still join."""
        if self._joined and self._turns < _MAX_TURNS:
            self._joined = 0
            self._turns += 1
            asyncio.get_running_loop().call_soon(self._run)
            return

        self._joined = 0
        self._turns = 0
        self._peak = max(self._peak, self.waiting)
        self.waiting = 0
        queues, self._queues = self._queues, {}
        for handler, requests in queues.items():
            now = self._clock.monotonic_s()
            late = [one for one in requests if one.until_s is not None and one.until_s < now]
            _predict(handler, _refuse(requests, late) if late else requests)


def _refuse(requests: list[_Waiting], late: list[_Waiting]) -> list[_Waiting]:
    """Refuse the requests whose deadline is over, and return the others."""
    for request in late:
        title = "The deadline passed before the rows' turn came"
        _fail(request, Problem(504, "deadline", title))
    return [request for request in requests if request not in late]


def _predict(handler: BatchHandler, requests: list[_Waiting]) -> None:
    """Predict the rows of requests as one batch; where a row is bad, each request for itself."""
    if not requests:
        return
    rows = requests[0].rows
    if len(requests) > 1:
        rows = [row for request in requests for row in request.rows]
    try:
        complete, predictions = handler.answer(rows)
    except Exception as error:
        # The request gets the error, and the loop goes on. Of several each is tried for itself.
        if len(requests) == 1:
            _fail(requests[0], _explain(handler, rows, error))
            return
        for request in requests:
            _predict(handler, [request])
        return

    start = 0
    for request in requests:
        part = slice(start, start + len(request.rows))
        # A client that is gone has cancelled its future.
        if not request.done.done():
            request.done.set_result((complete[part], predictions[part]))
        start = part.stop


def _explain(handler: BatchHandler, rows: list[Any], error: Exception) -> Exception:
    """Return the error of one request as its client gets it: with the bad fields of its rows."""
    if not isinstance(error, InputError):
        return error
    try:
        return handler.problem(rows, error)
    except Exception as failed:
        return failed


def _fail(request: _Waiting, error: Exception) -> None:
    """Give an error to a request that still waits."""
    if not request.done.done():
        request.done.set_exception(error)
