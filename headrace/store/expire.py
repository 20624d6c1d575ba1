"""What no row can see any more leaves the store, a few keys with every push."""

from contextlib import suppress

from headrace.store.codec import DECODE_ERRORS, Codec
from headrace.store.keys import StoreState, day_key, encode_member, make_event_namer
from headrace.store.layout import Layout
from headrace.store.store import Changes, Store
from headrace.store.versions import decode

_PAGE = 16


class Expirer:
    """Goes round the keys of a generation."""

    def __init__(self, store: Store, layout: Layout) -> None:
        self._store, self._layout, self._cursor = store, layout, b""
        self._codecs = [Codec(group) for group in layout.groups]
        self._names = [
            make_event_namer(group, layout.sources[group.events]) for group in layout.groups
        ]
        self._sources = list(layout.sources.values())

    def step(self, stand: StoreState, changes: Changes) -> None:
        """Adds to the changes what has expired among the next keys; what changes anyway is left alone."""
        page, self._cursor = self._store.page(stand.prefix, self._cursor, _PAGE)
        head = len(stand.prefix)
        for key, value in page:
            if key in changes.puts:
                continue
            number = int.from_bytes(key[head + 1 : head + 3], "big")
            with suppress(*DECODE_ERRORS):  # what is damaged stays, and its readers are told
                if key[head : head + 1] == b"e" and self._is_over(number, value, stand.horizon):
                    changes.gone.add(key)
                if key[head : head + 1] == b"v":
                    self._forget(number, key, value, stand, changes)

    def _is_over(self, group: int, blob: bytes, horizon: int) -> bool:
        views, opens = self._codecs[group].decode(blob)
        if opens:
            return False
        for view, level in zip(views, self._layout.groups[group].levels, strict=True):
            least = level.least_start(horizon)
            if view.count and (least is None or view.starts[-1] >= least):
                return False
        return True

    def _forget(
        self, number: int, key: bytes, value: bytes, stand: StoreState, changes: Changes
    ) -> None:
        source, versions = self._sources[number], decode(value)
        if source.most is None or any(one.time >= stand.horizon - source.most for one in versions):
            return
        changes.gone.add(key)
        for at, group in enumerate(self._layout.groups):
            if self._layout.sources[group.events] is source:
                for one in versions:
                    name = self._names[at](one.values)
                    if one.alive and name is not None:
                        day = day_key(stand.prefix, at, name, one.time)
                        changes.removed.setdefault(day, set()).add(encode_member(one.sequence))
