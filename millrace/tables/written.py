"""Numbers and times that stand in a table in another way than the plain one: `1,234`, `12 %`, `31/12/2024`, epochs.

A column is read so only where every value of it can be. How it was written is kept in the schema, so that a request may
write it in the same way.
"""

import re
from datetime import UTC, datetime, timedelta
from itertools import product

import polars as pl

COMMA_GROUPS, COMMA_DECIMAL = "comma_groups", "comma_decimal"
_SYMBOLS = r"[\s%$€£¥]"
_NUMBERS = {
    COMMA_GROUPS: r"^[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?$",
    COMMA_DECIMAL: r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$",
}
_DAYS = (
    "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y",
    "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
TIMES = tuple(day + clock for clock, day in product(_CLOCKS, _DAYS))
_EPOCHS_PER_S = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
_FROM_S, _UNTIL_S = 315_532_800, 2_524_608_000  # 1980 to 2050
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|date|datetime|at|ts|epoch|when|created|updated)($|_)", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1)


def infer(column: pl.Series) -> tuple[pl.Series, str | None]:
    """The column as numbers or times and how it was written; itself and `None` where it is neither.

    >>> infer(pl.Series("x", ["1,234", "5 %"]))[0].to_list()
    [1234.0, 5.0]
    >>> infer(pl.Series("x", ["31/12/2024", "1/2/2025"]))[1]
    '%d/%m/%Y'
    """
    present = column.drop_nulls()
    if not len(present):
        return column, None
    if column.dtype.is_integer():
        return _as_epoch(column)
    if column.dtype != pl.String or not present[0][-1:].strip():
        return column, None
    sample = present.head(50)
    candidates = [COMMA_GROUPS, COMMA_DECIMAL] if _looks_like_numbers(present) else []
    candidates += [form for form in TIMES if parse(sample[:1], form).null_count() == 0]
    for form in candidates:
        if parse(sample, form).null_count() == 0:
            parsed = parse(column, form)
            if parsed.null_count() == column.null_count():
                return parsed, form
    return column, None


def _looks_like_numbers(present: pl.Series) -> bool:
    """Digits with a comma or a symbol somewhere; zeros in front are those of a code."""
    bare = _undecorated(present.head(50))
    if not bare.str.contains(r"^[+-]?\d[\d.,]*$").all() or bare.str.contains(r"^[+-]?0\d").any():
        return False
    return bool(present.str.contains(r"[,%$€£¥]").any()) and not present.str.contains(r"^[+-]?0\d").any()


def _as_epoch(column: pl.Series) -> tuple[pl.Series, str | None]:
    """Whole numbers that are times since 1970 in one unit; only a column with a name for it, since any count might
    be."""
    if not _TIME_NAME.search(column.name):
        return column, None
    low, high = column.min(), column.max()
    assert isinstance(low, int) and isinstance(high, int)
    for form, per_s in _EPOCHS_PER_S.items():
        if _FROM_S * per_s <= low and high <= _UNTIL_S * per_s:
            return parse(column, form), form
    return column, None


def parse(column: pl.Series, written: str) -> pl.Series:
    """The column as Float64 or Datetime; null where a value is not written so."""
    if written in _EPOCHS_PER_S:
        ticks = column.cast(pl.Float64 if column.dtype == pl.Float64 else pl.Int64, strict=False)
        return _from_epoch(ticks.cast(pl.Int64, strict=False), written)
    if written in _NUMBERS:
        bare = _undecorated(column.cast(pl.String))
        fits = bare.str.contains(_NUMBERS[written])
        plain = bare.str.replace_all("." if written == COMMA_DECIMAL else ",", "", literal=True).str.replace(
            ",", ".", literal=True
        )
        return plain.cast(pl.Float64, strict=False).set(~fits.fill_null(False), None)
    times: pl.Series = column.cast(pl.String).str.to_datetime(written, strict=False, time_unit="us")
    return times


def _undecorated(column: pl.Series) -> pl.Series:
    return column.str.replace_all(_SYMBOLS, "")


def _from_epoch(ticks: pl.Series, written: str) -> pl.Series:
    per_s = _EPOCHS_PER_S[written]
    micros = ticks * (10**6 // per_s) if per_s <= 10**6 else ticks // (per_s // 10**6)
    return micros.cast(pl.Datetime("us"))


def parse_number(text: str, written: str) -> float:
    """One number; raises `ValueError` where it is not written so.

    >>> parse_number("1.234,5 €", COMMA_DECIMAL)
    1234.5
    """
    bare = re.sub(_SYMBOLS, "", text)
    if not re.match(_NUMBERS[written], bare):
        raise ValueError(text)
    return float(bare.replace("." if written == COMMA_DECIMAL else ",", "").replace(",", "."))


def parse_time(value: str | int | float, written: str) -> datetime:
    """One time in UTC without a zone; raises `ValueError` where it is not written so.

    >>> parse_time(1700000000, "epoch_s").isoformat()
    '2023-11-14T22:13:20'
    """
    if written in _EPOCHS_PER_S:
        return _EPOCH + timedelta(microseconds=int(value) * 10**6 // _EPOCHS_PER_S[written])
    parsed = datetime.strptime(str(value), written)
    return parsed if parsed.tzinfo is None else parsed.astimezone(UTC).replace(tzinfo=None)
