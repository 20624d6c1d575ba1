"""Filling the online store of a system from history and log."""

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
    """A filled store: how many rows of each table are in it, up to when history told of each, and
    up to which position of the log it holds what was pushed.
    """

    store: str
    events: dict[str, int]
    watermarks: dict[str, datetime | None]
    position: int


def materialize(
    system: System, until: datetime | None = None, now: datetime | None = None, watch: Watch = quiet
) -> Materialized:
    """Fills the online store of a system with what its event tables and its log tell, and lets it
    be read.

    History counts up to `until`, or to its end; what was pushed counts too. A store that is read
    stays until the new one is whole, and pushes may go on meanwhile. A call goes on where an
    earlier one was killed. Raises `InputError` for a system without windows, and as `run` does for
    its tables.
    """
    if not system.features.windows:
        raise InputError(
            "features.windows", "none in this spec", "a window over data.events to keep"
        )
    watch("tables", "")
    tables.files_of(system)  # fetches what lies behind a URL
    sources, log = tables.read_sources(system), open_log(system)
    system.workspace.claim()
    with log.append_lock():
        position = log.end
    found = combine_history_and_log(
        system,
        sources.frame.schema,
        sources.events,
        sources.columns,
        position,
        None if until is None else to_us(until),
    )
    cache_key = [found.layout, sources.fingerprints, position, until]
    name = hashlib.sha256(msgspec.json.encode(cache_key, order="deterministic")).hexdigest()
    events = {name: (found.frames[name], found.tables[name]) for name in found.layout.sources}
    state = backfill(
        open_store(system),
        log,
        BackfillPlan(found.layout, events, position, name),
        to_us_or_now(now),
        lambda done, of: watch("events", f"{done} of {of}"),
    )
    return Materialized(
        system.store or str(system.workspace.online),
        {name: frame.height for name, (frame, _) in events.items()},
        {name: _watermark(one.watermark) for name, one in found.layout.sources.items()},
        state.position,
    )


def _watermark(us: int) -> datetime | None:
    return None if us == NO_WATERMARK else to_datetime(us)
