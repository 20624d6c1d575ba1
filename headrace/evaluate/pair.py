"""Two models on the same rows, and whether one is better than the other for certain."""

from typing import NamedTuple

from msgspec import Struct, structs

from headrace.arrays import Floats, Mask
from headrace.evaluate.bootstrap import paired_interval
from headrace.evaluate.chance import chance_lift, chance_probability
from headrace.evaluate.measure import compute_metric
from headrace.evaluate.predictions import Predictions


class Gain(NamedTuple):
    """A metric of the new model and of the other, and the 95 % interval of how much better the new one is."""

    new: float
    other: float
    interval: list[float]


class ModelPair(Struct, frozen=True):
    """The predictions of a new model and of another (the baseline, the champion) for the same rows."""

    new: Predictions
    other: Predictions
    seed: int = 0

    def __len__(self) -> int:
        return len(self.new)

    def with_other(self, scores: Floats, threshold: float | None) -> "ModelPair":
        """The new model beside a third one."""
        return structs.replace(self, other=self.new.with_scores(scores, threshold))

    def select(self, rows: Mask) -> "ModelPair":
        """Both on some of the rows."""
        return ModelPair(self.new.select(rows), self.other.select(rows), self.seed)

    def rarer_rows(self) -> int | None:
        """How many rows the rarer class has; None where the task has no two classes."""
        return self.new.kind.rarer_rows(self.new.y)

    def gain(self, metric: str) -> Gain:
        """How the two compare by a metric."""
        interval = paired_interval(metric, self.new, self.other, self.seed)
        return Gain(compute_metric(self.new, metric), compute_metric(self.other, metric), interval)

    def gain_over_baseline(self, metric: str) -> Gain:
        """As `gain`, where the other model looks at nothing: its average precision is that of a random order."""
        new, other, (low, high) = self.gain(metric)
        lift = chance_lift(self.new.y) if metric == "average_precision" else 0.0
        return Gain(new, other + lift, [low - lift, high - lift])

    def chance(self, metric: str) -> float:
        """The probability of a metric as good as the new model's by chance alone."""
        return chance_probability(metric, self.new, self.seed)
