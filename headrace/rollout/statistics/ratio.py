"""A ratio of sums, beside the mean of a unit's ratios: all clicks over all impressions, say.

Its interval is the delta method's (https://en.wikipedia.org/wiki/Delta_method): asymptotic, and of
one look alone. So it is shown once enough units are rewarded, and never decides.
"""

import math

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats
from headrace.rollout.evidence import Interval

LEAST_REWARDED = 100
"""Units with a value above 0 that each arm needs."""
_Z = 1.959963984540054


class RatioSums(Struct, frozen=True):
    """Sums over the units of an arm: of values `y`, of rows `n`, and of their products."""

    units: int = 0
    rewarded: int = 0
    y: float = 0.0
    n: float = 0.0
    yy: float = 0.0
    nn: float = 0.0
    yn: float = 0.0

    def add(self, y: Floats, n: Floats) -> "RatioSums":
        """Return the sums with further units."""
        return RatioSums(
            self.units + len(y),
            self.rewarded + int(np.count_nonzero(y > 0)),
            self.y + float(y.sum()),
            self.n + float(n.sum()),
            self.yy + float((y * y).sum()),
            self.nn + float((n * n).sum()),
            self.yn + float((y * n).sum()),
        )

    @property
    def ratio(self) -> float:
        """The ratio of the sums."""
        return self.y / self.n

    @property
    def variance(self) -> float:
        """The variance of the ratio, by the delta method."""
        ratio = self.ratio
        squares = self.yy - 2 * ratio * self.yn + ratio * ratio * self.nn
        return squares / (self.n * self.n)


def compare_ratios(challenger: RatioSums, champion: RatioSums) -> Interval | None:
    """Return the lift of a ratio of sums with its asymptotic 95 % interval.

    None where an arm has too few rewarded units.
    """
    if min(challenger.rewarded, champion.rewarded) < LEAST_REWARDED:
        return None
    own, base = challenger.ratio, champion.ratio
    relative = challenger.variance / own**2 + champion.variance / base**2
    width = _Z * math.sqrt(relative)
    middle = math.log(own / base)
    return Interval(math.expm1(middle - width), math.expm1(middle), math.expm1(middle + width))
