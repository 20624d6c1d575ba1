"""Pushing events to the system of a folder: into its log, and into its online store."""

import warnings
from datetime import datetime
from functools import cache
from pathlib import Path

from headrace import spec
from headrace.clock import SYSTEM, to_us_or_now
from headrace.errors import InputError
from headrace.store.ingest import EventRows
from headrace.store.open import open_pusher
from headrace.store.pusher import MAX_CLOCK_SKEW_US, Pusher


def push(kind: str, told: EventRows, folder: str | Path = ".", now: datetime | None = None) -> int:
    """Tells the system of a folder of events of one table of its `data.events`; returns how many.

    Parameters: `told`, an event, a list of them, or a Polars, pandas or Arrow table; `now`, from
    when they are known (the clock's, where it is left out). When this returns the events are in the
    log, for training, and in the online store; a store that failed once the log had them is warned
    of (`RuntimeWarning`), and told by the next push. Raises `InputError` naming the row and the
    column, and where `materialize` has not filled a store yet; nothing is taken then.
    """
    if now is not None and to_us_or_now(now) > SYSTEM.now_us() + MAX_CLOCK_SKEW_US:
        do = "windows would forget all that is older than that"
        raise InputError(
            "now", f"{now.isoformat()}, which is to come", "a moment of the past, or nothing", do
        )
    pushed = _pusher(Path(folder).resolve()).push(kind, told, to_us_or_now(now))
    if pushed.store_error is not None:
        warnings.warn(
            f"taken, and told to the store with the next push: {pushed.store_error}",
            RuntimeWarning,
            2,
        )
    return pushed.events


@cache
def _pusher(folder: Path) -> Pusher:
    return open_pusher(spec.load(folder))
