"""When a probability becomes a yes: what each threshold gives and costs, and the best one by a stated objective."""

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.arrays import Floats
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.ranking import Ranking
from headrace.spec import DecisionSpec

_STEPS = 60


class TradeOff:
    """What every threshold between different scores would give: arrays over thresholds, from the
    highest down.

    `threshold (T,)` is the least score that counts as a yes. `hits`, `misses`, `yes` are the
    weights of true positives, false positives and both.
    """

    def __init__(self, predictions: Predictions) -> None:
        y, scores, share = predictions.y, predictions.scores, predictions.weights
        ranking = Ranking(y, scores)
        self.hits, self.misses = ranking.counts(share)
        self.threshold: npt.NDArray[Any] = scores[ranking.order][ranking.ends]
        self.positives, self.total = float((share * y).sum()), float(share.sum())
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
        """The mean cost of a row."""
        missed = self.positives - self.hits
        return np.asarray(
            (decision.false_positive * self.misses + decision.false_negative * missed) / self.total
        )


def pick_threshold(predictions: Predictions, decision: DecisionSpec) -> float:
    """The threshold that is best on these rows by `decision.by`, halfway to the next score below.

    With `cost`, saying no to every row is a choice too: a threshold above 1 cannot be stated, so it
    is 1.
    """
    if decision.threshold is not None:
        return decision.threshold
    found = TradeOff(predictions)
    if decision.by == "cost":
        costs = found.cost(decision)
        if decision.false_negative * found.positives / found.total < costs.min():
            return 1.0
        best = int(costs.argmin())
    elif decision.by == "recall":
        enough = np.flatnonzero(found.recall >= decision.recall - 1e-12)
        best = int(enough[found.precision[enough].argmax()]) if len(enough) else len(found.yes) - 1
    elif decision.by == "rate":
        best = int(np.abs(found.rate - decision.rate).argmin())
    else:
        best = int(found.f1.argmax())
    below = found.threshold[best + 1] if best + 1 < len(found.threshold) else found.threshold[best]
    return float(np.float32((found.threshold[best] + below) / 2))  # the graph compares float32


def trade_off(predictions: Predictions, decision: DecisionSpec) -> list[dict[str, float]]:
    """A table of thresholds, evenly spread over the rows: rate, precision, recall, F1 and cost of each."""
    found = TradeOff(predictions)
    picked = np.unique(
        np.searchsorted(found.rate, np.linspace(0, 1, _STEPS)).clip(0, len(found.yes) - 1)
    )
    columns = {
        "threshold": found.threshold,
        "rate": found.rate,
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
        "cost": found.cost(decision),
    }
    return [
        {name: round(float(values[at]), 6) for name, values in columns.items()} for at in picked
    ]
