"""Arrays in, numbers out: how good predictions are."""

from millrace.evaluate.curves import curves
from millrace.evaluate.metrics import better, higher_is_better, judge_of, metrics

__all__ = ["better", "curves", "higher_is_better", "judge_of", "metrics"]
