"""Whether to calibrate scores: only where rows that the calibration was not fitted on agree.

Five folds of the scored rows, one method:

    fold          0          1          2          3          4
    1st fit   ┌ predict    fit        fit        fit        fit
    2nd fit   │ fit        predict    fit        fit        fit
       …      │
    after     └▶ losses of every row, calibrated without it
    before       losses of the scores as they are
    gain         mean(before - after), less 1.96 standard errors: above 0 is certain enough
"""

import numpy as np

from headrace.arrays import Floats
from headrace.models import calibrate
from headrace.spec import Calibration, Task
from headrace.tasks import find_task

_FOLDS = 5
_LEAST_ROWS = 200
_Z = 1.96


def choose_calibration(
    task: Task, y: Floats, scores: Floats, weight: Floats | None, seed: int
) -> tuple[Calibration | None, str]:
    """Choose the calibration that certainly improves the out-of-fold log loss, and say why.

    Parameters: `y (N,)` and `scores (N,)` or `(N, K)`, both of rows that no model was fitted on;
    `weight (N,)`. The better of sigmoid and isotonic (binary alone) is taken where the paired 95 %
    interval of the rows' losses lies on its side. Returns None with a reason where none is.
    """
    methods = find_task(task).CALIBRATIONS
    if not methods:
        return None, "no probabilities"
    if len(y) < _LEAST_ROWS:
        return None, f"fewer than {_LEAST_ROWS} rows to fit one on"

    share = np.ones(len(y)) if weight is None else weight / weight.mean()
    fold_of_row = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    before = share * calibrate.losses(y, scores)
    gains: dict[str, tuple[float, float]] = {}
    for method in methods:
        after = np.empty(len(y))
        for fold in range(_FOLDS):
            fit = fold_of_row != fold
            holdout = fold_of_row == fold
            fit_weight = None if weight is None else weight[fit]
            fitted = calibrate.fit(method, task, y[fit], scores[fit], fit_weight)
            calibrated = calibrate.apply(fitted, task, scores[holdout])
            after[holdout] = share[holdout] * calibrate.losses(y[holdout], calibrated)
        # Both losses of a row are compared, so what makes a row hard cancels.
        gain = before - after
        least = gain.mean() - _Z * gain.std() / len(y) ** 0.5
        gains[method] = float(gain.mean()), float(least)

    best = max(gains, key=lambda method: gains[method][0])
    mean, least = gains[best]
    if not least > 0:
        change = f"improve by {mean:.2g}" if mean > 0 else f"worsen by {-mean:.2g}"
        doubt = ", which is not certain" if mean > 0 else ""
        return None, f"the out-of-fold log loss would {change}{doubt}"
    why = f"it improves the out-of-fold log loss by {mean:.2g} (at least {least:.1g})"
    # The folds only decided: what ships is fitted on all rows.
    return calibrate.fit(best, task, y, scores, weight), why
