"""Every prediction, appended to the log beside the requests' path.

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk keeps up; of what
waits for a slow disk no more than `MOST_BYTES` are kept.
"""

import asyncio

from millrace.events import Frame, Log, Packed
from millrace.serve.home import PREDICTIONS, Home
from millrace.serve.meter import Meter
from millrace.serve.shelf import Route
from millrace.serve.tell import tell

FLUSH_S, FLUSH_BYTES, MOST_BYTES = 0.05, 512 << 10, 64 << 20
"""How long predictions wait, how many are written sooner (requests wait while they are), and how many may wait."""


class Recorder:
    """Keeps predictions for a moment, and appends them to the log of their model's workspace."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._piles: dict[Route, _Pile] = {}
        self._size = 0
        self._soon = False
        self._timer: asyncio.Handle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._logs: dict[Home, Log] = {}
        self._refuses: set[Home] = set()

    def keep(self, route: Route, ids: list[str], rows: bytes, answers: bytes) -> None:
        """Keeps the predictions of a request: its rows as they went through the graph, and what was answered, each a
        JSON array or an object around one."""
        if self._size > MOST_BYTES:
            self._meter.counts["millrace_log_lost",] += len(ids)
            return
        pile = self._piles.get(route)
        if pile is None:
            pile = self._piles[route] = _Pile()
        pile.count += len(ids)
        pile.firsts.append(ids[0])
        pile.values += (rows, answers)
        self._size += len(rows) + len(answers)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        if self._size >= FLUSH_BYTES and not self._soon:
            self._soon = True
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self._flush)  # once this one is answered

    async def close(self) -> None:
        """Appends what is left."""
        while self._size or self._writing is not None:
            if self._writing is not None:
                await self._writing
            else:
                self._flush()

    def _flush(self) -> None:
        if self._writing is not None:  # what waits goes with the next turn
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return
        kept: dict[Home, Frame] = {}
        for route, pile in self._piles.items():
            home = route.served.home
            assert home is not None, "kept without a home"
            kept.setdefault(home, Frame()).add(pile.packed(route.head))
        self._piles = {}
        self._size, self._timer, self._soon = 0, None, False
        if any(home.system.log.fsync for home in kept):  # it waits for the disk
            self._writing = asyncio.create_task(self._beside(kept))
        else:  # into memory of the system: a thread would be in the way of requests for longer
            self._append(kept)

    async def _beside(self, kept: dict[Home, Frame]) -> None:
        try:
            await asyncio.to_thread(self._append, kept)
        finally:
            self._writing = None

    def _append(self, kept: dict[Home, Frame]) -> None:
        for home, frame in kept.items():
            try:
                log = self._logs.get(home)
                if log is None:
                    log = self._logs[home] = home.log()
                with log.writing():
                    log.append(frame)
                self._meter.counts["millrace_logged",] += frame.count
                self._refuses.discard(home)
            except Exception as error:  # what was answered is answered
                self._meter.counts["millrace_log_lost",] += frame.count
                if home not in self._refuses:
                    tell("error", "log_refuses", why=str(error))
                self._refuses.add(home)


class _Pile:
    """Predictions of one route."""

    def __init__(self) -> None:
        self.count = 0
        self.firsts: list[str] = []
        self.values: list[bytes] = []

    def packed(self, head: bytes) -> Packed:
        values = b"[%b]" % b",".join(self.values)
        return Packed(self.count, PREDICTIONS, head, ["row", "answer"], self.firsts, values)
