"""The usual metrics of each task, by scikit-learn."""

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from millrace.spec import Goal, Task

Vector = npt.NDArray[np.float64]

_LOWER_IS_BETTER = {"log_loss", "brier", "rmse", "mae"}


def higher_is_better(metric: str) -> bool:
    """The direction of a metric.

    >>> higher_is_better("roc_auc"), higher_is_better("rmse")
    (True, False)
    """
    return metric not in _LOWER_IS_BETTER


def better(metric: str, a: float, b: float) -> bool:
    """Whether `a` beats `b`; nothing beats where either is NaN."""
    return a > b if higher_is_better(metric) else a < b


class Judge(Struct, frozen=True):
    """The one metric that decides: called with targets and scores, it gives their value."""

    task: Task
    metric: str

    def __call__(self, y: Vector, scores: Vector) -> float:
        """The metric's value."""
        return metrics(self.task, y, scores)[self.metric]


def judge_of(goal: Goal) -> Judge:
    """The judge of a (resolved) goal."""
    assert goal.task is not None and goal.metric is not None
    return Judge(goal.task, goal.metric)


def metrics(task: Task, y: Vector, scores: Vector) -> dict[str, float]:
    """All metrics of a task.

    Parameters: `y (N,)`, class numbers or values; `scores`, the positive class's probability `(N,)`, every class's
    `(N, K)`, or values `(N,)`. `accuracy` and `f1` of a binary task decide at 0.5. A metric that is not defined on
    these rows (a ranking of one class, R² of a constant) is NaN.

    >>> round(metrics("binary", np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.1]))["roc_auc"], 3)
    0.5
    """
    return {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[task](y, scores)


def _binary(y: Vector, scores: Vector) -> dict[str, float]:
    from sklearn import metrics as sk

    both = 0 < y.sum() < len(y)
    decided = scores >= 0.5
    return {
        "roc_auc": float(sk.roc_auc_score(y, scores)) if both else float("nan"),
        "average_precision": float(sk.average_precision_score(y, scores)) if both else float("nan"),
        "log_loss": float(sk.log_loss(y, _inside(scores), labels=[0, 1])),
        "brier": float(np.mean((scores - y) ** 2)),
        "accuracy": float(np.mean(decided == y)),
        "f1": float(sk.f1_score(y, decided, zero_division=0.0)),
    }


def _multiclass(y: Vector, scores: Vector) -> dict[str, float]:
    from sklearn import metrics as sk

    chosen = scores.argmax(axis=1)
    inside = _inside(scores)
    inside = inside / inside.sum(axis=1, keepdims=True)
    return {
        "log_loss": float(sk.log_loss(y, inside, labels=range(scores.shape[1]))),
        "accuracy": float(np.mean(chosen == y)),
        "macro_f1": float(sk.f1_score(y, chosen, average="macro", zero_division=0.0)),
    }


def _regression(y: Vector, scores: Vector) -> dict[str, float]:
    errors = scores - y
    spread = float(np.square(y - y.mean()).sum())
    return {
        "rmse": float(np.sqrt(np.mean(np.square(errors)))),
        "mae": float(np.mean(np.abs(errors))),
        "r2": 1 - float(np.square(errors).sum()) / spread if spread > 0 else float("nan"),
    }


def _inside(probabilities: Vector) -> Any:
    """Kept off 0 and 1 by float32's step: a single sure mistake must not make the loss infinite."""
    step = float(np.finfo(np.float32).eps)
    return np.clip(probabilities.astype(np.float64), step, 1 - step)
