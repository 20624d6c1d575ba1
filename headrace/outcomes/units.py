"""The units of a phase: when each was first exposed, to which arm, and when it closes.

    place      0        1        2        …            in the order in which they were first exposed
    key        u1       u7       u3
    exposed    10:00    10:00    10:02
    closes     exposed + per + within, for each metric

A unit is closed once the watermark has passed that time. Its place stays its own; what is known of
it is let go when all metrics have closed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from headrace.arrays import Floats, Hashes, Integers, Mask
from headrace.outcomes.keys import KeyMap


class Exposures(NamedTuple):
    """Rows of units `(N,)` in the order of the log; `before_us` is the latest time before each."""

    position: Integers
    key: Hashes
    exposed_us: Integers
    before_us: Integers
    arm: Integers
    propensity: Floats
    time: Integers
    process: Integers

    def select(self, at: Integers) -> "Exposures":
        """Return some of the rows."""
        return Exposures(
            self.position[at],
            self.key[at],
            self.exposed_us[at],
            self.before_us[at],
            self.arm[at],
            self.propensity[at],
            self.time[at],
            self.process[at],
        )


class PhaseUnits:
    """The units of one phase.

    Parameters: `spans_us`, how long a unit collects, for each metric; `lag_us`, by how much a
    prediction may be earlier than one before it in the log.
    """

    def __init__(self, spans_us: Sequence[int], lag_us: int) -> None:
        self._spans_us = list(spans_us)
        self._lag_us = lag_us
        self.known = KeyMap()
        self.first = 0
        """The place of the first unit that is not let go."""
        self.exposed = np.zeros(0, np.int64)
        """How many units were exposed, by arm."""
        self._closed_by_arm = np.zeros(0, np.int64)
        metrics = range(len(self._spans_us))
        self._exposures = {name: Growing(_TYPES.get(name, np.int64)) for name in Exposures._fields}
        self._counts = [Growing(np.int64) for _ in metrics]
        self._squares = [Growing(np.float64) for _ in metrics]
        self._closed = [Growing(np.bool_) for _ in metrics]
        self._next = [0 for _ in metrics]

    def __len__(self) -> int:
        """Return how many units were exposed, open or closed."""
        return self.first + self._exposures["key"].size

    @property
    def columns(self) -> Exposures:
        """The units that are not let go; the first one has the place `first`."""
        return Exposures(**{name: one.values for name, one in self._exposures.items()})

    def were_exposed(self, rows: Exposures) -> Mask:
        """Say of each row whether its unit was exposed here before it, in the order of the log."""
        places = self.known.find(rows.key)
        at = places - self.first
        positions = self._exposures["position"].values
        if not len(positions):
            return np.asarray(places >= 0)
        earlier = positions[np.clip(at, 0, len(positions) - 1)] < rows.position
        # What was let go was exposed long ago.
        return np.asarray((places >= 0) & ((at < 0) | earlier))

    def count_closed(self, arm: int) -> int:
        """Return how many units of an arm have closed for the first metric."""
        return int(self._closed_by_arm[arm]) if arm < len(self._closed_by_arm) else 0

    def rows_of(self, metric: int, places: Integers) -> tuple[Integers, Floats]:
        """Return how many rows were counted of units for a metric, and the sums of squares."""
        at = places - self.first
        return self._counts[metric].values[at], self._squares[metric].values[at]

    def expose(self, rows: Exposures, is_unit: bool, barred: Mask | None = None) -> Integers:
        """Take rows, in the order of the log, and return the place of the unit of each.

        It is -1 for a unit that is barred. Without `is_unit` each row is a unit of its own.
        """
        if not is_unit:
            places = np.arange(len(self), len(self) + len(rows.key))
            self._append(rows)
            return places
        # Sorted keys are found several times as fast: the memory that they touch is near.
        keys, first, inverse = np.unique(rows.key, return_index=True, return_inverse=True)
        places = self.known.find(keys)
        new = places < 0
        if barred is not None:
            new &= ~barred[first]
        if new.any():
            # Their places are in the order of the log, not of the keys.
            order = np.argsort(first[new])
            at = first[new][order]
            added = np.arange(len(self), len(self) + len(at))
            places[np.flatnonzero(new)[order]] = added
            self.known.add(rows.key[at], added)
            self._append(rows.select(at))
        return np.asarray(places[inverse])

    def _append(self, rows: Exposures) -> None:
        for name, column in zip(Exposures._fields, rows, strict=True):
            self._exposures[name].append(column)
        arms = np.bincount(rows.arm, minlength=len(self.exposed))
        arms[: len(self.exposed)] += self.exposed
        self.exposed = arms
        for further in (*self._counts, *self._squares, *self._closed):
            further.append(np.zeros(len(rows.key)))

    def collects(self, metric: int, places: Integers, exposed_us: Integers) -> Mask:
        """Say of rows whether they are within the span of their unit; not of one let go."""
        at = places - self.first
        open_ = (places >= 0) & (at >= 0)
        if not open_.any():
            return open_
        begin = self._exposures["exposed_us"].values[np.maximum(at, 0)]
        return np.asarray(open_ & (exposed_us <= begin + self._spans_us[metric]))

    def count(self, metric: int, places: Integers, squares: Floats | None) -> None:
        """Count rows of units, and add up the squares of their predictions."""
        at = places - self.first
        np.add.at(self._counts[metric].values, at, 1)
        if squares is not None:
            # Row by row, in their order: so that sums do not depend on where a table ends.
            np.add.at(self._squares[metric].values, at, squares)

    def close(self, metric: int, within_us: int, watermark_us: int) -> Integers:
        """Close the units whose time is over before a watermark; return their places, in order."""
        columns = self.columns
        bound = watermark_us - self._spans_us[metric] - within_us
        start = self._next[metric] - self.first
        end = int(np.searchsorted(columns.before_us, bound + self._lag_us, side="right"))
        end = max(start, end)
        closed = self._closed[metric].values[start:end]
        times = columns.exposed_us[start:end]
        at = np.flatnonzero(~closed & (times < bound))
        closed[at] = True
        if metric == 0:
            arms = np.bincount(columns.arm[start:end][at], minlength=len(self._closed_by_arm))
            arms[: len(self._closed_by_arm)] += self._closed_by_arm
            self._closed_by_arm = arms
        still = np.flatnonzero(~closed)
        self._next[metric] = self.first + (start + int(still[0]) if len(still) else end)
        order = np.lexsort((columns.key[start:end][at], times[at]))
        return np.asarray(self.first + start + at[order])

    def let_go(self) -> bool:
        """Let go of the units that have closed for every metric, once they are half of all.

        Returns whether any was let go.
        """
        until = min(self._next) - self.first
        if until < max(1, self._exposures["key"].size // 2):
            return False
        columns = (*self._exposures.values(), *self._counts, *self._squares, *self._closed)
        for column in columns:
            column.drop(until)
        self.first += until
        return True


class Growing:
    """A column that grows at its end, and is cut at its beginning, without being copied each time.

    >>> column = Growing(np.int64)
    >>> column.append(np.array([1, 2, 3]))
    >>> column.drop(1)
    >>> column.values.tolist()
    [2, 3]
    """

    def __init__(self, dtype: Any) -> None:
        self._memory = np.zeros(_LEAST, dtype)
        self.size = 0

    @property
    def values(self) -> Any:
        """The values, as a view."""
        return self._memory[: self.size]

    def append(self, values: Any) -> None:
        """Add values at the end."""
        end = self.size + len(values)
        if end > len(self._memory):
            memory = np.zeros(max(end, 2 * len(self._memory)), self._memory.dtype)
            memory[: self.size] = self.values
            self._memory = memory
        self._memory[self.size : end] = values
        self.size = end

    def drop(self, count: int) -> None:
        """Cut the first values off."""
        rest = self.values[count:]
        memory = np.zeros(max(_LEAST, len(rest)), self._memory.dtype)
        memory[: len(rest)] = rest
        self._memory = memory
        self.size = len(rest)


_LEAST = 1024
_TYPES: dict[str, Any] = {"key": np.uint64, "propensity": np.float64}
