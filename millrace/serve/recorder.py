"""Every prediction, appended to the log beside the requests' path.

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk keeps up; of what
waits for a slow disk no more than `MOST_BYTES` are kept.
"""

import asyncio
from itertools import groupby
from operator import itemgetter

from millrace.events import Frame, Log, Packed
from millrace.serve.home import PREDICTIONS, Home
from millrace.serve.meter import Meter
from millrace.serve.shelf import Route
from millrace.serve.tell import tell

FLUSH_S, FLUSH_ROWS, MOST_BYTES = 0.1, 256, 64 << 20  # few rows: requests wait while they are written
_TOGETHER, _LARGE = 64, 64 << 10
"""How many requests are packed at once; one of so many bytes does not wait for others."""
_Kept = tuple[Route, list[str], bytes, bytes]
"""The way that a request took, the ids of its predictions, its rows and what was answered."""


class Recorder:
    """Keeps predictions for a moment, and appends them to the log of their model's workspace."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._fresh: list[_Kept] = []
        self._kept: dict[Home, Frame] = {}
        self._soon = False
        self._timer: asyncio.Handle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._logs: dict[Home, Log] = {}
        self._refuses: set[Home] = set()

    def keep(self, route: Route, ids: list[str], rows: bytes, answers: bytes) -> None:
        """Keeps the predictions of a request: its rows as they went through the graph, and what was answered, each a
        JSON array or an object around one."""
        self._fresh.append((route, ids, rows, answers))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        if len(self._fresh) >= _TOGETHER or len(rows) >= _LARGE:
            self._pack()

    def _pack(self) -> None:
        """Packs what came since: all at once it takes less than one by one among other work."""
        fresh, self._fresh = self._fresh, []
        for route, some in groupby(fresh, itemgetter(0)):
            _, ids, rows, answers = zip(*some, strict=True)
            home = route.served.home
            assert home is not None, "kept without a home"
            frame = self._kept.get(home)
            if frame is None:
                frame = self._kept[home] = Frame()
            if frame.size > MOST_BYTES:
                self._meter.counts["millrace_log_lost",] += sum(map(len, ids))
            else:
                frame.add(Packed(ids, PREDICTIONS, route.head, {"row": rows, "answer": answers}))
            if frame.count >= FLUSH_ROWS and not self._soon and self._timer is not None:
                self._soon = True
                self._timer.cancel()
                self._timer = asyncio.get_running_loop().call_soon(self._flush)  # once this one is answered

    async def close(self) -> None:
        """Appends what is left."""
        while self._fresh or self._kept or self._writing is not None:
            if self._writing is not None:
                await self._writing
            else:
                self._flush()

    def _flush(self) -> None:
        self._soon = True  # what is packed now goes along
        self._pack()
        if self._writing is not None:  # what waits goes with the next turn
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return
        kept, self._kept, self._timer, self._soon = self._kept, {}, None, False
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
