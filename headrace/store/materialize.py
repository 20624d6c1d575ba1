"""Fills the online store of a system from history and log."""

import hashlib
from datetime import datetime

import msgspec
from msgspec import Struct

from headrace import tables
from headrace.clock import to_datetime, to_us, to_us_or_now
from headrace.errors import InputError
from headrace.log import open_log
from headrace.report import Watch, quiet
from headrace.spec import System
from headrace.store.backfill import BackfillPlan, backfill
from headrace.store.history_and_log import NO_WATERMARK, combine_history_and_log
from headrace.store.open import open_store


class Materialized(Struct, frozen=True):
    """A filled store.

    - `store`: its folder or its URL.
    - `events`: how many rows of each table are in it.
    - `watermarks`: up to when history counts, for each table; none for one without events.
    - `position`: up to where in the log it holds the pushed events.
    """

    store: str
    events: dict[str, int]
    watermarks: dict[str, datetime | None]
    position: int


def materialize(
    system: System, until: datetime | None = None, now: datetime | None = None, watch: Watch = quiet
) -> Materialized:
    """Fill the online store of a system with the events of its tables and of its log.

    History counts up to `until`, or up to its end; pushed events count too. Readers use the store
    of before until the new one is complete, and pushes may go on meanwhile. A call goes on where an
    earlier one was killed. Raises `InputError` for a system without windows, and as `run` does for
    its tables.
    """
    if not system.features.windows:
        raise InputError(
            "features.windows", "none in this spec", "at least one window over data.events"
        )
    watch("tables", "")
    # Fetches the tables that lie behind a URL.
    tables.list_files(system)
    sources = tables.read_sources(system)
    log = open_log(system)
    system.workspace.claim()
    with log.append_lock():
        position = log.end

    combined = combine_history_and_log(
        system,
        sources.frame.schema,
        sources.events,
        sources.columns,
        position,
        None if until is None else to_us(until),
    )
    layout = combined.layout
    events = {name: (combined.frames[name], combined.tables[name]) for name in layout.sources}

    # Names all that the store is filled from: a call of the same key goes on for a killed one.
    parts = [layout, sources.fingerprints, position, until]
    cache_key = hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
    state = backfill(
        open_store(system),
        log,
        BackfillPlan(layout, events, position, cache_key),
        to_us_or_now(now),
        lambda done, of: watch("events", f"{done} of {of}"),
    )
    return Materialized(
        system.store or str(system.workspace.online),
        {name: frame.height for name, (frame, _) in events.items()},
        {name: _to_watermark(source.watermark) for name, source in layout.sources.items()},
        state.position,
    )


def _to_watermark(us: int) -> datetime | None:
    return None if us == NO_WATERMARK else to_datetime(us)
