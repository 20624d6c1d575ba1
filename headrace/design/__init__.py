"""The first spec of a system: what a table suggests, what a person answers, what is written."""

from headrace.design.commented import render_spec
from headrace.design.infer import infer_candidates, infer_goal, infer_kind, infer_split
from headrace.design.interview import interview
from headrace.design.questions import NONE, Answers, Ask, Question

__all__ = [
    "NONE",
    "Answers",
    "Ask",
    "Question",
    "infer_candidates",
    "infer_goal",
    "infer_kind",
    "infer_split",
    "interview",
    "render_spec",
]
