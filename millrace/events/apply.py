"""What a batch of versions of events changes in the store.

Events that are new go to their tiles. For an event of which versions are known already the tiles of the old and of the
new one are made again from the raw events: nothing is ever subtracted. A version that is not known yet, or that another
one will replace, is kept open beside the tiles until time has decided.
"""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from millrace.events.blob import Form, Open
from millrace.events.history import NEVER
from millrace.events.layout import Group, Layout, Level, Source
from millrace.events.names import DAY_US, day_key, entity_key, member_of, names_in, versions_key
from millrace.events.store import Changes, Store
from millrace.events.tiles import Facts, Integers, Tiles, merge, nothing, tiles_of
from millrace.events.versions import (
    Batch,
    Version,
    Versions,
    decode,
    encode,
    folds,
    opens_of,
    standing,
    values_of,
)


def apply(store: Store, prefix: bytes, layout: Layout, events: str, batch: Batch, horizon: int) -> Changes:
    """The changes that versions of `events` make, as of `horizon`: no later read is of an earlier moment."""
    changes, source = Changes(), layout.sources[events]
    number = list(layout.sources).index(events)
    fresh = np.ones(len(batch.time), bool)
    changed: dict[bytes, tuple[Versions, Versions]] = {}
    if source.table.id is not None:
        members = [member_of(place) for place in batch.places.to_list()]
        versions, keys = batch.versions(), [versions_key(prefix, number, member) for member in members]
        changed, fresh = _changed(store, keys, versions, horizon)
        changes.puts |= {keys[at]: encode([versions[at]]) for at in np.flatnonzero(fresh).tolist()}
        changes.puts |= {key: encode(now) for key, (_, now) in changed.items()}
    for at, group in layout.of(events):
        _Folding(store, prefix, at, group, source, number, horizon).fold(batch, fresh & batch.alive, changed, changes)
    return changes


def _changed(
    store: Store, keys: list[bytes], versions: Versions, horizon: int
) -> tuple[dict[bytes, tuple[Versions, Versions]], npt.NDArray[np.bool_]]:
    """By key, the versions before and now of the events that were known already or are told twice; and which versions
    are of no such event."""
    times = Counter(keys)
    known = dict(zip(times, store.read(list(times)), strict=True))
    fresh = np.array([known[key] is None and times[key] == 1 for key in keys], bool)
    told: dict[bytes, Versions] = {}
    for at in np.flatnonzero(~fresh).tolist():
        told.setdefault(keys[at], []).append(versions[at])
    changed = {}
    for key, new in told.items():
        old = known[key]
        before = [] if old is None else decode(old)
        changed[key] = (before, standing(before + new, horizon))
    return changed, fresh


class _Folding:
    """The changes to one group."""

    def __init__(
        self, store: Store, prefix: bytes, at: int, group: Group, source: Source, number: int, horizon: int
    ) -> None:
        self.store, self.prefix, self.at, self.group = store, prefix, at, group
        self.source, self.number, self.horizon = source, number, horizon
        self.codes: dict[str, int] = {}

    def fold(
        self,
        batch: Batch,
        fresh: npt.NDArray[np.bool_],
        changed: dict[bytes, tuple[Versions, Versions]],
        changes: Changes,
    ) -> None:
        """Adds to the changes what becomes of every entity that the batch touches."""
        names = names_in(self.group, batch.values)
        some = np.flatnonzero(fresh & names.is_not_null().to_numpy())
        before = self._of([one for old, _ in changed.values() for one in old])
        after = self._of([one for _, new in changed.values() for one in new])
        code = self._coded([names[at] for at in some.tolist()])
        keys = [entity_key(self.prefix, self.at, name) for name in self.codes]
        form = Form(self.group)
        tiles, opens = form.read_many(self.store.read(keys))
        facts = Facts(code, batch.time[some], batch.places.gather(some), batch.values[some])
        known = np.maximum(batch.available[some], facts.time + 1)
        for at in np.flatnonzero(known > self.horizon).tolist():
            opened = Open(int(known[at]), NEVER, int(facts.time[at]), facts.places[at], list(facts.values.row(at)))
            opens.setdefault(int(code[at]), []).append(opened)
        ripe = self._ripen(opens, {one.place for old, _ in changed.values() for one in old})
        for _, versions in changed.values():
            for one in opens_of(versions, self.horizon):
                if (name := self._name(one.values)) is not None:
                    opens.setdefault(self.codes[name], []).append(one)
        folded = [versions[0] for _, versions in changed.values() if folds(versions, self.horizon)]
        points = {(entity, one.time) for entity, one in before + self._of(folded)}
        again = self._raw(points, changed)
        added = facts.some(known <= self.horizon)
        merged = [
            self._level(level, some_tiles, added, ripe, again, points)
            for level, some_tiles in zip(self.group.levels, tiles, strict=True)
        ]
        for key, blob in zip(keys, form.write_many(merged, opens, len(keys)), strict=True):
            if blob:
                changes.puts[key] = blob
            else:
                changes.gone.add(key)
        if self.source.table.id is not None:
            self._index(facts, before, after, changes)

    def _level(
        self, level: Level, tiles: list[Tiles], added: Facts, ripe: Facts, again: Facts, points: set[tuple[int, int]]
    ) -> Tiles:
        anew = {(entity, time // level.hop * level.hop) for entity, time in points}
        old = merge(level, tiles) if tiles else nothing(level)
        if anew:
            old = old.some(~_among(old.entity, old.start, anew))
            ripe = ripe.some(~_among(ripe.entity, ripe.time // level.hop * level.hop, anew))
            again = again.some(_among(again.entity, again.time // level.hop * level.hop, anew))
        made = merge(level, [old, *(tiles_of(level, facts) for facts in (added, ripe, again) if len(facts.time))])
        least = level.least_start(self.horizon)
        return made if least is None else made.some(made.start >= least)

    def _ripen(self, opens: dict[int, list[Open]], changed: set[int | str]) -> Facts:
        """Takes the open versions out of which time has made events, and those of events that change."""
        ripe: list[tuple[int, Open]] = []
        for entity, some in opens.items():
            rest = [one for one in some if one.place not in changed and one.replaced > self.horizon]
            ripe += [(entity, one) for one in rest if one.known <= self.horizon and one.replaced == NEVER]
            opens[entity] = [one for one in rest if one.known > self.horizon or one.replaced != NEVER]
        return self._facts([(entity, one.time, one.place, one.values) for entity, one in ripe])

    def _raw(self, points: set[tuple[int, int]], changed: dict[bytes, tuple[Versions, Versions]]) -> Facts:
        """Every event of the tiles in which something changed, from the versions of the events themselves."""
        if not points:
            return self._facts([])
        name = {code: name for name, code in self.codes.items()}
        days = set()
        for entity, time in points:
            for level in self.group.levels:
                first = time // level.hop * level.hop
                last = (first + level.hop - 1) // DAY_US
                days |= {(entity, day * DAY_US) for day in range(first // DAY_US, last + 1)}
        ordered = sorted(days)
        sets = self.store.members([day_key(self.prefix, self.at, name[entity], time) for entity, time in ordered])
        keys = {versions_key(self.prefix, self.number, member) for members in sets for member in members} - set(changed)
        asked = sorted(keys)
        kept = [decode(value) for value in self.store.read(asked) if value is not None]
        now = [standing(versions, self.horizon) for versions in kept] + [new for _, new in changed.values()]
        found = self._of([versions[0] for versions in now if folds(versions, self.horizon)], known_only=True)
        return self._facts([(entity, one.time, one.place, one.values) for entity, one in found])

    def _index(
        self, facts: Facts, before: list[tuple[int, Version]], after: list[tuple[int, Version]], changes: Changes
    ) -> None:
        """Under which days the ids stand."""
        name = {code: name for name, code in self.codes.items()}

        def places(found: Any) -> set[tuple[bytes, bytes]]:
            return {
                (day_key(self.prefix, self.at, name[entity], time), member_of(place)) for entity, time, place in found
            }

        old, new = (places((entity, one.time, one.place) for entity, one in some) for some in (before, after))
        new |= places(zip(facts.entity.tolist(), facts.time.tolist(), facts.places.to_list(), strict=True))
        for kept, sets in ((new - old, changes.added), (old - new, changes.removed)):
            for key, member in kept:
                sets.setdefault(key, set()).add(member)

    def _name(self, values: list[Any]) -> str | None:
        name: str | None = names_in(self.group, values_of([values], self.source))[0]
        return name

    def _coded(self, names: list[str]) -> Integers:
        return np.array([self.codes.setdefault(name, len(self.codes)) for name in names], np.int64)

    def _of(self, versions: Versions, known_only: bool = False) -> list[tuple[int, Version]]:
        """Versions of events that are alive, with the numbers of their entities, or of those that have one already."""
        alive = [one for one in versions if one.alive]
        if not alive:
            return []
        names = names_in(self.group, values_of([one.values for one in alive], self.source)).to_list()
        return [
            (self.codes[name] if known_only else self.codes.setdefault(name, len(self.codes)), one)
            for name, one in zip(names, alive, strict=True)
            if name is not None and not (known_only and name not in self.codes)
        ]

    def _facts(self, found: list[tuple[int, int, int | str, list[Any]]]) -> Facts:
        entity, time, places, rows = ([one[at] for one in found] for at in range(4))
        values = values_of(rows, self.source)  # type: ignore[arg-type]
        return Facts(np.array(entity, np.int64), np.array(time, np.int64), pl.Series(places), values)


def _among(entity: Integers, start: Integers, points: set[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Which tiles are among some `(N,)`."""
    pairs = zip(entity.tolist(), start.tolist(), strict=True)
    return np.fromiter((pair in points for pair in pairs), bool, len(entity))
