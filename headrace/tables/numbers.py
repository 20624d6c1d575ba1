"""Numbers as people write them: `1,234.5`, `1.234,50 €`, `12 345`, `1'234`, `(1,234)`, `12 %`.

A form is a style and, where every number has one, the unit behind it: `comma_groups $`. A column is
read by one form.
"""

import re

import polars as pl
from msgspec import Struct

COMMA_GROUPS, COMMA_DECIMAL = "comma_groups", "comma_decimal"
_UNITS = "%$€£¥₹"
_BLANKS = "  \N{FIGURE SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}"
_PLAIN = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
PLAIN = re.compile(rf"{_PLAIN}|[+-]?(inf|infinity)", re.IGNORECASE)
"""A number as every machine reads it."""
_CODE = r"^[+-]?0[0-9]"
"""Digits behind a leading zero are those of a code."""
_LIKE_NUMBERS = (
    rf"^[(]?[+−-]?[{_UNITS}]?[{_BLANKS}]*[+−-]?[0-9][0-9.,'’{_BLANKS}]*[{_BLANKS}]*[{_UNITS}]?[)]?$"
)
_SAMPLE = 100


class Style(Struct, frozen=True):
    """What stands between groups of three digits, each sign of which means the same, and before the fraction."""

    groups: str
    decimal: str

    @property
    def pattern(self) -> str:
        """A group never begins with 0: `0,125` is a fraction."""
        groups, decimal = f"[{re.escape(self.groups)}]", re.escape(self.decimal)
        return rf"^[+-]?([1-9][0-9]{{0,2}}({groups}[0-9]{{3}})+|[0-9]+)({decimal}[0-9]+)?([eE][+-]?[0-9]+)?$"


STYLES = {
    COMMA_GROUPS: Style(",", "."),
    COMMA_DECIMAL: Style(".", ","),
    "blank_groups": Style(_BLANKS, "."),
    "blank_groups_comma": Style(_BLANKS, ","),
    "apostrophe_groups": Style("'’", "."),
}


class Reading(Struct, frozen=True):
    """The styles in which every value of a column is a number, `plain` where they need none; the
    one unit of them all; or the units that differ.
    """

    styles: list[str] = []
    plain: bool = False
    unit: str = ""
    units: list[str] = []

    @property
    def decimals(self) -> set[str]:
        """The decimal signs that the column may have been written with."""
        return {STYLES[style].decimal for style in self.styles} | ({"."} if self.plain else set())


def look_like_numbers(present: pl.Series) -> bool:
    """Whether values are digits with signs of groups, fractions or units about them; no codes with leading zeros."""
    sample = present.head(_SAMPLE)
    return bool(sample.str.contains(_LIKE_NUMBERS).all()) and not sample.str.contains(_CODE).any()


def reading_of(present: pl.Series, plain: bool) -> Reading:
    """How the values of a column, none missing, can be read; `plain` says that every machine reads them."""
    if not look_like_numbers(present):
        return Reading(plain=plain)
    units = present.str.extract_all(f"[{_UNITS}]").list.join("").unique().sort().to_list()
    if len(units) > 1 or len(units[0]) > 1:
        return Reading(units=units)
    bare = _bare(present, units[0])
    if bare.str.contains(_CODE).any():
        return Reading()
    styles = [name for name, style in STYLES.items() if bare.str.contains(style.pattern).all()]
    return Reading(styles, plain, units[0])


def form_of(style: str, unit: str) -> str:
    """The name of a form."""
    return f"{style} {unit}" if unit else style


def is_number_form(form: str) -> bool:
    """Whether a form is one of numbers."""
    return form.partition(" ")[0] in STYLES


def parse(column: pl.Series, form: str) -> pl.Series:
    """The column as Float64; null where a value is not written so."""
    name, _, unit = form.partition(" ")
    style = STYLES[name]
    bare = _bare(column.cast(pl.String), unit)
    fits = bare.str.contains(style.pattern)
    plain = bare.str.replace_all(f"[{re.escape(style.groups)}]", "").str.replace(
        style.decimal, ".", literal=True
    )
    return plain.cast(pl.Float64, strict=False).set(~fits.fill_null(False), None)


def _bare(column: pl.Series, unit: str) -> pl.Series:
    """Without the unit, with a minus before what stands in brackets."""
    bare = (
        column.str.strip_chars()
        .str.replace_all("−", "-", literal=True)
        .str.replace(r"^\((.*)\)$", "-$1")
    )
    return bare.str.replace(unit, "", literal=True).str.strip_chars() if unit else bare


def parse_value(text: str, form: str) -> float:
    """One number; raises `ValueError` where it is not written so.

    >>> parse_value("1.234,5 €", "comma_decimal €"), parse_value("(1,234)", COMMA_GROUPS)
    (1234.5, -1234.0)
    """
    name, _, unit = form.partition(" ")
    style = STYLES[name]
    bare = re.sub(r"^\((.*)\)$", r"-\1", text.strip().replace("−", "-"))
    bare = bare.replace(unit, "", 1).strip() if unit else bare
    if not re.match(style.pattern, bare):
        raise ValueError(text)
    return float(re.sub(f"[{re.escape(style.groups)}]", "", bare).replace(style.decimal, "."))


def plain_value(text: str) -> float:
    """One number as every machine reads it; raises `ValueError` for any other text.

    >>> plain_value(" 1e3 ")
    1000.0
    """
    bare = text.strip()
    if not PLAIN.fullmatch(bare):
        raise ValueError(text)
    return float(bare)
