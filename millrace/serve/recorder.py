"""Every prediction, appended to the log beside the requests' path.

A process that is killed loses what it predicted in the last `FLUSH_S` seconds, as long as the disk keeps up; of what
waits for a slow disk no more than `MOST` predictions are kept.
"""

import asyncio
from typing import Any

import msgspec

from millrace.errors import WorkError
from millrace.events import Log, Record
from millrace.serve.home import PREDICTIONS
from millrace.serve.ids import read_id
from millrace.serve.meter import Meter
from millrace.serve.shelf import Route
from millrace.serve.tell import tell

FLUSH_S, FLUSH_ROWS, MOST = 0.1, 256, 20_000
Row = dict[str, Any]
_encode = msgspec.json.Encoder().encode


class Recorder:
    """Keeps predictions for a moment, and appends them to the log of their model's workspace."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._kept: list[tuple[Route, list[str], list[Row], list[Row]]] = []
        self._rows = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._logs: dict[str, Log] = {}
        self._refuses = False

    def keep(self, route: Route, ids: list[str], rows: list[Row], predictions: list[Row]) -> None:
        """Keeps the predictions of a request; `rows` as they went through the graph."""
        if route.served.home is None:
            return
        if self._rows > MOST:
            self._meter.counts["millrace_log_lost",] += len(ids)
            return
        self._kept.append((route, ids, rows, predictions))
        self._rows += len(ids)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        elif self._rows >= FLUSH_ROWS and self._writing is None:
            self._timer.cancel()
            self._flush()

    async def close(self) -> None:
        """Appends what is left."""
        while self._kept or self._writing is not None:
            if self._writing is None:
                self._flush()
            assert self._writing is not None
            await self._writing

    def _flush(self) -> None:
        self._timer = None
        if self._writing is not None:  # what waits goes with the next turn
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
            return
        kept, self._kept, self._rows = self._kept, [], 0
        self._writing = asyncio.create_task(self._written(_records(kept)))

    async def _written(self, records: dict[Route, list[Record]]) -> None:
        try:
            for route, some in records.items():
                await self._append(route, some)
        finally:
            self._writing = None

    async def _append(self, route: Route, records: list[Record]) -> None:
        name, home = route.served.name, route.served.home
        assert home is not None
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = home.log()
        try:
            await asyncio.to_thread(_append, log, records)
        except WorkError as error:
            self._meter.counts["millrace_log_lost",] += len(records)
            if not self._refuses:
                tell("error", "log_refuses", model=name, why=str(error))
            self._refuses = True
            return
        self._meter.counts["millrace_logged",] += len(records)
        self._refuses = False


def _records(kept: list[tuple[Route, list[str], list[Row], list[Row]]]) -> dict[Route, list[Record]]:
    records: dict[Route, list[Record]] = {}
    for route, ids, rows, predictions in kept:
        mine = records.setdefault(route, [])
        head = f'{{"model":"{route.served.name}","version":{route.served.version},"arm":"{route.arm}","row":'
        for id_, row, prediction in zip(ids, rows, predictions, strict=True):
            at = read_id(id_).time
            payload = f'{head}{_encode(row).decode()},"answer":{_encode(prediction).decode()}}}'
            mine.append(Record(id_, at, at, PREDICTIONS, payload))
    return records


def _append(log: Log, records: list[Record]) -> None:
    with log.writing():
        log.append(records)
