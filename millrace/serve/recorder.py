"""Every prediction, appended to the log beside the requests' path.

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk keeps up; of what
waits for a slow disk no more than `MOST_BYTES` are kept.
"""

import asyncio
from itertools import groupby

from millrace.events import Frame, Log, Packed
from millrace.serve.home import PREDICTIONS, Home
from millrace.serve.ids import times_of
from millrace.serve.meter import Meter
from millrace.serve.shelf import Route
from millrace.serve.tell import tell

FLUSH_S, FLUSH_ROWS, MOST_BYTES, _TOGETHER = 0.1, 1024, 64 << 20, 16

_Kept = tuple[Route, list[str], bytes, bytes]
"""The way that a request took, the ids of its predictions, its rows and what was answered."""


class Recorder:
    """Keeps predictions for a moment, and appends them to the log of their model's workspace."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._fresh: list[_Kept] = []
        self._kept: dict[Home, Frame] = {}
        self._rows = self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._logs: dict[Home, Log] = {}
        self._refuses = False

    def keep(self, route: Route, ids: list[str], rows: bytes, answers: bytes) -> None:
        """Keeps the predictions of a request: its rows as they went through the graph, and what was answered, each a
        JSON array or an object around one."""
        if self._bytes > MOST_BYTES:
            self._meter.counts["millrace_log_lost",] += len(ids)
            return
        self._fresh.append((route, ids, rows, answers))
        before = self._rows
        self._rows += len(ids)
        self._bytes += len(rows) + len(answers)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        if before < FLUSH_ROWS <= self._rows:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(0, self._flush)  # once this one is answered
        elif len(self._fresh) >= _TOGETHER:
            self._encode()

    def _encode(self) -> None:
        """Packs what came since: in a row it takes less than one by one among other work."""
        fresh, self._fresh = self._fresh, []
        for _, some in groupby(fresh, _route_of):
            self._pack(list(some))

    def _pack(self, some: list[_Kept]) -> None:
        """What was predicted in one way."""
        route = some[0][0]
        home = route.served.home
        assert home is not None, "kept without a home"
        frame = self._kept.get(home)
        if frame is None:
            frame = self._kept[home] = Frame()
        names = [name for _, ids, _, _ in some for name in ids]
        times = [time for _, ids, _, _ in some for time in times_of(ids)]
        lists = {"row": [rows for _, _, rows, _ in some], "answer": [answers for _, _, _, answers in some]}
        frame.add(Packed(names, times, PREDICTIONS, route.head, lists))

    async def close(self) -> None:
        """Appends what is left."""
        while self._fresh or self._kept or self._writing is not None:
            if self._writing is not None:
                await self._writing
            else:
                self._flush()

    def _flush(self) -> None:
        self._timer = None
        self._encode()
        if self._writing is not None:  # what waits goes with the next turn
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return
        kept, rows, self._kept, self._rows, self._bytes = self._kept, self._rows, {}, 0, 0
        if any(home.system.log.fsync for home in kept):  # it waits for the disk
            self._writing = asyncio.create_task(self._beside(kept, rows))
        else:  # into memory of the system: a thread would be in the way of requests for longer
            self._append(kept, rows)

    async def _beside(self, kept: dict[Home, Frame], rows: int) -> None:
        try:
            await asyncio.to_thread(self._append, kept, rows)
        finally:
            self._writing = None

    def _append(self, kept: dict[Home, Frame], rows: int) -> None:
        try:
            for home, frame in kept.items():
                log = self._logs.get(home)
                if log is None:
                    log = self._logs[home] = home.log()
                with log.writing():
                    log.append(frame)
            self._meter.counts["millrace_logged",] += rows
            self._refuses = False
        except Exception as error:  # what was answered is answered
            self._meter.counts["millrace_log_lost",] += rows
            if not self._refuses:
                tell("error", "log_refuses", why=str(error))
            self._refuses = True


def _route_of(kept: _Kept) -> int:
    return id(kept[0])
