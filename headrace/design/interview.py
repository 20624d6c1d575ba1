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
    Field,
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
    review = Review(answers, ask)
    name = system_name(answers.name, "name") if answers.name else _name_from(source)
    review.record("name", name)
    goal = _goal(frame, review)
    data = _data(frame, source, review)
    _requirements(review)

    plain = frame.select(~(cs.nested() | cs.by_name(goal.target)))
    sensitive, why = infer_sensitive(plain)
    parse = or_none(columns(plain), [])
    review.settle(
        Field("sensitive", "evaluate.fairness.attributes", parse, optional=not sensitive),
        "Which columns name groups that it must not treat worse?",
        sensitive,
        why,
    )

    if frame.width > 1:
        about = "how each column enters the model; delete a line to have it inferred at each run"
        review.record("features.columns", {}, about)
    for name in frame.columns:
        if name not in (goal.target, data.id, data.group, *data.times[:1]):
            kind, why = infer_kind(frame[name])
            review.settled["features", "columns", name] = {"kind": kind}, why
    _rest(frame, goal, data, review)
    return review.settled


def _requirements(review: Review) -> None:
    """Settles how the model is asked: online or in batch, how fast, how many rows a second."""
    prediction = review.settle(
        Field(
            "prediction",
            "requirements.prediction",
            one_of("online", "batch"),
            optional=True,
        ),
        "Is it asked online, row by row, or in batch, a table at a time?",
        "online",
        "unless you say otherwise",
    )
    in_batch = prediction != "online" and review.answers.latency_ms is None
    review.settle(
        Field(
            "latency_ms",
            "requirements.latency_p99_ms",
            or_none(number),
            optional=True,
            unless="rows come in tables" if in_batch else "",
        ),
        "Within how many milliseconds must 99 of 100 rows be answered?",
        None,
        "no bound",
    )
    review.settle(
        Field("throughput", "requirements.throughput_rps", or_none(number), optional=True),
        "How many predictions a second at the peak?",
        None,
        "no bound",
    )


def _goal(frame: pl.DataFrame, review: Review) -> Goal:
    def complete(**fields: Any) -> Goal:
        """Fills the blanks of a goal; raises `InputError` where the target's values forbid it."""
        return infer_goal(Goal(**fields), frame[fields["target"]])[0]

    def parse_target(text: str, flag: str) -> Any:
        return complete(target=column(frame)(text, flag)).target

    target = review.settle(
        Field("target", "goal.target", parse_target, known=frame.columns),
        "Which column shall be predicted?",
        *infer_target(frame),
    )

    first, why = infer_goal(Goal(target=target), frame[target])
    tasks = list(get_args(Task))

    def parse_task(text: str, flag: str) -> Any:
        return complete(target=target, task=one_of(*tasks)(text, flag)).task

    task = review.settle(
        Field("task", "goal.task", parse_task, known=tasks),
        "What kind of answer is it?",
        first.task,
        why["goal.task"],
    )

    goal, why = infer_goal(Goal(target=target, task=task), frame[target])
    without_event = "" if task_of(task).HAS_EVENT else f"task {task} has no event"

    def parse_positive(text: str, flag: str) -> Any:
        return complete(target=target, task=task, positive=text).positive

    positive = review.settle(
        Field(
            "positive",
            "goal.positive",
            parse_positive,
            optional=bool(without_event),
            unless=without_event,
        ),
        "Which value is the event?",
        goal.positive,
        why.get("goal.positive", ""),
    )

    goal, why = infer_goal(Goal(target=target, task=task, positive=positive), frame[target])
    metrics = list(task_metrics(task))
    metric = review.settle(
        Field("metric", "goal.metric", one_of(*metrics), known=metrics),
        "Which number decides between models?",
        goal.metric,
        why["goal.metric"],
    )
    secondary = review.settle(
        Field(
            "secondary",
            "goal.secondary",
            or_none(listed(one_of(*metrics)), []),
            optional=True,
            known=[name for name in metrics if name != metric],
        ),
        "Which others must not get worse?",
        [],
        "none is watched",
    )
    review.settle(
        Field("costs", "goal.decision", or_none(costs), optional=True, unless=without_event),
        "What does a false alarm cost, and what a miss (such as 1:5)?",
        None,
        "probabilities alone, no decision",
    )
    return Goal(
        target=target, task=task, positive=goal.positive, metric=metric, secondary=secondary
    )


def _data(frame: pl.DataFrame, source: str, review: Review) -> Data:
    answers = review.answers
    rest = frame.select(~cs.by_name(review.settled["goal", "target"][0]))
    review.record("data.source", source)
    if answers.query:
        review.record("data.query", answers.query)
    if answers.read:
        review.record("data.read", split_read_flags(answers.read), "as you said")
    if answers.holdout not in (None, NONE):
        about = "a table of its own that serves as the test split"
        review.record("data.holdout", answers.holdout, about)

    name = review.settle(
        Field("id", "data.id", or_none(column(rest))),
        "Which column names each row?",
        *infer_id(rest),
    )
    time = review.settle(
        Field("time", "data.time", or_none(times(rest))),
        "Which column says when a row was?",
        *infer_time(rest),
    )
    group = review.settle(
        Field("group", "data.group", or_none(column(rest))),
        "Whose rows must stay on one side of a split?",
        *infer_group(rest),
    )

    undated = "no column says when a row was" if time is None else ""
    if isinstance(time, str) and not rest[time].dtype.is_temporal():
        undated = f"{time!r} holds whole numbers, not times"
    review.settle(
        Field("label_delay", "goal.label_delay", or_none(duration), optional=True, unless=undated),
        "How long after its row is an outcome known (such as 7d)?",
        None,
        "at once",
    )
    return Data(source=source, id=name, time=time, group=group)


def _rest(frame: pl.DataFrame, goal: Goal, data: Data, review: Review) -> None:
    """What nobody needs to be asked: split, models, gates, seed."""
    delay = review.settled.get(("goal", "label_delay"), (None, ""))[0]
    delayed = Goal(target=goal.target, task=goal.task, label_delay=delay)
    split, why = infer_split(SplitSpec(), data, delayed)
    review.record("split.by", split.by, why["split.by"])
    if "split.gap" in why:
        review.record("split.gap", split.gap, why["split.gap"])
    review.record("split.validation", split.validation, "chooses between candidates")
    held = (
        "unused: data.holdout is the test split"
        if ("data", "holdout") in review.settled
        else "judged once, never trained on"
    )
    review.record("split.test", split.test, held)
    review.record("models.candidates", ["linear", "gbdt"], "beside the baseline, which always runs")
    review.record("models.search", {"trials": 20, "seconds": 60}, "ends with the first of the two")
    metric = goal.metric or ""
    gates, margins = [f"test.{metric} {'<' if is_lower_better(metric) else '>'} baseline"], []
    for name in [metric, *goal.secondary]:
        better = "<=" if is_lower_better(name) else ">="
        margin, reason = _margin(name, goal, frame.get_column(goal.target))
        gates.append(f"test.{name} {better} champion ± {margin:g}")
        margins.append(reason)
    about = f"what must hold before it goes live; the margin is {margins[0]}, below which nobody would notice"
    review.record("gates", gates, about)
    review.record("seed", 7)


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
