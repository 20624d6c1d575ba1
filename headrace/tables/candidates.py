"""The ways in which each column of a table can be read, looked at by itself.

A candidate is settled if its values can be read in one way: plain numbers, text, times of one form.
Otherwise it lists the readings, and `types.settle` chooses one by the locale of the whole table.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.errors import Finding
from headrace.tables import numbers, times
from headrace.tables.numbers import COMMA_DECIMAL, STYLES, Reading

_LEADING_ZERO = r"^[+-]?0\d"
_WHOLE = r"^[+-]?\d+$"
_MARK = r"[^0-9.eE+-]"
"""A sign that a number as every machine reads it does not have.

In a format with types of its own, text of plain numbers was meant as text.
"""
_WITH_UNIT = r"^[+-]?\d+([.,]\d+)*\s*[A-Za-z‰]{1,4}$|^[A-Z]{3}\s*\d+([.,]\d+)*$"
_PART_OF_DATE = r"\d[-/. ](\d|[A-Z][a-z]{2})"
SAMPLE = 100
_MOSTLY = 0.9
MOST_WHOLE = 2.0**53
"""Whole numbers up to here are exact as floats."""
_WORDS_FOR_MISSING = {
    "none", "na", "n/a", "#n/a", "#na", "n.a.", "nan", "nat", "null", "(null)", "#null!", "<na>",
    "\\n", "nil", "missing", "unknown", "-", "--", "—", "–", ".", "?", "#div/0!", "#value!",
    "#ref!", "not available", "(blank)",
}  # fmt: skip
_FEWEST_NUMBERS = 20
"""Among fewer different numbers an unknown word is a value like them: wards `1`, `2`, `3`, `A`."""


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


def report_column(
    check: str,
    column: pl.Series,
    severity: Literal["info", "warning"],
    message: str,
    **evidence: Any,
) -> Finding:
    """Report a finding about one column."""
    return Finding(check, [column.name], severity, message, evidence)


def _find_candidate(column: pl.Series, from_text: bool) -> Candidate:
    """Find how a column can be read; a column that stays text has findings that say why."""
    if column.dtype.is_numeric():
        return _from_numbers(as_whole(column))
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
    finding = report_column("value.missing_word", column, "info", message, words=words, rows=rows)
    return structs.replace(
        candidate, column=rest, words=words, findings=[*candidate.findings, finding]
    )


def _words_among(present: pl.Series) -> list[str]:
    """Find the words for missing among values with digits.

    They are known words, or one unknown word that repeats among many different numbers.

    >>> _words_among(pl.Series(["1", "2", "n/a", "3"])), _words_among(pl.Series(["1", "2", "A"]))
    (['n/a'], [])
    """
    sample = present.head(SAMPLE * 10)
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
    sample = present.head(SAMPLE)
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
    finding = report_column(
        "schema.counted_time", values, "info", message, example=example, form=form
    )
    return Candidate(values, typed, form, findings=[finding])


def _from_floats(column: pl.Series, present: pl.Series, floats: pl.Series) -> Candidate:
    """Read floats, which may be whole numbers in groups: `2.155` and `12.300`.

    Digits alone that do not fit into 64 bits stay text.
    """
    sample = present.head(SAMPLE)
    if sample.str.contains(_WHOLE).all() and present.str.contains(_WHOLE).all():
        return Candidate(column, column, findings=[report_long_integers(column)])
    floats = as_whole(floats.fill_nan(None))
    counted = _from_numbers(floats)
    if counted.form is not None:
        return counted
    # One value outside of groups of three digits proves that the point begins a fraction.
    if not sample.str.contains(STYLES[COMMA_DECIMAL].pattern).all():
        return Candidate(column, floats, reading=Reading(plain=True))
    return Candidate(column, reading=numbers.reading_of(present, True))


def report_long_integers(column: pl.Series) -> Finding:
    """Report whole numbers that no float holds, so that the column stays text."""
    example = column.drop_nulls()[0]
    message = (
        f"{column.name!r} holds whole numbers that floats cannot tell apart, such as {example}: "
        "they are kept as text"
    )
    return report_column("schema.long_integer", column, "info", message, example=example)


def as_whole(column: pl.Series) -> pl.Series:
    """Convert floats that are all whole numbers: pandas has them if a value is missing.

    >>> as_whole(pl.Series([1.0, None])).dtype, as_whole(pl.Series([1.0, 0.5])).dtype
    (Int64, Float64)
    """
    if not column.dtype.is_float():
        return column
    present = column.drop_nulls()
    # Most columns of fractions show one at once.
    for values in (present.head(SAMPLE), present):
        is_whole = (values == values.round()) & (values.abs() <= MOST_WHOLE)
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
        return [report_column("schema.mixed_zone", column, "warning", message, example=present[0])]

    finding = _report_numbers_like(column, present, from_text)
    if finding is None and from_text:
        values = present.cast(pl.Float64, strict=False)
        finding = _report_mixed(column, present, values, "numbers")
    if finding is None and present.head(SAMPLE).str.contains(_PART_OF_DATE).any():
        finding = _report_times(column, present)
    return [] if finding is None else [finding]


def _report_numbers_like(column: pl.Series, present: pl.Series, from_text: bool) -> Finding | None:
    """Report text that looks like numbers: of several units, of unclear groups, with units."""
    sample = present.head(SAMPLE)
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
            return report_column(
                "schema.mixed_unit", column, "warning", message, units=reading.units
            )
        if from_text or sample.str.contains(_MARK).any():
            message = (
                f"{looks}, such as {example!r}, but is read as text; "
                "data.read.thousands states the character between groups of digits"
            )
            return report_column("schema.number_like", column, "warning", message, example=example)

    if sample.str.contains(_WITH_UNIT).all() and present.n_unique() > _FEWEST_NUMBERS:
        message = f"{looks} with a unit, such as {example!r}, but is read as text"
        return report_column("schema.number_like", column, "warning", message, example=example)
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
        f"such as {first!r} and {second!r}, so the column is read as text"
    )
    return report_column("schema.mixed_times", column, "warning", message, examples=[first, second])


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
    return report_column(
        "schema.mixed_type", column, "warning", message, share=share, example=example
    )
