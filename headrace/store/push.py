"""Pushes events to the system of a folder: into its log, and into its online store."""

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


def push(
    kind: str, events: EventRows, folder: str | Path = ".", now: datetime | None = None
) -> int:
    """Push events of one table to the system of a folder, and return how many there were.

    Parameters: `kind`, the name of the table in the spec's `data.events`; `events`, one event, a
    list of them, or a Polars, pandas or Arrow table; `now`, from when the events are known, which
    is the time of the clock where it is left out.

    When this returns the events are in the log, for training, and in the online store. A store that
    fails once the log has them is a `RuntimeWarning`, and the next push writes them to it. Raises
    `InputError` naming the row and the column, and where `materialize` has not filled a store yet;
    no event is taken then.
    """
    # The store would take such a moment as its horizon, and expire what other rows still read.
    if now is not None and to_us_or_now(now) > SYSTEM.now_us() + MAX_CLOCK_SKEW_US:
        do = "windows would forget all that is older than that"
        raise InputError(
            "now", f"{now.isoformat()}, in the future", "a time in the past, or None", do
        )
    pushed = _pusher(Path(folder).resolve()).push(kind, events, to_us_or_now(now))
    if pushed.store_error is not None:
        warnings.warn(
            f"the events are in the log; the next push writes them to the online store, which "
            f"failed: {pushed.store_error}",
            RuntimeWarning,
            2,
        )
    return pushed.events


@cache
def _pusher(folder: Path) -> Pusher:
    """Return the one pusher of this process for a folder."""
    return open_pusher(spec.load(folder))
