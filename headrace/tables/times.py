"""Times as people write them: ISO 8601, `31/12/2024`, `12/31/24`, `20241231`, seconds since 1970, a
spreadsheet's days.

A form is a `strptime` pattern, an epoch, or `serial`. A column is read by one form, and either all
of its times have a zone (they are kept in UTC, as a type with a zone) or none has.
"""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Literal

import polars as pl

from headrace.clock import DAY_US, to_datetime, to_us
from headrace.spec import is_date_name, is_time_name, split_words

Order = Literal["day_first", "month_first", "year_first"]
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC)|[+-]\d{2}(:?\d{2})?)?)?$"
_IS_ISO = re.compile(_ISO, re.ASCII)
_ZONE = r"(Z|UTC|:\d{2}(\.\d+)?[+-]\d{2}(:?\d{2})?)$"
_BY_ORDER: dict[Order, tuple[str, ...]] = {
    "month_first": ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y", "%m-%d-%y"),
    "day_first": ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y", "%d-%m-%y"),
    "year_first": ("%y-%m-%d",),
}
_DAYS = (
    *(form for forms in _BY_ORDER.values() for form in forms),
    "%Y/%m/%d", "%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%d %B %Y",
    "%B %d, %Y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMS = (
    *(day + clock for clock, day in product(_CLOCKS, _DAYS)),
    "%Y-%m", "%Y/%m", "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z",
)  # fmt: skip
_MONTHS, _OF_MONTHS = ("%Y-%m", "%Y/%m"), {"month", "months", "period", "day"}
"""`2009-10` is a month in a column of such a name; elsewhere it may be a season or a number of a version."""
YMD = "%Y%m%d"
_PER_S = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
SERIAL = "serial"
_FROM_S, _UNTIL_S = 315_532_800, 2_524_608_000  # 1980 to 2050
_FROM_DAY, _UNTIL_DAY = 29_221, 54_789  # the same in days of a spreadsheet
_PLAUSIBLE = datetime(1900, 1, 1), datetime(2200, 1, 1)
"""A count that is a time outside of these years was written in another unit."""
_DAY_0 = datetime(1899, 12, 30)
_PIVOT = 1969
"""Two digits of a year mean 1969 to 2068, as POSIX has it; Polars takes 69 for 2069."""
_COUNT = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
_SAMPLE, _FIRST = 50, 20


def iso(column: pl.Series) -> pl.Series:
    """ISO 8601 dates and times; null where one does not parse, or has a zone where others have none
    (or none where others have one).
    """
    text = column.str.strip_chars()
    text = (
        text.set(~text.str.contains(_ISO).fill_null(False), None)
        .str.replace(r" ?UTC$", "Z")
        .str.replace(" Z$", "Z")
    )
    try:
        times = text.str.to_datetime(strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return pl.Series(column.name, [None] * len(column), pl.Datetime("us"))
    return in_utc(times)


def in_utc(column: pl.Series) -> pl.Series:
    """Dates and times of any unit as microseconds; those with a zone in UTC."""
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    return column.cast(pl.Datetime("us"))


def has_zone(dtype: pl.DataType) -> bool:
    """Whether times of this type have a zone."""
    return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None


def infer_iso(column: pl.Series, present: pl.Series) -> pl.Series | None:
    """The text of a column as ISO 8601 times, where every one of its `present` values is one."""
    if not _IS_ISO.fullmatch(present[0]):
        return None
    times = iso(column)
    return times if times.null_count() == column.null_count() else None


def forms_of(present: pl.Series) -> list[str]:
    """The forms in which every value is a time; none of them is missing."""
    sample, last = present.head(_SAMPLE), present[-1:]
    if not sample[:1].str.contains(r"\d").all():
        return []
    named = not _OF_MONTHS.isdisjoint(split_words(present.name)) or is_time_name(present.name)
    candidates = [
        form for form in FORMS if _is_one(sample[0], form) and (named or form not in _MONTHS)
    ]
    candidates = [form for form in candidates if parse(sample.append(last), form).null_count() == 0]
    return [form for form in candidates if parse(present, form).null_count() == 0]


def readings_of(present: pl.Series) -> list[pl.Series]:
    """What the forms make of a column whose values are times in no one form: those that read any of
    the first values, null where one is not written so; the form that reads most comes first.
    """
    first = present.unique(maintain_order=True).head(_FIRST).to_list()
    forms = [
        form for form in FORMS if form not in _MONTHS and any(_is_one(text, form) for text in first)
    ]
    found = [parse(present, form) for form in forms]
    if any(_IS_ISO.fullmatch(text) for text in first):
        found.insert(0, iso(present))
    return sorted(found, key=lambda reading: reading.null_count())


def _is_one(text: str, form: str) -> bool:
    """Whether one text is a time of a form: Python asks ninety forms faster than Polars is started once."""
    if not re.search(_years_of(form), text.strip()):
        return False
    try:
        datetime.strptime(text.strip(), form)
    except ValueError:
        return False
    return True


def order_of(form: str) -> Order | None:
    """How days and months stand in a form, where it is one of those that can be mistaken.

    >>> order_of("%d/%m/%Y %H:%M"), order_of("%d.%m.%Y")
    ('day_first', None)
    """
    found: list[Order] = [
        order for order, days in _BY_ORDER.items() if form.partition(" ")[0] in days
    ]
    return found[0] if found else None


def infer_counted(column: pl.Series) -> tuple[pl.Series, str] | None:
    """Numbers that are times, and their form, by the name of the column: digits of a date, an
    epoch, or the days of a spreadsheet.

    >>> infer_counted(pl.Series("order_date", [20241231]))[0][0].isoformat()
    '2024-12-31T00:00:00'
    """
    if not (is_time_name(column.name) or is_date_name(column.name)):
        return None
    low, high = column.min(), column.max()
    if low is None or high is None:
        return None
    bounds = float(str(low)), float(str(high))
    forms = [
        name for name, per_s in _PER_S.items() if _within(bounds, _FROM_S * per_s, _UNTIL_S * per_s)
    ]
    forms = forms if is_time_name(column.name) else []
    if column.dtype.is_integer() and _within(bounds, 19_000_101, 21_001_231):
        forms = [YMD]
    elif is_date_name(column.name) and _within(bounds, _FROM_DAY, _UNTIL_DAY):
        forms = [SERIAL]
    for form in forms:
        times = parse(column, form)
        if times.null_count() == column.null_count():
            return times, form
    return None


def _within(bounds: tuple[float, float], low: float, high: float) -> bool:
    return low <= bounds[0] and bounds[1] <= high


def parse(column: pl.Series, form: str) -> pl.Series:
    """The column as times; null where a value is not written so."""
    if form in _PER_S or form == SERIAL:
        counted = _from_count(column, form)
        return counted.set(~counted.is_between(*_PLAUSIBLE).fill_null(True), None)
    counted = column.cast(pl.Int64, strict=False) if column.dtype.is_float() else column
    text = counted.cast(pl.String).str.strip_chars()
    text = text.str.strip_suffix(".0") if form == YMD else text
    text = text.set(~text.str.contains(_years_of(form)).fill_null(False), None)
    try:
        times = text.str.to_datetime(form, strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return pl.Series(column.name, [None] * len(column), pl.Datetime("us"))
    if "%y" in form:
        late = (times.dt.year() == _PIVOT + 100).fill_null(False)
        times = times.to_frame("t").select(
            pl.when(late).then(pl.col("t").dt.offset_by("-100y")).otherwise("t")
        )["t"]
    return in_utc(times).alias(column.name)


def _years_of(form: str) -> str:
    """What a text must contain so that two digits are not taken for the year 24."""
    if form == YMD:
        return r"^\d{8}$"
    if form.startswith("%d.%m.%y"):
        return r"^\d{2}\.\d{2}\.\d{2}($|\s)"  # `1.1.10` is the number of a version
    if form.startswith("%y"):
        return r"^\d{2}\D"
    return r"(^|\D)\d{4}(\D|$)" if "%Y" in form else r"(^|\D)\d{2}($|\s)"


def _from_count(column: pl.Series, form: str) -> pl.Series:
    if form == SERIAL:
        days = column.cast(pl.Float64, strict=False)
        micros = (days * DAY_US).round().cast(pl.Int64, strict=False) + to_us(_DAY_0)
        return micros.cast(pl.Datetime("us"))
    per_s = _PER_S[form]
    whole = column.cast(pl.Int64, strict=False)
    if column.dtype.is_float() or (
        column.dtype == pl.String and whole.null_count() > column.null_count()
    ):
        counts = column.cast(pl.Float64, strict=False) * (10**6 / per_s)
        return counts.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
    micros = whole * (10**6 // per_s) if per_s <= 10**6 else whole // (per_s // 10**6)
    return micros.cast(pl.Datetime("us"))


def parse_value(value: str | int | float, form: str | None) -> datetime:
    """One time as its form has it, or as ISO 8601; aware where it names a zone. Raises `ValueError`
    or `TypeError` where it is neither.

    >>> parse_value(1700000000, "epoch_s").isoformat(), parse_value("1/2/69", "%d/%m/%y").year
    ('2023-11-14T22:13:20', 1969)
    """
    if isinstance(value, bool):
        raise TypeError(value)
    text = str(value).strip().removesuffix(".0") if form == YMD else str(value).strip()
    if (form in _PER_S or form == SERIAL) and not _IS_ISO.fullmatch(text):
        moment = _value_of_count(value, str(form))
        if not _PLAUSIBLE[0] <= moment <= _PLAUSIBLE[1]:
            raise ValueError(value)
        return moment
    if form is not None and re.search(_years_of(form), text):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            pass
    if not (isinstance(value, str) and _IS_ISO.fullmatch(text)):
        raise ValueError(value)
    return datetime.fromisoformat(re.sub(r" ?(UTC|Z)$", "Z", text))


def _value_of_count(value: str | int | float, form: str) -> datetime:
    if form == SERIAL:
        return _DAY_0 + timedelta(microseconds=round(float(value) * DAY_US))
    per_s = _PER_S[form]
    if isinstance(value, str) and not _COUNT.fullmatch(value.strip()):
        raise ValueError(value)
    try:
        micros = (
            int(value) * 10**6 // per_s
            if not isinstance(value, float)
            else round(value * 10**6 / per_s)
        )
    except ValueError:  # text that is no whole number
        micros = round(float(value) * 10**6 / per_s)
    return to_datetime(micros)


def utc_of(value: date, zoned: bool | None) -> datetime:
    """A moment in UTC without its zone; raises `ValueError` where it has one and should not, or has
    none and should.

    `zoned` says whether the times of its column have a zone; none where both are taken.
    """
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    if zoned is not None and (moment.tzinfo is not None) != zoned:
        raise ValueError(value)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def mixes_zones(present: pl.Series) -> bool:
    """Whether some ISO times have a zone and some have none."""
    if (
        not _IS_ISO.fullmatch(present[0].strip())
        or not present.str.strip_chars().str.contains(_ISO).all()
    ):
        return False
    zoned = present.str.strip_chars().str.contains(_ZONE).mean()
    return zoned is not None and 0.0 < float(str(zoned)) < 1.0
