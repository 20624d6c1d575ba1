"""The questions of a design review, in order; a flag, a person or the data answers each."""

import math
import re
from pathlib import PurePath
from typing import Any, get_args

import polars as pl
import polars.selectors as cs

from headrace.design.commented import FieldValues
from headrace.design.infer import (
    infer_goal,
    infer_kind,
    infer_split,
)
from headrace.design.parsers import (
    NONE,
    AnswerParser,
    accept_column,
    accept_columns,
    accept_list_of,
    accept_none_or,
    accept_one_of,
    accept_time,
    flag_name,
    parse_costs,
    parse_count,
    parse_duration,
    parse_number,
    parse_system_name,
)
from headrace.design.questions import Answers, Ask, Field, Review
from headrace.design.roles import (
    infer_group,
    infer_id,
    infer_query,
    infer_sensitive,
    infer_target,
    infer_time,
)
from headrace.errors import InputError, nearest
from headrace.spec.data import Data
from headrace.spec.decode import split_read_flags
from headrace.spec.goal import Goal
from headrace.spec.metrics import (
    Metric,
    Task,
    describe_metrics,
    is_lower_better,
    is_metric,
    list_metrics,
)
from headrace.spec.split import SplitSpec
from headrace.tasks import find_task


def interview(
    frame: pl.DataFrame, source: str, answers: Answers, ask: Ask | None = None
) -> FieldValues:
    """Settle the fields of a first spec.

    Parameters: `frame`, the table; `source`, its path as the spec is to name it; `answers`, what is
    known already; `ask`, which puts the other questions to a person (none: the data decides).
    Returns each field's value and reason. Raises `InputError` for an answer that is impossible,
    such as a column that the table does not have.
    """
    if answers.target is None and ask is None and not answers.yes:
        suggestion, why = infer_target(frame)
        expected = "the column to predict, one of: " + ", ".join(frame.columns)
        do = f"--yes takes {suggestion!r}, {why}"
        raise InputError("--target", "not given", expected, do)
    review = Review(answers, ask)
    name = parse_system_name(answers.name, "name") if answers.name else derive_name(source)
    review.record("name", name)

    goal = _settle_goal(frame, review)
    data = _settle_data(frame, source, goal, review)
    _settle_requirements(review)
    _settle_sensitive(frame, goal, review)
    _record_columns(frame, goal, data, review)
    _record_defaults(frame, goal, data, review)
    return review.settled


def _settle_sensitive(frame: pl.DataFrame, goal: Goal, review: Review) -> None:
    """Settle the columns that name groups of people."""
    candidates = frame.select(~(cs.nested() | cs.by_name(goal.target)))
    sensitive, why = infer_sensitive(candidates)
    parse = accept_none_or(accept_columns(candidates), [])
    compares = bool(find_task(goal.task).TREATMENTS)
    unless = "" if compares else f"task {goal.task} treats nobody by its scores"
    if unless:
        sensitive, why = [], unless
    review.settle(
        Field(
            "sensitive",
            "evaluate.fairness.attributes",
            parse,
            optional=not sensitive,
            unless=unless,
        ),
        "Which columns name groups of people that the model must not treat worse?",
        sensitive,
        why,
    )


def _record_columns(frame: pl.DataFrame, goal: Goal, data: Data, review: Review) -> None:
    """Record the kind of each column that may be a feature."""
    if frame.width > 1:
        about = "how each column enters the model; delete a line to have it inferred at each run"
        review.record("features.columns", {}, about)
    for name in frame.columns:
        if name not in (goal.target, data.id, data.group, *data.times[:1]):
            kind, why = infer_kind(frame[name])
            # a name may hold dots, at which `record` would split it
            review.settled["features", "columns", name] = {"kind": kind}, why


def _settle_requirements(review: Review) -> None:
    """Settle how predictions are requested: online or in batch, how fast, how many a second."""
    prediction = review.settle(
        Field(
            "prediction",
            "requirements.prediction",
            accept_one_of("online", "batch"),
            optional=True,
        ),
        "Are predictions requested online (row by row) or in batch (a table at a time)?",
        "online",
        "the default",
    )
    # a bound that was stated counts in batch, too
    in_batch = prediction != "online" and review.answers.latency_ms is None
    review.settle(
        Field(
            "latency_ms",
            "requirements.latency_p99_ms",
            accept_none_or(parse_number),
            optional=True,
            unless="rows come in tables" if in_batch else "",
        ),
        "Within how many milliseconds must 99 of 100 rows be answered?",
        None,
        "no bound",
    )
    review.settle(
        Field(
            "throughput",
            "requirements.throughput_rps",
            accept_none_or(parse_number),
            optional=True,
        ),
        "How many predictions per second are needed at peak load?",
        None,
        "no bound",
    )


def _settle_goal(frame: pl.DataFrame, review: Review) -> Goal:
    """Settle target, task, event, metrics and costs.

    Each answer decides what the next question suggests, so the goal is inferred anew after each.
    The parsers of target, task and event infer it as well, and so refuse an answer that the
    target's values forbid.
    """

    def complete(**fields: Any) -> Goal:
        """Fill the blanks of a goal; raise `InputError` where the target's values forbid it."""
        return infer_goal(Goal(**fields), frame[fields["target"]])[0]

    def parse_target(text: str, field: str) -> Any:
        return complete(target=accept_column(frame)(text, field)).target

    target = review.settle(
        Field("target", "goal.target", parse_target, known=frame.columns),
        "Which column should be predicted?",
        *infer_target(frame),
    )

    first, why = infer_goal(Goal(target=target), frame[target])
    tasks = list(get_args(Task))

    def parse_task(text: str, field: str) -> Any:
        return complete(target=target, task=accept_one_of(*tasks)(text, field)).task

    task = review.settle(
        Field("task", "goal.task", parse_task, known=tasks),
        "What kind of task is it?",
        first.task,
        why["goal.task"],
    )

    goal, why = infer_goal(Goal(target=target, task=task), frame[target])
    without_event = "" if find_task(task).HAS_EVENT else f"task {task} has no positive class"

    def parse_positive(text: str, field: str) -> Any:
        return complete(target=target, task=task, positive=text).positive

    positive = review.settle(
        Field(
            "positive",
            "goal.positive",
            parse_positive,
            optional=bool(without_event),
            unless=without_event,
        ),
        "Which value is the positive class?",
        goal.positive,
        why.get("goal.positive", ""),
    )

    goal, why = infer_goal(Goal(target=target, task=task, positive=positive), frame[target])
    metric, secondary = _settle_metrics(goal, why["goal.metric"], review)
    review.settle(
        Field(
            "costs",
            "goal.decision",
            accept_none_or(parse_costs),
            optional=True,
            unless=without_event,
        ),
        "What do a false alarm and a miss cost (such as 1:5)?",
        None,
        "only probabilities, no decision",
    )
    return Goal(
        target=target, task=task, positive=goal.positive, metric=metric, secondary=secondary
    )


def _settle_metrics(goal: Goal, why: str, review: Review) -> tuple[Metric, list[Metric]]:
    """Settle the metric that decides, and those that must not get worse."""
    assert goal.task is not None
    metrics = list(list_metrics(goal.task))
    accept_metric = _accept_metric(goal.task)
    metric = review.settle(
        Field("metric", "goal.metric", accept_metric, known=metrics),
        "Which metric decides between models?",
        goal.metric,
        why,
    )
    secondary = review.settle(
        Field(
            "secondary",
            "goal.secondary",
            accept_none_or(accept_list_of(accept_metric), []),
            optional=True,
            known=[name for name in metrics if name != metric],
        ),
        "Which other metrics must not get worse?",
        [],
        "no other metric is watched",
    )
    return metric, secondary


def _accept_metric(task: Task) -> AnswerParser:
    """Make a parser that accepts a metric of a task."""

    def parse(text: str, field: str) -> str:
        if not is_metric(text, task):
            hint = nearest(text, list_metrics(task))
            raise InputError(flag_name(field), repr(text), describe_metrics(task), hint)
        return text

    return parse


def _settle_group(candidates: pl.DataFrame, goal: Goal, review: Review) -> str | None:
    """Settle the column of owners, or of a ranking's queries, without which there is none."""
    if not find_task(goal.task).HAS_QUERIES:
        owner: str | None = review.settle(
            Field("group", "data.group", accept_none_or(accept_column(candidates))),
            "Which column groups rows that must stay on one side of a split?",
            *infer_group(candidates),
        )
        return owner
    suggestion, why = infer_query(candidates)
    query: str | None = review.settle(
        Field("group", "data.group", accept_column(candidates), known=candidates.columns),
        "Which column is the query, whose rows are put in order?",
        suggestion,
        why,
    )
    if query is None:
        raise InputError("--group", f"not given, and {why}", "the column of the query")
    return query


def _settle_data(frame: pl.DataFrame, source: str, goal: Goal, review: Review) -> Data:
    """Settle the source of the rows and their special columns."""
    answers = review.answers
    # the target has no other role
    target, _ = review.settled["goal", "target"]
    candidates = frame.select(~cs.by_name(target))
    review.record("data.source", source)
    if answers.query:
        review.record("data.query", answers.query)
    if answers.read:
        review.record("data.read", split_read_flags(answers.read), "as you said")
    if answers.holdout not in (None, NONE):
        about = "a separate table that serves as the test split"
        review.record("data.holdout", answers.holdout, about)

    name = review.settle(
        Field("id", "data.id", accept_none_or(accept_column(candidates))),
        "Which column identifies each row?",
        *infer_id(candidates),
    )
    time = review.settle(
        Field("time", "data.time", accept_none_or(accept_time(candidates))),
        "Which column holds the time of each row?",
        *infer_time(candidates),
    )
    group = _settle_group(candidates, goal, review)

    undated = "no column holds the time of each row" if time is None else ""
    if isinstance(time, str) and not candidates[time].dtype.is_temporal():
        undated = f"{time!r} holds whole numbers, not times"
    review.settle(
        Field(
            "label_delay",
            "goal.label_delay",
            accept_none_or(parse_duration),
            optional=True,
            unless=undated,
        ),
        "How long after the time of a row is its outcome known (such as 7d)?",
        None,
        "at once",
    )
    return Data(source=source, id=name, time=time, group=group)


def _record_defaults(frame: pl.DataFrame, goal: Goal, data: Data, review: Review) -> None:
    """Record split, models, gates and seed, about which nobody needs to be asked."""
    delay, _ = review.settled.get(("goal", "label_delay"), (None, ""))
    delayed = Goal(target=goal.target, task=goal.task, label_delay=delay)
    split, why = infer_split(SplitSpec(), data, delayed)
    review.record("split.by", split.by, why["split.by"])
    if "split.gap" in why:
        review.record("split.gap", split.gap, why["split.gap"])
    review.record("split.validation", split.validation, "chooses between candidates")
    about = "judged once, never trained on"
    if ("data", "holdout") in review.settled:
        about = "unused: data.holdout is the test split"
    review.record("split.test", split.test, about)

    review.record("models.candidates", ["linear", "gbdt"], "beside the baseline, which always runs")
    review.record("models.search", _budget(review.answers), "the first limit ends it")
    gates, reason = _propose_gates(goal, frame.get_column(goal.target))
    about = "what must hold before a model goes live; "
    about += f"the margin is {reason}, a loss too small to matter"
    review.record("gates", gates, about)
    review.record("seed", 7)


def _budget(answers: Answers) -> dict[str, float]:
    """Return the budget of the search."""
    budget: dict[str, float] = {"trials": 20, "seconds": 60}
    if answers.trials is not None:
        budget["trials"] = parse_count(answers.trials, "trials")
    if answers.seconds is not None:
        budget["seconds"] = parse_number(answers.seconds, "seconds")
    return budget


def _propose_gates(goal: Goal, target: pl.Series) -> tuple[list[str], str]:
    """Propose gates: better than the baseline, and nearly as good as the champion.

    Returns the gates, and the reason for the margin of the goal's metric.
    """
    metric = goal.metric or ""
    better = "<" if is_lower_better(metric) else ">"
    margin, reason = _choose_margin(metric, goal, target)
    gates = [
        f"test.{metric} {better} baseline",
        f"test.{metric} {better}= champion ± {margin:g}",
    ]
    for name in goal.secondary:
        better = "<=" if is_lower_better(name) else ">="
        margin, _ = _choose_margin(name, goal, target)
        gates.append(f"test.{name} {better} champion ± {margin:g}")
    return gates, reason


def _choose_margin(metric: str, goal: Goal, target: pl.Series) -> tuple[float, str]:
    """Choose how much of a metric may be lost, and say why.

    A margin is small on the scale that the metric has for this target.
    """
    if metric in ("rmse", "mae", "pinball_10", "pinball_90"):
        return _round(0.01 * float(str(target.std()))), "1 % of the target's standard deviation"
    counts = target.drop_nulls().alias("value").value_counts(name="rows")
    shares = (counts["rows"] / counts["rows"].sum()).to_list()
    if metric == "log_loss":
        log_loss = -sum(share * math.log(share) for share in shares)
        return _round(0.01 * log_loss), "1 % of the baseline's log loss"
    if metric == "brier":
        return _round(0.01 * shares[0] * (1 - shares[0])), "1 % of the baseline's Brier score"
    if metric == "average_precision":
        by_value = dict(zip(counts["value"], shares, strict=True))
        margin = min(0.01, by_value[goal.positive] / 10)
        return _round(margin), "a tenth of what chance reaches, at most 0.01"
    if metric == "roc_auc":
        return 0.005, "an absolute 0.005 of ROC AUC"
    return 0.01, f"an absolute 0.01 of {metric}"


def _round(margin: float) -> float:
    """Round to one digit, as a person would state it."""
    return float(f"{margin:.1g}")


def derive_name(source: str) -> str:
    """Derive a system's name from a file's: letters, digits, dashes.

    >>> derive_name("tables/My orders (2024).csv"), derive_name("7.parquet")
    ('my-orders-2024', 'table-7')
    """
    stem = PurePath(source).name.split(".")[0]
    name = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower()[:60]
    return name if name[:1].isalpha() else f"table-{name}".rstrip("-")
