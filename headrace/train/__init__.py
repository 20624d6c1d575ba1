"""Finding the model on rows that none was fitted on, then fitting it on all but the test rows."""

from headrace.train.refit import TOLERANCE, Refitted, baseline_scores, refit, resolved_spec
from headrace.train.rows import Rows
from headrace.train.select import Choice, Tried, choose
from headrace.train.trial_cache import Keep

__all__ = [
    "TOLERANCE",
    "Choice",
    "Keep",
    "Refitted",
    "Rows",
    "Tried",
    "baseline_scores",
    "choose",
    "refit",
    "resolved_spec",
]
