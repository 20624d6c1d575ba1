"""Choosing between families on rows that none was fitted on, then fitting the winner on all but the test."""

from millrace.train.choose import Candidate, Choice, choose
from millrace.train.refit import Refitted, refit
from millrace.train.rows import Rows

__all__ = ["Candidate", "Choice", "Refitted", "Rows", "choose", "refit"]
