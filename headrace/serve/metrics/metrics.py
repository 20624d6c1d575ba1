"""The counts of one process: plain numbers, which are written out only when a reader asks."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable

import msgspec

SECONDS = (
    0.00005, 0.0001, 0.00025, 0.0005,
    0.001, 0.0025, 0.005,
    0.01, 0.025, 0.05,
    0.1, 0.25, 1.0, 5.0,
)  # fmt: skip
"""Edges of histograms of seconds."""
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)
"""Edges of histograms of rows."""
SHARES = tuple(step / 20 for step in range(1, 21))
"""Edges of histograms of shares: 0.05, 0.1, … 1."""
Labels = tuple[str, ...]
"""The name of a metric and the values of its labels, such as `("headrace_errors", "too_slow")`."""


class Histogram(msgspec.Struct):
    """A count of values by size: at most each of the `edges`, or larger than all; and their sum.

    >>> histogram = Histogram((1.0, 2.0))
    >>> for value in (0.5, 1.0, 7.0):
    ...     histogram.add(value)
    >>> histogram.counts, histogram.sum
    ([2, 0, 1], 8.5)
    """

    edges: tuple[float, ...]
    counts: list[int] = []
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.edges) + 1)

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.sum += value

    def add_all(self, values: list[float]) -> None:
        """Count several values, as `add` counts each."""
        if len(values) < len(self.edges):
            for value in values:
                self.add(value)
            return

        # Many values are sorted once: then each edge is looked up, not each value.
        ordered = sorted(values)
        below = 0
        for index, edge in enumerate(self.edges):
            up_to = bisect_right(ordered, edge)
            self.counts[index] += up_to - below
            below = up_to
        self.counts[-1] += len(ordered) - below
        self.sum += sum(ordered)

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another histogram of the same edges."""
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class Metrics:
    """Counters, gauges and histograms by name and labels (see `METRICS`).

    >>> metrics = Metrics()
    >>> metrics.counts["headrace_errors", "too_slow"] += 1
    >>> metrics.histogram("headrace_stage_seconds", "model").add(0.002)
    >>> metrics.counts["headrace_errors", "too_slow"]
    1.0
    """

    def __init__(self) -> None:
        self.counts: defaultdict[Labels, float] = defaultdict(float)
        self.gauges: dict[Labels, float] = {}
        self.histograms: dict[Labels, Histogram] = {}

    def histogram(self, *labels: str, edges: tuple[float, ...] = SECONDS) -> Histogram:
        """Return a histogram, new or known; code that counts often holds on to it."""
        return self.histograms.setdefault(labels, Histogram(edges))

    def encode(self) -> bytes:
        """Encode all counts as MessagePack, for `merge_metrics` in another process."""
        groups = (self.counts, self.gauges, self.histograms)
        return msgspec.msgpack.encode([list(group.items()) for group in groups])


_DECODER = msgspec.msgpack.Decoder(
    tuple[list[tuple[Labels, float]], list[tuple[Labels, float]], list[tuple[Labels, Histogram]]]
)


def merge_metrics(encoded: Iterable[bytes]) -> Metrics:
    """Add up the encoded counts of several processes; gauges are added too.

    Where two processes have a histogram of different edges, the later one replaces the earlier.
    Raises `msgspec.DecodeError`.
    """
    total = Metrics()
    for content in encoded:
        counts, gauges, histograms = _DECODER.decode(content)
        for labels, count in counts:
            total.counts[labels] += count
        for labels, value in gauges:
            total.gauges[labels] = total.gauges.get(labels, 0.0) + value
        for labels, histogram in histograms:
            known = total.histograms.get(labels)
            if known is None or known.edges != histogram.edges:
                total.histograms[labels] = histogram
            else:
                known.merge(histogram)
    return total
