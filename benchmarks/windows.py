"""Window features offline: 100,000 labels against 2 million events, beside last-value joins of
Polars and DuckDB.

    python benchmarks/windows.py

Five aggregates over five windows: with a constant delay, with a column that says when each event
was available, and with versions of events besides (a tenth are corrected later). The peers join one
latest value. Each job is the median of five, in memory. Growth is that of events, labels and keys
together; over the same keys there are more labels behind each event, so that the share of events
that any label sees grows too.
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from headrace.spec import EventTable, Window
from headrace.windows import add_windows

KEYS, DAYS, DAY_US = 50_000, 90, 86_400_000_000
LABELS, EVENTS = 100_000, 2_000_000
START_US = 1_780_000_000_000_000
WINDOWS = [
    Window(name="count", events="e", key="key", over=["1d"]),
    Window(name="sum", events="e", key="key", aggregate="sum", of="value", over=["7d"]),
    Window(name="mean", events="e", key="key", aggregate="mean", of="value", over=["30d"]),
    Window(name="max", events="e", key="key", aggregate="max", of="value", over=["30d"]),
    Window(name="last", events="e", key="key", aggregate="last", of="value", over=["all"]),
]
TABLES = {
    "constant delay": EventTable(source="", time="at", delay="1h"),
    "an available column": EventTable(source="", time="at", available="loaded"),
    "versions besides": EventTable(source="", time="at", available="loaded", id="id"),
}


def tables(times: float, keys: int = KEYS) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Labels and events of so many keys, that many times 100,000 and 2 million."""
    chance = np.random.default_rng(11)

    def moments(rows: int) -> Any:
        return START_US + chance.integers(0, DAYS * DAY_US, rows)

    count = int(EVENTS * times)
    at = moments(count)
    ids = np.arange(count)
    ids[: count // 10] = chance.permutation(count - count // 10)[: count // 10] + count // 10
    events = pl.DataFrame(
        {
            "key": chance.integers(0, keys, count),
            "at": pl.Series(at).cast(pl.Datetime("us")),
            "loaded": pl.Series(at + chance.integers(0, 7_200_000_000, count)).cast(
                pl.Datetime("us")
            ),
            "id": ids,
            "value": chance.normal(size=count),
        }
    )
    rows = int(LABELS * times)
    labels = {
        "key": chance.integers(0, keys, rows),
        "at": pl.Series(moments(rows)).cast(pl.Datetime("us")),
    }
    return pl.DataFrame(labels), events


def median_s(call: Callable[[], Any], repeats: int = 5) -> float:
    call()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return round(statistics.median(seconds), 3)


def polars_join(labels: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return labels.sort("at").join_asof(
        events.sort("at"), on="at", by="key", allow_exact_matches=False, check_sortedness=False
    )


def duckdb_join(labels: pl.DataFrame, events: pl.DataFrame) -> Any:
    import duckdb

    query = (
        "select l.*, e.value from labels l asof left join events e on l.key = e.key and l.at > e.at"
    )
    with duckdb.connect() as connection:
        connection.register("labels", labels.to_arrow())
        connection.register("events", events.to_arrow())
        return connection.sql(query).to_arrow_table()


def main() -> None:
    labels, events = tables(1)
    told: dict[str, Any] = {}
    for name, table in TABLES.items():
        join = partial(add_windows, labels, WINDOWS, {"e": events}, "at", {"e": table})
        told[name] = median_s(join)
    told["polars join_asof, one last value"] = median_s(lambda: polars_join(labels, events))
    told["duckdb asof join, one last value"] = median_s(lambda: duckdb_join(labels, events))
    for times, keys in ((0.25, KEYS // 4), (1, KEYS), (4, KEYS * 4), (16, KEYS * 16), (4, KEYS)):
        labels, events = tables(times, keys)
        table = TABLES["an available column"]
        call = lambda: add_windows(labels, WINDOWS, {"e": events}, "at", {"e": table})  # noqa: B023, E731
        told[f"available, {times:g} times the rows, {keys:,} keys"] = median_s(call, 3)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
