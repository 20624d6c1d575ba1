"""Every prediction, appended to the log beside the requests' path.

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk keeps up; of what
waits for a slow disk no more than `MOST_BYTES` are kept, to the next `FLUSH_BYTES` of each pile.
"""

import asyncio
from io import BytesIO

from millrace.events import Frame, Log, Packed
from millrace.serve.home import PREDICTIONS, Home
from millrace.serve.meter import Meter
from millrace.serve.tell import tell

FLUSH_S, FLUSH_BYTES, MOST_BYTES = 0.05, 1 << 20, 64 << 20
"""How long predictions wait, how many are written sooner (requests wait while they are), and how many may wait."""


class Recorder:
    """Appends what waits in its piles to the logs of the models' workspaces."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._waiting: list[Pile] = []
        self._timer: asyncio.Handle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._logs: dict[Home, Log] = {}
        self._refuses: set[Home] = set()

    def admits(self, pile: "Pile") -> bool:
        """Whether a pile that came to its mark may take more; if so, sees to it that what waits is written: the first
        of it brings a timer, much of it does not wait for that."""
        if sum(one.size for one in self._waiting) >= MOST_BYTES:
            return False
        loop = asyncio.get_running_loop()
        pile.mark = pile.size + FLUSH_BYTES
        if not pile.size:
            self._waiting.append(pile)
            if self._timer is None:
                self._timer = loop.call_later(FLUSH_S, self._flush)
        else:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_soon(self._flush)  # once this one is answered
        return True

    def lose(self, count: int) -> None:
        """Counts predictions that are not logged."""
        self._meter.counts["millrace_log_lost",] += count

    async def close(self) -> None:
        """Appends what is left."""
        while self._waiting or self._writing is not None:
            if self._writing is not None:
                await self._writing
            else:
                self._flush()

    def _flush(self) -> None:
        if self._writing is not None:  # what waits goes with the next turn
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return
        kept: dict[Home, Frame] = {}
        for pile in self._waiting:
            pile.move(kept.setdefault(pile.home, Frame()))
        self._waiting, self._timer = [], None
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
                self.lose(frame.count)
                if home not in self._refuses:
                    tell("error", "log_refuses", why=str(error))
                self._refuses.add(home)


class Pile:
    """Predictions by one way to a model, copied into memory that is used again and again: thousands of small objects
    that stay for a while make every request slower. Each begins with `head`, a JSON object without its last brace."""

    def __init__(self, recorder: Recorder, home: Home, head: bytes) -> None:
        self._recorder, self.home, self._head = recorder, home, head
        self._count = self.size = 0
        self.mark = 0  # at this size the recorder is asked
        self._begin()

    def _begin(self) -> None:
        self._values = BytesIO()
        self._write = self._values.writelines

    def keep(self, count: int, rows: bytes, answers: bytes) -> None:
        """Keeps `count` predictions of a request: its rows as they went through the graph, and what was answered, each
        a JSON array or an object around one. Every answer says its `prediction_id`."""
        if not count:
            return
        if self.size >= self.mark and not self._recorder.admits(self):
            self._recorder.lose(count)
            return
        self._count += count
        self._write((rows, b",", answers, b","))
        self.size += len(rows) + len(answers)

    def move(self, frame: Frame) -> None:
        """Moves what is kept into a frame."""
        end = self._values.tell()
        with self._values.getbuffer()[: end - 1] as values:
            frame.add(Packed(self._count, PREDICTIONS, self._head, ["row", "answer"], "prediction_id", values))
        self._count = self.size = self.mark = 0
        self._values.seek(0)
        if end > 2 * FLUSH_BYTES:  # the disk was slow
            self._begin()
