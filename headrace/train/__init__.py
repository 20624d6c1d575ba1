"""Finding the model on rows that none was fitted on, then fitting it on all but the test rows."""

from headrace.train.refit import TOLERANCE, Model, baseline_scores, refit, resolved_spec
from headrace.train.rows import TrainingData
from headrace.train.select import Choice, TrialRecord, select_model
from headrace.train.trial_cache import Memo

__all__ = [
    "TOLERANCE",
    "Choice",
    "Memo",
    "Model",
    "TrainingData",
    "TrialRecord",
    "baseline_scores",
    "refit",
    "resolved_spec",
    "select_model",
]
