"""Calibration: scores that come true, fitted on other rows than the model, applied in the graph.

Sigmoid: Platt (1999), on log odds; for several classes one temperature (Guo et al., 2017).
Isotonic: Zadrozny and Elkan (2002), with straight lines over the log odds between the steps.
"""

import numpy as np

from headrace import openmp
from headrace.arrays import Floats
from headrace.features import Graph
from headrace.spec import Calibration, Task
from headrace.tasks import find_task

_EDGE = float(np.finfo(np.float32).eps)
"""The least distance of a score from 0 and 1 in a loss: one sure mistake must not decide alone."""
_MOST_POINTS = 64
_LEAST_APART = 0.05
"""Between points whose log odds are nearer, the last digit of a score would decide."""


def fit(
    method: str, task: Task, y: Floats, scores: Floats, weight: Floats | None = None
) -> Calibration:
    """Fit a calibration to scores.

    Parameters: `y (N,)`; `scores (N,)` of the positive class, or `(N, K)` of each class, for which
    there is only `sigmoid`; `weight (N,)`, how much each row counts.
    """
    if method == "isotonic":
        return _fit_isotonic(y, scores, weight)
    return _fit_sigmoid(task, y, scores, weight)


def _fit_sigmoid(task: Task, y: Floats, scores: Floats, weight: Floats | None) -> Calibration:
    """Find the slope, and in a binary task the intercept, with the smallest mean log loss."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    has_intercept = not find_task(task).SCORE_EACH_CLASS
    raw = find_task(task).to_raw(scores)
    targets = _soften_targets(y, 2 if scores.ndim == 1 else scores.shape[1])

    def mean_loss(parameters: Floats) -> float:
        """Compute the mean log loss of scores that a slope and an intercept have changed."""
        intercept = parameters[1] if has_intercept else 0.0
        each_class = raw * parameters[0] + intercept
        if each_class.ndim == 1:
            # Log odds are the score of the positive class where the other one has 0.
            each_class = np.column_stack([np.zeros(len(y)), each_class])
        losses = -(targets * log_softmax(each_class, axis=1)).sum(axis=1)
        return float(np.average(losses, weights=weight))

    start = [1.0, 0.0] if has_intercept else [1.0]
    options = {"xatol": 1e-4, "fatol": 1e-9}
    best = minimize(mean_loss, start, method="Nelder-Mead", options=options).x
    return Calibration(
        method="sigmoid",
        slope=float(max(best[0], 1e-3)),
        intercept=float(best[1]) if has_intercept else 0.0,
    )


def _soften_targets(y: Floats, classes: int) -> Floats:
    """Return the score that each class should have in each row `(N, K)`, not quite 0 or 1.

    It is as far off as the number of rows can tell (Platt, 1999). Otherwise scores that separate
    the classes would be stretched without end, and their last digits with them.

    >>> _soften_targets(np.array([0.0, 1.0, 1.0]), 2).tolist()
    [[0.6666666666666666, 0.3333333333333333], [0.25, 0.75], [0.25, 0.75]]
    """
    class_of_row = y.astype(np.int64)
    counts = np.bincount(class_of_row, minlength=classes)[class_of_row][:, None]
    sure: Floats = np.eye(classes)[class_of_row]
    return (counts * sure + 1) / (counts + classes)


def _fit_isotonic(y: Floats, scores: Floats, weight: Floats | None) -> Calibration:
    """Find a step function that rises with the log odds, and keep some points of it."""
    isotonic = openmp.load("sklearn.isotonic")

    raw = find_task("binary").to_raw(scores)
    model = isotonic.IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(raw, y, sample_weight=weight)

    x = _drop_near(np.unique(np.quantile(raw, np.linspace(0, 1, _MOST_POINTS))))
    # A sure 0 or 1 would make one surprise infinitely costly: the ends stay as far off as the rows
    # can tell.
    steps = np.clip(model.predict(x), 0.5 / len(y), 1 - 0.5 / len(y))
    return Calibration(method="isotonic", x=x.tolist(), y=steps.tolist())


def _drop_near(points: Floats) -> Floats:
    """Drop from ascending points those that are hardly beyond the last one that stays.

    >>> _drop_near(np.array([0.0, 0.04, 0.08, 1.0])).tolist()
    [0.0, 0.08, 1.0]
    """
    distant = [points[0]]
    for point in points[1:]:
        if point - distant[-1] >= _LEAST_APART:
            distant.append(point)
    return np.array(distant)


def apply(calibration: Calibration | None, task: Task, scores: Floats) -> Floats:
    """Calibrate scores as the graph's nodes do; return an array of the same shape.

    >>> calibration = Calibration(method="isotonic", x=[0.0, 1.0], y=[0.2, 0.6])
    >>> apply(calibration, "binary", np.array([0.5, 0.99])).tolist()
    [0.2, 0.6]
    """
    if calibration is None:
        return scores
    raw = find_task(task).to_raw(scores)
    if calibration.method == "isotonic":
        return np.interp(raw, calibration.x, calibration.y)
    return find_task(task).to_scores(raw * calibration.slope + calibration.intercept)


def losses(y: Floats, scores: Floats) -> Floats:
    """Compute the log loss of each row `(N,)`.

    >>> losses(np.array([1.0, 0.0]), np.array([0.5, 0.5])).round(3).tolist()
    [0.693, 0.693]
    """
    inside = np.clip(scores.astype(np.float64), _EDGE, 1 - _EDGE)
    if scores.ndim == 1:
        return -np.where(y > 0, np.log(inside), np.log1p(-inside))
    return np.asarray(-np.log(inside[np.arange(len(y)), y.astype(np.int64)]))


def nodes(graph: Graph, raw: str, calibration: Calibration) -> str:
    """Add nodes that calibrate raw scores (float64); return their tensor.

    A sigmoid calibration gives raw scores again, an isotonic one probabilities.
    """
    if calibration.method == "isotonic":
        return _add_ramps(graph, raw, np.array(calibration.x), np.array(calibration.y))
    scaled = graph.node("Mul", raw, graph.constant(calibration.slope, np.float64))
    if not calibration.intercept:
        return scaled
    return graph.node("Add", scaled, graph.constant(calibration.intercept, np.float64))


def _add_ramps(graph: Graph, raw: str, x: Floats, y: Floats) -> str:
    """Add nodes for straight lines through points: the sum of a ramp for each two neighbours.

    Through (-2, 0.05), (0, 0.4) and (1, 0.9):

        0.9                           .---------
                                    .'           ramp 2 rises by 0.5 from 0 to 1
        0.4                      .-'
                           . - '                 ramp 1 rises by 0.35 from -2 to 0
        0.05  ---------- '
                        -2       0    1          raw score
    """
    start = x
    length = np.ones(1)
    rise = np.zeros(1)
    if len(x) > 1:
        start = x[:-1]
        length = np.diff(x)
        rise = np.diff(y)

    distance = graph.node("Sub", raw, graph.constant([start]))
    along = graph.node("Div", distance, graph.constant([length]))
    zero = graph.constant(0.0, np.float64)
    one = graph.constant(1.0, np.float64)
    climbed = graph.node("Min", graph.node("Max", along, zero), one)
    total = graph.node("MatMul", climbed, graph.constant(rise[:, None]))
    return graph.node("Add", total, graph.constant(y[0]))
