"""The one metric that decides between candidates, and whether a gain by it is more than luck."""

from msgspec import Struct

from headrace.arrays import Floats
from headrace.evaluate.bootstrap import compute_paired_interval
from headrace.evaluate.measure import compute_metric, cost
from headrace.evaluate.predictions import Predictions
from headrace.spec import Goal, Task


class MetricObjective(Struct, frozen=True):
    """A judge of a task's scores by one metric.

    Parameters of its methods: `y (N,)`, the truth; `scores`, `a` and `b`, `(N,)` or `(N, K)`;
    `weight (N,)`, how much each row counts, all the same where there is none.
    """

    task: Task
    metric: str

    def value(self, y: Floats, scores: Floats, weight: Floats | None = None) -> float:
        """Compute the metric."""
        return compute_metric(Predictions(self.task, y, scores, weight), self.metric)

    def cost(self, y: Floats, scores: Floats, weight: Floats | None = None) -> float:
        """Return a number that is smaller where the scores are better."""
        return cost(self.metric, self.value(y, scores, weight))

    def gain(self, y: Floats, a: Floats, b: Floats, weight: Floats | None = None) -> list[float]:
        """Compute the 95 % interval of how much better `a` is than `b` on the same rows."""
        predictions = Predictions(self.task, y, a, weight)
        return compute_paired_interval(self.metric, predictions, predictions.with_scores(b, None))


def make_objective(goal: Goal) -> MetricObjective:
    """Return the objective of a resolved goal."""
    assert goal.task is not None
    assert goal.metric is not None
    return MetricObjective(goal.task, goal.metric)
