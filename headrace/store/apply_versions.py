"""Finds what versions of events change in the store.

A version goes one of three ways, which depends on the horizon (no row is read as of an earlier
moment) and on the other versions of its event:

    version                                           goes to
    rows see it, and it is the only one of its event  its tile: the states are added up
    rows do not see it yet, or a version is known     the open versions of its entity: each read
    that will replace it                              decides about them
    it corrects or deletes an event                   its tiles, old and new: both are built again

A correction moves an event of 5.00 by user `a` at 10:02 to user `b` at 10:07; tiles of 5 min:

    entity a    tile 10:00    before: 5.00 + 2.00    built again without the event: 2.00
    entity b    tile 10:05    before: 1.00           built again with it: 1.00 + 5.00

Nothing is ever subtracted, for a minimum or a sketch cannot be. Tiles are built again from the raw
events: the set of a day names the ids of an entity's events, and each id leads to its versions.

    days of the tile ---> ids of the entity's events ---> versions ---> the settled ones ---> tile

Once the horizon has passed the moment at which an open version is visible for good, the version is
ripe: the next write of its entity adds it to its tile.
"""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

from headrace.clock import DAY_US
from headrace.store.codec import DECODE_ERRORS, Codec, OpenVersion
from headrace.store.keys import day_key, encode_member, entity_key, make_event_namer, versions_key
from headrace.store.layout import EventSource, Group, Layout
from headrace.store.store import Changes, Store
from headrace.store.update_tiles import Event, TileUpdater
from headrace.store.versions import (
    Version,
    Versions,
    current_versions,
    decode,
    encode,
    is_settled,
    open_versions,
)
from headrace.windows import NEVER

_Corrections = dict[bytes, tuple[Versions, Versions]]
"""The versions of events before and now, by their keys: of events that the store knew already, or
of which several versions came at once."""


class Applier:
    """Finds the changes that events make to a store of one layout."""

    def __init__(self, store: Store, layout: Layout) -> None:
        self._store = store
        self._layout = layout
        self._groups = [
            _GroupApplier(store, number, group, layout)
            for number, group in enumerate(layout.groups)
        ]

    def find_changes(self, prefix: bytes, events: str, versions: Versions, horizon: int) -> Changes:
        """Find the changes that versions of events make.

        Parameters: the `prefix` of the generation; `events`, the name of their table; `versions` in
        the order in which they arrived; the `horizon`: no later read is before it (microseconds).
        """
        changes = Changes()
        new = versions
        corrections: _Corrections = {}
        source = self._layout.sources[events]
        if source.table.id is not None:
            number = list(self._layout.sources).index(events)
            keys = [versions_key(prefix, number, encode_member(one.sequence)) for one in versions]
            new, corrections = self._split(keys, versions, horizon)
            for key, version in zip(keys, versions, strict=True):
                if key not in corrections:
                    changes.puts[key] = encode([version])
            for key, (_, now) in corrections.items():
                changes.puts[key] = encode(now)

        for group, _ in self._layout.find_groups(events):
            self._groups[group].add_changes(prefix, new, corrections, horizon, changes)
        return changes

    def _split(
        self, keys: list[bytes], versions: Versions, horizon: int
    ) -> tuple[Versions, _Corrections]:
        """Split versions into those of new events, and corrections."""
        # Two versions of one event may come in one push: the second corrects the first.
        counts = Counter(keys)
        stored = dict(zip(counts, self._store.read(list(counts)), strict=True))
        new: Versions = []
        corrected: dict[bytes, Versions] = {}
        for key, version in zip(keys, versions, strict=True):
            if stored[key] is None and counts[key] == 1:
                new.append(version)
            else:
                corrected.setdefault(key, []).append(version)

        corrections: _Corrections = {}
        for key, added in corrected.items():
            before = _decode_versions(stored[key])
            corrections[key] = (before, current_versions(before + added, horizon))
        return new, corrections


class _EntityChange(Struct):
    """The changes to one entity.

    `added` are events for its tiles and `opens` its new open versions; the tiles of the times in
    `rebuilt` are built again.
    """

    added: list[Event] = field(default_factory=list)
    opens: list[OpenVersion] = field(default_factory=list)
    rebuilt: set[int] = field(default_factory=set)


_EntityChanges = dict[str, _EntityChange]
"""By the name of the entity."""


class _GroupApplier:
    """Finds the changes to the entities of one group."""

    def __init__(self, store: Store, number: int, group: Group, layout: Layout) -> None:
        source: EventSource = layout.sources[group.events]
        self._store = store
        self._group = number
        self._codec = Codec(group)
        self._source = list(layout.sources).index(group.events)
        self._has_ids = source.table.id is not None
        self._updaters = [TileUpdater(level, source) for level in group.levels]
        self._name = make_event_namer(group, source)

    def add_changes(
        self,
        prefix: bytes,
        new: Versions,
        corrections: _Corrections,
        horizon: int,
        changes: Changes,
    ) -> None:
        """Add the new bytes of every entity that the versions touch to the changes."""
        entities: _EntityChanges = {}
        self._apply_new(prefix, new, horizon, entities, changes)
        self._apply_corrections(prefix, corrections, horizon, entities, changes)

        raw = self._read_raw_events(prefix, entities, corrections, horizon)
        # The open versions of a corrected event give way to those that it has now.
        corrected: set[int | str] = set()
        for before, _ in corrections.values():
            corrected.update(version.sequence for version in before)

        keys = [entity_key(prefix, self._group, name) for name in entities]
        blobs = self._store.read(keys)
        for key, blob, (name, entity) in zip(keys, blobs, entities.items(), strict=True):
            # Damaged bytes stay, for whoever reads them reports them; the other entities go on.
            try:
                encoded = self._update_entity(blob, entity, raw.get(name, []), corrected, horizon)
            except DECODE_ERRORS:
                continue
            if encoded:
                changes.puts[key] = encoded
            elif blob is not None:
                changes.gone.add(key)

    def _update_entity(
        self,
        blob: bytes | None,
        entity: _EntityChange,
        raw: list[Event],
        corrected: set[int | str],
        horizon: int,
    ) -> bytes:
        """Return the bytes of an entity with its changes; none where nothing is left of it."""
        views, opens = self._codec.decode(blob) if blob is not None else (None, [])

        ripe: list[Event] = []
        still_open: list[OpenVersion] = []
        for one in opens:
            if one.sequence in corrected or one.replaced <= horizon:
                continue
            if one.visible_from <= horizon and one.replaced == NEVER:
                ripe.append((one.time, one.sequence, one.values))
            else:
                still_open.append(one)

        levels = []
        for at, updater in enumerate(self._updaters):
            rebuilt = {updater.start_of(time) for time in entity.rebuilt}
            events = entity.added + ripe
            if rebuilt:
                # In a tile that is built again a ripe event is among the raw ones.
                events = entity.added + _outside(ripe, updater, rebuilt)
                events += _inside(raw, updater, rebuilt)
            view = views[at] if views is not None else None
            levels.append(updater.update(view, rebuilt, events, horizon))
        return self._codec.encode(levels, still_open + entity.opens)

    def _apply_new(
        self,
        prefix: bytes,
        new: Versions,
        horizon: int,
        entities: _EntityChanges,
        changes: Changes,
    ) -> None:
        """Add the versions of new events to their entities, and their ids to the sets of days."""
        for one in new:
            name = self._name(one.values) if one.alive else None
            if name is None:
                continue
            entity = entities.setdefault(name, _EntityChange())
            if one.visible_from <= horizon:
                entity.added.append((one.time, one.sequence, one.values))
            else:
                entity.opens.append(
                    OpenVersion(one.visible_from, NEVER, one.time, one.sequence, one.values)
                )
            if self._has_ids:
                day = day_key(prefix, self._group, name, one.time)
                changes.added.setdefault(day, set()).add(encode_member(one.sequence))

    def _apply_corrections(
        self,
        prefix: bytes,
        corrections: _Corrections,
        horizon: int,
        entities: _EntityChanges,
        changes: Changes,
    ) -> None:
        """Mark the tiles that corrections touch, open versions, and move ids to other days."""
        for before, now in corrections.values():
            old = self._name_entities(before)
            new = self._name_entities(now)
            for name, version in old + (new if is_settled(now, horizon) else []):
                entities.setdefault(name, _EntityChange()).rebuilt.add(version.time)
            for one in open_versions(now, horizon):
                owner = self._name(one.values)
                if owner is not None:
                    entities.setdefault(owner, _EntityChange()).opens.append(one)

            old_days = self._list_days(prefix, old)
            new_days = self._list_days(prefix, new)
            for day, member in new_days - old_days:
                changes.added.setdefault(day, set()).add(member)
            for day, member in old_days - new_days:
                changes.removed.setdefault(day, set()).add(member)

    def _name_entities(self, versions: Versions) -> list[tuple[str, Version]]:
        """Return the versions that are alive and have an entity, each with its name."""
        named = [(self._name(one.values), one) for one in versions if one.alive]
        return [(name, one) for name, one in named if name is not None]

    def _list_days(
        self, prefix: bytes, named: list[tuple[str, Version]]
    ) -> set[tuple[bytes, bytes]]:
        """Return the sets of days that versions belong to, each with the member that they are."""
        return {
            (day_key(prefix, self._group, name, one.time), encode_member(one.sequence))
            for name, one in named
        }

    def _read_raw_events(
        self,
        prefix: bytes,
        entities: _EntityChanges,
        corrections: _Corrections,
        horizon: int,
    ) -> dict[str, list[Event]]:
        """Read the settled events of the days of every tile that is built again, by entity."""
        days: set[bytes] = set()
        for name, entity in entities.items():
            for time in entity.rebuilt:
                days |= self._days_of_tiles(prefix, name, time)
        if not days:
            return {}

        members = set.union(*self._store.members(sorted(days)))
        keys = {versions_key(prefix, self._source, member) for member in members}
        # Sorted: sets have another order in each process, which would change the rounding of sums.
        stored = self._store.read(sorted(keys - set(corrections)))
        histories = [_decode_versions(value) for value in stored]
        histories = [current_versions(versions, horizon) for versions in histories if versions]
        histories += [now for _, now in corrections.values()]
        return self._settled_events(histories, horizon)

    def _days_of_tiles(self, prefix: bytes, name: str, time: int) -> set[bytes]:
        """Return the keys of the days that the tiles of a time, one in each level, lie on."""
        days = set()
        for updater in self._updaters:
            start = updater.start_of(time)
            last = start + updater.level.hop - 1
            for day in range(start // DAY_US, last // DAY_US + 1):
                days.add(day_key(prefix, self._group, name, day * DAY_US))
        return days

    def _settled_events(
        self, histories: Iterable[Versions], horizon: int
    ) -> dict[str, list[Event]]:
        """Return the events that are settled, by the name of their entity."""
        events: dict[str, list[Event]] = {}
        for versions in histories:
            if not is_settled(versions, horizon):
                continue
            version = versions[0]
            name = self._name(version.values)
            if name is not None:
                event = (version.time, version.sequence, version.values)
                events.setdefault(name, []).append(event)
        return events


def _inside(events: list[Event], updater: TileUpdater, starts: set[int]) -> list[Event]:
    """Return the events in the tiles from some starts."""
    return [event for event in events if updater.start_of(event[0]) in starts]


def _outside(events: list[Event], updater: TileUpdater, starts: set[int]) -> list[Event]:
    """Return the events in no tile from some starts."""
    return [event for event in events if updater.start_of(event[0]) not in starts]


def _decode_versions(value: bytes | None) -> Versions:
    """Decode the versions of an event; none for no bytes.

    Damaged bytes have no versions either, as if the event had never arrived.
    """
    if value is None:
        return []
    try:
        return decode(value)
    except DECODE_ERRORS:
        return []
