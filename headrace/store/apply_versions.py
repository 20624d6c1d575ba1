"""What versions of events change in the store.

Events that are new go to their tiles. For an event of which versions are known already the tiles of
the old and of the new one are made again from the raw events: nothing is ever subtracted. A version
that is not known yet, or that another one will replace, is kept open beside the tiles until time
has decided.
"""

from collections import Counter

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


class Applier:
    """Finds out what events change in a store of one layout."""

    def __init__(self, store: Store, layout: Layout) -> None:
        self._store, self._layout = store, layout
        self._groups = [
            _GroupApplier(store, at, group, layout) for at, group in enumerate(layout.groups)
        ]

    def changes(self, prefix: bytes, events: str, versions: Versions, horizon: int) -> Changes:
        """The changes that versions of `events`, in the order in which they were told, make as of
        `horizon`: no later read is of an earlier moment.
        """
        changes, source = Changes(), self._layout.sources[events]
        fresh: Versions = versions
        changed: dict[bytes, tuple[Versions, Versions]] = {}
        if source.table.id is not None:
            number = list(self._layout.sources).index(events)
            keys = [versions_key(prefix, number, encode_member(one.sequence)) for one in versions]
            fresh, changed = self._changed(keys, versions, horizon)
            repeated = set(changed)
            changes.puts |= {
                key: encode([one])
                for key, one in zip(keys, versions, strict=True)
                if key not in repeated
            }
            changes.puts |= {key: encode(now) for key, (_, now) in changed.items()}
        for at, _ in self._layout.of(events):
            self._groups[at].add(prefix, fresh, changed, horizon, changes)
        return changes

    def _changed(
        self, keys: list[bytes], versions: Versions, horizon: int
    ) -> tuple[Versions, dict[bytes, tuple[Versions, Versions]]]:
        """The versions of events that are new, and by key those before and now of events that were
        known already or are told twice.
        """
        times = Counter(keys)
        known = dict(zip(times, self._store.read(list(times)), strict=True))
        fresh: Versions = []
        told: dict[bytes, Versions] = {}
        for key, one in zip(keys, versions, strict=True):
            if known[key] is None and times[key] == 1:
                fresh.append(one)
            else:
                told.setdefault(key, []).append(one)
        changed = {}
        for key, new in told.items():
            old = known[key]
            before = [] if old is None else _decoded(old)
            changed[key] = (before, current_versions(before + new, horizon))
        return fresh, changed


class _Touched(Struct):
    """What becomes of one entity: events that are `added`, versions that are opened, and at which
    times something `changed`, so that the tiles there are made again.
    """

    added: list[Event] = field(default_factory=list)
    opens: list[OpenVersion] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)


class _GroupApplier:
    """Finds the changes to one group."""

    def __init__(self, store: Store, at: int, group: Group, layout: Layout) -> None:
        source: EventSource = layout.sources[group.events]
        self._store, self._at, self._codec = store, at, Codec(group)
        self._number = list(layout.sources).index(group.events)
        self._has_ids = source.table.id is not None
        self._updaters = [TileUpdater(level, source) for level in group.levels]
        self._name = make_event_namer(group, source)

    def add(
        self,
        prefix: bytes,
        fresh: Versions,
        changed: dict[bytes, tuple[Versions, Versions]],
        horizon: int,
        changes: Changes,
    ) -> None:
        """Adds to the changes what becomes of every entity that versions touch."""
        touched: dict[str, _Touched] = {}
        self._take_fresh(prefix, fresh, horizon, touched, changes)
        self._take_changed(prefix, changed, horizon, touched, changes)
        keys = [entity_key(prefix, self._at, name) for name in touched]
        raw = self._raw(prefix, touched, changed, horizon)
        places = {one.sequence for before, _ in changed.values() for one in before}
        for key, blob, (name, one) in zip(
            keys, self._store.read(keys), touched.items(), strict=True
        ):
            try:
                written = self._edited(blob, one, raw.get(name, []), places, horizon)
            except DECODE_ERRORS:
                continue  # leaves the damaged bytes, whose readers are told, and goes on with the others
            if written:
                changes.puts[key] = written
            elif blob is not None:
                changes.gone.add(key)

    def _edited(
        self,
        blob: bytes | None,
        one: _Touched,
        raw: list[Event],
        places: set[int | str],
        horizon: int,
    ) -> bytes:
        """The bytes of an entity with what became of it."""
        views, opens = self._codec.decode(blob) if blob is not None else (None, [])
        opens = [it for it in opens if it.sequence not in places and it.replaced > horizon]
        ripe = [
            (it.time, it.sequence, it.values)
            for it in opens
            if it.visible_from <= horizon and it.replaced == NEVER
        ]
        opens = [
            it for it in opens if it.visible_from > horizon or it.replaced != NEVER
        ] + one.opens
        levels = []
        for at, updater in enumerate(self._updaters):
            events = one.added + ripe
            anew = {updater.start_of(time) for time in one.changed}
            if anew:
                events = one.added + [it for it in ripe if updater.start_of(it[0]) not in anew]
                events += [it for it in raw if updater.start_of(it[0]) in anew]
            levels.append(
                updater.update(views[at] if views is not None else None, anew, events, horizon)
            )
        return self._codec.encode(levels, opens)

    def _take_fresh(
        self,
        prefix: bytes,
        fresh: Versions,
        horizon: int,
        touched: dict[str, _Touched],
        changes: Changes,
    ) -> None:
        for one in fresh:
            name = self._name(one.values) if one.alive else None
            if name is None:
                continue
            entity = touched.setdefault(name, _Touched())
            if one.visible_from <= horizon:
                entity.added.append((one.time, one.sequence, one.values))
            else:
                entity.opens.append(
                    OpenVersion(one.visible_from, NEVER, one.time, one.sequence, one.values)
                )
            if self._has_ids:
                day = day_key(prefix, self._at, name, one.time)
                changes.added.setdefault(day, set()).add(encode_member(one.sequence))

    def _take_changed(
        self,
        prefix: bytes,
        changed: dict[bytes, tuple[Versions, Versions]],
        horizon: int,
        touched: dict[str, _Touched],
        changes: Changes,
    ) -> None:
        for before, now in changed.values():
            old, new = self._named(before), self._named(now)
            for name, one in old + (new if is_settled(now, horizon) else []):
                touched.setdefault(name, _Touched()).changed.add(one.time)
            for it in open_versions(now, horizon):
                name_ = self._name(it.values)
                if name_ is not None:
                    touched.setdefault(name_, _Touched()).opens.append(it)
            days, kept = (
                {
                    (day_key(prefix, self._at, name, one.time), encode_member(one.sequence))
                    for name, one in some
                }
                for some in (old, new)
            )
            for more, sets in ((kept - days, changes.added), (days - kept, changes.removed)):
                for day, member in more:
                    sets.setdefault(day, set()).add(member)

    def _named(self, versions: Versions) -> list[tuple[str, Version]]:
        named = [(self._name(one.values), one) for one in versions if one.alive]
        return [(name, one) for name, one in named if name is not None]

    def _raw(
        self,
        prefix: bytes,
        touched: dict[str, _Touched],
        changed: dict[bytes, tuple[Versions, Versions]],
        horizon: int,
    ) -> dict[str, list[Event]]:
        """Every event of the entities in whose tiles something changed, of the days of these tiles."""
        days: set[bytes] = set()
        for name, one in touched.items():
            for time in one.changed:
                for updater in self._updaters:
                    start = updater.start_of(time)
                    last = (start + updater.level.hop - 1) // DAY_US
                    for day in range(start // DAY_US, last + 1):
                        days.add(day_key(prefix, self._at, name, day * DAY_US))
        if not days:
            return {}
        sets = self._store.members(sorted(days))
        keys = sorted(
            {versions_key(prefix, self._number, one) for some in sets for one in some}
            - set(changed)
        )
        known = [_decoded(value) for value in self._store.read(keys) if value is not None]
        kept = [current_versions(versions, horizon) for versions in known if versions]
        found: dict[str, list[Event]] = {}
        for versions in kept + [now for _, now in changed.values()]:
            first = versions[0] if is_settled(versions, horizon) else None
            if first is not None and (owner := self._name(first.values)) is not None:
                found.setdefault(owner, []).append((first.time, first.sequence, first.values))
        return found


def _decoded(value: bytes) -> Versions:
    """The versions of an event; none where their bytes are damaged, as if it had not been told of yet."""
    try:
        return decode(value)
    except DECODE_ERRORS:
        return []
