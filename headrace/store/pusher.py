"""Pushes events into the log and then into the store, which follows the log.

push ---> log (from here on the events are safe) ---> store (from here on reads see them)

log        | 0 | 1 | 2 | 3 | 4 | 5 |
store      up to position 4         a push that was killed, or a store that failed: the next
                                    push, or `catch_up`, first brings the store up to 6
"""

from collections.abc import Mapping

import polars as pl
from msgspec import Struct, structs

from headrace.clock import SYSTEM, Clock
from headrace.errors import InputError, WorkError, nearest
from headrace.log import Log, Record
from headrace.store.apply_versions import Applier
from headrace.store.expire import Expirer
from headrace.store.ingest import (
    EventRows,
    assign_sequence,
    drop_before_watermark,
    parse_events,
    versions_from_records,
)
from headrace.store.keys import STATE, StoreState
from headrace.store.layout import EventSource, Layout
from headrace.store.read import read_layout, read_state
from headrace.store.store import Changes, Store
from headrace.store.versions import Versions

MAX_CLOCK_SKEW_US = 5 * 60 * 10**6
"""The clocks of two machines may differ by this many microseconds."""


def clock_ahead_error(horizon: int, now: int) -> WorkError:
    """Return the error for a store that was written by a machine with a fast clock.

    Such a store has expired events that a right clock would still count. Parameters: the `horizon`
    of the store and the time `now` (microseconds).
    """
    hours = (horizon - now) / 3.6e9
    do = "correct the clocks; then `headrace materialize DIR` refills the store"
    return WorkError(
        "the online store",
        f"was written {hours:,.1f} h ahead of this machine's clock",
        "clocks that agree",
        do,
    )


class PushResult(Struct, frozen=True):
    """The result of a push: how many `events` it took.

    `store_error` says why the store failed after the log had the events. They are safe then, and
    the next push writes them to the store; to push them again would count them twice.
    """

    events: int
    store_error: WorkError | None = None


class _ParsedEvents(Struct):
    """Events of one table: as versions for the store, and as JSON texts for the log."""

    source: EventSource
    versions: Versions
    texts: list[bytes]


class Pusher:
    """Pushes events into a log, and into the store that follows it.

    Several processes may push: they take turns. One that is killed between log and store leaves no
    gap, for the next push, or `catch_up`, writes to the store what only the log has. Raises
    `InputError` where the store was never filled.
    """

    def __init__(self, store: Store, log: Log, clock: Clock = SYSTEM) -> None:
        self._store = store
        self._log = log
        self._clock = clock
        self._state = read_state(store)
        self._follow(self._state)

    def push(self, events: str, rows: EventRows, now: int) -> PushResult:
        """Push events of one table, all or none.

        Events are available from `now` (microseconds since 1970 UTC), or from the end of their
        `delay` where that is later; where the table has an `available` column, from what it says.
        Raises `InputError` naming the row and the column, and `WorkError` where the log cannot be
        written or the store cannot be read; no event is taken then.
        """
        return self.push_all({events: rows}, now)

    def push_all(self, rows: Mapping[str, EventRows], now: int) -> PushResult:
        """Push events of several tables, by their names, all or none; see `push`."""
        # Parsed outside of the lock: other processes need not wait for it.
        parsed = self._parse(rows, now)
        with self._log.append_lock():
            self._catch_up(now)
            if self._is_outdated(parsed):
                parsed = self._parse(rows, now)

            records: list[Record] = []
            versions_of: dict[str, Versions] = {}
            for events, one in parsed.items():
                versions = one.versions
                if one.source.table.id is None:
                    versions = assign_sequence(versions, self._log.end + len(records))
                versions_of[events] = versions
                records += [
                    Record(str(version.sequence), version.time, version.available, events, text)
                    for version, text in zip(versions, one.texts, strict=True)
                ]

            position = self._log.append(records)
            # The events are safe from here on: a store that fails is no error of the push.
            try:
                self._apply(versions_of, now, position)
            except WorkError as error:
                return PushResult(len(records), error)
        return PushResult(len(records))

    def catch_up(self, now: int) -> int:
        """Write to the store what only the log has; return the position up to which it has it."""
        with self._log.append_lock():
            self._catch_up(now)
        return self._state.position

    def _parse(self, rows: Mapping[str, EventRows], now: int) -> dict[str, _ParsedEvents]:
        sources = {events: self._find_source(events) for events in rows}
        parsed = {}
        for events, source in sources.items():
            versions, texts = parse_events(source, events, rows[events], now)
            parsed[events] = _ParsedEvents(source, versions, texts)
        return parsed

    def _find_source(self, events: str) -> EventSource:
        known = list(self._layout.sources)
        if events not in known:
            expected = f"one of: {', '.join(known)}"
            raise InputError(
                "push",
                f"no events {events!r} that a window reads",
                expected,
                nearest(events, known),
            )
        return self._layout.sources[events]

    def _is_outdated(self, parsed: dict[str, _ParsedEvents]) -> bool:
        """Say whether the store was filled for other windows since the events were parsed."""
        return any(self._layout.sources.get(events) != one.source for events, one in parsed.items())

    def _catch_up(self, now: int) -> None:
        """Read the state of the store, and apply what the log has and the store has not.

        Another process may have pushed, or filled the store for other windows.
        """
        state = read_state(self._store)
        if state.generation != self._state.generation:
            self._follow(state)
        self._state = state

        # A replay pushes as of the past, so the machine's own clock counts too.
        latest = max(now, self._clock.now_us())
        if state.horizon > latest + MAX_CLOCK_SKEW_US:
            raise clock_ahead_error(state.horizon, latest)
        if state.position < self._log.end:
            records = self._log.read(since=state.position)
            self._apply(versions_by_table(records, self._layout), now, self._log.end)

    def _apply(self, versions_of: dict[str, Versions], now: int, position: int) -> None:
        """Apply versions of several tables to the store, in one step."""
        horizon = max(self._state.horizon, now)
        state = structs.replace(self._state, position=position, horizon=horizon)
        changes = compute_changes(self._applier, state, self._layout, versions_of)
        self._expirer.step(state, changes)
        changes.puts[STATE] = state.encode()
        self._store.write(changes)
        self._state = state

    def _follow(self, state: StoreState) -> None:
        """Turn to the generation of a state."""
        self._layout = read_layout(self._store, state)
        self._applier = Applier(self._store, self._layout)
        self._expirer = Expirer(self._store, self._layout)


def versions_by_table(records: pl.DataFrame, layout: Layout) -> dict[str, Versions]:
    """Return the versions of the events in records of the log, by the name of their table."""
    records = records.filter(pl.col("kind").is_in(list(layout.sources)))
    versions_of = {}
    for (kind,), group in records.group_by("kind", maintain_order=True):
        events = str(kind)
        versions_of[events] = versions_from_records(layout.sources[events], group)
    return versions_of


def compute_changes(
    applier: Applier, state: StoreState, layout: Layout, versions_of: dict[str, Versions]
) -> Changes:
    """Compute the changes that versions of several tables make, as of the horizon of a state."""
    changes = Changes()
    for events, versions in versions_of.items():
        new = drop_before_watermark(layout.sources[events], versions)
        changes.merge(applier.find_changes(state.prefix, events, new, state.horizon))
    return changes
