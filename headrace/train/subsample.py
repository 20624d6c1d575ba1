"""Which rows a model is fitted on and what each counts, where one class is rare; and how to undo it exactly."""

from typing import Any, NamedTuple

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.errors import InputError
from headrace.features import Target
from headrace.spec import Models, label_text


class Subsample(NamedTuple):
    """`kept (M,)`, positions among the rows; their `weight (M,)`, none where all count the same;
    and `shift`, what must be added to raw scores so that they are those of all rows, each counting
    once.
    """

    rows: Integers
    weight: Floats | None
    shift: list[float]

    def of(self, X: Any) -> Any:
        """The kept rows of a matrix."""
        return X if len(self.rows) == X.shape[0] else X[self.rows]


def subsample(
    y: Floats, weight: Floats | None, target: Target, models: Models, seed: int
) -> Subsample:
    """Draws negatives and weights classes as `models` says.

    Keeping a share `s` of the negatives multiplies the odds by `1 / s`, and weighting classes by
    `w` multiplies the probability of each class by its `w` (up to a constant): adding `ln s`, or
    `-ln w`, to raw scores undoes it (King and Zeng, 2001, "Logistic regression in rare events
    data").
    """
    kept, shift = np.arange(len(y)), np.zeros(target.kind.width(len(target.classes)))
    if models.negatives < 1:
        if not target.kind.HAS_EVENT:
            raise InputError(
                "models.negatives", f"{models.negatives} with task {target.task}", "1.0"
            )
        negative = np.flatnonzero(y == 0)
        chosen = np.random.default_rng(seed).permutation(negative)[
            : max(1, round(models.negatives * len(negative)))
        ]
        kept = np.sort(np.concatenate([np.flatnonzero(y > 0), chosen]))
        before, after = (negative, chosen) if weight is None else (weight[negative], weight[chosen])
        shift[0] += np.log(_size(after, weight) / _size(before, weight))
    by_class = _class_weights(y[kept], target, models)
    counted = None if weight is None else weight[kept]
    if by_class is not None:
        each = by_class[y[kept].astype(np.int64)]
        counted = each if counted is None else counted * each
        shift -= target.kind.shift_of_shares(by_class)
    return Subsample(kept, counted, shift.tolist() if shift.any() else [])


def _size(rows: Floats | Integers, weight: Floats | None) -> float:
    return float(len(rows) if weight is None else rows.sum())


def _class_weights(y: Floats, target: Target, models: Models) -> Floats | None:
    stated = models.class_weight
    if stated is None:
        return None
    if not target.kind.HAS_CLASSES:
        raise InputError("models.class_weight", f"given with task {target.task}", "null")
    if stated == "balanced":
        counts = np.bincount(y.astype(np.int64), minlength=len(target.classes))
        return len(y) / len(target.classes) / np.maximum(counts, 1)
    names = [label_text(label) for label in target.classes]
    odd = [name for name in stated if name not in names]
    if odd:
        raise InputError(
            "models.class_weight", f"no class {odd[0]!r}", "one of: " + ", ".join(names[:20])
        )
    return np.array([stated.get(name, 1.0) for name in names])
