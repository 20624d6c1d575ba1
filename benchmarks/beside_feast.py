"""Feast beside Headrace in one run, at the job that both do: the last five values of an entity, as
of a time and now.

    python benchmarks/beside_feast.py

100,000 labels and 2 million events of 50,000 entities, from Parquet files. Feast goes into an
environment of its own (build/peers/feast, made by the first run); without Redis its rows are left
out. What Feast reads is what its batch wrote last; a push of Headrace is also durable in the log,
and later for training.
"""

import json
import shutil
import subprocess
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from online_store import redis_server, timed
from windows import median_s

from headrace.log.log import Log
from headrace.spec import EventTable, Window
from headrace.store.backfill import BackfillPlan, backfill
from headrace.store.layout import build_layout
from headrace.store.open import open_backend
from headrace.store.pusher import Pusher
from headrace.store.read import WindowReader
from headrace.tables import infer_columns
from headrace.windows import add_windows

KEYS, EVENTS, LABELS = 50_000, 2_000_000, 100_000
START_US, SPAN_US = 1_780_272_000_000_000, 90 * 86_400_000_000
VALUES = [f"value_{at}" for at in range(5)]
TABLE = EventTable(source="", time="event_timestamp")
WINDOWS = [
    Window(name=value, events="e", key="key", aggregate="last", of=value, over=["all"], hop="0s")
    for value in VALUES
]
FEAST = ["feast[redis,duckdb]==0.67.0"]


def tables(folder: Path) -> None:
    chance = np.random.default_rng(11)

    def rows(count: int) -> dict[str, Any]:
        at = START_US + chance.integers(0, SPAN_US, count)
        times = pl.Series(at).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return {"key": chance.integers(0, KEYS, count), "event_timestamp": times}

    events = rows(EVENTS) | {value: chance.normal(size=EVENTS) for value in VALUES}
    pl.DataFrame(events).write_parquet(folder / "events.parquet")
    pl.DataFrame(rows(LABELS)).write_parquet(folder / "labels.parquet")


def read(folder: Path, name: str) -> pl.DataFrame:
    frame = pl.read_parquet(folder / f"{name}.parquet")
    return frame.with_columns(pl.col("event_timestamp").dt.replace_time_zone(None))


def history(folder: Path) -> dict[str, Any]:
    def join() -> pl.DataFrame:
        return add_windows(
            read(folder, "labels"),
            WINDOWS,
            {"e": read(folder, "events")},
            "event_timestamp",
            {"e": TABLE},
        )

    joined = join()
    return {
        "s": median_s(join, 3),
        "sum": round(joined["value_0_all"].sum(), 3),
        "rows": joined.height,
    }


def online(folder: Path, url: str | None) -> dict[str, Any]:
    events, now = read(folder, "events"), START_US + SPAN_US
    layout = build_layout(WINDOWS, {"e": TABLE}, events.schema, {"e": infer_columns(events, {})})
    with tempfile.TemporaryDirectory() as home:
        store, log = open_backend(url, Path(home) / "online", "bench"), Log(Path(home) / "log")
        begin = time.perf_counter()
        backfill(store, log, BackfillPlan(layout, {"e": (events, TABLE)}, 0, "bench"), now)
        told: dict[str, Any] = {"filled, events/s": round(EVENTS / (time.perf_counter() - begin))}
        keys = np.random.default_rng(4).integers(0, KEYS, 4_200).tolist()
        reader = WindowReader(store)
        told["read, us"] = timed(lambda at: reader.row({"key": keys[at]}, now), 4_000)["p50"]
        pushed = Pusher(store, log)
        rows = (
            events.head(20_000)
            .with_columns(pl.col("event_timestamp").dt.to_string("iso:strict"))
            .to_dicts()
        )
        told["one by one, events/s"] = round(
            1e6 / timed(lambda at: pushed.push("e", rows[at], now), 200)["p50"]
        )
        batches = [rows[at : at + 1000] for at in range(0, 20_000, 1000)]
        begin = time.perf_counter()
        for batch in batches:
            pushed.push("e", batch, now)
        told["by the thousand, events/s"] = round(20_000 / (time.perf_counter() - begin))
        store.clear(b"")
        store.close()
    return told


def feast_python() -> str:
    home = Path(__file__).parent.parent / "build" / "peers" / "feast"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *FEAST], check=True)
    return str(python)


def feast(folder: Path, port: str) -> dict[str, Any]:
    """Feast's figures, or why there are none."""
    command = [feast_python(), str(Path(__file__).with_name("feast_peer.py")), str(folder), port]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "FEAST_USAGE": "False"},
    )
    if done.returncode:
        return {"did not run": done.stderr.strip().splitlines()[-1:]}
    found: dict[str, Any] = json.loads(done.stdout.split("RESULT")[1])
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables(folder)
        url, server = redis_server(name) if shutil.which("redis-server") else (None, None)
        try:
            ours = {"history": history(folder), "online, lmdb": online(folder, None)}
            if url is not None:
                ours["online, redis"] = online(folder, url)
            theirs = feast(folder, url.split(":")[2].split("/")[0] if url is not None else "none")
        finally:
            if server is not None:
                server.terminate()
    print(json.dumps({"headrace": ours, "feast": theirs}, indent=2))


if __name__ == "__main__":
    main()
