"""The one metric that decides between candidates, and whether a gain by it is more than luck."""

from msgspec import Struct

from headrace.arrays import Floats
from headrace.evaluate.bootstrap import compute_paired_interval
from headrace.evaluate.measure import compute_metric, cost
from headrace.evaluate.predictions import Predictions
from headrace.spec import Goal, Task
from headrace.tasks import Truth


class MetricObjective(Struct, frozen=True):
    """A judge of a task's scores by one metric.

    Parameters of its methods: the truth of N rows; `scores`, `a` and `b`, `(N,)` or `(N, K)`.
    """

    task: Task
    metric: str

    def value(self, truth: Truth, scores: Floats) -> float:
        """Compute the metric."""
        return compute_metric(Predictions.of_truth(self.task, truth, scores), self.metric)

    def cost(self, truth: Truth, scores: Floats) -> float:
        """Return a number that is smaller where the scores are better."""
        return cost(self.metric, self.value(truth, scores))

    def gain(self, truth: Truth, a: Floats, b: Floats) -> list[float]:
        """Compute the 95 % interval of how much better `a` is than `b` on the same rows."""
        predictions = Predictions.of_truth(self.task, truth, a)
        return compute_paired_interval(self.metric, predictions, predictions.with_scores(b, None))


def make_objective(goal: Goal) -> MetricObjective:
    """Return the objective of a resolved goal."""
    assert goal.task is not None
    assert goal.metric is not None
    return MetricObjective(goal.task, goal.metric)
