"""What the data says about a spec that leaves something out; each answer comes with its reason."""

import re
from typing import Any

import polars as pl
from msgspec import structs

from headrace.errors import Finding, InputError, nearest
from headrace.spec.data import Data
from headrace.spec.features import Kind
from headrace.spec.goal import Goal
from headrace.spec.labels import label_text
from headrace.spec.metrics import Task, task_metrics
from headrace.spec.models import Family, Models
from headrace.spec.names import is_time_name
from headrace.spec.split import SplitSpec
from headrace.spec.timeparts import parts_among, time_of_parts
from headrace.tasks import task_of

MAX_CLASSES_OF_TREES = 100
"""A tree a class and round is too many beyond a hundred classes; words and linear models take more."""
_YES = {"1", "1.0", "true", "t", "yes", "y", "positive", "pos"}
_FEW_INTEGERS = 10
_WORDS_OF_TEXT, _MANY = 3.0, 50
_MOSTLY_ONCE = 0.8
_CODE_NAME = re.compile(
    r"(^|[_ .-])(id|ids|code|zip|zipcode|zip_code|postcode|postal|plz|sku|ean|isbn|icd|naics)$|[a-z](Id|ID|Code)$"
    r"|^(ip|app|os|channel|device)$",
    re.IGNORECASE,
)
"""Names of whole numbers that name something: neither their order nor their differences mean anything."""


def infer_kind(column: pl.Series) -> tuple[Kind, str]:
    """How a column enters the model, judged from its (training) values, and why.

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
    return "ignored", f"a time of no day ({column.dtype})"


def _text_kind(present: pl.Series, distinct: int) -> tuple[Kind, str]:
    words = _words_each(present)
    if words >= _WORDS_OF_TEXT and distinct > max(_MANY, len(present) / 20):
        return "text", f"{words:.0f} words each: free text"
    once = present.is_unique().mean()
    if distinct > 100 and once is not None and float(str(once)) > _MOSTLY_ONCE:
        return "ignored", f"nearly every value differs ({distinct} in {len(present)}): an id"
    return "categorical", f"text with {distinct} different values"


def _words_each(present: pl.Series) -> float:
    """Words in a value, on average."""
    sample = present.head(2000)
    return float(str(sample.str.count_matches(r"[\pL\pN]+").mean()))


def _numeric_kind(column: pl.Series, distinct: int) -> tuple[Kind, str]:
    if is_row_number(column):
        return "ignored", "a row number"
    if column.dtype.is_integer() and distinct > 2 and _CODE_NAME.search(column.name):
        if distinct > _MOSTLY_ONCE * len(column):
            return "ignored", f"nearly every value differs ({distinct} in {len(column)}): an id"
        return "categorical", f"{distinct} different codes, by its name"
    return "numeric", f"numbers, {distinct} different"


def is_row_number(column: pl.Series) -> bool:
    """Whether integers count the rows: all different, without a hole, and more than a handful."""
    if not column.dtype.is_integer() or column.null_count() or len(column) < 100:
        return False
    low, high = column.min(), column.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return high - low + 1 == len(column) and column.n_unique() == len(column)


def infer_goal(goal: Goal, target: pl.Series) -> tuple[Goal, dict[str, str]]:
    """Fills task, positive class and metric in from the target's values.

    Returns the completed goal and, by path, the reason for each filled-in field. Raises
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
    if task_of(task).HAS_EVENT:
        positive, reason = _infer_positive(goal.positive, counts, goal.target)
        if goal.positive is None:
            why["goal.positive"] = reason
    else:
        _refuse_event(goal, task)

    metric = goal.metric
    if metric is None:
        metric, why["goal.metric"] = task_of(task).infer_metric(values, positive)
    _check_metrics(task, metric, goal.secondary)
    return structs.replace(goal, task=task, positive=positive, metric=metric), why


def _count_values(values: pl.Series, where: str) -> pl.DataFrame:
    """Counts the values of a target, the most frequent first; raises `InputError` for fewer than two."""
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
    """Raises `InputError` where a goal states an event or a decision, but its task has none."""
    do = "only a binary task has one"
    if goal.decision is not None:
        raise InputError("goal.decision", f"stated with task {task}", "null", do)
    if goal.positive is not None:
        raise InputError("goal.positive", f"{goal.positive!r} with task {task}", "null", do)


def _check_metrics(task: Task, metric: str, secondary: list[str]) -> None:
    known = task_metrics(task)
    if metric not in known:
        found = f"{metric!r} with task {task}"
        raise InputError("goal.metric", found, "one of: " + ", ".join(known))
    for name in secondary:
        if name not in known:
            found = f"{name!r} with task {task}"
            raise InputError("goal.secondary", found, "some of: " + ", ".join(known))


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
    task_of(task).check_target(values, distinct, where)


def _infer_positive(stated: Any, counts: pl.DataFrame, target: str) -> tuple[Any, str]:
    labels = counts[:, 0].to_list()
    if stated is not None:
        for label in labels:
            if label == stated or label_text(label) == label_text(stated):
                return label, ""
        names = [label_text(label) for label in labels]
        hint = nearest(str(stated), names)
        raise InputError(
            "goal.positive",
            f"{stated!r} is not a value of {target!r}",
            "one of: " + ", ".join(names),
            hint,
        )
    yes = [label for label in labels if str(label).strip().lower() in _YES]
    if len(yes) == 1:
        return yes[0], "the value that says yes"
    if counts[0, 1] == counts[1, 1]:
        return max(labels), "both values are equally frequent; the greater one"
    return labels[1], f"the rarer value ({counts[1, 1]} of {counts[0, 1] + counts[1, 1]} rows)"


def infer_candidates(models: Models, classes: int) -> tuple[Models, list[Finding]]:
    """The families that can take so many classes, and what is said of those that cannot.

    Raises `InputError` where none is left.
    """
    if classes <= MAX_CLASSES_OF_TREES or "gbdt" not in models.candidates or models.members:
        return models, []
    rest: list[Family] = [family for family in models.candidates if family != "gbdt"]
    if not rest:
        expected = f"a family that takes more than {MAX_CLASSES_OF_TREES} classes, such as linear"
        raise InputError("models.candidates", f"gbdt alone for {classes} classes", expected)
    message = f"gbdt is left out: it takes at most {MAX_CLASSES_OF_TREES} classes, and there are {classes}"
    return structs.replace(models, candidates=rest), [
        Finding("models.classes", [], "info", message)
    ]


def infer_split(split: SplitSpec, data: Data, goal: Goal) -> tuple[SplitSpec, dict[str, str]]:
    """Chooses how to split: by time where rows have one, else by group, else stratified or random;
    under a time split with the delay of the outcomes as the gap.

    >>> split, why = infer_split(SplitSpec(), Data(source="a", time="at"), Goal(target="y", label_delay="2d"))
    >>> split.by, split.gap
    ('time', '2d')
    """
    why: dict[str, str] = {}
    if split.by is None:
        by, why["split.by"] = _infer_by(data, goal)
        split = structs.replace(split, by=by)
    if split.gap is None:
        delay = goal.label_delay if split.by == "time" else None
        split = structs.replace(split, gap=delay or "0s")
        if delay is not None:
            why["split.gap"] = f"an outcome is known {delay} after its row"
    return split, why


def _infer_by(data: Data, goal: Goal) -> tuple[Any, str]:
    if data.time is not None:
        return "time", f"rows have a time ({data.time}): the model is judged on its future"
    if data.group is not None:
        return "group", f"rows belong to groups ({data.group}) that must not be seen before"
    if task_of(goal.task).HAS_CLASSES:
        return "stratified", "no time or group: every class keeps its share"
    return "random", "no time or group"


_ID_NAME = re.compile(
    r"^(id|uuid|guid|key|index|instant|row(_?(id|number|no))?|.*[_ ]?(id|uuid|guid))$",
    re.IGNORECASE,
)
_GROUP_NAME = re.compile(
    r"^(user|customer|patient|session|account|member|household|client|device|visitor|person|subject|query)([_ ]?id)?$",
    re.IGNORECASE,
)
_TIME_NAME = re.compile(
    r"(^|_)(time|timestamp|date|datetime|at|ts|when|created|pickup|start)($|_)", re.IGNORECASE
)


def infer_id(frame: pl.DataFrame) -> tuple[str | None, str]:
    """The column that names each row: all different, and called like an id or counting the rows."""
    for name in frame.columns:
        column = frame[name]
        if column.dtype != pl.String and not column.dtype.is_integer():
            continue
        if (
            column.null_count() == 0
            and (is_row_number(column) or _ID_NAME.match(name))
            and column.n_unique() == len(column)
        ):
            return name, "different in every row"
    return None, "no column names each row"


def infer_group(frame: pl.DataFrame) -> tuple[str | None, str]:
    """The column of an entity that owns several rows, by its name and its repeats.

    Where one owner has more than a tenth of the rows, or a value that stands for no owner has many,
    the rows cannot be divided by owners.
    """
    why = "no column names an owner of several rows"
    for name in frame.columns:
        owners = frame.get_column(name)
        if (
            not _GROUP_NAME.match(name)
            or owners.dtype.is_float()
            or owners.n_unique() >= 0.9 * len(owners)
        ):
            continue
        counts = (
            owners.alias("owner")
            .value_counts(name="rows")
            .sort(["rows", "owner"], descending=[True, False])
        )
        owner, share = counts["owner"][0], counts["rows"][0] / len(owners)
        if share > _LARGEST_OWNER:
            why = f"{name!r} is no group: {label_text(owner)!r} alone owns {share:.0%} of the rows"
        elif (
            share > max(_UNKNOWN_OWNER, 3 / counts.height) and str(owner).strip().lower() in _NOBODY
        ):
            why = f"{name!r} is no group: {label_text(owner)!r} with {share:.0%} of the rows means an unknown owner"
        elif counts.height < _FEWEST_OWNERS:
            why = f"{name!r} is no group: {counts.height} owners are too few to divide"
        else:
            return (
                name,
                f"{counts.height} owners of {len(owners)} rows; one owner stays on one side of the split",
            )
    return None, why


def infer_time(frame: pl.DataFrame) -> tuple[str | list[str] | None, str]:
    """The column that says when a row was: dates without a hole, called like one where there are
    several; or those of its parts.
    """
    dates = (pl.Date, pl.Datetime)  # not the time of a day, nor a duration
    times = [
        name
        for name in frame.columns
        if frame[name].dtype in dates and frame[name].null_count() == 0
    ]
    times = [name for name in times if frame[name].n_unique() >= _FEWEST_TIMES]
    named = [name for name in times if is_time_name(name) or _TIME_NAME.search(name)] or times
    if named:
        return named[0], "dates or times in every row" + (
            f" (also: {', '.join(times[1:])})" if len(times) > 1 else ""
        )
    parts = parts_among(frame)
    if (
        parts
        and time_of_parts([frame.get_column(name) for name in parts]).n_unique() >= _FEWEST_TIMES
    ):
        return parts, "the parts of the time of each row"
    return None, "no column holds a date or time in every row"


_LARGEST_OWNER, _UNKNOWN_OWNER, _FEWEST_OWNERS = 0.1, 0.01, 20
_NOBODY = {
    "",
    "0",
    "-1",
    "-",
    "none",
    "null",
    "nan",
    "na",
    "unknown",
    "anonymous",
    "guest",
    "missing",
    "n/a",
    "?",
}
"""What stands in the place of an owner that is not known."""
_FEWEST_TIMES = 20
"""With fewer different times a split by time may leave a part without rows."""
_TARGET_NAME = re.compile(
    r"^(target|label|labels|y|class|outcome|response|is_.+|has_.+|churn(ed)?|click(ed)?|default(ed)?|fraud|survived|price|"
    r"converted|bought)$",
    re.IGNORECASE,
)
_SENSITIVE_NAME = re.compile(
    r"(^|[_ .-])(sex|gender|race|ethnic\w*|religion|nationality|disab\w*|age|marital|pregnan\w*)($|[_ .-])",
    re.IGNORECASE,
)


def infer_target(frame: pl.DataFrame) -> tuple[str, str]:
    """The column that is most likely to be predicted, for a person to confirm."""
    named = [name for name in frame.columns if _TARGET_NAME.match(name)]
    return (named[-1], "by its name") if named else (frame.columns[-1], "the last column")


def infer_sensitive(frame: pl.DataFrame) -> tuple[list[str], str]:
    """Columns that name groups of people, by their own names.

    >>> infer_sensitive(pl.DataFrame({"Sex": ["f"], "age": [3], "package": [1], "marital-status": ["x"]}))
    (['Sex', 'age', 'marital-status'], 'by their names; how each group fares is reported')
    """
    found = [
        name
        for name in frame.columns
        if _SENSITIVE_NAME.search(name) and not frame[name].dtype.is_nested()
    ]
    return (
        (found, "by their names; how each group fares is reported")
        if found
        else ([], "none by its name")
    )
