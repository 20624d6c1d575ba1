r"""Times as people write them: ISO 8601, `31/12/2024`, `20241231`, seconds since 1970, and so on.

A form is a pattern of `strptime`, an epoch, or `serial` (the days of a spreadsheet). All of these
are the end of 2024:

    written                      form             tried for
    2024-12-31T00:00:00Z         none: ISO 8601   text
    31/12/2024                   %d/%m/%Y         text, and about a hundred forms more
    20241231                     %Y%m%d           whole numbers in a column named like a date
    1735603200                   epoch_s          numbers in a column named like a time
    45657                        serial           numbers in a column named like a date

A column is read by one form. `03/04/2024` fits two of them, with the day or the month first:
`forms_of` returns both, and the table as a whole decides (`tables.types`).

Either all times of a column have a zone, or none has. Those with a zone are converted to UTC and
have a type with a zone.
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
    "%Y/%m/%d", "%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d-%b-%Y", "%d-%b-%y",
    "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMS = (
    *(day + clock for clock, day in product(_CLOCKS, _DAYS)),
    "%Y-%m", "%Y/%m",
    "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z",
)  # fmt: skip
"""The patterns of text, in the order in which they are preferred."""
_MONTHS = ("%Y-%m", "%Y/%m")
_FORMS_WITHOUT_MONTHS = tuple(form for form in FORMS if form not in _MONTHS)
_MONTH_NAMES = {"month", "months", "period", "day"}
"""In a column of such a name `2009-10` is a month; elsewhere it may be a season or a version."""

YMD = "%Y%m%d"
_LOWEST_YMD = 19_000_101
_HIGHEST_YMD = 21_001_231
_PER_S = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
SERIAL = "serial"
_FROM_S = 315_532_800
_UNTIL_S = 2_524_608_000
"""1980 to 2050 in seconds since 1970."""
_FROM_DAY = 29_221
_UNTIL_DAY = 54_789
"""1980 to 2050 in the days of a spreadsheet."""
_PLAUSIBLE = datetime(1900, 1, 1), datetime(2200, 1, 1)
"""A count whose time is outside of these years has a different unit."""
_DAY_0 = datetime(1899, 12, 30)
"""The day 0 of a spreadsheet."""
_PIVOT = 1969
"""Two digits of a year mean 1969 to 2068, as POSIX has it; Polars takes 69 for 2069."""
_COUNT = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
_SAMPLE = 50
_FIRST = 20


def iso(column: pl.Series) -> pl.Series:
    """Read text as ISO 8601 dates and times; null for a value that is none.

    The first time decides whether the column has a zone; a time that differs there is null too.

    >>> iso(pl.Series(["2024-12-31", "2024-12-31 23:59", "31.12.2024"])).dt.hour().to_list()
    [0, 23, None]
    >>> iso(pl.Series(["2024-12-31T12:00+02:00", "2024-12-31T12:00"])).dt.hour().to_list()
    [10, None]
    """
    text = column.str.strip_chars()
    # Polars knows UTC as a `Z` right behind the time.
    text = (
        text.set(~text.str.contains(_ISO).fill_null(False), None)
        .str.replace(r" ?UTC$", "Z")
        .str.replace(" Z$", "Z")
    )
    try:
        times = text.str.to_datetime(strict=False, time_unit="us")
    except pl.exceptions.PolarsError:  # not one value is a time
        return _nulls(column)
    return in_utc(times)


def _nulls(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [None] * len(column), pl.Datetime("us"))


def in_utc(column: pl.Series) -> pl.Series:
    """Convert dates and times of any unit to microseconds, and those with a zone to UTC."""
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    return column.cast(pl.Datetime("us"))


def has_zone(dtype: pl.DataType) -> bool:
    """Say whether times of this type have a zone.

    >>> has_zone(pl.Datetime("us", "UTC")), has_zone(pl.Datetime("us")), has_zone(pl.Date())
    (True, False, False)
    """
    return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None


def infer_iso(column: pl.Series, present: pl.Series) -> pl.Series | None:
    """Read text as ISO 8601 times, or return None if one of its `present` values is none."""
    # One value in Python costs less than the column in Polars, and most columns fail here.
    if not _IS_ISO.fullmatch(present[0]):
        return None
    times = iso(column)
    return times if times.null_count() == column.null_count() else None


def forms_of(present: pl.Series) -> list[str]:
    """Find the forms in which every value is a time; none of the values is missing.

    >>> forms_of(pl.Series(["03/04/2024", "05/06/2024"]))
    ['%m/%d/%Y', '%d/%m/%Y']
    >>> forms_of(pl.Series(["03/04/2024", "31/12/2024"]))
    ['%d/%m/%Y']
    """
    sample = present.head(_SAMPLE)
    if not sample[:1].str.contains(r"\d").all():
        return []

    # From cheap to dear: one value in Python, a few in Polars, then all of them. In a sorted
    # column the last value differs most from the first ones.
    forms = [form for form in _forms_for(present.name) if _fits(sample[0], form)]
    sample = sample.append(present[-1:])
    forms = [form for form in forms if parse(sample, form).null_count() == 0]
    return [form for form in forms if parse(present, form).null_count() == 0]


def _forms_for(name: str) -> tuple[str, ...]:
    """Return the forms of text that a column of this name may have."""
    if is_time_name(name) or not _MONTH_NAMES.isdisjoint(split_words(name)):
        return FORMS
    return _FORMS_WITHOUT_MONTHS


def readings_of(present: pl.Series) -> list[pl.Series]:
    """Read a column whose values are times in no one form by each form that reads a first value.

    Each reading is null for a value that is not written in its form; the one that reads most
    comes first.

    >>> present = pl.Series(["1.2.2024", "2.2.2024", "3/4/2024"])
    >>> [reading.dt.day().to_list() for reading in readings_of(present)]
    [[1, 2, None], [None, None, 4], [None, None, 3]]
    """
    first = present.unique(maintain_order=True).head(_FIRST).to_list()
    readings = [parse(present, form) for form in _FORMS_WITHOUT_MONTHS if _fits_any(first, form)]
    if any(map(_IS_ISO.fullmatch, first)):
        readings.insert(0, iso(present))
    return sorted(readings, key=lambda reading: reading.null_count())


def _fits_any(texts: list[str], form: str) -> bool:
    return any(_fits(text, form) for text in texts)


def _fits(text: str, form: str) -> bool:
    """Say whether one text is a time of a form.

    Python tries ninety forms on a text in less time than Polars takes to start once.
    """
    if not re.search(_year_pattern(form), text.strip()):
        return False
    try:
        datetime.strptime(text.strip(), form)
    except ValueError:
        return False
    return True


def order_of(form: str) -> Order | None:
    """Return the order of day and month in a form, or None if it cannot be mistaken.

    >>> order_of("%d/%m/%Y %H:%M"), order_of("%d.%m.%Y")
    ('day_first', None)
    """
    day = form.partition(" ")[0]
    return next((order for order, days in _BY_ORDER.items() if day in days), None)


def infer_counted(column: pl.Series) -> tuple[pl.Series, str] | None:
    """Read numbers as times if the name of the column says so; also returns their form.

    They may be the digits of a date, an epoch, or the days of a spreadsheet.

    >>> infer_counted(pl.Series("order_date", [20241231]))[0][0].isoformat()
    '2024-12-31T00:00:00'
    >>> infer_counted(pl.Series("created_at", [1735603200]))[1], infer_counted(pl.Series("n", [1]))
    ('epoch_s', None)
    """
    if not (is_time_name(column.name) or is_date_name(column.name)):
        return None
    low = column.min()
    high = column.max()
    if low is None or high is None:
        return None

    for form in _counted_forms(column, float(str(low)), float(str(high))):
        times = parse(column, form)
        if times.null_count() == column.null_count():
            return times, form
    return None


def _counted_forms(column: pl.Series, low: float, high: float) -> list[str]:
    """Find the forms under which numbers from `low` to `high` are times of our days."""
    if column.dtype.is_integer() and low >= _LOWEST_YMD and high <= _HIGHEST_YMD:
        return [YMD]
    if is_date_name(column.name) and low >= _FROM_DAY and high <= _UNTIL_DAY:
        return [SERIAL]
    if not is_time_name(column.name):
        return []
    return [
        form
        for form, per_s in _PER_S.items()
        if low >= _FROM_S * per_s and high <= _UNTIL_S * per_s
    ]


def parse(column: pl.Series, form: str) -> pl.Series:
    """Read a column as times; null for a value that is not written in this form.

    >>> parse(pl.Series(["31/12/69", "31/12/68", "n/a"]), "%d/%m/%y").dt.year().to_list()
    [1969, 2068, None]
    >>> parse(pl.Series([1735603200]), "epoch_s")[0].isoformat()
    '2024-12-31T00:00:00'
    """
    if form in _PER_S or form == SERIAL:
        times = _from_count(column, form)
        return times.set(~times.is_between(*_PLAUSIBLE).fill_null(True), None)

    # Whole numbers with a hole in their column are floats: `20241231.0`.
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_float() else column
    text = whole.cast(pl.String).str.strip_chars()
    if form == YMD:
        text = text.str.strip_suffix(".0")
    text = text.set(~text.str.contains(_year_pattern(form)).fill_null(False), None)
    try:
        times = text.str.to_datetime(form, strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return _nulls(column)
    # Polars puts the year 69 into another century than Python does.
    if "%y" in form:
        times = _with_pivot(times)
    return in_utc(times).alias(column.name)


def _with_pivot(times: pl.Series) -> pl.Series:
    """Move times of the year 2069 to 1969; see `_PIVOT`."""
    is_late = (times.dt.year() == _PIVOT + 100).fill_null(False)
    moved = pl.when(is_late).then(pl.col("t").dt.offset_by("-100y")).otherwise("t")
    return times.to_frame("t").select(moved)["t"]


def _year_pattern(form: str) -> str:
    """Return a pattern that a text of a form must contain.

    It keeps `%Y` from taking two digits for the year 24, and `%y` from taking four.
    """
    if form == YMD:
        return r"^\d{8}$"
    if form.startswith("%d.%m.%y"):
        return r"^\d{2}\.\d{2}\.\d{2}($|\s)"  # `1.1.10` is the number of a version
    if form.startswith("%y"):
        return r"^\d{2}\D"
    return r"(^|\D)\d{4}(\D|$)" if "%Y" in form else r"(^|\D)\d{2}($|\s)"


def _from_count(column: pl.Series, form: str) -> pl.Series:
    """Read counts as times: the days of a spreadsheet, or an epoch."""
    if form == SERIAL:
        days = column.cast(pl.Float64, strict=False)
        micros = (days * DAY_US).round().cast(pl.Int64, strict=False) + to_us(_DAY_0)
        return micros.cast(pl.Datetime("us"))

    per_s = _PER_S[form]
    whole = column.cast(pl.Int64, strict=False)
    has_fractions = column.dtype == pl.String and whole.null_count() > column.null_count()
    if column.dtype.is_float() or has_fractions:
        micros = column.cast(pl.Float64, strict=False) * (10**6 / per_s)
        return micros.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us"))

    # Whole numbers stay whole: a float does not hold nanoseconds since 1970.
    micros = whole * (10**6 // per_s) if per_s <= 10**6 else whole // (per_s // 10**6)
    return micros.cast(pl.Datetime("us"))


def parse_value(value: str | int | float, form: str | None) -> datetime:
    """Read one time as its form has it, or as ISO 8601; it is aware if it names a zone.

    Raises `ValueError` or `TypeError` if it is neither.

    >>> parse_value(1700000000, "epoch_s").isoformat(), parse_value("1/2/69", "%d/%m/%y").year
    ('2023-11-14T22:13:20', 1969)
    >>> parse_value("2024-12-31 12:00 UTC", "%d/%m/%y").isoformat()
    '2024-12-31T12:00:00+00:00'
    """
    # True is a number to Python, and would be a second after 1970.
    if isinstance(value, bool):
        raise TypeError(value)
    text = str(value).strip()
    if form == YMD:
        text = text.removesuffix(".0")

    if (form in _PER_S or form == SERIAL) and not _IS_ISO.fullmatch(text):
        moment = _from_count_value(value, str(form))
        if not _PLAUSIBLE[0] <= moment <= _PLAUSIBLE[1]:
            raise ValueError(value)
        return moment
    if form is not None and re.search(_year_pattern(form), text):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            pass

    if not (isinstance(value, str) and _IS_ISO.fullmatch(text)):
        raise ValueError(value)
    return datetime.fromisoformat(re.sub(r" ?(UTC|Z)$", "Z", text))


def _from_count_value(value: str | int | float, form: str) -> datetime:
    """Read one count as a time, as `_from_count` reads a column of them."""
    if form == SERIAL:
        return _DAY_0 + timedelta(microseconds=round(float(value) * DAY_US))
    per_s = _PER_S[form]
    if isinstance(value, str) and not _COUNT.fullmatch(value.strip()):
        raise ValueError(value)
    if isinstance(value, float):
        return to_datetime(round(value * 10**6 / per_s))
    try:
        micros = int(value) * 10**6 // per_s
    except ValueError:  # text that is no whole number
        micros = round(float(value) * 10**6 / per_s)
    return to_datetime(micros)


def utc_of(value: date, zoned: bool | None) -> datetime:
    """Convert a moment to UTC and drop its zone.

    `zoned` says whether the times of its column have a zone; None takes both. Raises `ValueError`
    if the moment has a zone and should not, or the other way round.

    >>> utc_of(datetime.fromisoformat("2024-12-31T12:00+02:00"), True).isoformat()
    '2024-12-31T10:00:00'
    """
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    if zoned is not None and (moment.tzinfo is not None) != zoned:
        raise ValueError(value)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def mixes_zones(present: pl.Series) -> bool:
    """Say whether all values are ISO times, some with a zone and some without one.

    >>> mixes_zones(pl.Series(["2024-12-31T12:00Z", "2024-12-31T12:00"]))
    True
    """
    if not _IS_ISO.fullmatch(present[0].strip()):
        return False
    text = present.str.strip_chars()
    if not text.str.contains(_ISO).all():
        return False
    share = text.str.contains(_ZONE).mean()
    return share is not None and 0.0 < float(str(share)) < 1.0
