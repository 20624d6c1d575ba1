"""Window features online: reads of one key, and ingestion, on LMDB and Redis.

    python benchmarks/online_store.py

Reads: five windows of one key, as one stored value each (`all`) and as up to 200 tiles each (`7d`,
an event an hour). The bare round trip is one GET of the same bytes, on a connection as ours and by
redis-py's client. Ingestion: events of 10,000 keys into five windows, one by one and a thousand at
a time; filling: the same from a table. Microseconds of single calls; one thread.
"""

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headrace.log.log import Log
from headrace.spec import EventTable, Window
from headrace.store.backends.redis import RedisStore
from headrace.store.backfill import BackfillPlan, backfill
from headrace.store.layout import Layout, build_layout
from headrace.store.open import open_backend
from headrace.store.pusher import Pusher
from headrace.store.read import WindowReader
from headrace.tables import infer_columns

HOUR_US, NOW = 3_600_000_000, 1_790_000_000_000_000 // 3_600_000_000 * 3_600_000_000
KEYS = 10_000
AGGREGATES: list[dict[str, Any]] = [
    {"aggregate": "count"},
    {"aggregate": "sum", "of": "value"},
    {"aggregate": "mean", "of": "value"},
    {"aggregate": "max", "of": "value"},
    {"aggregate": "last", "of": "value"},
]


def windows(over: str) -> list[Window]:
    return [
        Window(name=one["aggregate"], events="e", key="key", over=[over], **one)
        for one in AGGREGATES
    ]


def events(count: int, keys: int, span_us: int, seed: int = 3) -> pl.DataFrame:
    """Events of random keys in the time before now."""
    chance = np.random.default_rng(seed)
    at = np.sort(NOW - chance.integers(1, span_us, count))
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "key": chance.integers(0, keys, count),
            "at": pl.Series(at).cast(pl.Datetime("us")),
            "value": chance.normal(size=count),
        }
    )


def layout(over: str, frame: pl.DataFrame, table: EventTable) -> Layout:
    return build_layout(windows(over), {"e": table}, frame.schema, {"e": infer_columns(frame, {})})


def timed(call: Callable[[int], Any], repeats: int) -> dict[str, float]:
    """Microseconds a call."""
    taken = np.empty(repeats)
    for at in range(repeats + 200):
        begin = time.perf_counter_ns()
        call(at)
        if at >= 200:
            taken[at - 200] = time.perf_counter_ns() - begin
    return {
        "p50": round(float(np.median(taken)) / 1e3, 1),
        "p99": round(float(np.quantile(taken, 0.99)) / 1e3, 1),
    }


def reads(url: str | None, over: str) -> dict[str, Any]:
    """Five windows of one key out of 100."""
    hourly = events(100 * 24 * 8, 100, 24 * 8 * HOUR_US)
    table = EventTable(source="", time="at")
    with tempfile.TemporaryDirectory() as folder:
        store, log = open_backend(url, Path(folder) / "online", "bench"), Log(Path(folder) / "log")
        backfill(
            store,
            log,
            BackfillPlan(layout(over, hourly, table), {"e": (hourly, table)}, 0, "bench"),
            NOW,
        )
        reader = WindowReader(store)
        keys = [{"key": key} for key in range(100)]
        told: dict[str, Any] = timed(lambda at: reader.row(keys[at % 100], NOW), 20_000)
        page, _ = store.page(b"g", b"", 1000)
        blobs = [key for key, _ in page if key[5:6] == b"e"]
        told["one bare GET"] = timed(lambda at: store.read([blobs[at % len(blobs)]]), 20_000)["p50"]
        if isinstance(store, RedisStore):
            told["redis-py's own GET"] = timed(
                lambda at: store._client.get(store._prefix + blobs[at % len(blobs)]), 20_000
            )["p50"]
        told["bytes a key"] = int(np.mean([len(value) for key, value in page if key[5:6] == b"e"]))
        store.clear(b"")
        store.close()
    return told


def ingestion(url: str | None, id: str | None, times: int = 1) -> dict[str, float]:
    """Events a second."""
    table = EventTable(source="", time="at", id=id)
    frame = events(60_000 * times, KEYS, 24 * 7 * HOUR_US)
    rows = frame.with_columns(pl.col("at").dt.to_string("iso:strict")).to_dicts()
    told: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        store, log = open_backend(url, Path(folder) / "online", "bench"), Log(Path(folder) / "log")
        asked = layout("7d", frame, table)
        begin = time.perf_counter()
        backfill(store, log, BackfillPlan(asked, {"e": (frame, table)}, 0, "history"), NOW)
        told["filled from a table"] = round(len(rows) / (time.perf_counter() - begin))
        backfill(store, log, BackfillPlan(asked, {"e": (frame.head(0), table)}, 0, "empty"), NOW)
        online = Pusher(store, log)
        begin = time.perf_counter()
        for at in range(0, len(rows) - 2_000, 1000):
            online.push("e", rows[at : at + 1000], NOW)
        told["pushed by the thousand"] = round((len(rows) - 2_000) / (time.perf_counter() - begin))
        begin = time.perf_counter()
        for row in rows[-2_000:]:
            online.push("e", row, NOW)
        told["pushed one by one"] = round(2_000 / (time.perf_counter() - begin))
        store.clear(b"")
        store.close()
    return told


def redis_server(folder: str) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        folder,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while True:
        with socket.socket() as wire:
            if wire.connect_ex(("127.0.0.1", port)) == 0:
                return f"redis://127.0.0.1:{port}/0", process
        time.sleep(0.02)


def main() -> None:
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, str | None] = {"lmdb": None}
        server = None
        if shutil.which("redis-server"):
            stores["redis"], server = redis_server(folder)
        try:
            for name, url in stores.items():
                told[f"{name}, read 5 stored values, us"] = reads(url, "all")
                told[f"{name}, read 5 windows of 200 tiles, us"] = reads(url, "7d")
                told[f"{name}, events/s"] = ingestion(url, None)
                told[f"{name}, events/s, with ids"] = ingestion(url, "id")
            for times in (4, 16):
                told[f"lmdb, events/s, {times} times the events"] = ingestion(None, None, times)
        finally:
            if server is not None:
                server.terminate()
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
