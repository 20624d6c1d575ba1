"""What is pushed: into the log first, then into the store; acknowledged when the log has it, for the store follows."""

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
"""So far apart may the clocks of two machines be."""


def clock_ahead_error(horizon: int, now: int) -> WorkError:
    """A store to which a machine wrote whose clock was ahead: it has forgotten what that time says is long ago."""
    hours = (horizon - now) / 3.6e9
    do = "set the clocks right; then `headrace materialize DIR` fills the store anew"
    return WorkError(
        "the online store",
        f"was written {hours:,.1f} h ahead of this machine's clock",
        "one time",
        do,
    )


class PushResult(Struct, frozen=True):
    """How many events were taken. Where the store failed once the log had them, `store_error` says
    why: they are safe, the next push tells it, and who told them again would tell them twice.
    """

    events: int
    store_error: WorkError | None = None


class Pusher:
    """The online half of a system's events: a store, and the log that it follows.

    Several processes may push: they take turns. One that was killed between log and store leaves no
    gap: the next push, or `catch_up`, tells the store what the log has and it has not. Raises
    `InputError` where the store was never filled.
    """

    def __init__(self, store: Store, log: Log, clock: Clock = SYSTEM) -> None:
        self._store, self._log, self._clock = store, log, clock
        self._stand = read_state(store)
        self._follow(self._stand)

    def push(self, events: str, told: EventRows, now: int) -> PushResult:
        """Takes events of one table, all or none.

        An event was known from `now` (microseconds since 1970 UTC), or from the end of its `delay`
        where that is later; where the table has an `available` column, from what that says. Raises
        `InputError` naming the row and the column, `WorkError` where the log refuses, or a store
        that cannot be asked where it stands; nothing is taken then.
        """
        return self.push_all({events: told}, now)

    def push_all(self, told: Mapping[str, EventRows], now: int) -> PushResult:
        """The same of several tables, all or none."""
        read = self._read(told, now)
        with self._log.append_lock():
            self._catch_up(now)
            if any(
                self._layout.sources.get(events) != source
                for events, (source, _, _) in read.items()
            ):
                read = self._read(told, now)  # the store was filled anew, for other windows
            records: list[Record] = []
            taken: dict[str, Versions] = {}
            for events, (source, versions, texts) in read.items():
                placed_ = (
                    assign_sequence(versions, self._log.end + len(records))
                    if source.table.id is None
                    else versions
                )
                taken[events] = placed_
                records += [
                    Record(str(one.sequence), one.time, one.available, events, text)
                    for one, text in zip(placed_, texts, strict=True)
                ]
            position = self._log.append(records)
            try:
                self._take(taken, now, position)
            except WorkError as error:
                return PushResult(len(records), error)
        return PushResult(len(records))

    def _read(
        self, told: Mapping[str, EventRows], now: int
    ) -> dict[str, tuple[EventSource, Versions, list[bytes]]]:
        sources = {events: self._source(events) for events in told}
        return {
            events: (source, *parse_events(source, events, told[events], now))
            for events, source in sources.items()
        }

    def catch_up(self, now: int) -> int:
        """Tells the store what the log has and it has not; returns up to which position it is told."""
        with self._log.append_lock():
            self._catch_up(now)
        return self._stand.position

    def _source(self, events: str) -> EventSource:
        known = list(self._layout.sources)
        if events not in known:
            told = f"one of: {', '.join(known)}"
            raise InputError(
                "push", f"no events {events!r} that a window reads", told, nearest(events, known)
            )
        return self._layout.sources[events]

    def _catch_up(self, now: int) -> None:
        """Follows a store that was filled anew or told by another process, and a log that is ahead of it."""
        stand = read_state(self._store)
        if stand.generation != self._stand.generation:
            self._follow(stand)
        self._stand = stand
        latest = max(now, self._clock.now_us())  # who tells of the past says so
        if stand.horizon > latest + MAX_CLOCK_SKEW_US:
            raise clock_ahead_error(stand.horizon, latest)
        if stand.position < self._log.end:
            self._take(
                versions_by_table(self._log.read(since=stand.position), self._layout),
                now,
                self._log.end,
            )

    def _take(self, told: dict[str, Versions], now: int, position: int) -> None:
        """Tells the store in one step."""
        stand = structs.replace(
            self._stand, position=position, horizon=max(self._stand.horizon, now)
        )
        changes = compute_changes(self._writer, stand, self._layout, told)
        self._sweep.step(stand, changes)
        changes.puts[STATE] = stand.encode()
        self._store.write(changes)
        self._stand = stand

    def _follow(self, stand: StoreState) -> None:
        self._layout = read_layout(self._store, stand)
        self._writer, self._sweep = (
            Applier(self._store, self._layout),
            Expirer(self._store, self._layout),
        )


def versions_by_table(records: pl.DataFrame, layout: Layout) -> dict[str, Versions]:
    """The events that records of the log tell of, by their table."""
    kinds = records.filter(pl.col("kind").is_in(list(layout.sources))).group_by(
        "kind", maintain_order=True
    )
    return {
        str(kind): versions_from_records(layout.sources[str(kind)], some) for (kind,), some in kinds
    }


def compute_changes(
    writer: Applier, stand: StoreState, layout: Layout, told: dict[str, Versions]
) -> Changes:
    """What the events of a stream change."""
    changes = Changes()
    for events, versions in told.items():
        counted = drop_before_watermark(layout.sources[events], versions)
        changes.merge(writer.changes(stand.prefix, events, counted, stand.horizon))
    return changes
