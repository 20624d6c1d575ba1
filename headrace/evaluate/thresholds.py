"""When a probability becomes a yes: what each threshold gives and costs, and the best threshold.

Only the different scores matter as thresholds: between two of them nothing changes. Four rows of
scores 0.9, 0.8, 0.8, 0.3 and truth 1, 1, 0, 0 have three thresholds:

    threshold   yes   hits   misses   precision   recall
    0.9          1     1       0        1.0        0.5
    0.8          3     2       1        0.67       1.0
    0.3          4     2       2        0.5        1.0

The threshold that ships lies halfway to the next score below: 0.55 in the place of 0.8.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.arrays import Floats
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.ranking import Ranking
from headrace.spec import DecisionSpec

_STEPS = 60


class TradeOff:
    """All different thresholds with their results: arrays `(T,)`, from the highest threshold down.

    `threshold` is the least score that counts as a yes. `hits`, `misses`, `yes` are the weights of
    true positives, false positives and both.
    """

    def __init__(self, predictions: Predictions) -> None:
        y = predictions.y
        scores = predictions.scores
        weights = predictions.weights
        ranking = Ranking(y, scores)
        self.hits, self.misses = ranking.counts(weights)
        self.threshold: npt.NDArray[Any] = scores[ranking.order][ranking.ends]
        self.positives = float((weights * y).sum())
        self.total = float(weights.sum())
        self.yes = self.hits + self.misses

    @property
    def precision(self) -> Floats:
        """The share of yeses that are right."""
        return np.divide(self.hits, self.yes, out=np.zeros_like(self.hits), where=self.yes > 0)

    @property
    def recall(self) -> Floats:
        """The share of positives that get a yes."""
        return self.hits / max(self.positives, 1e-300)

    @property
    def f1(self) -> Floats:
        """The harmonic mean of precision and recall."""
        return 2 * self.hits / np.maximum(self.yes + self.positives, 1e-300)

    @property
    def rate(self) -> Floats:
        """The share of rows that get a yes."""
        return self.yes / self.total

    def cost(self, decision: DecisionSpec) -> Floats:
        """Compute the mean cost of a row."""
        missed = self.positives - self.hits
        return np.asarray(
            (decision.false_positive * self.misses + decision.false_negative * missed) / self.total
        )


def pick_threshold(predictions: Predictions, decision: DecisionSpec) -> float:
    """Pick the threshold that is best on these rows by `decision.by`.

    With `cost`, saying no to every row is a choice too: a threshold above 1 cannot be stated, so it
    is 1.
    """
    if decision.threshold is not None:
        return decision.threshold

    choices = TradeOff(predictions)
    if decision.by == "cost":
        costs = choices.cost(decision)
        # No threshold of the table says no to every row.
        if decision.false_negative * choices.positives / choices.total < costs.min():
            return 1.0
        best = int(costs.argmin())
    elif decision.by == "recall":
        best = _most_precise(choices, decision.recall)
    elif decision.by == "rate":
        best = int(np.abs(choices.rate - decision.rate).argmin())
    else:
        best = int(choices.f1.argmax())

    # Halfway to the next score: a new row that scores a little less gets the same answer.
    threshold = choices.threshold
    below = threshold[best + 1] if best + 1 < len(threshold) else threshold[best]
    # The graph compares float32.
    return float(np.float32((threshold[best] + below) / 2))


def _most_precise(choices: TradeOff, recall: float) -> int:
    """Find the most precise threshold that reaches a recall; the lowest where none does."""
    enough = np.flatnonzero(choices.recall >= recall - 1e-12)
    if not len(enough):
        return len(choices.yes) - 1
    return int(enough[choices.precision[enough].argmax()])


def trade_off(predictions: Predictions, decision: DecisionSpec) -> list[dict[str, float]]:
    """Tabulate thresholds, evenly spread over the rows, with all that each of them would give."""
    choices = TradeOff(predictions)
    shares = np.searchsorted(choices.rate, np.linspace(0, 1, _STEPS))
    picked = np.unique(shares.clip(0, len(choices.yes) - 1))
    columns = {
        "threshold": choices.threshold,
        "rate": choices.rate,
        "precision": choices.precision,
        "recall": choices.recall,
        "f1": choices.f1,
        "cost": choices.cost(decision),
    }
    table = []
    for at in picked:
        table.append({name: round(float(values[at]), 6) for name, values in columns.items()})
    return table
