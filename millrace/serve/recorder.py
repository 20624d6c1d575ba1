"""Every prediction, appended to the log beside the requests' path.

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk keeps up; of what
waits for a slow disk no more than `MOST_BYTES` are kept.
"""

import asyncio
from io import BytesIO

from millrace.events import Frame, Log, Packed
from millrace.serve.home import PREDICTIONS, Home
from millrace.serve.meter import Meter
from millrace.serve.shelf import Route
from millrace.serve.tell import tell

FLUSH_S, FLUSH_BYTES, MOST_BYTES = 0.05, 1 << 20, 64 << 20
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
        pile.firsts.append(ids[0])
        pile.count += len(ids)
        write = pile.write
        write(rows)
        write(b",")
        write(answers)
        write(b",")
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
        kept = self._packed()
        self._size, self._timer, self._soon = 0, None, False
        if any(home.system.log.fsync for home in kept):  # it waits for the disk
            self._writing = asyncio.create_task(self._beside(kept))
        else:  # into memory of the system: a thread would be in the way of requests for longer
            self._append(kept)

    def _packed(self) -> dict[Home, Frame]:
        """What goes to the log of each workspace."""
        kept: dict[Home, Frame] = {}
        for route, pile in list(self._piles.items()):
            if pile.count:
                home = route.served.home
                assert home is not None, "kept without a home"
                kept.setdefault(home, Frame()).add(pile.packed(route.head))
            else:  # its model may be served no longer
                del self._piles[route]
        return kept

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
    """Predictions of one route, copied into memory that is used again and again: thousands of small objects that stay
    for a while make every request slower."""

    def __init__(self) -> None:
        self.firsts: list[str] = []
        self.count = 0
        self._begin()

    def _begin(self) -> None:
        self._values = BytesIO(b"[")
        self._values.seek(1)
        self.write = self._values.write

    def packed(self, head: bytes) -> Packed:
        """What was written, each piece and a comma; then the pile is empty."""
        end = self._values.tell()
        self._values.seek(end - 1)
        self.write(b"]")
        self._values.seek(0)
        packed = Packed(self.count, PREDICTIONS, head, ["row", "answer"], self.firsts, self._values.read(end))
        self.firsts, self.count = [], 0
        if end > 2 * FLUSH_BYTES:  # the disk was slow
            self._begin()
        self._values.seek(1)
        return packed
