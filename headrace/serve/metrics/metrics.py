"""What a process of the service counts: plain numbers, written out only when somebody asks."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable

import msgspec

SECONDS = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
    5.0,
)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)
SHARES = tuple(at / 20 for at in range(1, 21))
Labels = tuple[str, ...]


class Histogram(msgspec.Struct):
    """How many values were at most each of the `edges`, and how many larger; and their sum.

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
        """Counts a value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.sum += value

    def add_all(self, values: list[float]) -> None:
        """Counts some values."""
        if len(values) < len(self.edges):
            for value in values:
                self.add(value)
            return
        ordered, below = sorted(values), 0
        for at, edge in enumerate(self.edges):
            up_to = bisect_right(ordered, edge)
            self.counts[at] += up_to - below
            below = up_to
        self.counts[-1] += len(ordered) - below
        self.sum += sum(ordered)

    def add_other(self, other: "Histogram") -> None:
        """Counts what another one of the same edges has counted."""
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class Metrics:
    """Counters, gauges and histograms by their name and the values of their labels (see `METRICS`)."""

    def __init__(self) -> None:
        self.counts: defaultdict[Labels, float] = defaultdict(float)
        self.gauges: dict[Labels, float] = {}
        self.histograms: dict[Labels, Histogram] = {}

    def histogram(self, *labels: str, edges: tuple[float, ...] = SECONDS) -> Histogram:
        """A histogram, to be held by whoever counts into it often."""
        return self.histograms.setdefault(labels, Histogram(edges))

    def encode(self) -> bytes:
        """All of it, for another process."""
        told = [list(self.counts.items()), list(self.gauges.items()), list(self.histograms.items())]
        return msgspec.msgpack.encode(told)


_DECODER = msgspec.msgpack.Decoder(
    tuple[list[tuple[Labels, float]], list[tuple[Labels, float]], list[tuple[Labels, Histogram]]]
)


def merge_metrics(others: Iterable[bytes]) -> Metrics:
    """What several processes have counted, as one; gauges are added too.

    Raises `msgspec.DecodeError`.
    """
    whole = Metrics()
    for told in others:
        counts, gauges, histograms = _DECODER.decode(told)
        for labels, count in counts:
            whole.counts[labels] += count
        for labels, value in gauges:
            whole.gauges[labels] = whole.gauges.get(labels, 0.0) + value
        for labels, histogram in histograms:
            kept = whole.histograms.get(labels)
            if kept is None or kept.edges != histogram.edges:
                whole.histograms[labels] = histogram
            else:
                kept.add_other(histogram)
    return whole
