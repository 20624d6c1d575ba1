"""Infers from the training rows what a spec leaves open, each value with its reason.

A run calls these functions, too, so that a spec may leave out kinds, goal and split.
"""

import re
from typing import Any

import polars as pl
from msgspec import structs

from headrace.errors import Finding, InputError, nearest
from headrace.spec.data import Data
from headrace.spec.features import Kind
from headrace.spec.goal import Gain, Goal
from headrace.spec.labels import format_label
from headrace.spec.metrics import Task, describe_metrics, is_metric, split_metric
from headrace.spec.models import Family, Models
from headrace.spec.split import SplitSpec
from headrace.tasks import find_task

_MOST_CLASSES: dict[Family, int] = {"gbdt": 100, "forest": 20}
"""LightGBM fits a tree for each class in each round, and a forest's graph has every tree once for
each class: with more they are too slow, or too large."""
_RELEVANT = 1.0
_OF_WHOLE_LISTS = ("recall", "precision", "hit_rate")
_MOST_EXPONENTIAL = 12
"""Grades above are usually counts or times, not steps of a scale."""
_LARGEST_EXPONENT = 500
_YES = {"1", "1.0", "true", "t", "yes", "y", "positive", "pos"}
_FEW_INTEGERS = 10
_WORDS_OF_TEXT = 3.0
"""Free text has this many words in a value, on average."""
_FEW_TEXTS = 50
_MOSTLY_ONCE = 0.8
_CODE_NAME = re.compile(
    r"(^|[_ .-])"
    r"(id|ids|code|zip|zipcode|zip_code|postcode|postal|plz|sku|ean|isbn|icd|naics)$"
    r"|[a-z](Id|ID|Code)$"
    r"|^(ip|app|os|channel|device)$",
    re.IGNORECASE,
)
"""Names of columns of codes: numbers whose order and differences mean nothing."""


def infer_kind(column: pl.Series) -> tuple[Kind, str]:
    """Infer the kind of a column from its values in the training rows, and say why.

    >>> infer_kind(pl.Series(["red", "blue", "red"]))
    ('categorical', 'text with 2 different values')
    >>> infer_kind(pl.Series([3.5, 3.5]))
    ('ignored', 'constant')
    """
    present = column.drop_nulls()
    if column.dtype.is_nested():
        return _nested_kind(column, len(present))

    distinct = present.n_unique()
    if distinct == 0:
        return "ignored", "no value in any training row"
    if distinct == 1 and len(present) == len(column):
        return "ignored", "constant"
    if column.dtype == pl.Boolean:
        return "boolean", "true and false"
    if column.dtype.is_temporal():
        return _temporal_kind(column)
    if column.dtype.is_numeric():
        return _numeric_kind(column, distinct)
    return _text_kind(present, distinct)


def _nested_kind(column: pl.Series, present: int) -> tuple[Kind, str]:
    if not isinstance(column.dtype, pl.Array):
        return "ignored", f"nested ({column.dtype})"
    if not present:
        return "ignored", "no value"
    return "vector", f"{column.dtype.shape[0]} numbers a row"


def _temporal_kind(column: pl.Series) -> tuple[Kind, str]:
    if column.dtype in (pl.Date, pl.Datetime):
        return "datetime", "dates or times"
    return "ignored", f"a time of day or a duration ({column.dtype})"


def _text_kind(present: pl.Series, distinct: int) -> tuple[Kind, str]:
    words = _count_words(present)
    # a few long texts that repeat, such as names of airports, are categories
    if words >= _WORDS_OF_TEXT and distinct > max(_FEW_TEXTS, len(present) / 20):
        return "text", f"{words:.0f} words each: free text"
    once = present.is_unique().mean()
    if distinct > 100 and once is not None and float(str(once)) > _MOSTLY_ONCE:
        return "ignored", f"nearly every value differs ({distinct} in {len(present)}): an id"
    return "categorical", f"text with {distinct} different values"


def _count_words(present: pl.Series) -> float:
    """Return the number of words in a value, on average."""
    # an average needs no more rows, and counting words in all of them is slow
    sample = present.head(2000)
    return float(str(sample.str.count_matches(r"[\pL\pN]+").mean()))


def _numeric_kind(column: pl.Series, distinct: int) -> tuple[Kind, str]:
    if is_row_number(column):
        return "ignored", "a row number"
    if column.dtype.is_integer() and distinct > 2 and _CODE_NAME.search(column.name):
        if distinct > _MOSTLY_ONCE * len(column):
            return "ignored", f"nearly every value differs ({distinct} in {len(column)}): an id"
        return "categorical", f"{distinct} different values, codes by the column's name"
    return "numeric", f"numbers, {distinct} different"


def is_row_number(column: pl.Series) -> bool:
    """Say whether integers number the rows: all different, without a gap, at least a hundred.

    >>> is_row_number(pl.Series(range(5, 205))), is_row_number(pl.Series(range(0, 400, 2)))
    (True, False)
    """
    if not column.dtype.is_integer() or column.null_count() or len(column) < 100:
        return False
    low = column.min()
    high = column.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return high - low + 1 == len(column) and column.n_unique() == len(column)


def infer_goal(goal: Goal, target: pl.Series) -> tuple[Goal, dict[str, str]]:
    """Fill in task, positive class and metric from the values of the target `(N,)`.

    Returns the completed goal, and the reason for each filled-in field by its path. Raises
    `InputError` where the target is constant, all missing, or of the wrong type for a stated task.

    >>> goal, why = infer_goal(Goal(target="y"), pl.Series("y", ["no", "yes", "no"]))
    >>> goal.task, goal.positive, goal.metric
    ('binary', 'yes', 'roc_auc')
    """
    where = f"goal.target {goal.target!r}"
    values = target.drop_nulls()
    counts = _count_values(values, where)
    why: dict[str, str] = {}

    task = goal.task
    if task is None:
        task, why["goal.task"] = _infer_task(values, len(counts))
    _check_task(task, values, len(counts), where)

    positive = None
    if find_task(task).HAS_EVENT:
        positive, reason = _infer_positive(goal.positive, counts, goal.target)
        if goal.positive is None:
            why["goal.positive"] = reason
    else:
        _refuse_event(goal, task)

    gain = goal.gain
    if find_task(task).HAS_QUERIES:
        gain = _check_gain(gain, values)
        if goal.gain is None:
            gain, why["goal.gain"] = _infer_gain(values)
    elif gain is not None:
        raise InputError("goal.gain", f"{gain} with task {task}", "null", "only grades have one")
    elif goal.relevant != _RELEVANT:
        found = f"{goal.relevant:g} with task {task}"
        raise InputError("goal.relevant", found, "nothing", "only grades have one")

    metric = goal.metric
    if metric is None:
        metric, why["goal.metric"] = find_task(task).infer_metric(values, positive)
    _check_metrics(task, metric, goal.secondary)
    if find_task(task).HAS_QUERIES:
        _check_relevant(goal.relevant, metric, values)
    return structs.replace(goal, task=task, positive=positive, metric=metric, gain=gain), why


def _count_values(values: pl.Series, where: str) -> pl.DataFrame:
    """Count the values of a target, the most frequent first.

    Raises `InputError` for fewer than two different values.
    """
    if values.dtype.is_nested():
        raise InputError(where, f"a nested column ({values.dtype})", "numbers or class names")
    if len(values) == 0:
        do = "check `data.missing` and the column"
        raise InputError(where, "no value in any row", "a value to learn from", do)
    counts = values.alias("value").value_counts(sort=True, name="rows")
    if len(counts) == 1:
        found = f"the same value in every row ({values[0]!r})"
        raise InputError(where, found, "at least two different values")
    return counts


def _refuse_event(goal: Goal, task: Task) -> None:
    """Raise `InputError` where a goal states an event or a decision, but its task has none."""
    do = "only a binary task has one"
    if goal.decision is not None:
        raise InputError("goal.decision", f"stated with task {task}", "null", do)
    if goal.positive is not None:
        raise InputError("goal.positive", f"{goal.positive!r} with task {task}", "null", do)


def _infer_gain(grades: pl.Series) -> tuple[Gain, str]:
    """Choose what grades are worth, and say why."""
    numbers = grades.cast(pl.Float64)
    if not (numbers == numbers.round()).all():
        return "linear", "some grades are fractional"
    highest = float(str(numbers.max()))
    if highest > _MOST_EXPONENTIAL:
        return "linear", f"grades go up to {highest:g}: 2^{highest:g} would drown the others"
    return "exponential", f"whole grades up to {highest:g}: a step doubles the gain"


def _check_gain(gain: Gain | None, grades: pl.Series) -> Gain | None:
    """Raise `InputError` where gains of grades are too large for a number."""
    highest = float(str(grades.cast(pl.Float64).max()))
    if gain == "exponential" and highest > _LARGEST_EXPONENT:
        found = f"exponential with a grade of {highest:g}"
        raise InputError("goal.gain", found, f"grades up to {_LARGEST_EXPONENT}, or linear")
    return gain


def _check_relevant(relevant: float, metric: str, grades: pl.Series) -> None:
    """Raise `InputError` where the metric that decides says nothing about any order."""
    formula, cut = split_metric(metric)
    if cut is None and formula in _OF_WHOLE_LISTS:
        found = f"{metric}, which is the same for every order of a whole list"
        raise InputError("goal.metric", found, f"a list that is cut, such as {metric}_10")
    highest = float(str(grades.cast(pl.Float64).max()))
    if formula != "ndcg" and relevant > highest:
        found = f"{relevant:g}, and the highest grade is {highest:g}: no row is relevant"
        raise InputError("goal.relevant", found, f"at most {highest:g} with {metric}")


def _check_metrics(task: Task, metric: str, secondary: list[str]) -> None:
    for field, name in [("goal.metric", metric), *(("goal.secondary", one) for one in secondary)]:
        if not is_metric(name, task):
            raise InputError(field, f"{name!r} with task {task}", describe_metrics(task))


def _infer_task(values: pl.Series, distinct: int) -> tuple[Task, str]:
    if distinct == 2:
        return "binary", "the target has two different values"
    if values.dtype.is_numeric():
        if values.dtype.is_integer() and distinct <= _FEW_INTEGERS:
            return "multiclass", f"the target has {distinct} different whole numbers"
        return "regression", f"the target has {distinct} different numbers"
    return "multiclass", f"the target has {distinct} different values"


def _check_task(task: Task, values: pl.Series, distinct: int, where: str) -> None:
    if values.dtype.is_temporal():
        raise InputError(where, "dates or times", "numbers or class names")
    find_task(task).check_target(values, distinct, where)


def _infer_positive(stated: Any, counts: pl.DataFrame, target: str) -> tuple[Any, str]:
    """Return the value of the event, and why.

    `counts` has the target's two values, the more frequent first, and the rows of each.
    """
    labels = counts[:, 0].to_list()
    if stated is not None:
        return _match_label(stated, labels, target), ""
    yes = [label for label in labels if str(label).strip().lower() in _YES]
    if len(yes) == 1:
        return yes[0], "the value that means yes"
    # the event is usually the rarer value
    if counts[0, 1] == counts[1, 1]:
        return max(labels), "both values are equally frequent; the greater one"
    return labels[1], f"the rarer value ({counts[1, 1]} of {counts[0, 1] + counts[1, 1]} rows)"


def _match_label(stated: Any, labels: list[Any], target: str) -> Any:
    """Return the label that a stated value names; raise `InputError` where it names none."""
    for label in labels:
        if label == stated or format_label(label) == format_label(stated):
            return label
    names = [format_label(label) for label in labels]
    found = f"{stated!r} is not a value of {target!r}"
    expected = "one of: " + ", ".join(names)
    raise InputError("goal.positive", found, expected, nearest(str(stated), names))


def _check_objectives(models: Models, task: Task) -> None:
    """Raise `InputError` for an objective of another task, of a family or of a member."""
    has_queries = find_task(task).HAS_QUERIES
    stated: list[tuple[str, Any]] = [
        ("models.linear", models.linear),
        ("models.gbdt", models.gbdt),
    ]
    stated += [(f"models.members[{at}]", one.params) for at, one in enumerate(models.members)]
    for where, params in stated:
        objective = getattr(params, "objective", None)
        if objective is not None and (objective in _OF_RANKINGS) != has_queries:
            found = f"{objective} with task {task}"
            raise InputError(f"{where}.objective", found, "null, or one of this task")
        if getattr(params, "truncation", None) is not None and not has_queries:
            raise InputError(f"{where}.truncation", f"stated with task {task}", "null")


_OF_RANKINGS = ("lambdarank", "xendcg", "pointwise", "pairs")


def infer_candidates(models: Models, task: Task, classes: int) -> tuple[Models, list[Finding]]:
    """Drop the families that cannot take so many classes; return the rest, with findings.

    Raises `InputError` where none remains, and for an objective of another task.
    """
    _check_objectives(models, task)
    if models.members and models.search.prefer == "speed":
        found = "speed, and models.members states what ships"
        raise InputError("models.search.prefer", found, "quality, or no members")
    if models.calibration is not None and not find_task(task).CALIBRATIONS:
        found = f"{models.calibration.method} with task {task}"
        raise InputError("models.calibration", found, "null", "only probabilities are calibrated")
    large = [one for one in models.candidates if classes > _MOST_CLASSES.get(one, classes)]
    if not large or models.members:
        return models, []
    remaining = [one for one in models.candidates if one not in large]
    if not remaining:
        found = f"only {', '.join(large)} for {classes} classes"
        expected = f"a family that takes {classes} classes, such as linear"
        raise InputError("models.candidates", found, expected)
    findings = []
    for family in large:
        message = (
            f"{family} is left out: it takes at most {_MOST_CLASSES[family]} classes, "
            f"and there are {classes}"
        )
        findings.append(Finding("models.classes", [], "info", message))
    return structs.replace(models, candidates=remaining), findings


def infer_split(split: SplitSpec, data: Data, goal: Goal) -> tuple[SplitSpec, dict[str, str]]:
    """Choose how to split, and say why, by the field's path.

    The split is by time where rows have one, else by group, else stratified or random. The gap of a
    time split is the delay of the outcomes.

    >>> goal = Goal(target="y", label_delay="2d")
    >>> split, why = infer_split(SplitSpec(), Data(source="a", time="at"), goal)
    >>> split.by, split.gap
    ('time', '2d')
    """
    why: dict[str, str] = {}
    if split.by == "stratified" and find_task(goal.task).HAS_QUERIES:
        do = "queries have no classes"
        raise InputError("split.by", "stratified with task ranking", "time, group or random", do)
    if split.by is None:
        by, why["split.by"] = _infer_by(data, goal)
        split = structs.replace(split, by=by)
    if split.gap is None:
        delay = goal.label_delay if split.by == "time" else None
        split = structs.replace(split, gap=delay or "0s")
        if delay is not None:
            why["split.gap"] = f"the outcome is known {delay} after the time of the row"
    return split, why


def _infer_by(data: Data, goal: Goal) -> tuple[Any, str]:
    if data.time is not None:
        return "time", f"rows have a time ({data.time}): the model is tested on the latest rows"
    if find_task(goal.task).HAS_QUERIES:
        return "group", f"a query ({data.group}) stays in one part"
    if data.group is not None:
        return "group", f"rows belong to groups ({data.group}); a group stays in one part"
    if find_task(goal.task).HAS_CLASSES:
        return "stratified", "no time or group: every class keeps its share"
    return "random", "no time or group"
