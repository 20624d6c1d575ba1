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

from collections.abc import Sequence

import polars as pl
from msgspec import Struct

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec
from headrace.tables import numbers, times
from headrace.tables.candidates import (
    MOST_WHOLE,
    SAMPLE,
    Candidate,
    as_whole,
    report_column,
    report_long_integers,
)
from headrace.tables.numbers import STYLES, Reading
from headrace.tables.times import Order
from headrace.tables.written import Form

_THOUSANDS_TO_DECIMAL = {",": ".", ".": ",", "'": "."}
"""The sign before a fraction that a sign between groups of digits leaves."""


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


def infer_locale(candidates: list[Candidate], read: ReadSpec, separator: str = "") -> Locale:
    """Infer the locale of a table from columns that can be read in one way alone.

    `read` overrides each part of it. Raises `InputError` if a column proves an order of days and
    months that differs from the stated one.

    >>> frame = pl.DataFrame({"price": ["0,5", "1,25"], "day": ["31/12/2024", "01/02/2024"]})
    >>> from headrace.tables.candidates import find_candidates
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
            "data.read.thousands", wrong, "the character between groups of digits, or none"
        )


def _proves_decimal(column: pl.Series, reading: Reading) -> bool:
    """Say whether numbers can be read with one decimal sign alone, and show it or their groups."""
    if len(reading.decimals) != 1:
        return False
    return bool(column.head(SAMPLE).str.contains("[.,]").any())


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

    >>> from headrace.tables.candidates import find_candidates
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
        return as_whole(column.cast(pl.Float64, strict=False)), None, findings

    proven = [style for style in reading.styles if STYLES[style].decimal == locale.decimal]
    form = numbers.form_of((proven or reading.styles)[0], reading.unit)
    values = numbers.parse(column, form)
    # A float beyond this is no longer the number that the text says.
    if ((values.abs() > MOST_WHOLE) & (values == values.round())).any():
        return column, None, [*findings, report_long_integers(column)]
    return as_whole(values), form, findings


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
        "data.read.thousands states the character between groups of digits"
    )
    return report_column("schema.ambiguous_number", column, "warning", message, example=example)


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
        findings.append(report_column("schema.two_digit_year", column, "info", message, form=form))
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
    return report_column("schema.ambiguous_date", column, "warning", message, example=example)
