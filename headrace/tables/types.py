"""The meaning of a table's values: whole numbers, numbers, true and false, times, or text.

This takes two steps. First `find_candidates` looks at each column by itself. Then `settle` decides
by the locale of the whole table the two questions that a column cannot answer alone: whether a
comma begins a fraction, and whether the day of a date comes first.

    values of a column        candidate                              settled
    `7`, `12`                 typed: 7, 12                           as it is
    `007`, `012`              typed: text, for these are codes       as it is
    `1,234`, `5,678`          comma_groups or comma_decimal          if another column has `0,5`,
                                                                     a comma begins a fraction
    `03/04/2024`              the month first or the day first       if another column has
                                                                     `31/12/2024`, the day is first

If nothing in the table answers, the first candidate wins, and a finding says so.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec
from headrace.tables import numbers, times
from headrace.tables.numbers import COMMA_DECIMAL, STYLES, Reading
from headrace.tables.times import Order
from headrace.tables.written import Form

_LEADING_ZERO = r"^[+-]?0\d"
_WHOLE = r"^[+-]?\d+$"
_MARK = r"[^0-9.eE+-]"
"""A sign that a number as every machine reads it does not have.

In a format with types of its own, text of plain numbers was meant as text.
"""
_WITH_UNIT = r"^[+-]?\d+([.,]\d+)*\s*[A-Za-z‰]{1,4}$|^[A-Z]{3}\s*\d+([.,]\d+)*$"
_PART_OF_DATE = r"\d[-/. ](\d|[A-Z][a-z]{2})"
_SAMPLE = 100
_MOSTLY = 0.9
_MOST_WHOLE = 2.0**53
"""Whole numbers up to here are exact as floats."""
_THOUSANDS_TO_DECIMAL = {",": ".", ".": ",", "'": "."}
"""The sign before a fraction that a sign between groups of digits leaves."""
_WORDS_FOR_MISSING = {
    "none", "na", "n/a", "#n/a", "#na", "n.a.", "nan", "nat", "null", "(null)", "#null!", "<na>",
    "\\n", "nil", "missing", "unknown", "-", "--", "—", "–", ".", "?", "#div/0!", "#value!",
    "#ref!", "not available", "(blank)",
}  # fmt: skip
_FEWEST_NUMBERS = 20
"""Among fewer different numbers an unknown word is a value like them: wards `1`, `2`, `3`, `A`."""


class Locale(Struct, frozen=True):
    """How a table writes what can be read in two ways.

    - `decimal`: the sign before a fraction; None if nothing in the table proves it.
    - `order`: the order of day and month; None likewise.
    - `separator`: the sign between the columns. A fraction may well begin with a comma in a table
      of semicolons, and hardly in one of commas.
    """

    decimal: str | None = None
    order: Order | None = None
    separator: str = ""


class Candidate(Struct, frozen=True):
    """A column and the ways in which it can be read.

    - `typed`: the values, if they are settled already, and `form` their form.
    - `reading`: the numbers that the column may hold, if it may hold numbers.
    - `forms`: the forms of times that it may have.
    - `words`: texts that mean missing in it; they are null in `column`.
    """

    column: pl.Series
    typed: pl.Series | None = None
    form: str | None = None
    reading: Reading | None = None
    forms: list[str] = []
    words: list[str] = []
    findings: list[Finding] = []


def clean(frame: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
    """Strip the blanks around text, and replace the words that mean missing by nulls.

    >>> clean(pl.DataFrame({"x": [" a ", "NA", ""]}), ["NA"])["x"].to_list()
    ['a', None, None]
    """
    text = cs.string().str.strip_chars()
    return frame.with_columns(
        pl.when(text.is_in(["", *missing])).then(None).otherwise(text).name.keep()
    )


def find_candidates(
    frame: pl.DataFrame, from_text: bool, as_text: Collection[str] = ()
) -> list[Candidate]:
    """Find how each column of a clean table can be read.

    `from_text` says that the format of the table has no types. In a format that has them, text of
    plain numbers stays text, except in the columns `as_text`.

    >>> frame = pl.DataFrame({"n": ["1", "2"], "day": ["31.12.2024", "1.2.2024"]})
    >>> number, day = find_candidates(frame, from_text=True)
    >>> number.typed.dtype, day.forms
    (Int64, ['%d.%m.%Y'])
    """
    return [_find_candidate(column, from_text or column.name in as_text) for column in frame]


def infer_locale(candidates: list[Candidate], read: ReadSpec, separator: str = "") -> Locale:
    """Infer the locale of a table from columns that can be read in one way alone.

    `read` overrides each part of it. Raises `InputError` if a column proves an order of days and
    months that differs from the stated one.

    >>> frame = pl.DataFrame({"price": ["0,5", "1,25"], "day": ["31/12/2024", "01/02/2024"]})
    >>> locale = infer_locale(find_candidates(frame, from_text=True), ReadSpec())
    >>> locale.decimal, locale.order
    (',', 'day_first')
    """
    decimals = {
        next(iter(candidate.reading.decimals))
        for candidate in candidates
        if candidate.reading is not None and _proves_decimal(candidate.column, candidate.reading)
    }
    orders = set()
    for candidate in candidates:
        order = _only_order(candidate.forms)
        if order is None:
            continue
        orders.add(order)
        if read.dates is not None and order != read.dates:
            name = candidate.column.name
            wrong = f"{read.dates}, but {name!r} can only be read the other way"
            raise InputError("data.read.dates", wrong, str(order))

    # Columns that contradict each other prove nothing.
    proven_decimal = decimals.pop() if len(decimals) == 1 else None
    proven_order = orders.pop() if len(orders) == 1 else None
    stated_decimal = _THOUSANDS_TO_DECIMAL.get(read.thousands or "")
    return Locale(stated_decimal or proven_decimal, read.dates or proven_order, separator)


def check_thousands(candidates: Sequence[Candidate], sign: str | None) -> None:
    """Check that a column has numbers with the stated sign between groups; else `InputError`."""
    if sign is None:
        return
    readings = [candidate.reading for candidate in candidates if candidate.reading is not None]
    styles = [STYLES[name] for reading in readings for name in reading.styles]
    if not any(sign in style.groups for style in styles):
        wrong = f"{sign!r}, but no column has numbers that are written with it"
        raise InputError(
            "data.read.thousands", wrong, "the sign between groups of digits, or nothing"
        )


def _proves_decimal(column: pl.Series, reading: Reading) -> bool:
    """Say whether numbers can be read with one decimal sign alone, and show it or their groups."""
    if len(reading.decimals) != 1:
        return False
    return bool(column.head(_SAMPLE).str.contains("[.,]").any())


def _only_order(forms: list[str]) -> Order | None:
    """Return the order of day and month that all forms share, or None.

    >>> _only_order(["%d/%m/%Y", "%d/%m/%y"]), _only_order(["%d/%m/%Y", "%m/%d/%Y"])
    ('day_first', None)
    """
    orders = {times.order_of(form) for form in forms}
    return orders.pop() if len(orders) == 1 else None


def settle(
    candidates: list[Candidate], locale: Locale
) -> tuple[pl.DataFrame, dict[str, Form], list[Finding]]:
    """Type each column by the locale of its table.

    Returns the typed table, the forms of columns that were not written plainly, and findings.

    >>> found = find_candidates(pl.DataFrame({"day": ["03/04/2024"]}), from_text=True)
    >>> frame, forms, _ = settle(found, Locale(order="day_first"))
    >>> frame["day"][0].isoformat(), forms["day"].form
    ('2024-04-03T00:00:00', '%d/%m/%Y')
    """
    columns: list[pl.Series] = []
    forms: dict[str, Form] = {}
    findings: list[Finding] = []
    for candidate in candidates:
        typed, form, remarks = _settle(candidate, locale)
        columns.append(typed)
        if form is not None or candidate.words:
            forms[candidate.column.name] = Form(form, candidate.words)
        findings += [*candidate.findings, *remarks]
    return pl.DataFrame({column.name: column for column in columns}), forms, findings


def _settle(candidate: Candidate, locale: Locale) -> tuple[pl.Series, str | None, list[Finding]]:
    if candidate.typed is not None:
        return candidate.typed, candidate.form, []
    if candidate.reading is not None:
        return _settle_number(candidate.column, candidate.reading, locale)
    return _settle_time(candidate.column, candidate.forms, locale)


def _settle_number(
    column: pl.Series, reading: Reading, locale: Locale
) -> tuple[pl.Series, str | None, list[Finding]]:
    """Type a column by the sign before a fraction; if nothing proves one, by the plain point."""
    findings: list[Finding] = []
    if _is_ambiguous(column, reading, locale):
        findings.append(_report_ambiguous_number(column, reading))

    # In a table of commas a comma does not begin a fraction, whatever another column proves.
    has_comma_decimals = locale.decimal == "," and "," in reading.decimals
    if reading.plain and not (has_comma_decimals and locale.separator != ","):
        return _as_whole(column.cast(pl.Float64, strict=False)), None, findings

    proven = [style for style in reading.styles if STYLES[style].decimal == locale.decimal]
    form = numbers.form_of((proven or reading.styles)[0], reading.unit)
    values = numbers.parse(column, form)
    # A float beyond this is no longer the number that the text says.
    if ((values.abs() > _MOST_WHOLE) & (values == values.round())).any():
        return column, None, [*findings, _report_long_integers(column)]
    return _as_whole(values), form, findings


def _is_ambiguous(column: pl.Series, reading: Reading, locale: Locale) -> bool:
    """Say whether numbers can be read in two ways and nothing in the table tells which."""
    if locale.decimal is not None or len(reading.decimals) < 2:
        return False
    # Numbers that every machine reads are ambiguous in a table of semicolons alone.
    if reading.plain and locale.separator != ";":
        return False
    return bool(column.str.contains("[.,]").any())


def _report_ambiguous_number(column: pl.Series, reading: Reading) -> Finding:
    example = column.filter(column.str.contains("[.,]"))[0]
    values = {numbers.parse(pl.Series([example]), style)[0] for style in reading.styles}
    shown = " or ".join(f"{value:g}" for value in sorted(values))
    message = (
        f"{column.name!r} can be read in two ways, {example!r} as {shown}, and "
        "nothing in the table tells which; "
        "data.read.thousands states the sign between groups"
    )
    return _finding("schema.ambiguous_number", column, "warning", message, example=example)


def _settle_time(
    column: pl.Series, forms: list[str], locale: Locale
) -> tuple[pl.Series, str | None, list[Finding]]:
    """Type a column by the form of the locale's order; if nothing proves one, by the first form."""
    fitting = [form for form in forms if times.order_of(form) in (None, locale.order)]
    form = (fitting or forms)[0]
    findings = []
    orders = list(dict.fromkeys(map(times.order_of, forms)))
    if len(orders) > 1 and locale.order is None:
        findings.append(_report_ambiguous_date(column, forms, orders))
    if "%y" in form:
        message = (
            f"{column.name!r} writes years with two digits: "
            "69 to 99 are read as 1969 to 1999, the rest as 20.."
        )
        findings.append(_finding("schema.two_digit_year", column, "info", message, form=form))
    return times.parse(column, form), form, findings


def _report_ambiguous_date(
    column: pl.Series, forms: list[str], orders: list[Order | None]
) -> Finding:
    example = column.drop_nulls()[0]
    first, second = (
        times.parse(pl.Series([example]), form)[0].date().isoformat() for form in forms[:2]
    )
    message = (
        f"{column.name!r} can be read in two ways, {example!r} as {first} or {second}, "
        f"and nothing in the tables tells which; it was read as {first}; "
        f"data.read.dates states {' or '.join(map(str, orders))}"
    )
    return _finding("schema.ambiguous_date", column, "warning", message, example=example)


def _finding(
    check: str,
    column: pl.Series,
    severity: Literal["info", "warning"],
    message: str,
    **evidence: Any,
) -> Finding:
    return Finding(check, [column.name], severity, message, evidence)


def _find_candidate(column: pl.Series, from_text: bool) -> Candidate:
    """Find how a column can be read; a column that stays text has findings that say why."""
    if column.dtype.is_numeric():
        return _from_numbers(_as_whole(column))
    present = column.drop_nulls()
    if column.dtype != pl.String or not len(present):
        return Candidate(column, column)

    candidate = _from_text(column, present, from_text)
    if candidate is None and from_text:
        candidate = _without_words(column, present)
    if candidate is None:
        findings = _report_text(column, present, from_text)
        return Candidate(column, column, findings=findings)
    return candidate


def _without_words(column: pl.Series, present: pl.Series) -> Candidate | None:
    """Read a column as numbers or times but for a few words for missing, or return None."""
    words = _words_among(present)
    if not words:
        return None
    is_word = column.is_in(words)
    rest = column.set(is_word.fill_null(False), None)
    candidate = _from_text(rest, rest.drop_nulls(), from_text=True)
    if candidate is None:
        return None
    # Words among words, or among true and false, are values like them.
    if candidate.typed is not None and candidate.typed.dtype in (pl.String, pl.Boolean):
        return None

    rows = int(is_word.sum())
    shown = ", ".join(map(repr, words))
    message = (
        f"{shown} stands in the place of a value of {column.name!r} in {rows} rows "
        "and was read as missing"
    )
    finding = _finding("value.missing_word", column, "info", message, words=words, rows=rows)
    return structs.replace(
        candidate, column=rest, words=words, findings=[*candidate.findings, finding]
    )


def _words_among(present: pl.Series) -> list[str]:
    """Find the words for missing among values with digits.

    They are known words, or one unknown word that repeats among many different numbers.

    >>> _words_among(pl.Series(["1", "2", "n/a", "3"])), _words_among(pl.Series(["1", "2", "A"]))
    (['n/a'], [])
    """
    sample = present.head(_SAMPLE * 10)
    digits = sample.str.contains(r"\d")
    if not digits.any() or float(str(digits.mean())) < 0.5:
        return []

    # A word without digits is no number in any style.
    words = present.filter(~present.str.contains(r"\d"))
    kinds = words.unique().sort().to_list()
    if all(word.lower() in _WORDS_FOR_MISSING for word in kinds):
        return kinds
    if len(kinds) == 1 and len(words) > 1 and present.n_unique() > _FEWEST_NUMBERS:
        return kinds
    return []


def _from_text(column: pl.Series, present: pl.Series, from_text: bool) -> Candidate | None:
    """Read text as numbers, true and false, or times; None if it is text.

    A sample goes first each time: most columns of text show themselves in it.
    """
    sample = present.head(_SAMPLE)
    if from_text:
        candidate = _from_plain_numbers(column, present, sample)
        if candidate is not None:
            return candidate
        if sample.str.to_lowercase().is_in(["true", "false"]).all():
            lowered = column.str.to_lowercase()
            if lowered.drop_nulls().is_in(["true", "false"]).all():
                return Candidate(column, lowered == "true")

    iso = times.infer_iso(column, present)
    if iso is not None:
        return Candidate(column, iso)
    forms = times.forms_of(present)
    if forms:
        return Candidate(column, forms=forms)

    reading = numbers.reading_of(present, False)
    is_marked = from_text or bool(present.str.contains(_MARK).any())
    return Candidate(column, reading=reading) if reading.styles and is_marked else None


def _from_plain_numbers(
    column: pl.Series, present: pl.Series, sample: pl.Series
) -> Candidate | None:
    """Read text as numbers that every machine reads, or return None; codes are no numbers."""
    if sample.cast(pl.Float64, strict=False).null_count():
        return None
    # The sample first: it often has a code already.
    if sample.str.contains(_LEADING_ZERO).any() or present.str.contains(_LEADING_ZERO).any():
        return None
    integers = column.cast(pl.Int64, strict=False)
    if integers.null_count() == column.null_count():
        return _from_numbers(integers)
    floats = column.cast(pl.Float64, strict=False)
    if floats.null_count() == column.null_count():
        return _from_floats(column, present, floats)
    return None


def _from_numbers(values: pl.Series) -> Candidate:
    """Read numbers, which are times if the name of their column and their size say so.

    A finding reports times, for a `date_id` may be a number after all.
    """
    found = times.infer_counted(values)
    if found is None:
        return Candidate(values, values)
    typed, form = found
    example = values.drop_nulls()[0]
    moment = typed.drop_nulls()[0].isoformat()
    message = f"{values.name!r} holds numbers that were read as times: {example} is {moment}"
    finding = _finding("schema.counted_time", values, "info", message, example=example, form=form)
    return Candidate(values, typed, form, findings=[finding])


def _from_floats(column: pl.Series, present: pl.Series, floats: pl.Series) -> Candidate:
    """Read floats, which may be whole numbers in groups: `2.155` and `12.300`.

    Digits alone that do not fit into 64 bits stay text.
    """
    sample = present.head(_SAMPLE)
    if sample.str.contains(_WHOLE).all() and present.str.contains(_WHOLE).all():
        return Candidate(column, column, findings=[_report_long_integers(column)])
    floats = _as_whole(floats.fill_nan(None))
    counted = _from_numbers(floats)
    if counted.form is not None:
        return counted
    # One value outside of groups of three digits proves that the point begins a fraction.
    if not sample.str.contains(STYLES[COMMA_DECIMAL].pattern).all():
        return Candidate(column, floats, reading=Reading(plain=True))
    return Candidate(column, reading=numbers.reading_of(present, True))


def _report_long_integers(column: pl.Series) -> Finding:
    example = column.drop_nulls()[0]
    message = (
        f"{column.name!r} holds whole numbers that floats would make one, such as {example}: "
        "they are kept as text"
    )
    return _finding("schema.long_integer", column, "info", message, example=example)


def _as_whole(column: pl.Series) -> pl.Series:
    """Convert floats that are all whole numbers: pandas has them if a value is missing.

    >>> _as_whole(pl.Series([1.0, None])).dtype, _as_whole(pl.Series([1.0, 0.5])).dtype
    (Int64, Float64)
    """
    if not column.dtype.is_float():
        return column
    present = column.drop_nulls()
    # Most columns of fractions show one at once.
    for values in (present.head(_SAMPLE), present):
        is_whole = (values == values.round()) & (values.abs() <= _MOST_WHOLE)
        if not len(values) or not is_whole.all():
            return column
    return column.cast(pl.Int64)


def _report_text(column: pl.Series, present: pl.Series, from_text: bool) -> list[Finding]:
    """Report a column that stays text and looks like numbers or times."""
    if times.mixes_zones(present):
        message = (
            f"some times of {column.name!r} have a zone and some have none, "
            "so the column is read as text"
        )
        return [_finding("schema.mixed_zone", column, "warning", message, example=present[0])]

    finding = _report_numbers_like(column, present, from_text)
    if finding is None and from_text:
        values = present.cast(pl.Float64, strict=False)
        finding = _report_mixed(column, present, values, "numbers")
    if finding is None and present.head(_SAMPLE).str.contains(_PART_OF_DATE).any():
        finding = _report_times(column, present)
    return [] if finding is None else [finding]


def _report_numbers_like(column: pl.Series, present: pl.Series, from_text: bool) -> Finding | None:
    """Report text that looks like numbers: of several units, of unclear groups, with units."""
    sample = present.head(_SAMPLE)
    example = present[0]
    looks = f"{column.name!r} looks like numbers"
    if numbers.look_like_numbers(present):
        reading = numbers.reading_of(present, False)
        if reading.units:
            units = ", ".join(unit or "none" for unit in reading.units)
            message = (
                f"the numbers of {column.name!r} have different units ({units}), "
                "so the column is read as text"
            )
            return _finding("schema.mixed_unit", column, "warning", message, units=reading.units)
        if from_text or sample.str.contains(_MARK).any():
            message = (
                f"{looks}, such as {example!r}, but is read as text; "
                "data.read.thousands states the sign between groups"
            )
            return _finding("schema.number_like", column, "warning", message, example=example)

    if sample.str.contains(_WITH_UNIT).all() and present.n_unique() > _FEWEST_NUMBERS:
        message = f"{looks} with a unit, such as {example!r}, but is read as text"
        return _finding("schema.number_like", column, "warning", message, example=example)
    return None


def _report_times(column: pl.Series, present: pl.Series) -> Finding | None:
    """Report text that looks like times: most values are, or they are in several forms."""
    readings = times.readings_of(present)
    if not readings:
        return None
    mixed = _report_mixed(column, present, readings[0], "times")
    if mixed is not None:
        return mixed

    is_read = pl.Series([False]).new_from_index(0, len(present))
    for reading in readings:
        is_read |= reading.is_not_null()
    if not is_read.all():
        return None
    first = present.filter(readings[0].is_not_null())[0]
    second = present.filter(readings[0].is_null())[0]
    message = (
        f"the times of {column.name!r} are written in several ways, "
        f"such as {first!r} and {second!r}: it is text"
    )
    return _finding("schema.mixed_times", column, "warning", message, examples=[first, second])


def _report_mixed(
    column: pl.Series, present: pl.Series, values: pl.Series, kind: str
) -> Finding | None:
    """Report a column in which nearly all values are of a kind; `values` is null for the rest."""
    share = 1 - values.null_count() / len(present)
    if values.null_count() == 0 or share < _MOSTLY:
        return None
    example = present.filter(values.is_null())[0]
    message = (
        f"{share:.1%} of {column.name!r} are {kind} but {example!r} is not, "
        f"so the column is read as text; add {example!r} to data.missing if it means missing"
    )
    return _finding("schema.mixed_type", column, "warning", message, share=share, example=example)
