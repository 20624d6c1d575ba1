"""Times whose parts stand in columns of their own: a year, a month, a day, an hour."""

import polars as pl

from headrace.spec.names import split_words

PARTS = ("year", "month", "day", "hour", "minute", "second")
_CALLED = {
    "year": {"year", "yr", "yyyy"},
    "month": {"month", "mnth", "mon"},
    "day": {"day", "dom", "mday", "day of month"},
    "hour": {"hour", "hr"},
    "minute": {"minute", "min"},
}
_WITHIN = {
    "year": (1900, 2100),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
}


def time_of_parts(parts: list[pl.Series]) -> pl.Series:
    """Times of whole numbers, the largest part first; null where they make none.

    >>> time_of_parts([pl.Series([2024]), pl.Series([2])])[0].isoformat()
    '2024-02-01T00:00:00'
    """
    texts = [part.cast(pl.String).str.zfill(4 if at == 0 else 2) for at, part in enumerate(parts)]
    texts += [pl.Series(["01"] * len(parts[0])) for _ in range(len(texts), 3)]
    texts += [pl.Series(["00"] * len(parts[0])) for _ in range(len(texts), 6)]
    joined = pl.select(pl.concat_str(texts, separator="-")).to_series()
    return joined.str.to_datetime("%Y-%m-%d-%H-%M-%S", strict=False, time_unit="us")


def part_of(column: pl.Series) -> str | None:
    """Which part of a time a column holds, by its name and its values; none where it holds none.

    >>> part_of(pl.Series("mnth", [1, 12])), part_of(pl.Series("month", [0, 12]))
    ('month', None)
    """
    if not column.dtype.is_integer() or column.null_count() or not len(column):
        return None
    called = " ".join(split_words(column.name))
    part = next((part for part, names in _CALLED.items() if called in names), None)
    if part is None:
        return None
    low, high = _WITHIN[part]
    return part if column.is_between(low, high).all() else None


def parts_among(frame: pl.DataFrame) -> list[str]:
    """The columns that make a time, from the year down, where a table has a year and a month that do."""
    found: dict[str, str] = {}
    for column in frame:
        if (part := part_of(column)) is not None:
            found.setdefault(part, column.name)
    names = []
    for part in PARTS:
        if part not in found:
            break
        names.append(found[part])
    if len(names) < 2 or time_of_parts([frame.get_column(name) for name in names]).null_count():
        return []
    return names
