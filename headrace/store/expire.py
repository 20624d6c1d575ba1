"""Expires tiles and versions that no row can read any more, a few keys with every push.

    tiles            | 0 | 5 | 10 | 15 | 20 |      hop 5, longest window 10
    horizon 23       left end of the earliest window: floor((23 - 10) / 5) * 5 = 10
    read             no    no  yes  yes  yes

An entity goes once its last tile lies before that end in every level, and nothing of it is open.
(`update_tiles.py` drops single old tiles, whenever an entity is written.) The versions of an event
go once all of them lie before the earliest tile that a correction may build again. Bytes that are
damaged stay: whoever reads them reports them.
"""

from contextlib import suppress

from headrace.store.codec import DECODE_ERRORS, Codec
from headrace.store.keys import StoreState, day_key, encode_member, make_event_namer
from headrace.store.layout import Layout
from headrace.store.store import Changes, Store
from headrace.store.versions import Versions, decode

_PAGE = 16
"""The number of keys that a step looks at."""


class Expirer:
    """Goes round the keys of a generation, one page a step."""

    def __init__(self, store: Store, layout: Layout) -> None:
        self._store = store
        self._layout = layout
        self._cursor = b""
        self._codecs = [Codec(group) for group in layout.groups]
        self._namers = [
            make_event_namer(group, layout.sources[group.events]) for group in layout.groups
        ]
        self._tables = list(layout.sources)

    def step(self, state: StoreState, changes: Changes) -> None:
        """Add to the changes what has expired among the next keys.

        Keys that are written anyway are left alone.
        """
        page, self._cursor = self._store.page(state.prefix, self._cursor, _PAGE)
        head = len(state.prefix)
        for key, value in page:
            if key in changes.puts:
                continue
            kind = key[head : head + 1]
            number = int.from_bytes(key[head + 1 : head + 3], "big")
            # Damaged bytes are no reason to stop.
            with suppress(*DECODE_ERRORS):
                if kind == b"e" and self._is_expired(number, value, state.horizon):
                    changes.gone.add(key)
                if kind == b"v":
                    self._expire_versions(number, key, value, state, changes)

    def _is_expired(self, group: int, blob: bytes, horizon: int) -> bool:
        """Say whether no row at the horizon or later reads anything of an entity."""
        views, opens = self._codecs[group].decode(blob)
        if opens:
            return False
        for view, level in zip(views, self._layout.groups[group].levels, strict=True):
            least = level.least_start(horizon)
            # Tiles are sorted: the last one is read the longest.
            if view.count and (least is None or view.starts[-1] >= least):
                return False
        return True

    def _expire_versions(
        self, number: int, key: bytes, value: bytes, state: StoreState, changes: Changes
    ) -> None:
        """Remove the versions of an event that is too old, and its id from the sets of days."""
        versions = decode(value)
        most = self._layout.sources[self._tables[number]].most
        if most is None:
            return
        oldest = state.horizon - most
        # A correction may still build again the tile of a version that is younger.
        if any(version.time >= oldest for version in versions):
            return

        changes.gone.add(key)
        for group, _ in self._layout.find_groups(self._tables[number]):
            self._remove_from_days(group, versions, state.prefix, changes)

    def _remove_from_days(
        self, group: int, versions: Versions, prefix: bytes, changes: Changes
    ) -> None:
        for version in versions:
            name = self._namers[group](version.values)
            if version.alive and name is not None:
                day = day_key(prefix, group, name, version.time)
                changes.removed.setdefault(day, set()).add(encode_member(version.sequence))
