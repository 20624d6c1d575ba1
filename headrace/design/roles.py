"""Suggests columns for the roles in a first spec, mostly by their names, each with its reason."""

import re

import polars as pl

from headrace.design.infer import is_row_number
from headrace.spec.labels import format_label
from headrace.spec.names import is_time_name
from headrace.spec.timeparts import find_time_parts, join_time_parts

_ID_NAME = re.compile(
    r"^(id|uuid|guid|key|index|instant|row(_?(id|number|no))?|.*[_ ]?(id|uuid|guid))$",
    re.IGNORECASE,
)
_GROUP_NAME = re.compile(
    r"^(user|customer|patient|session|account|member|household|client|device|visitor|person"
    r"|subject|query)([_ ]?id)?$",
    re.IGNORECASE,
)
_QUERY_NAME = re.compile(
    r"^(query|search|request|list|session|impression|qid|group|user)([_ ]?id)?$", re.IGNORECASE
)
_TIME_NAME = re.compile(
    r"(^|_)(time|timestamp|date|datetime|at|ts|when|created|pickup|start)($|_)", re.IGNORECASE
)
_TARGET_NAME = re.compile(
    r"^(target|label|labels|y|class|outcome|response|is_.+|has_.+|churn(ed)?|click(ed)?"
    r"|default(ed)?|fraud|survived|price|converted|bought)$",
    re.IGNORECASE,
)
_SENSITIVE_NAME = re.compile(
    r"(^|[_ .-])"
    r"(sex|gender|race|ethnic\w*|religion|nationality|disab\w*|age|marital|pregnan\w*)"
    r"($|[_ .-])",
    re.IGNORECASE,
)

_LARGEST_OWNER = 0.1
_UNKNOWN_OWNER = 0.01
_FEWEST_OWNERS = 20
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
"""Values that mean an unknown owner."""
_FEWEST_TIMES = 20
"""With fewer different times a split by time may leave a part without rows."""


def infer_id(frame: pl.DataFrame) -> tuple[str | None, str]:
    """Find a column that is different in every row, and has an id's name or numbers the rows."""
    for name in frame.columns:
        column = frame[name]
        if column.dtype != pl.String and not column.dtype.is_integer():
            continue
        if column.null_count():
            continue
        is_like_id = is_row_number(column) or _ID_NAME.match(name)
        if is_like_id and column.n_unique() == len(column):
            return name, "different in every row"
    return None, "no column identifies each row"


def infer_group(frame: pl.DataFrame) -> tuple[str | None, str]:
    """Find a column of owners, such as users, who have several rows each.

    Rows cannot be divided by owner where one owner has more than a tenth of them, or where many
    have a value that means an unknown owner.
    """
    why = "no column looks like an owner of several rows"
    for name in frame.columns:
        owners = frame.get_column(name)
        if not _GROUP_NAME.match(name) or owners.dtype.is_float():
            continue
        if owners.n_unique() >= 0.9 * len(owners):
            continue
        counts = owners.alias("owner").value_counts(name="rows")
        counts = counts.sort(["rows", "owner"], descending=[True, False])
        objection = _object_to_owners(counts, len(owners))
        if not objection:
            reason = f"{counts.height} owners of {len(owners)} rows; "
            return name, reason + "all rows of an owner stay on one side of the split"
        why = f"{name!r} cannot be the group: {objection}"
    return None, why


def infer_query(frame: pl.DataFrame) -> tuple[str | None, str]:
    """Find the column of queries, whose rows a ranking puts in order.

    >>> infer_query(pl.DataFrame({"price": [1.0, 2.0, 3.0], "search_id": [7, 7, 8]}))
    ('search_id', '2 queries of 3 rows; the rows of a query are put in order')
    """
    for name in frame.columns:
        queries = frame.get_column(name)
        if not _QUERY_NAME.match(name) or queries.dtype.is_float() or queries.null_count():
            continue
        count = queries.n_unique()
        if 1 < count < len(queries):
            rows = f"{count} queries of {len(queries)} rows"
            return name, f"{rows}; the rows of a query are put in order"
    return None, "no column looks like a query of several rows"


def _object_to_owners(counts: pl.DataFrame, rows: int) -> str:
    """Say why rows cannot be divided by these owners; return the empty string where they can be.

    `counts` has `owner` and `rows`, the largest owner first.
    """
    owner = counts["owner"][0]
    share = counts["rows"][0] / rows
    if share > _LARGEST_OWNER:
        return f"{format_label(owner)!r} alone owns {share:.0%} of the rows"
    is_nobody = str(owner).strip().lower() in _NOBODY
    if is_nobody and share > max(_UNKNOWN_OWNER, 3 / counts.height):
        return f"{format_label(owner)!r} with {share:.0%} of the rows means an unknown owner"
    if counts.height < _FEWEST_OWNERS:
        return f"{counts.height} owners are too few to split by"
    return ""


def infer_time(frame: pl.DataFrame) -> tuple[str | list[str] | None, str]:
    """Find the column, or the columns of parts, that say when a row was.

    A column of dates or times must have a value in every row. Of several, those with the name of a
    time come first.
    """
    times = [name for name in frame.columns if _has_times(frame[name])]
    preferred = [name for name in times if is_time_name(name) or _TIME_NAME.search(name)] or times
    if preferred:
        chosen = preferred[0]
        others = [name for name in times if name != chosen]
        why = "dates or times in every row"
        if others:
            why += f" (also: {', '.join(others)})"
        return chosen, why

    parts = find_time_parts(frame)
    if parts:
        joined = join_time_parts([frame.get_column(name) for name in parts])
        if joined.n_unique() >= _FEWEST_TIMES:
            return parts, "together they hold the time of each row"
    return None, "no column holds a date or time in every row"


def _has_times(column: pl.Series) -> bool:
    """Say whether a column has a date or a time in every row, and many different ones."""
    # neither the time of a day nor a duration says when a row was
    if column.dtype not in (pl.Date, pl.Datetime) or column.null_count():
        return False
    return column.n_unique() >= _FEWEST_TIMES


def infer_target(frame: pl.DataFrame) -> tuple[str, str]:
    """Guess the column to predict, for a person to confirm.

    >>> infer_target(pl.DataFrame({"churned": ["no"], "age": [3]}))
    ('churned', 'by its name')
    """
    named = [name for name in frame.columns if _TARGET_NAME.match(name)]
    if named:
        return named[-1], "by its name"
    return frame.columns[-1], "the last column"


def infer_sensitive(frame: pl.DataFrame) -> tuple[list[str], str]:
    """Find the columns that name groups of people, by their names.

    >>> frame = pl.DataFrame({"Sex": ["f"], "age": [3], "package": [1], "marital-status": ["x"]})
    >>> infer_sensitive(frame)
    (['Sex', 'age', 'marital-status'], 'by their names; the report shows how each group is treated')
    """
    names = []
    for name in frame.columns:
        if _SENSITIVE_NAME.search(name) and not frame[name].dtype.is_nested():
            names.append(name)
    if names:
        return names, "by their names; the report shows how each group is treated"
    return [], "no column has such a name"
