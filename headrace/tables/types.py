"""What the values of a table mean: whole numbers, numbers, true and false, times, or text.

First every column says how it can be read, then the table as a whole settles what a column cannot:
whether a comma begins a fraction, and whether the day of a date comes first.
"""

from collections.abc import Collection, Sequence

import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec
from headrace.tables import numbers, times
from headrace.tables.numbers import COMMA_DECIMAL, STYLES, Reading
from headrace.tables.times import Order
from headrace.tables.written import Form

_LEADING_ZERO = r"^[+-]?0\d"
_WHOLE = r"^[+-]?\d+$"
_MARK = r"[^0-9.eE+-]"
"""What a number as every machine reads it has not: text of such numbers in a format with types was meant as text."""
_WITH_UNIT = r"^[+-]?\d+([.,]\d+)*\s*[A-Za-z‰]{1,4}$|^[A-Z]{3}\s*\d+([.,]\d+)*$"
_PART_OF_DATE = r"\d[-/. ](\d|[A-Z][a-z]{2})"
_SAMPLE = 100
_MOSTLY = 0.9
_MOST_WHOLE = 2.0**53
"""Whole numbers up to here are exact as floats."""
_WORDS_FOR_MISSING = {
    "none", "na", "n/a", "#n/a", "#na", "n.a.", "nan", "nat", "null", "(null)", "#null!", "<na>", "\\n", "nil",
    "missing", "unknown", "-", "--", "—", "–", ".", "?", "#div/0!", "#value!", "#ref!", "not available", "(blank)",
}  # fmt: skip
_FEWEST_NUMBERS = 20
"""Among fewer different numbers an unknown word is a value like the others: `1`, `2`, `3` and `A` are wards."""


class Locale(Struct, frozen=True):
    """How a table writes what can be read in two ways: the sign before a fraction, and the order of
    day and month; none where nothing in it proves either. `separator` is the sign between its
    columns: a fraction may well begin with a comma beside semicolons, and hardly between commas.
    """

    decimal: str | None = None
    order: Order | None = None
    separator: str = ""


class Candidate(Struct, frozen=True):
    """A column and how it can be read.

    `typed` is settled already; else `reading` says which numbers it may hold and `forms` which
    times. `words` stand for missing in it.
    """

    column: pl.Series
    typed: pl.Series | None = None
    form: str | None = None
    reading: Reading | None = None
    forms: list[str] = []
    words: list[str] = []
    findings: list[Finding] = []


def clean(frame: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
    """Text without the blanks around it, and nulls for the words that mean missing: in every table,
    whatever its format.
    """
    text = cs.string().str.strip_chars()
    return frame.with_columns(
        pl.when(text.is_in(["", *missing])).then(None).otherwise(text).name.keep()
    )


def candidates(
    frame: pl.DataFrame, from_text: bool, as_text: Collection[str] = ()
) -> list[Candidate]:
    """How each column of a clean table can be read.

    With `from_text` off (a format that has types of its own) plain numbers in text stay text, but
    in the columns `as_text`: somebody meant it.
    """
    return [_candidate(column, from_text or column.name in as_text) for column in frame]


def locale_of(found: list[Candidate], read: ReadSpec, separator: str = "") -> Locale:
    """What the columns of a table prove of how it was written; what `read` states is taken as it
    is.

    Raises `InputError` where a column proves that days and months stand otherwise than stated.
    """
    proofs = {next(iter(one.reading.decimals)) for one in found if one.reading and _proves(one)}
    orders = {order for one in found if (order := _only_order(one.forms)) is not None}
    decimal = {",": ".", ".": ",", "'": "."}.get(read.thousands or "") or (
        proofs.pop() if len(proofs) == 1 else None
    )
    for one in found:
        if read.dates is not None and _only_order(one.forms) not in (None, read.dates):
            wrong = f"{read.dates}, but {one.column.name!r} can only be read the other way"
            raise InputError("data.read.dates", wrong, str(_only_order(one.forms)))
    return Locale(decimal, read.dates or (orders.pop() if len(orders) == 1 else None), separator)


def check_thousands(found: Sequence[Candidate], sign: str | None) -> None:
    """Raises `InputError` where no column has numbers that can be read with the stated sign between groups."""
    readings = [one.reading for one in found if one.reading is not None]
    if sign is not None and not any(
        sign in STYLES[name].groups for reading in readings for name in reading.styles
    ):
        wrong = f"{sign!r}, but no column has numbers that are written with it"
        raise InputError(
            "data.read.thousands", wrong, "the sign between groups of digits, or nothing"
        )


def _proves(one: Candidate) -> bool:
    """Whether the numbers of a column can be read with one decimal sign alone, and show it or their groups."""
    assert one.reading is not None
    return len(one.reading.decimals) == 1 and bool(
        one.column.head(_SAMPLE).str.contains("[.,]").any()
    )


def _only_order(forms: list[str]) -> Order | None:
    orders = {times.order_of(form) for form in forms}
    return orders.pop() if len(orders) == 1 else None


def settle(
    found: list[Candidate], locale: Locale
) -> tuple[pl.DataFrame, dict[str, Form], list[Finding]]:
    """The typed table, how the columns that were not written plainly were written, and what was noticed."""
    columns: list[pl.Series] = []
    forms: dict[str, Form] = {}
    findings: list[Finding] = []
    for one in found:
        typed, form, told = _settled(one, locale)
        columns.append(typed)
        if form is not None or one.words:
            forms[one.column.name] = Form(form, one.words)
        findings += [*one.findings, *told]
    return pl.DataFrame({column.name: column for column in columns}), forms, findings


def _settled(one: Candidate, locale: Locale) -> tuple[pl.Series, str | None, list[Finding]]:
    if one.typed is not None:
        return one.typed, one.form, []
    if one.reading is not None:
        return _as_number(one, one.reading, locale)
    return _as_time(one, locale)


def _as_number(
    one: Candidate, reading: Reading, locale: Locale
) -> tuple[pl.Series, str | None, list[Finding]]:
    """By the sign that the file proves; where it proves none, the point before fractions that machines write."""
    styles = [
        style for style in reading.styles if STYLES[style].decimal == locale.decimal
    ] or reading.styles
    told: list[Finding] = []
    ambiguous = (
        locale.decimal is None
        and len(reading.decimals) > 1
        and (locale.separator == ";" or not reading.plain)
    )
    if ambiguous and bool(one.column.str.contains("[.,]").any()):
        told = [_ambiguous_number(one.column, reading)]
    if reading.plain and (
        locale.decimal != "," or "," not in reading.decimals or locale.separator == ","
    ):
        return whole(one.column.cast(pl.Float64, strict=False)), None, told
    form = numbers.form_of(styles[0], reading.unit)
    values = numbers.parse(one.column, form)
    if ((values.abs() > _MOST_WHOLE) & (values == values.round())).any():
        return one.column, None, [*told, _long(one.column)]
    return whole(values), form, told


def _ambiguous_number(column: pl.Series, reading: Reading) -> Finding:
    example = column.filter(column.str.contains("[.,]"))[0]
    others = sorted({numbers.parse(pl.Series([example]), style)[0] for style in reading.styles})
    message = (
        f"{column.name!r} can be read in two ways, {example!r} as {' or '.join(f'{value:g}' for value in others)}, and "
        f"nothing in the table tells which; data.read.thousands states the sign between groups"
    )
    return Finding(
        "schema.ambiguous_number", [column.name], "warning", message, {"example": example}
    )


def _as_time(one: Candidate, locale: Locale) -> tuple[pl.Series, str | None, list[Finding]]:
    orders = list(dict.fromkeys(times.order_of(form) for form in one.forms))
    form = next(
        (form for form in one.forms if times.order_of(form) in (None, locale.order)), one.forms[0]
    )
    typed = times.parse(one.column, form)
    told = []
    if len(orders) > 1 and locale.order is None:
        example = one.column.drop_nulls()[0]
        both = [
            times.parse(pl.Series([example]), form)[0].date().isoformat() for form in one.forms[:2]
        ]
        message = (
            f"{one.column.name!r} can be read in two ways, {example!r} as {both[0]} or {both[1]}, and nothing in the "
            f"tables tells which; it was read as {both[0]}; data.read.dates states {' or '.join(map(str, orders))}"
        )
        told.append(
            Finding(
                "schema.ambiguous_date", [one.column.name], "warning", message, {"example": example}
            )
        )
    if "%y" in form:
        message = f"{one.column.name!r} writes years with two digits: 69 to 99 are read as 1969 to 1999, the rest as 20.."
        told.append(
            Finding("schema.two_digit_year", [one.column.name], "info", message, {"form": form})
        )
    return typed, form, told


def _candidate(column: pl.Series, from_text: bool) -> Candidate:
    if column.dtype != pl.String:
        if column.dtype.is_numeric():
            column = whole(column)
            return _counted(column)
        return Candidate(column, column)
    present = column.drop_nulls()
    if not len(present):
        return Candidate(column, column)
    found = _read(column, present, from_text)
    if found is not None:
        return found
    words = _words_among(present) if from_text else []
    if words:
        rest = column.set(column.is_in(words).fill_null(False), None)
        again = _read(rest, rest.drop_nulls(), from_text)
        if again is not None and (
            again.typed is None or again.typed.dtype not in (pl.String, pl.Boolean)
        ):
            count = int(column.is_in(words).sum())
            return Candidate(
                column=rest, typed=again.typed, form=again.form, reading=again.reading, forms=again.forms, words=words,
                findings=[*again.findings, _words_found(column.name, words, count)],
            )  # fmt: skip
    return Candidate(column, column, findings=_odd(column, present, from_text))


def _read(column: pl.Series, present: pl.Series, from_text: bool) -> Candidate | None:
    """How text can be read as something else; none where it is text."""
    sample = present.head(_SAMPLE)
    plain = from_text and sample.cast(pl.Float64, strict=False).null_count() == 0
    if (
        plain
        and not sample.str.contains(_LEADING_ZERO).any()
        and not present.str.contains(_LEADING_ZERO).any()
    ):
        whole_numbers = column.cast(pl.Int64, strict=False)
        if whole_numbers.null_count() == column.null_count():
            return _counted(whole_numbers)
        floats = column.cast(pl.Float64, strict=False)
        if floats.null_count() == column.null_count():
            return _float(column, present, floats)
    if from_text and sample.str.to_lowercase().is_in(["true", "false"]).all():
        lowered = column.str.to_lowercase()
        if lowered.drop_nulls().is_in(["true", "false"]).all():
            return Candidate(column, lowered == "true")
    if (iso := times.infer_iso(column, present)) is not None:
        return Candidate(column, iso)
    if forms := times.forms_of(present):
        return Candidate(column, forms=forms)
    reading = numbers.reading_of(present, False)
    marked = from_text or bool(present.str.contains(_MARK).any())
    return Candidate(column, reading=reading) if reading.styles and marked else None


def _counted(values: pl.Series) -> Candidate:
    """Numbers, which may be times by the name of their column: that is said, for `date_id` may be a
    number of its own.
    """
    found = times.infer_counted(values)
    if found is None:
        return Candidate(values, values)
    example, moment = values.drop_nulls()[0], found[0].drop_nulls()[0]
    message = (
        f"{values.name!r} holds numbers that were read as times: {example} is {moment.isoformat()}"
    )
    told = Finding(
        "schema.counted_time",
        [values.name],
        "info",
        message,
        {"example": example, "form": found[1]},
    )
    return Candidate(values, *found, findings=[told])


def _float(column: pl.Series, present: pl.Series, floats: pl.Series) -> Candidate:
    """Floats that every machine reads, which may yet be whole numbers in groups: `2.155` and `12.300`."""
    if present.head(_SAMPLE).str.contains(_WHOLE).all() and present.str.contains(_WHOLE).all():
        return Candidate(column, column, findings=[_long(column)])
    floats = whole(floats.fill_nan(None))
    if (counted := _counted(floats)).form is not None:
        return counted
    if not present.head(_SAMPLE).str.contains(STYLES[COMMA_DECIMAL].pattern).all():
        return Candidate(column, floats, reading=Reading(plain=True))
    return Candidate(column, reading=numbers.reading_of(present, True))


def _long(column: pl.Series) -> Finding:
    example = column.drop_nulls()[0]
    message = f"{column.name!r} holds whole numbers that floats would make one, such as {example}: they are kept as text"
    return Finding("schema.long_integer", [column.name], "info", message, {"example": example})


def whole(column: pl.Series) -> pl.Series:
    """Floats that are all whole numbers as such: pandas writes whole numbers with a hole so."""
    if not column.dtype.is_float():
        return column
    present = column.drop_nulls()
    for some in (present.head(_SAMPLE), present):  # most columns of fractions show one at once
        if not len(some) or not ((some == some.round()) & (some.abs() <= _MOST_WHOLE)).all():
            return column
    return column.cast(pl.Int64)


def _words_among(present: pl.Series) -> list[str]:
    """The words for missing among values with digits: known ones, or one that is there again and again."""
    sample = present.head(_SAMPLE * 10)
    digits = sample.str.contains(r"\d")
    if not digits.any() or float(str(digits.mean())) < 0.5:
        return []
    words = present.filter(~present.str.contains(r"\d"))
    kinds = words.unique().sort().to_list()
    if all(word.lower() in _WORDS_FOR_MISSING for word in kinds):
        return kinds
    if len(kinds) == 1 and len(words) > 1 and present.n_unique() > _FEWEST_NUMBERS:
        return kinds
    return []


def _words_found(name: str, words: list[str], rows: int) -> Finding:
    shown = ", ".join(map(repr, words))
    message = (
        f"{shown} stands in the place of a value of {name!r} in {rows} rows and was read as missing"
    )
    return Finding("value.missing_word", [name], "info", message, {"words": words, "rows": rows})


def _odd(column: pl.Series, present: pl.Series, from_text: bool) -> list[Finding]:
    """What a person would like to know of a column that stays text."""
    sample = present.head(_SAMPLE)
    if times.mixes_zones(present):
        message = f"some times of {column.name!r} have a zone and some have none, so the column is read as text"
        return [
            Finding("schema.mixed_zone", [column.name], "warning", message, {"example": present[0]})
        ]
    if numbers.look_like_numbers(present):
        reading = numbers.reading_of(present, False)
        if reading.units:
            units = ", ".join(unit or "none" for unit in reading.units)
            message = f"the numbers of {column.name!r} have different units ({units}), so the column is read as text"
            return [
                Finding(
                    "schema.mixed_unit", [column.name], "warning", message, {"units": reading.units}
                )
            ]
        if from_text or present.head(_SAMPLE).str.contains(_MARK).any():
            message = (
                f"{column.name!r} looks like numbers, such as {present[0]!r}, but is read as text"
            )
            do = "; data.read.thousands states the sign between groups"
            return [
                Finding(
                    "schema.number_like",
                    [column.name],
                    "warning",
                    message + do,
                    {"example": present[0]},
                )
            ]
    if sample.str.contains(_WITH_UNIT).all() and present.n_unique() > _FEWEST_NUMBERS:
        message = f"{column.name!r} looks like numbers with a unit, such as {present[0]!r}, but is read as text"
        return [
            Finding(
                "schema.number_like", [column.name], "warning", message, {"example": present[0]}
            )
        ]
    if from_text and (
        found := _mixed(column, present, present.cast(pl.Float64, strict=False), "numbers")
    ):
        return found
    return _odd_times(column, present) if sample.str.contains(_PART_OF_DATE).any() else []


def _odd_times(column: pl.Series, present: pl.Series) -> list[Finding]:
    """Of text that looks like times: the few values that are none, or that two forms are mixed."""
    readings = times.readings_of(present)
    if not readings:
        return []
    if found := _mixed(column, present, readings[0], "times"):
        return found
    together = pl.Series([False]).new_from_index(0, len(present))
    for reading in readings:
        together |= reading.is_not_null()
    if not together.all():
        return []
    one, other = (
        present.filter(readings[0].is_not_null())[0],
        present.filter(readings[0].is_null())[0],
    )
    message = f"the times of {column.name!r} are written in several ways, such as {one!r} and {other!r}: it is text"
    return [
        Finding("schema.mixed_times", [column.name], "warning", message, {"examples": [one, other]})
    ]


def _mixed(column: pl.Series, present: pl.Series, values: pl.Series, kind: str) -> list[Finding]:
    share = 1 - values.null_count() / len(present)
    if values.null_count() == 0 or share < _MOSTLY:
        return []
    example = present.filter(values.is_null())[0]
    return [
        Finding(
            "schema.mixed_type",
            [column.name],
            "warning",
            f"{share:.1%} of {column.name!r} are {kind} but {example!r} is not, so the column is read as text; "
            f"add {example!r} to data.missing if it means missing",
            {"share": share, "example": example},
        )
    ]
