"""Batching without waiting: what arrived in one turn of the event loop goes through the graph together."""

import asyncio
from typing import Any, Protocol

from msgspec import Struct

from headrace.clock import SYSTEM, Clock
from headrace.errors import InputError
from headrace.serve.http.messages import Problem

_TURNS = 4
Row = dict[str, Any]
Prediction = dict[str, Any]
Answer = tuple[list[Any], list[Prediction]]


class BatchHandler(Protocol):
    """What predicts: all of the rows, which are dicts or whatever else it takes, or `InputError`."""

    def answer(self, rows: list[Any]) -> tuple[list[Any], list[Prediction]]:
        """The rows as they were predicted, and one prediction each."""
        ...

    def problem(self, rows: list[Any], error: InputError) -> Problem:
        """Why these rows cannot be predicted."""
        ...


class _Ask(Struct):
    rows: list[Any]
    done: asyncio.Future[Answer]
    until_s: float | None


class Batcher:
    """Gathers the rows of requests as long as every turn of the loop brings more, then predicts
    them at once.

    A request that is alone does not wait: its rows are predicted in the next turn. One that finds
    `most` rows waiting is refused, and so is one whose time is over before its turn comes; one
    whose rows are bad spoils no other.
    """

    def __init__(self, most: int, clock: Clock = SYSTEM) -> None:
        self._most, self._clock = most, clock
        self._asked: dict[BatchHandler, list[_Ask]] = {}
        self.waiting = self._peak = self._joined = self._turns = 0

    def admit(self) -> None:
        """Raises `Problem` where no more may wait: before a body is read, which costs more than the
        refusal, and once more when it is there.
        """
        if self.waiting >= self._most:
            retry = [(b"retry-after", b"1")]
            raise Problem(
                503, "overloaded", "Too many rows are waiting", f"at most {self._most}", retry
            )

    def ask(
        self,
        answers: BatchHandler,
        rows: list[Any],
        until_s: float | None = None,
        admitted: bool = False,
    ) -> asyncio.Future[Answer]:
        """Rows as they were predicted and their predictions, when they are there; until `until_s`
        of the clock, or `Problem`. What follows rows that were `admitted` is not refused.
        """
        if not admitted:
            self.admit()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        if self._asked:
            self._joined += 1
        else:
            loop.call_soon(self._run)
        self._asked.setdefault(answers, []).append(_Ask(rows, done, until_s))
        self.waiting += len(rows)
        return done

    def take_peak(self) -> int:
        """The most rows that waited at once since this was last asked."""
        peak, self._peak = max(self._peak, self.waiting), 0
        return peak

    def _run(self) -> None:
        if self._joined and self._turns < _TURNS:  # more may be on its way with those that came
            self._joined, self._turns = 0, self._turns + 1
            asyncio.get_running_loop().call_soon(self._run)
            return
        self._joined = self._turns = 0
        self._peak = max(self._peak, self.waiting)
        asked, self._asked, self.waiting = self._asked, {}, 0
        for answers, asks in asked.items():
            now = self._clock.monotonic_s()
            late = [ask for ask in asks if ask.until_s is not None and ask.until_s < now]
            for ask in late:
                _fail(
                    ask,
                    Problem(504, "deadline", "The deadline was over before the rows' turn came"),
                )
            _answer(answers, [ask for ask in asks if ask not in late] if late else asks)


def _answer(answers: BatchHandler, asks: list[_Ask]) -> None:
    if not asks:
        return
    rows = asks[0].rows if len(asks) == 1 else [row for ask in asks for row in ask.rows]
    try:
        try:
            complete, predictions = answers.answer(rows)
        except InputError as error:
            if len(asks) == 1:
                raise answers.problem(rows, error) from None
            for ask in asks:
                _answer(answers, [ask])
            return
    except Exception as error:  # it is told to whoever asked; the loop goes on
        for ask in asks:
            _fail(ask, error)
        return
    at = 0
    for ask in asks:
        mine = slice(at, at + len(ask.rows))
        if not ask.done.done():
            ask.done.set_result((complete[mine], predictions[mine]))
        at = mine.stop


def _fail(ask: _Ask, error: Exception) -> None:
    if not ask.done.done():
        ask.done.set_exception(error)
