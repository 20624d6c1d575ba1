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
        self._size = self._mark = 0  # what waits, and at what size of it there is something to do
        self._timer: asyncio.Handle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._logs: dict[Home, Log] = {}
        self._refuses: set[Home] = set()

    def keep(self, route: Route, count: int, rows: bytes, answers: bytes) -> None:
        """Keeps `count` predictions of a request: its rows as they went through the graph, and what was answered, each
        a JSON array or an object around one. Every answer says its `prediction_id`."""
        if self._size >= self._mark:
            if self._size >= MOST_BYTES:
                self._meter.counts["millrace_log_lost",] += count
                return
            self._arrange()
        pile = self._piles.get(route)
        if pile is None:
            pile = self._piles[route] = _Pile()
        pile.count += count
        pile.write((rows, b",", answers, b","))
        self._size += len(rows) + len(answers)

    def _arrange(self) -> None:
        """Sees to it that what waits is written: the first of it brings a timer, much of it does not wait for that."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer, self._mark = loop.call_later(FLUSH_S, self._flush), FLUSH_BYTES
        else:
            self._timer.cancel()
            self._timer, self._mark = loop.call_soon(self._flush), MOST_BYTES  # once this one is answered

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
        self._size = self._mark = 0
        self._timer = None
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
                pile.move(kept.setdefault(home, Frame()), route.head)
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
        self.count = 0
        self._begin()

    def _begin(self) -> None:
        self._values = BytesIO()
        self.write = self._values.writelines

    def move(self, frame: Frame, head: bytes) -> None:
        """Moves what was written, each piece and a comma, into a frame."""
        end = self._values.tell()
        with self._values.getbuffer()[: end - 1] as values:
            frame.add(Packed(self.count, PREDICTIONS, head, ["row", "answer"], "prediction_id", values))
        self.count = 0
        self._values.seek(0)
        if end > 2 * FLUSH_BYTES:  # the disk was slow
            self._begin()
