"""Whether the online path gives what was trained on: events are pushed as they became known, rows read as they came."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace import tables
from headrace.errors import Finding, InputError, WorkError
from headrace.log import Log
from headrace.spec import System
from headrace.store.backfill import BackfillPlan, backfill
from headrace.store.history_and_log import HistoryAndLog, combine_history_and_log
from headrace.store.open import open_backend
from headrace.store.pusher import Pusher
from headrace.store.read import WindowReader
from headrace.store.replay_order import ReplayOrder
from headrace.windows import to_times, window_columns
from headrace.windows.aggregates import tolerance

MOST_ROWS = 200
_SKETCHED, _EXACT = 0.08, 511


def check_replay(system: System, fingerprints: dict[str, str], held: pl.DataFrame) -> Finding:
    """Replays a sample of rows `held` that carry their windows, and says how the store's values
    differ from them.

    Where the events are not here, or have changed since the `fingerprints` were taken, that is said
    instead.
    """
    allowed = {
        name: tolerance(window.aggregate)
        for window in system.features.windows
        for name in window_columns(window)
    }
    names = list(allowed)
    try:
        told = tables.read_events(system)
    except (InputError, WorkError) as error:
        return Finding(
            "verify.online", names, "info", f"not replayed, the events are not here ({error})"
        )
    changed = [
        name for name, one in told.items() if fingerprints.get(f"events.{name}") != one.fingerprint
    ]
    if changed:
        return Finding(
            "verify.online", names, "info", f"not replayed, since then {', '.join(changed)} changed"
        )
    ordered = held.sort(str(system.data.time_column), maintain_order=True)
    rows = ordered[np.linspace(0, held.height - 1, min(held.height, MOST_ROWS)).astype(int)]
    found = combine_history_and_log(
        system,
        rows.schema,
        {name: one.frame for name, one in told.items()},
        {name: tables.infer_columns(one.frame, one.forms) for name, one in told.items()},
        int(fingerprints.get("log", "0")),
    )
    online = list(_read(found, rows, str(system.data.time_column)))
    wrong = {}
    for name in names:
        count = _count_different(rows[name], [one[name] for one in online], allowed[name])
        if count:
            wrong[name] = count
    said = f"{', '.join(wrong)} differ" if wrong else f"{len(names)} windows are the same"
    message = f"{rows.height} holdout rows replayed through the online store: {said}"
    return Finding(
        "verify.online", list(wrong), "error" if wrong else "info", message, {"wrong": wrong}
    )


def _read(found: HistoryAndLog, rows: pl.DataFrame, time: str) -> Iterator[dict[str, Any]]:
    """The windows of each row, from a store that was filled up to the first and told of every later event in time."""
    moments = to_times(rows[time], "holdout").tolist()
    streams = ReplayOrder(found, rows)
    with (
        TemporaryDirectory() as folder,
        closing(open_backend(None, Path(folder) / "online", "replay")) as store,
    ):
        log = Log(Path(folder) / "log")
        begun = {
            name: (frame, streams.tables[name])
            for name, frame in streams.read_until(moments[0]).items()
        }
        backfill(store, log, BackfillPlan(streams.layout, begun, 0, "replay"), moments[0])
        online, reader = Pusher(store, log), WindowReader(store)
        for row, moment in zip(
            rows.select(cs.by_name(*reader.layout.keys)).to_dicts(), moments, strict=True
        ):
            for name, frame in streams.read_until(moment).items():
                if frame.height:
                    online.push(name, frame, moment)
            yield reader.row(row, moment)


def _count_different(expected: pl.Series, online: list[Any], allowed: float) -> int:
    """Counts the rows whose values differ by more than rounding, or than a sketch may."""
    largest: Any = expected.abs().max() if expected.dtype.is_float() else 0.0
    pairs = zip(expected.to_list(), online, strict=True)
    return sum(not _same(one, other, largest or 0.0, allowed) for one, other in pairs)


def _same(one: Any, other: Any, largest: float, allowed: float) -> bool:
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return bool(one == other)
    if isinstance(one, int) and one > _EXACT:
        allowed = _SKETCHED
    return bool(abs(one - other) <= allowed * max(abs(one), largest))
