"""Whether scores should be calibrated: only where rows that the calibration was not fitted on say so."""

import numpy as np

from headrace.arrays import Floats
from headrace.models import calibrate
from headrace.spec import Calibration, Task
from headrace.tasks import task_of

_FOLDS = 5
_LEAST_ROWS = 200
_Z = 1.96


def choose_calibration(
    task: Task, y: Floats, scores: Floats, weight: Floats | None, seed: int
) -> tuple[Calibration | None, str]:
    """The calibration whose out-of-fold log loss is better than that of the scores for certain, and
    why.

    Parameters: `y (N,)` and `scores (N,)` or `(N, K)`, both of rows that no model was fitted on.
    The better of sigmoid and isotonic (binary alone) is taken where the paired 95 % interval of the
    rows' losses lies on its side.
    """
    methods = task_of(task).CALIBRATIONS
    if not methods:
        return None, "no probabilities"
    if len(y) < _LEAST_ROWS:
        return None, f"fewer than {_LEAST_ROWS} rows to fit one on"
    share = np.ones(len(y)) if weight is None else weight / weight.mean()
    dealt = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    before = share * calibrate.losses(y, scores)
    found: dict[str, tuple[float, float]] = {}
    for method in methods:
        after = np.empty(len(y))
        for fold in range(_FOLDS):
            fit, held = dealt != fold, dealt == fold
            one = calibrate.fit(
                method, task, y[fit], scores[fit], None if weight is None else weight[fit]
            )
            after[held] = share[held] * calibrate.losses(
                y[held], calibrate.apply(one, task, scores[held])
            )
        gain = before - after
        found[method] = float(gain.mean()), float(gain.mean() - _Z * gain.std() / len(y) ** 0.5)
    best = max(found, key=lambda method: found[method][0])
    gain, least = found[best]
    if not least > 0:
        return None, f"the out-of-fold log loss would improve by {gain:.2g}, which is not certain"
    why = f"it improves the out-of-fold log loss by {gain:.2g} (at least {least:.1g})"
    return calibrate.fit(best, task, y, scores, weight), why
