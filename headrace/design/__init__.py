"""The first spec of a system: inferred from a table, settled by an interview, then written."""

from headrace.design.commented import render_spec
from headrace.design.infer import infer_candidates, infer_goal, infer_kind, infer_split
from headrace.design.init import hand_over
from headrace.design.interview import derive_name, interview
from headrace.design.questions import Answers, Ask, Question

__all__ = [
    "Answers",
    "Ask",
    "Question",
    "derive_name",
    "hand_over",
    "infer_candidates",
    "infer_goal",
    "infer_kind",
    "infer_split",
    "interview",
    "render_spec",
]
