"""Two models on the same rows, and whether one is better than the other for certain."""

from typing import NamedTuple

from msgspec import Struct, structs

from headrace.arrays import Floats, Mask
from headrace.evaluate.bootstrap import compute_paired_interval
from headrace.evaluate.chance import chance_lift, chance_probability
from headrace.evaluate.measure import compute_metric
from headrace.evaluate.predictions import Predictions


class Gain(NamedTuple):
    """A metric of the new and of the other model, and the 95 % interval of the new one's lead."""

    new: float
    other: float
    interval: list[float]


class ModelPair(Struct, frozen=True):
    """Predictions of a new model and of another (baseline or champion) for the same rows."""

    new: Predictions
    other: Predictions
    seed: int = 0

    def __len__(self) -> int:
        return len(self.new)

    def describe(self) -> str:
        """Say what both were judged on."""
        rows = f"{len(self):,} rows"
        return rows if self.new.queries is None else f"{rows} of {self.new.queries.count:,} queries"

    def with_other(self, scores: Floats, threshold: float | None) -> "ModelPair":
        """Return the new model and a third one in the place of the other."""
        return structs.replace(self, other=self.new.with_scores(scores, threshold))

    def select(self, rows: Mask) -> "ModelPair":
        """Return both on the rows of a mask `(N,)`."""
        return ModelPair(self.new.select(rows), self.other.select(rows), self.seed)

    def rarer_rows(self) -> int | None:
        """Count the rows of the rarer class; None where the task has no two classes."""
        return self.new.kind.rarer_rows(self.new.y)

    def gain(self, metric: str) -> Gain:
        """Compare the two by a metric."""
        interval = compute_paired_interval(metric, self.new, self.other, self.seed)
        return Gain(compute_metric(self.new, metric), compute_metric(self.other, metric), interval)

    def gain_over_baseline(self, metric: str) -> Gain:
        """Compare the two by a metric where the other model gives every row the same score.

        Its average precision counts as that of a random order.
        """
        # Ties all over give it the share of positives, less than any model that orders at random.
        new, other, (low, high) = self.gain(metric)
        lift = chance_lift(self.new.y) if metric == "average_precision" else 0.0
        return Gain(new, other + lift, [low - lift, high - lift])

    def chance(self, metric: str) -> float:
        """Compute the probability of a metric as good as the new model's by chance alone."""
        return chance_probability(metric, self.new, self.seed)
