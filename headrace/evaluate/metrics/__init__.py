"""The metrics, one file each, whose `FORMULA` computes the metric.

A new metric is a new file here and a row in `spec.METRICS` under the same name.

>>> type(FORMULAS["log_loss"]).__name__, type(FORMULAS["roc_auc"]).__name__
('Sums', 'Ranked')
"""

from importlib import import_module

from headrace.evaluate.formulas import Ranked, Sums
from headrace.spec import METRICS

FORMULAS: dict[str, Sums | Ranked] = {
    name: import_module(f"{__name__}.{name}").FORMULA for name in METRICS
}
