"""Every prediction is appended to the log, outside of the path of its request.

    request ──> Buffer.append     one buffer for each route: bytes are copied, nothing else
                    │ FLUSH_S seconds after the first, or FLUSH_BYTES
                    v
    Recorder._flush ──> Frame     one for each system ──> Log.append
                                     in memory of the system: at once
                                     on a slow disk (fsync), or a locked log: in a thread

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk
keeps up. At most `MAX_BYTES` wait for a slow disk, up to the next `FLUSH_BYTES` of each buffer; the
predictions beyond are not logged, and are counted in `headrace_log_lost`.
"""

import asyncio
from io import BytesIO

from headrace.clock import SYSTEM
from headrace.log import Frame, Log, Record, RecordBatch
from headrace.serve.log_event import log_event
from headrace.serve.metrics.metrics import Metrics
from headrace.serve.models.system import COUNTS, PREDICTIONS, ServedSystem
from headrace.tables import BusyError

FLUSH_S = 0.05
"""Seconds that predictions wait before they are written."""
FLUSH_BYTES = 1 << 20
"""Bytes that are written sooner; requests wait while they are."""
MAX_BYTES = 64 << 20
"""Bytes that may wait."""
PATIENCE_S = 30.0
"""Seconds to wait for a process that holds the log."""
_ATTEMPT_S = 0.5
"""Seconds of one attempt; the last one may take as long when the service ends."""


class Recorder:
    """Appends the buffers of all routes to the logs of the models' workspaces."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting: list[Buffer] = []
        self._timer: asyncio.Handle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._closing = False
        self._logs: dict[ServedSystem, Log] = {}
        self._count_logs: dict[ServedSystem, Log] = {}
        # Systems whose log refused the last frame: that is reported once.
        self._refusing: set[ServedSystem] = set()

    def admit(self, buffer: "Buffer") -> bool:
        """Say whether a buffer that has reached its `flush_at` may grow; if so, plan its flush.

        The first bytes of a buffer start a timer; `FLUSH_BYTES` of them are flushed in the next
        turn of the loop.
        """
        if sum(waiting.size for waiting in self._waiting) >= MAX_BYTES:
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
            # The request that brought the bytes is answered before they are written.
            self._timer = loop.call_soon(self._flush)
        return True

    def count_lost(self, count: int) -> None:
        """Count predictions that are not logged."""
        self._metrics.counts["headrace_log_lost",] += count

    def append_counts(self, system: ServedSystem, counts: bytes, now_us: int) -> None:
        """Append what was counted of the arms of a rollout; it is small, and comes rarely.

        Raises `HeadraceError` where the log is busy or refuses.
        """
        log = self._count_logs.get(system)
        if log is None:
            log = self._count_logs[system] = system.count_log()
        with log.append_lock(_ATTEMPT_S):
            log.append([Record("", now_us, now_us, COUNTS, counts)])

    async def close(self) -> None:
        """Append all that waits."""
        self._closing = True
        while self._waiting or self._writing is not None:
            if self._writing is not None:
                await self._writing
            else:
                self._flush()

    def _flush(self) -> None:
        """Append the buffers that wait, or plan to where others are being written."""
        if self._writing is not None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return

        frames: dict[ServedSystem, Frame] = {}
        for buffer in self._waiting:
            buffer.move_to(frames.setdefault(buffer.system, Frame()))
        self._waiting = []
        self._timer = None

        # Without fsync, bytes go into memory of the system at once: a thread would be in the way of
        # requests for longer. A thread waits for the disk, or for a process that holds the log.
        slow = {system: frame for system, frame in frames.items() if system.spec.log.fsync}
        fast = {system: frame for system, frame in frames.items() if system not in slow}
        slow |= self._append(fast, 0)
        if slow:
            self._writing = asyncio.create_task(self._append_in_thread(slow))

    async def _append_in_thread(self, frames: dict[ServedSystem, Frame]) -> None:
        """Append frames in a thread; give up after `PATIENCE_S`, or when the service ends."""
        until_s = SYSTEM.monotonic_s() + PATIENCE_S
        try:
            while True:
                frames = await asyncio.to_thread(self._append, frames, _ATTEMPT_S)
                if not frames:
                    return
                if SYSTEM.monotonic_s() > until_s or self._closing:
                    break
            for frame in frames.values():
                self.count_lost(frame.count)
            why = f"another process holds it for {PATIENCE_S:g} s"
            log_event("error", "log_refuses", why=why)
        finally:
            self._writing = None

    def _append(
        self, frames: dict[ServedSystem, Frame], patience_s: float
    ) -> dict[ServedSystem, Frame]:
        """Append frames to their logs; return those whose log another process holds for longer."""
        busy: dict[ServedSystem, Frame] = {}
        for system, frame in frames.items():
            try:
                log = self._logs.get(system)
                if log is None:
                    log = self._logs[system] = system.log()
                with log.append_lock(patience_s):
                    log.append(frame)
                self._metrics.counts["headrace_logged",] += frame.count
                self._refusing.discard(system)
            except BusyError:
                busy[system] = frame
            except Exception as error:
                # The predictions are answered: a log that refuses is reported, and serving goes on.
                self.count_lost(frame.count)
                if system not in self._refusing:
                    log_event("error", "log_refuses", why=str(error))
                self._refusing.add(system)
        return busy


class Buffer:
    """The predictions of a route that wait for the log, as bytes.

    They are copied into memory that is used again and again: thousands of small objects that stay
    for a while make every request slower. A record of the log is made of `head`, a JSON object
    without its last brace, and of a row and its answer:

        head      {"model":"taxi","version":7,"arm":"champion"
        append    2, [ROW,ROW], [ANSWER,ANSWER]          for one request
        record    {"model":"taxi","version":7,"arm":"champion","row":ROW,"answer":ANSWER}

    `names` are those of the values of each record; the last one is the answer's. Where units keep
    their arms they are `row`, `unit` and `answer`.
    """

    def __init__(
        self,
        recorder: Recorder,
        system: ServedSystem,
        head: bytes,
        names: tuple[str, ...] = ("row", "answer"),
    ) -> None:
        self._recorder = recorder
        self.system = system
        self._head = head
        self._names = list(names)
        self._count = 0
        self.size = 0
        # At this size the recorder is asked whether the buffer may grow.
        self.flush_at = 0
        self._allocate()

    def _allocate(self) -> None:
        """Begin with new memory."""
        self._values = BytesIO()
        self._write = self._values.writelines

    def append(self, count: int, *values: bytes) -> None:
        """Add the predictions of a request.

        Parameters:
            count: how many predictions they are.
            values: a JSON array, or an object around one, for each of the names: the rows as they
                went through the graph come first, the answers with their `prediction_id` last.
        """
        if not count:
            return
        if self.size >= self.flush_at and not self._recorder.admit(self):
            self._recorder.count_lost(count)
            return
        self._count += count
        # Few calls that copy: appending is on the path of each request.
        joined = b",".join(values)
        self._write((joined, b","))
        self.size += len(joined)

    def move_to(self, frame: Frame) -> None:
        """Move all predictions into a frame of the log."""
        end = self._values.tell()
        # The last comma stays behind. A view copies nothing; it is released before the next write.
        with self._values.getbuffer()[: end - 1] as values:
            frame.add(
                RecordBatch(
                    self._count, PREDICTIONS, self._head, self._names, "prediction_id", values
                )
            )
        self._count = 0
        self.size = 0
        self.flush_at = 0
        self._values.seek(0)
        # After a slow disk the memory is larger than it has to be.
        if end > 2 * FLUSH_BYTES:
            self._allocate()
