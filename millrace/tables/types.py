"""What the text of a column means: whole numbers, numbers, true and false, dates, or text."""

import re

import polars as pl

from millrace.errors import Finding
from millrace.tables import written

_LEADING_ZERO = r"^[+-]?0\d"
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}|$)")
_MOSTLY = 0.9


def clean(frame: pl.DataFrame, missing: list[str], from_text: bool) -> pl.DataFrame:
    """Turns the words that mean missing into nulls; text formats lose the padding of their fields first."""
    text = pl.col(pl.String).str.strip_chars() if from_text else pl.col(pl.String)
    return frame.with_columns(pl.when(text.is_in(["", *missing])).then(None).otherwise(text).name.keep())


def infer_types(frame: pl.DataFrame, from_text: bool) -> tuple[pl.DataFrame, dict[str, str], list[Finding]]:
    """Gives text columns the type that all their values have, and epochs theirs.

    With `from_text` off (a format that has types of its own) plain numbers in text stay text: somebody meant it.
    Returns the typed frame, how the columns that were not written plainly were written (see `written`), and a
    `schema.mixed_type` finding for each column that is nearly all numbers.
    """
    columns, forms, findings = [], {}, []
    for column in frame:
        typed = _typed(column, from_text) if column.dtype == pl.String else column
        typed, form = written.infer(typed)
        if form is not None:
            forms[column.name] = form
        columns.append(typed)
        if from_text and typed.dtype == pl.String:
            findings += _mixed(column)
    return pl.DataFrame(columns), forms, findings


def _typed(column: pl.Series, from_text: bool) -> pl.Series:
    present = column.drop_nulls()
    if len(present) == 0:
        return column
    if from_text:
        sample = present.head(100)
        if sample.cast(pl.Float64, strict=False).null_count() == 0 and not sample.str.contains(_LEADING_ZERO).any():
            if present.str.contains(_LEADING_ZERO).any():
                return column
            for dtype in (pl.Int64, pl.Float64):
                cast = column.cast(dtype, strict=False)
                if cast.null_count() == column.null_count():
                    return cast
            return column
        lowered = sample.str.to_lowercase()
        if lowered.is_in(["true", "false"]).all():
            lowered = column.str.to_lowercase()
            if lowered.drop_nulls().is_in(["true", "false"]).all():
                return lowered == "true"
            return column
    if _DATE.match(present[0]):
        times = parse_times(column)
        if times.null_count() == column.null_count():
            return times
    return column


def parse_times(column: pl.Series) -> pl.Series:
    """ISO 8601 dates and times as microseconds in UTC; null where one does not parse.

    A column is read in one form: times with a zone beside times without one do not parse together.
    """
    try:
        times = column.str.to_datetime(strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return pl.Series(column.name, [None] * len(column), pl.Datetime("us"))
    return naive_utc(times)


def naive_utc(column: pl.Series) -> pl.Series:
    """Dates and times of any unit and zone as microseconds since 1970 in UTC."""
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column.cast(pl.Datetime("us"))


def _mixed(column: pl.Series) -> list[Finding]:
    present = column.drop_nulls()
    numbers = present.cast(pl.Float64, strict=False)
    if len(present) == 0 or numbers.null_count() == 0 or 1 - numbers.null_count() / len(present) < _MOSTLY:
        return []
    example = present.filter(numbers.is_null())[0]
    share = 1 - numbers.null_count() / len(present)
    return [
        Finding(
            "schema.mixed_type",
            [column.name],
            "warning",
            f"{share:.1%} of {column.name!r} are numbers but {example!r} is not, so the column is read as text; "
            f"add {example!r} to data.missing if it means missing",
            {"share_numbers": share, "example": example},
        )
    ]
