"""The first spec of a system: what the data suggests, written with its reasons."""

import json
import re
from pathlib import PurePath
from typing import Any

import polars as pl
from msgspec import Struct

from millrace.errors import InputError, nearest
from millrace.spec.infer import (
    SMALLER_IS_BETTER,
    infer_goal,
    infer_group,
    infer_id,
    infer_kind,
    infer_split,
    infer_time,
)
from millrace.spec.system import Data, Goal, Split


class Answers(Struct, frozen=True, kw_only=True):
    """What a person has said already; what is left out is inferred."""

    target: str
    id: str | None = None
    time: str | None = None
    group: str | None = None
    name: str | None = None
    holdout: str | None = None
    query: str | None = None


def draft(frame: pl.DataFrame, source: str, answers: Answers) -> str:
    """Writes a commented `system.yaml` for a table.

    Parameters: `frame`, the table; `source`, its path as the spec shall name it; `answers`, what is already
    known. Returns YAML text in which every inferred field has its reason beside it. Raises `InputError` for
    a column that the table does not have.
    """
    for role, column in (
        ("target", answers.target),
        ("id", answers.id),
        ("time", answers.time),
        ("group", answers.group),
    ):
        if column is not None and column not in frame.columns:
            raise InputError(
                f"--{role}",
                f"no column {column!r}",
                "one of: " + ", ".join(frame.columns),
                nearest(column, frame.columns),
            )
    goal, why = infer_goal(Goal(target=answers.target), frame[answers.target])
    assert goal.task is not None
    rest = frame.drop(answers.target)
    roles = {
        "id": (answers.id, "as you said") if answers.id else infer_id(rest),
        "time": (answers.time, "as you said") if answers.time else infer_time(rest),
        "group": (answers.group, "as you said") if answers.group else infer_group(rest),
    }
    data = Data(source=source, id=roles["id"][0], time=roles["time"][0], group=roles["group"][0])
    split, split_why = infer_split(Split(), data, goal.task)
    why |= split_why
    lines = [
        f"name: {answers.name or _name_from(source)}",
        "goal:",
        f"  target: {_yaml(goal.target)}",
        _line("  task", goal.task, why["goal.task"]),
    ]
    if goal.task == "binary":
        lines.append(_line("  positive", goal.positive, why["goal.positive"]))
    lines += [_line("  metric", goal.metric, why["goal.metric"]), "data:", f"  source: {_yaml(source)}"]
    if answers.query:
        lines.append(f"  query: {_yaml(answers.query)}")
    if answers.holdout:
        lines.append(_line("  holdout", answers.holdout, "a table of its own that serves as the test split"))
    lines += [_line(f"  {role}", column, reason) for role, (column, reason) in roles.items()]
    lines += [
        "features:",
        "  columns:  # how each column enters the model; delete a line to have it inferred at each run",
    ]
    named = {answers.target, data.id, data.time, data.group}
    for column in frame.columns:
        if column not in named:
            kind, reason = infer_kind(frame[column])
            lines.append(f"    {_yaml(column)}: {{kind: {kind}}}  # {reason}")
    if lines[-1].startswith("  columns:"):
        lines[-2:] = []
    better = "<" if goal.metric in SMALLER_IS_BETTER else ">"
    test = "unused: data.holdout is the test split" if answers.holdout else "judged once, never trained on"
    lines += [
        "split:",
        _line("  by", split.by, why.get("split.by", "")),
        _line("  validation", split.validation, "chooses between candidates"),
        _line("  test", split.test, test),
        "models:",
        "  candidates: [linear, gbdt]  # beside the baseline, which always runs",
        "  search: {trials: 20, seconds: 60}  # ends with the first of the two",
        f"gates: [{_yaml(f'test.{goal.metric} {better} baseline')}]  # what must hold before it goes live",
        "seed: 7",
    ]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any, reason: str) -> str:
    return f"{key}: {_yaml(value)}" + (f"  # {reason}" if reason else "")


_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_./-]*$")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def _yaml(value: Any) -> str:
    """A scalar as YAML; JSON's quoting is YAML's where a bare word would be read as something else."""
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _name_from(source: str) -> str:
    """A system name from a file name: letters, digits, dashes."""
    stem = PurePath(source).name.split(".")[0]
    name = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower()[:60]
    return name if name[:1].isalpha() else f"table-{name}".rstrip("-")
