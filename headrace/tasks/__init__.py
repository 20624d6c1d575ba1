"""What each task means, one file each: its target, its scores, its part of the graph, its numbers.

Rooms ask the task in the place of comparing its name: a new task is one file and one line in
`registry.py`.
"""

from headrace.tasks.registry import TASKS, TaskKind, task_of

__all__ = ["TASKS", "TaskKind", "task_of"]
