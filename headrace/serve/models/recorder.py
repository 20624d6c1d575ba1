"""Every prediction, appended to the log beside the requests' path.

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk
keeps up; of what waits for a slow disk no more than `MOST_BYTES` are kept, to the next
`FLUSH_BYTES` of each buffer.
"""

import asyncio
from io import BytesIO

from headrace.clock import SYSTEM
from headrace.log import Frame, Log, RecordBatch
from headrace.serve.log_event import log_event
from headrace.serve.metrics.metrics import Metrics
from headrace.serve.models.system import PREDICTIONS, ServedSystem
from headrace.tables import BusyError

FLUSH_S, FLUSH_BYTES, MOST_BYTES = 0.05, 1 << 20, 64 << 20
"""How long predictions wait, how many are written sooner (requests wait while they are), and how many may wait."""
PATIENCE_S, _LOOK_S = 30.0, 0.5
"""How long they wait for a process that holds the log; when the service ends, for the second alone."""


class Recorder:
    """Appends what waits in its buffers to the logs of the models' workspaces."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting: list[Buffer] = []
        self._timer: asyncio.Handle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._closing = False
        self._logs: dict[ServedSystem, Log] = {}
        self._refuses: set[ServedSystem] = set()

    def admit(self, buffer: "Buffer") -> bool:
        """Whether a buffer that came to its mark may take more; if so, sees to it that what waits
        is written: the first of it brings a timer, much of it does not wait for that.
        """
        if sum(one.size for one in self._waiting) >= MOST_BYTES:
            return False
        loop = asyncio.get_running_loop()
        buffer.flush_at = buffer.size + FLUSH_BYTES
        if not buffer.size:
            self._waiting.append(buffer)
            if self._timer is None:
                self._timer = loop.call_later(FLUSH_S, self._flush)
        else:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_soon(self._flush)  # once this one is answered
        return True

    def count_lost(self, count: int) -> None:
        """Counts predictions that are not logged."""
        self._metrics.counts["headrace_log_lost",] += count

    async def close(self) -> None:
        """Appends what is left."""
        self._closing = True
        while self._waiting or self._writing is not None:
            if self._writing is not None:
                await self._writing
            else:
                self._flush()

    def _flush(self) -> None:
        if self._writing is not None:  # what waits goes with the next turn
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return
        kept: dict[ServedSystem, Frame] = {}
        for buffer in self._waiting:
            buffer.move_to(kept.setdefault(buffer.system, Frame()))
        self._waiting, self._timer = [], None
        # Into memory of the system it goes at once, where a thread would be in the way of requests
        # for longer. What waits for the disk, or for a process that holds the log, waits in a
        # thread.
        slow = {system: frame for system, frame in kept.items() if system.spec.log.fsync}
        slow |= self._append(
            {system: frame for system, frame in kept.items() if system not in slow}, 0
        )
        if slow:
            self._writing = asyncio.create_task(self._beside(slow))

    async def _beside(self, kept: dict[ServedSystem, Frame]) -> None:
        until = SYSTEM.monotonic_s() + PATIENCE_S
        try:
            while kept := await asyncio.to_thread(self._append, kept, _LOOK_S):
                if SYSTEM.monotonic_s() > until or self._closing:
                    for frame in kept.values():
                        self.count_lost(frame.count)
                    log_event(
                        "error", "log_refuses", why=f"another process holds it for {PATIENCE_S:g} s"
                    )
                    return
        finally:
            self._writing = None

    def _append(
        self, kept: dict[ServedSystem, Frame], patience_s: float
    ) -> dict[ServedSystem, Frame]:
        """Appends frames to their logs; returns those whose log another process holds for longer."""
        busy: dict[ServedSystem, Frame] = {}
        for system, frame in kept.items():
            try:
                log = self._logs.get(system)
                if log is None:
                    log = self._logs[system] = system.log()
                with log.append_lock(patience_s):
                    log.append(frame)
                self._metrics.counts["headrace_logged",] += frame.count
                self._refuses.discard(system)
            except BusyError:
                busy[system] = frame
            except Exception as error:  # what was answered is answered
                self.count_lost(frame.count)
                if system not in self._refuses:
                    log_event("error", "log_refuses", why=str(error))
                self._refuses.add(system)
        return busy


class Buffer:
    """Predictions by one way to a model, copied into memory that is used again and again: thousands
    of small objects that stay for a while make every request slower. Each begins with `head`, a
    JSON object without its last brace.
    """

    def __init__(self, recorder: Recorder, system: ServedSystem, head: bytes) -> None:
        self._recorder, self.system, self._head = recorder, system, head
        self._count = self.size = 0
        self.flush_at = 0  # at this size the recorder is asked
        self._begin()

    def _begin(self) -> None:
        self._values = BytesIO()
        self._write = self._values.writelines

    def append(self, count: int, rows: bytes, answers: bytes) -> None:
        """Keeps `count` predictions of a request: its rows as they went through the graph, and what
        was answered, each a JSON array or an object around one. Every answer says its
        `prediction_id`.
        """
        if not count:
            return
        if self.size >= self.flush_at and not self._recorder.admit(self):
            self._recorder.count_lost(count)
            return
        self._count += count
        self._write((rows, b",", answers, b","))
        self.size += len(rows) + len(answers)

    def move_to(self, frame: Frame) -> None:
        """Moves what is kept into a frame."""
        end = self._values.tell()
        with self._values.getbuffer()[: end - 1] as values:
            frame.add(
                RecordBatch(
                    self._count, PREDICTIONS, self._head, ["row", "answer"], "prediction_id", values
                )
            )
        self._count = self.size = self.flush_at = 0
        self._values.seek(0)
        if end > 2 * FLUSH_BYTES:  # the disk was slow
            self._begin()
