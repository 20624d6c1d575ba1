"""What a design review asks of a new system: answered by a flag, by a person, or by what the data suggests."""

import math
import re
from pathlib import PurePath
from typing import Any, get_args

import polars as pl
import polars.selectors as cs

from headrace.design.commented import FieldValues
from headrace.design.infer import (
    infer_goal,
    infer_group,
    infer_id,
    infer_kind,
    infer_sensitive,
    infer_split,
    infer_target,
    infer_time,
)
from headrace.design.questions import (
    NONE,
    Answers,
    Ask,
    Review,
    column,
    columns,
    costs,
    duration,
    listed,
    number,
    one_of,
    or_none,
    system_name,
    times,
)
from headrace.errors import InputError
from headrace.spec.data import Data
from headrace.spec.decode import split_read_flags
from headrace.spec.goal import Goal
from headrace.spec.metrics import Task, is_lower_better, task_metrics
from headrace.spec.split import SplitSpec
from headrace.tasks import task_of


def interview(
    frame: pl.DataFrame, source: str, answers: Answers, ask: Ask | None = None
) -> FieldValues:
    """Settles what a first spec says.

    Parameters: `frame`, the table; `source`, its path as the spec shall name it; `answers`, what is
    known already; `ask`, how the rest is asked (none: what the data suggests is taken). Returns
    every value with its reason. Raises `InputError` for an answer of `answers` that cannot be, such
    as a column that the table does not have.
    """
    if answers.target is None and ask is None:
        raise InputError(
            "--target", "not given", "the column to predict, one of: " + ", ".join(frame.columns)
        )
    settle = Review(answers, ask)
    settle.say("name", system_name(answers.name, "name") if answers.name else _name_from(source))
    goal = _goal(frame, settle)
    data = _data(frame, source, settle)
    prediction = settle(
        "prediction", "requirements.prediction", "Is it asked online, row by row, or in batch, a table at a time?",
        "online", "unless you say otherwise", one_of("online", "batch"), optional=True,
    )  # fmt: skip
    batch = "" if prediction == "online" else "rows come in tables"
    settle(
        "latency_ms", "requirements.latency_p99_ms", "Within how many milliseconds must 99 of 100 rows be answered?",
        None, "no bound", or_none(number), optional=True, unless=batch if settle.answers.latency_ms is None else "",
    )  # fmt: skip
    settle(
        "throughput", "requirements.throughput_rps", "How many predictions a second at the peak?",
        None, "no bound", or_none(number), optional=True,
    )  # fmt: skip
    plain = frame.select(~(cs.nested() | cs.by_name(goal.target)))
    sensitive, why = infer_sensitive(plain)
    settle(
        "sensitive", "evaluate.fairness.attributes", "Which columns name groups that it must not treat worse?",
        sensitive, why, or_none(columns(plain), []), optional=not sensitive,
    )  # fmt: skip
    if frame.width > 1:
        about = "how each column enters the model; delete a line to have it inferred at each run"
        settle.say("features.columns", {}, about)
    for name in frame.columns:
        if name not in (goal.target, data.id, data.group, *data.times[:1]):
            kind, why = infer_kind(frame[name])
            settle.said["features", "columns", name] = {"kind": kind}, why
    _rest(frame, goal, data, settle)
    return settle.said


def _goal(frame: pl.DataFrame, settle: Review) -> Goal:
    def with_values(**fields: Any) -> Goal:
        """The goal with its blanks filled in; the target's values say whether it can be so."""
        return infer_goal(Goal(**fields), frame[fields["target"]])[0]

    target = settle(
        "target", "goal.target", "Which column shall be predicted?", *infer_target(frame),
        lambda text, flag: with_values(target=column(frame)(text, flag)).target, known=frame.columns,
    )  # fmt: skip
    first, why = infer_goal(Goal(target=target), frame[target])
    tasks = list(get_args(Task))
    task = settle(
        "task", "goal.task", "What kind of answer is it?", first.task, why["goal.task"],
        lambda text, flag: with_values(target=target, task=one_of(*tasks)(text, flag)).task, known=tasks,
    )  # fmt: skip
    goal, why = infer_goal(Goal(target=target, task=task), frame[target])
    without_event = "" if task_of(task).HAS_EVENT else f"task {task} has no event"
    positive = settle(
        "positive", "goal.positive", "Which value is the event?", goal.positive, why.get("goal.positive", ""),
        lambda text, flag: with_values(target=target, task=task, positive=text).positive,
        optional=bool(without_event), unless=without_event,
    )  # fmt: skip
    goal, why = infer_goal(Goal(target=target, task=task, positive=positive), frame[target])
    metrics = task_metrics(task)
    metric = settle(
        "metric", "goal.metric", "Which number decides between models?", goal.metric, why["goal.metric"],
        one_of(*metrics), known=list(metrics),
    )  # fmt: skip
    secondary = settle(
        "secondary", "goal.secondary", "Which others must not get worse?", [], "none is watched",
        or_none(listed(one_of(*metrics)), []), optional=True, known=[name for name in metrics if name != metric],
    )  # fmt: skip
    settle(
        "costs", "goal.decision", "What does a false alarm cost, and what a miss (such as 1:5)?", None,
        "probabilities alone, no decision", or_none(costs), optional=True, unless=without_event,
    )  # fmt: skip
    return Goal(
        target=target, task=task, positive=goal.positive, metric=metric, secondary=secondary
    )


def _data(frame: pl.DataFrame, source: str, settle: Review) -> Data:
    answers, rest = settle.answers, frame.select(~cs.by_name(settle.said["goal", "target"][0]))
    settle.say("data.source", source)
    if answers.query:
        settle.say("data.query", answers.query)
    if answers.read:
        settle.say("data.read", split_read_flags(answers.read), "as you said")
    if answers.holdout not in (None, NONE):
        settle.say(
            "data.holdout", answers.holdout, "a table of its own that serves as the test split"
        )
    named = or_none(column(rest))
    name = settle("id", "data.id", "Which column names each row?", *infer_id(rest), named)
    time = settle(
        "time",
        "data.time",
        "Which column says when a row was?",
        *infer_time(rest),
        or_none(times(rest)),
    )
    group = settle(
        "group",
        "data.group",
        "Whose rows must stay on one side of a split?",
        *infer_group(rest),
        named,
    )
    undated = "no column says when a row was" if time is None else ""
    if isinstance(time, str) and not rest[time].dtype.is_temporal():
        undated = f"{time!r} holds whole numbers, not times"
    settle(
        "label_delay", "goal.label_delay", "How long after its row is an outcome known (such as 7d)?", None, "at once",
        or_none(duration), optional=True, unless=undated,
    )  # fmt: skip
    return Data(source=source, id=name, time=time, group=group)


def _rest(frame: pl.DataFrame, goal: Goal, data: Data, settle: Review) -> None:
    """What nobody needs to be asked: split, models, gates, seed."""
    delay = settle.said.get(("goal", "label_delay"), (None, ""))[0]
    delayed = Goal(target=goal.target, task=goal.task, label_delay=delay)
    split, why = infer_split(SplitSpec(), data, delayed)
    settle.say("split.by", split.by, why["split.by"])
    if "split.gap" in why:
        settle.say("split.gap", split.gap, why["split.gap"])
    settle.say("split.validation", split.validation, "chooses between candidates")
    held = (
        "unused: data.holdout is the test split"
        if ("data", "holdout") in settle.said
        else "judged once, never trained on"
    )
    settle.say("split.test", split.test, held)
    settle.say("models.candidates", ["linear", "gbdt"], "beside the baseline, which always runs")
    settle.say("models.search", {"trials": 20, "seconds": 60}, "ends with the first of the two")
    metric = goal.metric or ""
    gates, margins = [f"test.{metric} {'<' if is_lower_better(metric) else '>'} baseline"], []
    for name in [metric, *goal.secondary]:
        better = "<=" if is_lower_better(name) else ">="
        margin, reason = _margin(name, goal, frame.get_column(goal.target))
        gates.append(f"test.{name} {better} champion ± {margin:g}")
        margins.append(reason)
    about = f"what must hold before it goes live; the margin is {margins[0]}, below which nobody would notice"
    settle.say("gates", gates, about)
    settle.say("seed", 7)


def _margin(metric: str, goal: Goal, target: pl.Series) -> tuple[float, str]:
    """How much of a metric may be lost, and why so much: what is small beside the metric's own scale here."""
    if metric in ("rmse", "mae", "pinball_10", "pinball_90"):
        return _round(0.01 * float(str(target.std()))), "1 % of the target's standard deviation"
    counts = target.drop_nulls().alias("value").value_counts(name="rows")
    shares = (counts["rows"] / counts["rows"].sum()).to_list()
    if metric == "log_loss":
        return _round(
            -0.01 * sum(share * math.log(share) for share in shares)
        ), "1 % of the baseline's log loss"
    if metric == "brier":
        return _round(0.01 * shares[0] * (1 - shares[0])), "1 % of the baseline's Brier score"
    if metric == "average_precision":
        share = next(
            one
            for one, value in zip(shares, counts["value"], strict=True)
            if value == goal.positive
        )
        return _round(min(0.01, share / 10)), "a tenth of what chance gives, at most 0.01"
    return (
        (0.005, "half a hundredth of ROC AUC")
        if metric == "roc_auc"
        else (0.01, f"a hundredth of {metric}")
    )


def _round(margin: float) -> float:
    """To one digit, as a person would state it."""
    return float(f"{margin:.1g}")


def _name_from(source: str) -> str:
    """A system name from a file name: letters, digits, dashes."""
    stem = PurePath(source).name.split(".")[0]
    name = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower()[:60]
    return name if name[:1].isalpha() else f"table-{name}".rstrip("-")
