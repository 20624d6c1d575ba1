"""What is wanted: the `System` tree, its strict decoding, and what can be inferred from the data."""

from millrace.spec.infer import infer_goal, infer_kind, infer_split
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
    "infer_goal",
    "infer_kind",
    "infer_split",
    "load",
    "rooted",
    "schema",
    "spec_hash",
    "with_changes",
]
