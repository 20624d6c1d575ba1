"""The meaning of each task, one file each: its target, its scores, its nodes, its numbers.

Other rooms ask the task, and never compare its name. So a new task is one file, and one line in
`registry.py`.
"""

from headrace.tasks.registry import TaskKind, find_task
from headrace.tasks.truth import Grading, Queries, Truth

__all__ = ["Grading", "Queries", "TaskKind", "Truth", "find_task"]
