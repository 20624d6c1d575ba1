"""Arrays in, numbers out: how good predictions are."""

from millrace.evaluate.bootstrap import intervals, paired_interval
from millrace.evaluate.curves import curves
from millrace.evaluate.judge import Judge, judge_of
from millrace.evaluate.metrics import Measured, better, cost, higher_is_better, metrics
from millrace.evaluate.thresholds import pick_threshold, trade_off

__all__ = [
    "Judge",
    "Measured",
    "better",
    "cost",
    "curves",
    "higher_is_better",
    "intervals",
    "judge_of",
    "metrics",
    "paired_interval",
    "pick_threshold",
    "trade_off",
]
