"""Choosing between families on rows that none was fitted on, then fitting the winner on all but the test."""

from millrace.train.choose import Candidate, Choice, choose
from millrace.train.refit import Refitted, baseline_scores, refit, resolved_spec
from millrace.train.rows import Rows

__all__ = ["Candidate", "Choice", "Refitted", "Rows", "baseline_scores", "choose", "refit", "resolved_spec"]
