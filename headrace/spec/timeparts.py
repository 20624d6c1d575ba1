"""Times whose parts are in columns of their own: a year, a month, a day, an hour."""

import polars as pl

from headrace.spec.names import split_words

PARTS = ("year", "month", "day", "hour", "minute", "second")
_NAMES = {
    "year": {"year", "yr", "yyyy"},
    "month": {"month", "mnth", "mon"},
    "day": {"day", "dom", "mday", "day of month"},
    "hour": {"hour", "hr"},
    "minute": {"minute", "min"},
}
_RANGES = {
    "year": (1900, 2100),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
}


def join_time_parts(parts: list[pl.Series]) -> pl.Series:
    """Join columns of whole numbers `(N,)`, from the year on, into times `(N,)`.

    A missing month or day counts as 1, a missing hour, minute or second as 0. The result is null
    where the numbers are not a time.

    >>> join_time_parts([pl.Series([2024]), pl.Series([2])])[0].isoformat()
    '2024-02-01T00:00:00'
    """
    rows = len(parts[0])
    texts = [parts[0].cast(pl.String).str.zfill(4)]
    texts += [part.cast(pl.String).str.zfill(2) for part in parts[1:]]
    while len(texts) < 3:
        texts.append(pl.Series(["01"] * rows))
    while len(texts) < 6:
        texts.append(pl.Series(["00"] * rows))

    joined = pl.select(pl.concat_str(texts, separator="-")).to_series()
    return joined.str.to_datetime("%Y-%m-%d-%H-%M-%S", strict=False, time_unit="us")


def part_of(column: pl.Series) -> str | None:
    """Say which part of a time a column holds, by its name and its values; none where no part.

    >>> part_of(pl.Series("mnth", [1, 12])), part_of(pl.Series("month", [0, 12]))
    ('month', None)
    """
    if not column.dtype.is_integer() or column.null_count() or not len(column):
        return None
    name = " ".join(split_words(column.name))
    for part, names in _NAMES.items():
        if name in names:
            low, high = _RANGES[part]
            return part if column.is_between(low, high).all() else None
    return None


def find_time_parts(frame: pl.DataFrame) -> list[str]:
    """Find the columns of a table that together make a time, from the year on.

    Returns an empty list where there is no year or no month, or where a row is not a time.

    >>> find_time_parts(pl.DataFrame({"day": [3], "yr": [2024], "mnth": [2], "price": [9]}))
    ['yr', 'mnth', 'day']
    """
    columns: dict[str, str] = {}
    for column in frame:
        part = part_of(column)
        if part is not None:
            # of two columns for one part the first counts
            columns.setdefault(part, column.name)

    # a part counts only where all larger parts are there
    names = []
    for part in PARTS:
        if part not in columns:
            break
        names.append(columns[part])

    if len(names) < 2 or join_time_parts([frame.get_column(name) for name in names]).null_count():
        return []
    return names
