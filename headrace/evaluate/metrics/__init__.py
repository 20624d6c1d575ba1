"""The metrics, one file each: `FORMULA` over all rows, `of_queries` query by query.

A new metric is a new file here and a row in `spec.METRICS` under the same name.

>>> type(FORMULAS["log_loss"]).__name__, type(FORMULAS["roc_auc"]).__name__
('Sums', 'Ranked')
>>> sorted(LIST_FORMULAS)
['hit_rate', 'map', 'mrr', 'ndcg', 'precision', 'recall']
"""

from importlib import import_module

from headrace.evaluate.formulas import ListFormula, Ranked, Sums
from headrace.spec import METRICS

_FILES = {name: import_module(f"{__name__}.{name}") for name in METRICS}

FORMULAS: dict[str, Sums | Ranked] = {
    name: file.FORMULA for name, file in _FILES.items() if hasattr(file, "FORMULA")
}
LIST_FORMULAS: dict[str, ListFormula] = {
    name: file.of_queries for name, file in _FILES.items() if hasattr(file, "of_queries")
}
