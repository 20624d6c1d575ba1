"""What is wanted: the `System` tree, its strict decoding, and what can be inferred from the data."""

from millrace.spec.duration import duration_us
from millrace.spec.infer import METRICS, infer_goal, infer_kind, infer_split, label_text
from millrace.spec.interview import Answers, draft
from millrace.spec.load import dump, load, rooted, schema, spec_hash, with_changes
from millrace.spec.system import (
    ColumnSpec,
    Data,
    EventTable,
    Features,
    Goal,
    Kind,
    Models,
    Read,
    Requirements,
    Split,
    System,
    Task,
    Window,
)

__all__ = [
    "METRICS",
    "Answers",
    "ColumnSpec",
    "Data",
    "EventTable",
    "Features",
    "Goal",
    "Kind",
    "Models",
    "Read",
    "Requirements",
    "Split",
    "System",
    "Task",
    "Window",
    "draft",
    "dump",
    "duration_us",
    "infer_goal",
    "infer_kind",
    "infer_split",
    "label_text",
    "load",
    "rooted",
    "schema",
    "spec_hash",
    "with_changes",
]
