"""A map from the keys of units to their places: sorted arrays in levels, each twice as large.

To look a key up is a binary search in each level; to add keys is to sort them, and to merge levels
of a size now and then. Sixteen bytes a unit, without an object for each.
"""

import numpy as np

from headrace.arrays import Hashes, Integers

_ABSENT = -1


class KeyMap:
    """A map from keys (64-bit hashes) to places; a key is added once.

    >>> known = KeyMap()
    >>> known.add(np.array([7, 3], dtype=np.uint64), np.array([0, 1]))
    >>> known.find(np.array([3, 4, 7], dtype=np.uint64)).tolist()
    [1, -1, 0]
    """

    def __init__(self) -> None:
        self._levels: list[tuple[Hashes, Integers]] = []

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._levels)

    def find(self, keys: Hashes) -> Integers:
        """Return the place of each key, -1 for one that is not here."""
        places = np.full(len(keys), _ABSENT, dtype=np.int64)
        for known, known_places in self._levels:
            at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            found = known[at] == keys
            places[found] = known_places[at[found]]
        return places

    def add(self, keys: Hashes, places: Integers) -> None:
        """Add keys that are not here yet, each once."""
        if not len(keys):
            return
        order = np.argsort(keys)
        self._levels.append((keys[order], places[order]))
        while len(self._levels) > 1 and len(self._levels[-2][0]) <= 2 * len(self._levels[-1][0]):
            self._levels.append(_merge(self._levels.pop(), self._levels.pop()))


def _merge(one: tuple[Hashes, Integers], other: tuple[Hashes, Integers]) -> tuple[Hashes, Integers]:
    keys = np.concatenate([one[0], other[0]])
    order = np.argsort(keys, kind="stable")
    return keys[order], np.concatenate([one[1], other[1]])[order]
