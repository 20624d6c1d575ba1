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

Told = bytes | memoryview
_Kept = tuple[Route, list[str], Told, Told]
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

    def keep(self, route: Route, ids: list[str], rows: Told, answers: Told) -> None:
        """Keeps the predictions of a request: its rows as they went through the graph, and what was answered, as JSON
        arrays."""
        self._fresh.append((route, ids, rows, answers))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        if len(self._fresh) >= _TOGETHER or len(ids) >= _TOGETHER:
            self._encode()

    def _encode(self) -> None:
        """Packs what came since: in a row it takes less than one by one among other work."""
        fresh, self._fresh = self._fresh, []
        before = self._rows
        for _, some in groupby(fresh, _route_of):
            self._pack(list(some))
        if before < FLUSH_ROWS <= self._rows and self._timer is not None:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(0, self._flush)  # once this one is answered

    def _pack(self, some: list[_Kept]) -> None:
        """What was predicted in one way."""
        route = some[0][0]
        names = [name for _, ids, _, _ in some for name in ids]
        times = [time for _, ids, _, _ in some for time in times_of(ids)]
        home = route.served.home
        if home is None:
            return
        if self._bytes > MOST_BYTES:
            self._meter.counts["millrace_log_lost",] += len(names)
            return
        lists = {
            "row": _together([rows for _, _, rows, _ in some]),
            "answer": _together([answers for _, _, _, answers in some]),
        }
        frame = self._kept.get(home)
        if frame is None:
            frame = self._kept[home] = Frame()
        frame.add(Packed(names, times, PREDICTIONS, route.head, lists))
        self._rows += len(names)
        self._bytes += len(lists["row"]) + len(lists["answer"])

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


def _together(arrays: list[Told]) -> bytes:
    """JSON arrays that are not empty as one."""
    return bytes(arrays[0]) if len(arrays) == 1 else b"[%b]" % b",".join([array[1:-1] for array in arrays])


def _route_of(kept: _Kept) -> int:
    return id(kept[0])
