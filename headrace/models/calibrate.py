"""Scores made to come true: fitted on rows that the model was not fitted on, applied as nodes of
the graph.

Sigmoid: Platt (1999), on log odds; for several classes one temperature (Guo et al., 2017).
Isotonic: Zadrozny and Elkan (2002), with straight lines over the log odds between the steps.
"""

import numpy as np

from headrace import openmp
from headrace.arrays import Floats
from headrace.features import Graph
from headrace.spec import Calibration, Task
from headrace.tasks import task_of

_STEP = float(np.finfo(np.float32).eps)
"""How far a loss keeps off infinity: one sure mistake must not decide alone."""
_MOST_POINTS, _LEAST_APART = 64, 0.05
"""A step between nearer log odds would make the last digit of a score decide."""


def fit(
    method: str, task: Task, y: Floats, scores: Floats, weight: Floats | None = None
) -> Calibration:
    """Fits a calibration to scores `(N,)` of the positive class, or `(N, K)` of each class (sigmoid alone)."""
    return (
        _isotonic(y, scores, weight) if method == "isotonic" else _sigmoid(task, y, scores, weight)
    )


def _sigmoid(task: Task, y: Floats, scores: Floats, weight: Floats | None) -> Calibration:
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    raw = task_of(task).to_raw(scores)
    targets = _targets(y, 2 if scores.ndim == 1 else scores.shape[1])

    def loss(found: Floats) -> float:
        stretched = raw * found[0] + (*found, 0.0)[1]
        each = stretched if stretched.ndim == 2 else np.column_stack([np.zeros(len(y)), stretched])
        costs = -(targets * log_softmax(each, axis=1)).sum(axis=1)
        return float(np.average(costs, weights=weight))

    many = task_of(task).SCORE_EACH_CLASS
    start = [1.0] if many else [1.0, 0.0]
    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9}).x
    slope, intercept = float(max(found[0], 1e-3)), 0.0 if many else float(found[1])
    return Calibration(method="sigmoid", slope=slope, intercept=intercept)


def _targets(y: Floats, classes: int) -> Floats:
    """What the scores of each class should be `(N, K)`: by Platt (1999) not quite 0 and 1, but as
    far off as so many rows can tell. Scores that part the classes would else be stretched without
    end, and their last digits with them.
    """
    of_row = y.astype(np.int64)
    counts = np.bincount(of_row, minlength=classes)[of_row][:, None]
    sure: Floats = np.eye(classes)[of_row]
    return (counts * sure + 1) / (counts + classes)


def _isotonic(y: Floats, scores: Floats, weight: Floats | None) -> Calibration:
    isotonic = openmp.load("sklearn.isotonic")

    raw = task_of("binary").to_raw(scores)
    model = isotonic.IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
        raw, y, sample_weight=weight
    )
    x = _apart(np.unique(np.quantile(raw, np.linspace(0, 1, _MOST_POINTS))))
    # A sure 0 or 1 would make one surprise infinitely costly: the ends stay as far off as the rows
    # can tell.
    steps = np.clip(model.predict(x), 0.5 / len(y), 1 - 0.5 / len(y))
    return Calibration(method="isotonic", x=x.tolist(), y=steps.tolist())


def _apart(points: Floats) -> Floats:
    """Ascending points, without those that are hardly beyond the one before."""
    kept = [points[0]]
    for point in points[1:]:
        if point - kept[-1] >= _LEAST_APART:
            kept.append(point)
    return np.array(kept)


def apply(calibration: Calibration | None, task: Task, scores: Floats) -> Floats:
    """Calibrated scores of the same shape: what the graph's nodes compute."""
    if calibration is None:
        return scores
    if calibration.method == "isotonic":
        return np.interp(task_of(task).to_raw(scores), calibration.x, calibration.y)
    return task_of(task).to_scores(
        task_of(task).to_raw(scores) * calibration.slope + calibration.intercept
    )


def losses(y: Floats, scores: Floats) -> Floats:
    """Each row's log loss `(N,)`."""
    inside = np.clip(scores.astype(np.float64), _STEP, 1 - _STEP)
    if scores.ndim == 1:
        return -np.where(y > 0, np.log(inside), np.log1p(-inside))
    return np.asarray(-np.log(inside[np.arange(len(y)), y.astype(np.int64)]))


def nodes(graph: Graph, raw: str, calibration: Calibration) -> str:
    """Raw scores (float64) stretched by a sigmoid calibration; by an isotonic one, probabilities already."""
    if calibration.method == "isotonic":
        return _straight_lines(graph, raw, np.array(calibration.x), np.array(calibration.y))
    scaled = graph.node("Mul", raw, graph.constant(calibration.slope, np.float64))
    if not calibration.intercept:
        return scaled
    return graph.node("Add", scaled, graph.constant(calibration.intercept, np.float64))


def _straight_lines(graph: Graph, raw: str, x: Floats, y: Floats) -> str:
    """The sum of one ramp for each segment."""
    start, length, rise = (
        (x[:-1], np.diff(x), np.diff(y)) if len(x) > 1 else (x, np.ones(1), np.zeros(1))
    )
    along = graph.node(
        "Div", graph.node("Sub", raw, graph.constant([start])), graph.constant([length])
    )
    zero, one = graph.constant(0.0, np.float64), graph.constant(1.0, np.float64)
    climbed = graph.node("Min", graph.node("Max", along, zero), one)
    total = graph.node("MatMul", climbed, graph.constant(rise[:, None]))
    return graph.node("Add", total, graph.constant(y[0]))
