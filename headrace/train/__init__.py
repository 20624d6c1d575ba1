"""Find the model on rows that it was not fitted on, then fit it on all but the test rows.

select_model   search ─▶ trials ─▶ ensemble ─▶ calibration ─▶ Choice
refit          the members of the choice, on train and validation rows ─▶ Model
"""

from headrace.train.refit import TOLERANCE, Model, predict_baseline, refit, resolve_spec
from headrace.train.rows import TrainingData
from headrace.train.select import Choice, TrialRecord, select_model
from headrace.train.subsample import Subsample, subsample
from headrace.train.trial_cache import Memo

__all__ = [
    "TOLERANCE",
    "Choice",
    "Memo",
    "Model",
    "Subsample",
    "TrainingData",
    "TrialRecord",
    "predict_baseline",
    "refit",
    "resolve_spec",
    "select_model",
    "subsample",
]
