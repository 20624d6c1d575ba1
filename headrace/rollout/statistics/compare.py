"""Compare two arms by the values of closed units: counts that grow and merge, and a look at them.

    units in the order in which they closed
      │  score: the forecast of each, from the units that had closed before it was first exposed
      v
    counts of (arm, propensity, forecast, value)       a table of some hundred rows
      │  look
      v
    effect and lift, each with a confidence sequence

Forecasts change at checkpoints: after 16, 32, 64, … closed units. What lies between two of them is
a block. Each has one forecast, a straight line over the covariate, and one stake for the planned
effect, from the units that had closed by then. Values are rounded to `LEVELS` steps: up or down by
a hash of the unit, so that the mean stays what it was.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats, Hashes, Integers, Mask
from headrace.rollout.evidence import Interval
from headrace.rollout.statistics.wealth import (
    CHALLENGER,
    CHAMPION,
    Cells,
    Odds,
    Side,
    log_wealth,
    score,
)

LEVELS = 256
"""Steps between the least and the greatest value."""
FIRST_CHECKPOINT = 16
_SPLITMIX = np.uint64(0xBF58476D1CE4E5B9)
_PARTS = np.float64(2.0**53)
_MOST_LIFT = 1e3
_PRIOR_UNITS = 8
_COARSE = 4
_PRECISION = 1e-3


class Units(NamedTuple):
    """Closed units in the order in which they closed: `(N,)` each.

    `key` is a hash of the unit; `exposed_us` and `closed_us` are when it was first exposed and when
    it closed, in microseconds; `arm` is `CHAMPION`, `CHALLENGER` or `OTHER`; `value` and
    `covariate` are in [0, 1], the covariate NaN where nothing is known of the unit.
    """

    key: Hashes
    exposed_us: Integers
    closed_us: Integers
    arm: Integers
    propensity: Floats
    value: Floats
    covariate: Floats

    def select(self, at: slice | Mask) -> "Units":
        """Return a part of the units."""
        return Units(
            self.key[at],
            self.exposed_us[at],
            self.closed_us[at],
            self.arm[at],
            self.propensity[at],
            self.value[at],
            self.covariate[at],
        )


class Line(Struct, frozen=True):
    """Sums over units, as whole numbers of steps: so they do not depend on their order."""

    count: int = 0
    x: int = 0
    xx: int = 0
    xy: int = 0
    y: int = 0
    yy: int = 0

    def add(self, x: Integers, y: Integers) -> "Line":
        """Return the sums with further units."""
        return Line(
            self.count + len(y),
            self.x + int(x.sum()),
            self.xx + int((x * x).sum()),
            self.xy + int((x * y).sum()),
            self.y + int(y.sum()),
            self.yy + int((y * y).sum()),
        )

    def fit(self) -> tuple[float, float]:
        """Fit value = intercept + slope * covariate, by least squares; in [0, 1] both."""
        mean = self.y / self.count / LEVELS
        spread = self.count * self.xx - self.x * self.x
        if spread <= 0 or self.count < FIRST_CHECKPOINT:
            return mean, 0.0
        slope = (self.count * self.xy - self.x * self.y) / spread
        return mean - slope * self.x / self.count / LEVELS, slope

    @property
    def squares(self) -> float:
        """The sum of the squares of what the line leaves open, for values in [0, 1]."""
        if not self.count:
            return 0.0
        _, slope = self.fit()
        spread = self.count * self.yy - self.y * self.y
        shared = self.count * self.xy - self.x * self.y
        left = (spread - slope * shared) / self.count / LEVELS**2
        return max(left, 0.0)


class Block(Struct, frozen=True):
    """What holds for the units that were first exposed after `since_us`, up to the next block.

    `known` and `unknown` are the forecasts for units with a covariate (intercept and slope) and
    without; `stake` is the one for the planned effect.
    """

    since_us: int
    known: tuple[float, float]
    unknown: float
    stake: float


class Plan(Struct, frozen=True):
    """What a comparison is planned for.

    `gap` is the difference to be found: a share of the mean where it is `relative`, else an
    absolute one of values in [0, 1]. `odds` are the least propensities of champion and challenger;
    `expected` is the mean that the first forecasts assume.
    """

    gap: float
    relative: bool
    odds: tuple[float, float]
    expected: float = 0.0


Key = tuple[int, int, float, int, int]
"""Block, arm, propensity, forecast and value of a cell; the last two in steps."""


class Comparison(Struct):
    """The counts of a comparison of two arms by one metric."""

    plan: Plan
    blocks: list[Block] = []
    counts: dict[Key, int] = {}
    known: Line = Line()
    unknown: Line = Line()

    def __post_init__(self) -> None:
        """Begin with a block that knows nothing but the plan."""
        if not self.blocks:
            self.blocks = [self._make_block(-(2**62))]
            self.counts = {}

    @property
    def closed(self) -> int:
        """How many units of the two arms were counted."""
        return self.known.count + self.unknown.count

    def add(self, units: Units) -> None:
        """Count closed units; they must come in the order in which they closed."""
        for keys, repeats in self._score(units):
            for key, count in zip(keys, repeats, strict=True):
                self.counts[key] = self.counts.get(key, 0) + count

    def score_each(self, units: Units) -> Cells:
        """Count closed units, and return the cell of each, in their order: for simulations."""
        keys: list[Key] = []
        for scored, repeats in self._score(units, each=True):
            assert set(repeats) <= {1}
            keys += scored
            for key in scored:
                self.counts[key] = self.counts.get(key, 0) + 1
        return self._to_cells(keys, np.ones(len(keys)))

    def cells(self) -> Cells:
        """Return all counts as cells, in a fixed order."""
        keys = sorted(self.counts)
        counts = np.array([self.counts[key] for key in keys], dtype=np.float64)
        return self._to_cells(keys, counts)

    def _to_cells(self, keys: list[Key], counts: Floats) -> Cells:
        table = np.array(keys, dtype=np.float64).reshape(len(keys), 5)
        stakes = np.array([block.stake for block in self.blocks])
        return Cells(
            arm=table[:, 1].astype(np.int64),
            propensity=table[:, 2],
            forecast=table[:, 3] / LEVELS,
            value=table[:, 4] / LEVELS,
            stake=stakes[table[:, 0].astype(np.int64)],
            count=counts,
        )

    def _score(self, units: Units, each: bool = False) -> "list[tuple[list[Key], list[int]]]":
        """Score units from one checkpoint to the next, and begin a block at each."""
        scored = []
        start = 0
        while start < len(units.key):
            room = self._next_checkpoint() - self.closed
            part = units.select(slice(start, start + room))
            start += len(part.key)
            value = _round(part.value, part.key)
            scored.append(_count(self._place(part, value), each))

            knows = ~np.isnan(part.covariate)
            covariate = np.rint(np.where(knows, part.covariate, 0.0) * LEVELS).astype(np.int64)
            self.known = self.known.add(covariate[knows], value[knows])
            self.unknown = self.unknown.add(covariate[~knows], value[~knows])
            if len(part.key) == room:
                self._begin_block(int(part.closed_us[-1]), scored)
        return scored

    def _next_checkpoint(self) -> int:
        return FIRST_CHECKPOINT << (len(self.blocks) - 1)

    def _place(self, units: Units, value: Integers) -> list[Floats | Integers]:
        """Return block, arm, propensity, forecast and value of each unit."""
        since = np.array([block.since_us for block in self.blocks])
        block = np.searchsorted(since, units.exposed_us, side="left") - 1
        knows = ~np.isnan(units.covariate)
        lines = np.array([block.known for block in self.blocks])
        line = lines[block, 0] + lines[block, 1] * np.where(knows, units.covariate, 0.0)
        alone = np.array([block.unknown for block in self.blocks])[block]
        forecast = np.clip(np.where(knows, line, alone), 0.0, 1.0)
        # Any forecast is right, so that coarser ones cost next to nothing, and save cells.
        steps = np.rint(forecast * LEVELS / _COARSE).astype(np.int64) * _COARSE
        return [block, units.arm, units.propensity, steps, value]

    def _begin_block(self, since_us: int, scored: "list[tuple[list[Key], list[int]]]") -> None:
        """Begin a block with what is known of all units that were counted or scored by now."""
        counts = dict(self.counts)
        for keys, repeats in scored:
            for key, count in zip(keys, repeats, strict=True):
                counts[key] = counts.get(key, 0) + count
        self.blocks.append(self._make_block(since_us, counts))

    def _weigh_prior(self) -> float:
        """Return the weight of the event that is added: 1 at first, less as more is known.

        What is known is measured by the number of units with a value, as Kish counts them.
        """
        total = self.known.y + self.unknown.y
        squares = self.known.yy + self.unknown.yy
        return 1.0 if not squares else 1 / (1 + total * total / squares / _PRIOR_UNITS)

    def _make_block(self, since_us: int, counts: dict[Key, int] | None = None) -> Block:
        """Make a block from the units that were counted so far.

        The stake that makes wealth grow fastest is the mean of the scores over that of their
        squares. As long as little is known it is the one for rare events: one of them is added.
        """
        plan = self.plan
        count = self.closed
        mean = plan.expected
        if count:
            mean = (self.known.y + self.unknown.y) / count / LEVELS
        known = self.known.fit() if self.known.count else (mean, 0.0)
        unknown = self.unknown.fit()[0] if self.unknown.count else mean

        weight = 1 / plan.odds[0] + 1 / plan.odds[1]
        if counts:
            # The mean square of 1 / propensity, which policies move.
            weighed = [times / key[2] ** 2 for key, times in sorted(counts.items())]
            weight = math.fsum(weighed) / sum(counts.values())
        rare = self._weigh_prior()
        effect = mean * count + rare if plan.relative else count + 4 * rare
        squares = (self.known.squares + self.unknown.squares + rare) * weight
        return Block(since_us, known, unknown, plan.gap * effect / squares)


def _round(value: Floats, key: Hashes) -> Integers:
    """Round values to steps: up with the probability of the rest, by a hash of the unit."""
    mixed = (key ^ (key >> np.uint64(31))) * _SPLITMIX
    luck = (mixed >> np.uint64(11)).astype(np.float64) / _PARTS
    return np.floor(np.clip(value, 0.0, 1.0) * LEVELS + luck).astype(np.int64)


def _count(columns: list[Floats | Integers], each: bool) -> tuple[list[Key], list[int]]:
    """Return the different cells and how often each was found, or all of them in their order."""
    if each:
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return list(rows), [1] * len(columns[0])
    block, arm, propensity, forecast, value = columns
    # One whole number for each cell: to sort records takes thirty times as long.
    propensities, which = np.unique(propensity, return_inverse=True)
    sides = (3, len(propensities), LEVELS + 1, LEVELS + 1)
    code = block.astype(np.int64)
    for side, column in zip(sides, (arm, which, forecast, value), strict=True):
        code = code * side + column.astype(np.int64)
    different, counts = np.unique(code, return_counts=True)
    parts = []
    for side in reversed(sides):
        different, part = np.divmod(different, side)
        parts.append(part)
    values, forecasts, which, arms = parts
    keys = zip(
        *(one.tolist() for one in (different, arms, propensities[which], forecasts, values)),
        strict=True,
    )
    return list(keys), counts.tolist()


def estimate_lift(cells: Cells) -> float | None:
    """Return the lift for which the scores have the mean 0; None without a value above 0."""
    weighed = cells.count / cells.propensity
    is_own = cells.arm == CHALLENGER
    is_champion = cells.arm == CHAMPION
    challenger = float((weighed * cells.value)[is_own].sum())
    expected = float((weighed * cells.forecast)[is_own].sum())
    champion = float((weighed * (cells.value - cells.forecast))[is_champion].sum())
    base = expected + champion
    return challenger / base - 1 if base > 0 else None


def estimate_effect(cells: Cells) -> float | None:
    """Return the difference of the means of challenger and champion; None without units."""
    total = float(cells.count.sum())
    return float(score(cells, 0.0) @ cells.count) / total if total else None


def mean_of(cells: Cells, arm: int) -> float | None:
    """Return the mean of the values in an arm, each weighed by its propensity; None without one."""
    weighed = np.where(cells.arm == arm, cells.count / cells.propensity, 0.0)
    total = float(weighed.sum())
    return float(weighed @ cells.value) / total if total else None


def bound_lift(cells: Cells, odds: Odds, alpha: float) -> Interval:
    """Return the confidence sequence of the lift: each end is wrong with a rate of `alpha`."""
    point = estimate_lift(cells)
    if point is None:
        return Interval(None, None, None)

    def wealth(side: Side) -> Callable[[float], float]:
        return lambda lift: log_wealth(cells, odds, side, lift=lift)

    low = _cross(wealth("above"), point, -1.0, alpha)
    high = _cross(wealth("below"), point, _MOST_LIFT, alpha)
    return Interval(low, point, high)


def bound_effect(cells: Cells, odds: Odds, alpha: float) -> Interval:
    """Return the confidence sequence of the effect, for values in [0, 1]."""
    point = estimate_effect(cells)
    if point is None:
        return Interval(None, None, None)

    def wealth(side: Side) -> Callable[[float], float]:
        return lambda effect: log_wealth(cells, odds, side, effect=effect)

    low = _cross(wealth("above"), point, -1.0, alpha)
    high = _cross(wealth("below"), point, 1.0, alpha)
    return Interval(low, point, high)


def _cross(
    wealth: Callable[[float], float], point: float, limit: float, alpha: float
) -> float | None:
    """Find where, from the estimate on towards a limit, wealth reaches 1/alpha.

    Returns None where it does not before the limit.
    """
    # Imported here: not every look has an end to find, and the library takes 20 MB.
    from scipy.optimize import brentq

    needed = -math.log(alpha)
    step = 1e-4 if limit > point else -1e-4
    inside = point
    outside = point
    while wealth(outside) < needed:
        if outside == limit:
            return None
        inside = outside
        step *= 4
        outside = min(point + step, limit) if limit > point else max(point + step, limit)
    if inside == outside:
        return outside
    tolerance = _PRECISION / 2 * max(abs(outside - point), 1e-9)
    crossing = brentq(lambda at: wealth(at) - needed, inside, outside, xtol=tolerance)
    # Away from the estimate: rounding does not make an interval narrower.
    beyond = crossing + math.copysign(tolerance, limit - point)
    return float(min(beyond, limit) if limit > point else max(beyond, limit))
