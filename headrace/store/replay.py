"""Checks that the online path gives the windows that a model was trained on.

Events are pushed as they became known, and between the pushes rows are read as of their times:

    holdout rows          r1              r2          r3
    events            e e  |  e   e   e   |     e     |
    store        filled    |  push three  |  push one |
                         read            read        read     each beside the row's own windows
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

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
from headrace.windows import convert_times, list_columns
from headrace.windows.aggregates import find_tolerance

MOST_ROWS = 200
_SKETCHED = 0.08
_EXACT = 511
"""Counts of different values up to this one are exact; larger ones may differ by `_SKETCHED`."""


def check_replay(system: System, fingerprints: dict[str, str], holdout: pl.DataFrame) -> Finding:
    """Replay a sample of holdout rows, and say whether the store gives the windows that they hold.

    Where the events are not here, or have changed since the `fingerprints` were taken, the finding
    says that instead.
    """
    tolerances: dict[str, float] = {}
    for window in system.features.windows:
        tolerances |= dict.fromkeys(list_columns(window), find_tolerance(window.aggregate))
    names = list(tolerances)
    try:
        events = tables.read_events(system)
    except (InputError, WorkError) as error:
        return _not_replayed(names, f"the events are not here ({error})")
    # Other events than those of the training would differ for no fault of the online path.
    changed = [
        name
        for name, table in events.items()
        if fingerprints.get(f"events.{name}") != table.fingerprint
    ]
    if changed:
        return _not_replayed(names, f"since then {', '.join(changed)} changed")

    time = str(system.data.time_column)
    rows = _sample_rows(holdout.sort(time, maintain_order=True))
    combined = combine_history_and_log(
        system,
        rows.schema,
        {name: table.frame for name, table in events.items()},
        {name: tables.infer_columns(table.frame, table.forms) for name, table in events.items()},
        int(fingerprints.get("log", "0")),
    )
    online = list(_replay(combined, rows, time))

    wrong = {}
    for name in names:
        count = _count_different(rows[name], [row[name] for row in online], tolerances[name])
        if count:
            wrong[name] = count
    result = f"{', '.join(wrong)} differ" if wrong else f"all windows agree ({len(names)})"
    message = f"{rows.height} holdout rows replayed through the online store: {result}"

    severity: Literal["info", "error"] = "error" if wrong else "info"
    return Finding("verify.online", list(wrong), severity, message, {"wrong": wrong})


def _not_replayed(names: list[str], why: str) -> Finding:
    return Finding("verify.online", names, "info", f"not replayed, {why}")


def _sample_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Sample rows evenly, the first and the last among them."""
    count = min(rows.height, MOST_ROWS)
    return rows[np.linspace(0, rows.height - 1, count).astype(int)]


def _replay(combined: HistoryAndLog, rows: pl.DataFrame, time: str) -> Iterator[dict[str, Any]]:
    """Replay events, and yield the windows of each row as the store gives them at its time.

    The store is filled with what was known at the first row; later events are pushed.
    """
    moments = convert_times(rows[time], "holdout").tolist()
    order = ReplayOrder(combined, rows)
    with (
        TemporaryDirectory() as folder,
        closing(open_backend(None, Path(folder) / "online", "replay")) as store,
    ):
        log = Log(Path(folder) / "log")
        history = {
            name: (frame, order.tables[name])
            for name, frame in order.read_until(moments[0]).items()
        }
        backfill(store, log, BackfillPlan(order.layout, history, 0, "replay"), moments[0])

        pusher = Pusher(store, log)
        reader = WindowReader(store)
        keys = rows.select(cs.by_name(*reader.layout.keys)).to_dicts()
        for row, moment in zip(keys, moments, strict=True):
            for name, frame in order.read_until(moment).items():
                if frame.height:
                    pusher.push(name, frame, moment)
            yield reader.row(row, moment)


def _count_different(expected: pl.Series, online: list[Any], allowed: float) -> int:
    """Count the rows whose values differ by more than rounding, or than a sketch may."""
    largest: Any = expected.abs().max() if expected.dtype.is_float() else 0.0
    pairs = zip(expected.to_list(), online, strict=True)
    return sum(not _is_same(value, other, largest or 0.0, allowed) for value, other in pairs)


def _is_same(value: Any, other: Any, largest: float, allowed: float) -> bool:
    """Say whether two values are the same.

    Numbers may differ by a share `allowed` of the value, or of the `largest` of the column: a sum
    of values that cancel keeps the rounding of what was summed.
    """
    if not isinstance(value, int | float) or not isinstance(other, int | float):
        return bool(value == other)
    if isinstance(value, int) and value > _EXACT:
        allowed = _SKETCHED
    return bool(abs(value - other) <= allowed * max(abs(value), largest))
