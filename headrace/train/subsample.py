"""The rows that a model is fitted on, and what each counts, where one class is rare.

Of 1,000 negatives and 10 positives keep a share of 0.1 of the negatives:

    rows          positives   negatives   odds
    all               10        1,000     0.01
    drawn             10          100     0.1        ten times as high

A model fitted on the drawn rows has a raw score (the log odds) that is `ln 10` too high everywhere.
The shift `ln 0.1` takes exactly that away, so its probabilities are those of all rows.
"""

from typing import Any, NamedTuple

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.errors import InputError
from headrace.features import Target
from headrace.spec import Models, format_label
from headrace.tasks import Queries, Truth

_LEAST_OF_A_QUERY = 10


class Subsample(NamedTuple):
    """The rows to fit on.

    `rows (M,)` are their positions: ascending, or by query and shuffled within. `weight (M,)` is
    what each counts, None where all count the same. Adding `shift` to raw scores makes them those
    of all rows, each counting once.
    """

    rows: Integers
    weight: Floats | None
    shift: list[float]

    def of(self, X: Any) -> Any:
        """Return the drawn rows of a matrix."""
        is_whole = len(self.rows) == X.shape[0] and not (np.diff(self.rows) != 1).any()
        return X if is_whole else X[self.rows]


def subsample(truth: Truth, target: Target, models: Models, seed: int) -> Subsample:
    """Draw negatives and weight classes as `models` says.

    Keeping a share `s` of the negatives multiplies the odds by `1 / s`, and weighting classes by
    `w` multiplies the probability of each class by its `w` (up to a constant): adding `ln s`, or
    `-ln w`, to raw scores undoes it (King and Zeng, 2001, "Logistic regression in rare events
    data").

    >>> truth = Truth(np.repeat([0.0, 1.0], [1000, 10]))
    >>> target = Target("clicked", "binary", ["no", "yes"])
    >>> drawn = subsample(truth, target, Models(negatives=0.1), seed=7)
    >>> len(drawn.rows), round(float(np.exp(drawn.shift[0])), 3)
    (110, 0.1)
    """
    y, weight, queries = truth.y, truth.weight, truth.queries
    if queries is not None:
        _class_weights(y, target, models)
        rows = _draw_queries(y, queries, models.negatives, seed)
        return Subsample(rows, None if weight is None else weight[rows], [])

    rows = np.arange(len(y))
    shift = np.zeros(target.kind.width(len(target.classes)))
    if models.negatives < 1:
        if not target.kind.HAS_EVENT:
            raise InputError(
                "models.negatives", f"{models.negatives} with task {target.task}", "1.0"
            )
        negatives = np.flatnonzero(y == 0)
        count = max(1, round(models.negatives * len(negatives)))
        drawn = np.random.default_rng(seed).permutation(negatives)[:count]
        rows = np.sort(np.concatenate([np.flatnonzero(y > 0), drawn]))
        # The share that was drawn, by weight: it may differ from the one that was asked for.
        shift[0] += np.log(_total_weight(drawn, weight) / _total_weight(negatives, weight))

    class_weights = _class_weights(y[rows], target, models)
    row_weight = None if weight is None else weight[rows]
    if class_weights is not None:
        by_class = class_weights[y[rows].astype(np.int64)]
        row_weight = by_class if row_weight is None else row_weight * by_class
        shift -= target.kind.shift_of_shares(class_weights)
    return Subsample(rows, row_weight, shift.tolist() if shift.any() else [])


def _draw_queries(grades: Floats, queries: Queries, share: float, seed: int) -> Integers:
    """Return the rows of a ranking by query, in random order within each.

    A query keeps its relevant rows, and of the others this share, at least ten. The order of the
    table's rows must teach nothing: LightGBM breaks ties by it.
    """
    of_row = queries.of_row
    at_random = np.random.default_rng(seed).random(len(grades))
    is_relevant = queries.grading.is_relevant(grades)
    order = np.lexsort((at_random, is_relevant, of_row))
    if share < 1:
        others = np.bincount(of_row[~is_relevant], minlength=queries.count)
        sizes = np.bincount(of_row, minlength=queries.count)
        # In this order the rows that are not relevant come first in each query.
        place = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[of_row[order]]
        drawn = np.maximum(np.round(share * others), np.minimum(others, _LEAST_OF_A_QUERY))
        order = order[is_relevant[order] | (place < drawn[of_row[order]])]
    return order[np.lexsort((at_random[order], of_row[order]))]


def _total_weight(rows: Integers, weight: Floats | None) -> float:
    return float(len(rows) if weight is None else weight[rows].sum())


def _class_weights(y: Floats, target: Target, models: Models) -> Floats | None:
    """Return the weight of each class `(K,)`; None where classes are not weighted."""
    stated = models.class_weight
    if stated is None:
        return None
    if not target.kind.HAS_CLASSES:
        raise InputError("models.class_weight", f"given with task {target.task}", "null")
    if stated == "balanced":
        counts = np.bincount(y.astype(np.int64), minlength=len(target.classes))
        return len(y) / len(target.classes) / np.maximum(counts, 1)

    names = [format_label(label) for label in target.classes]
    unknown = [name for name in stated if name not in names]
    if unknown:
        raise InputError(
            "models.class_weight", f"no class {unknown[0]!r}", "one of: " + ", ".join(names[:20])
        )
    return np.array([stated.get(name, 1.0) for name in names])
