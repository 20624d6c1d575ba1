"""The metrics, one file each: `FORMULA` computes it.

`spec.METRICS` has a row for each, by the name of its file.
"""

from importlib import import_module

from headrace.evaluate.formulas import Ranked, Sums
from headrace.spec import METRICS

FORMULAS: dict[str, Sums | Ranked] = {
    name: import_module(f"{__name__}.{name}").FORMULA for name in METRICS
}
