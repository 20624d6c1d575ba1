"""Numbers as people write them: `1,234.5`, `1.234,50 €`, `12 345`, `1'234`, `(1,234)`, `12 %`.

A form is a style and, where every number has one, the unit: `comma_groups $`. A column is read by
one form.

    style                  1234.5 in it       groups of three digits, and the sign of a fraction
    comma_groups           1,234.5            , and .
    comma_decimal          1.234,5            . and ,
    blank_groups           1 234.5            a blank (also a thin or narrow one) and .
    blank_groups_comma     1 234,5            a blank and ,
    apostrophe_groups      1'234.5            ' or ’ and .

Around the digits there may be a unit and blanks, and brackets that mean a minus.
"""

import re

import polars as pl
from msgspec import Struct

COMMA_GROUPS = "comma_groups"
COMMA_DECIMAL = "comma_decimal"
_UNITS = "%$€£¥₹"
_BLANKS = " \N{NO-BREAK SPACE}\N{FIGURE SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}"
_PLAIN = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
PLAIN = re.compile(rf"{_PLAIN}|[+-]?(inf|infinity)", re.IGNORECASE)
"""A number as every machine reads it."""
_CODE = r"^[+-]?0[0-9]"
"""Digits behind a leading zero belong to a code, such as a postal one."""
_LIKE_NUMBERS = (
    rf"^[(]?[+−-]?[{_UNITS}]?[{_BLANKS}]*[+−-]?[0-9][0-9.,'’{_BLANKS}]*[{_BLANKS}]*[{_UNITS}]?[)]?$"
)
_SAMPLE = 100


class Style(Struct, frozen=True):
    """The signs between groups of three digits, all of one meaning, and the sign of a fraction."""

    groups: str
    decimal: str

    @property
    def pattern(self) -> str:
        """The regular expression of a number; a group never begins with 0, for `0,125` is one."""
        group = f"[{re.escape(self.groups)}]"
        decimal = re.escape(self.decimal)
        return (
            rf"^[+-]?([1-9][0-9]{{0,2}}({group}[0-9]{{3}})+|[0-9]+)"
            rf"({decimal}[0-9]+)?([eE][+-]?[0-9]+)?$"
        )


STYLES = {
    COMMA_GROUPS: Style(",", "."),
    COMMA_DECIMAL: Style(".", ","),
    "blank_groups": Style(_BLANKS, "."),
    "blank_groups_comma": Style(_BLANKS, ","),
    "apostrophe_groups": Style("'’", "."),
}


class Reading(Struct, frozen=True):
    """The ways in which every value of a column is a number.

    - `styles`: the styles that read them all.
    - `plain`: whether every machine reads them.
    - `unit`: the one unit of them all.
    - `units`: the units, if they differ; then no style reads the column.
    """

    styles: list[str] = []
    plain: bool = False
    unit: str = ""
    units: list[str] = []

    @property
    def decimals(self) -> set[str]:
        """The signs before a fraction that the column may have been written with."""
        signs = {STYLES[style].decimal for style in self.styles}
        return signs | {"."} if self.plain else signs


def look_like_numbers(present: pl.Series) -> bool:
    """Say whether values are digits with signs of groups, fractions or units, and no codes.

    Looks at the first values; none of them is missing.

    >>> look_like_numbers(pl.Series(["1,234 €", "(12)"])), look_like_numbers(pl.Series(["007"]))
    (True, False)
    """
    sample = present.head(_SAMPLE)
    return bool(sample.str.contains(_LIKE_NUMBERS).all()) and not sample.str.contains(_CODE).any()


def reading_of(present: pl.Series, plain: bool) -> Reading:
    """Find the styles that read every value of a column; none of the values is missing.

    `plain` says that every machine reads them.

    >>> reading_of(pl.Series(["1.500 €", "2.250 €"]), plain=False)
    Reading(styles=['comma_groups', 'comma_decimal', 'blank_groups', 'apostrophe_groups'], \
plain=False, unit='€', units=[])
    >>> reading_of(pl.Series(["1 $", "1 €"]), plain=False).units
    ['$', '€']
    """
    if not look_like_numbers(present):
        return Reading(plain=plain)
    units = present.str.extract_all(f"[{_UNITS}]").list.join("").unique().sort().to_list()
    if len(units) > 1 or len(units[0]) > 1:
        return Reading(units=units)

    digits = _strip_unit(present, units[0])
    if digits.str.contains(_CODE).any():
        return Reading()
    styles = [name for name, style in STYLES.items() if digits.str.contains(style.pattern).all()]
    return Reading(styles, plain, units[0])


def form_of(style: str, unit: str) -> str:
    """Return the name of the form of a style and a unit, which may be empty.

    >>> form_of("comma_groups", "$"), form_of("comma_groups", "")
    ('comma_groups $', 'comma_groups')
    """
    return f"{style} {unit}" if unit else style


def is_number_form(form: str) -> bool:
    """Say whether a form is one of numbers."""
    return form.partition(" ")[0] in STYLES


def parse(column: pl.Series, form: str) -> pl.Series:
    """Read a column as Float64; null for a value that is not written in this form.

    >>> parse(pl.Series(["1.234,5 €", "(2)", "1,234.5"]), "comma_decimal €").to_list()
    [1234.5, -2.0, None]
    """
    name, _, unit = form.partition(" ")
    style = STYLES[name]
    digits = _strip_unit(column.cast(pl.String), unit)
    fits = digits.str.contains(style.pattern)
    without_groups = digits.str.replace_all(f"[{re.escape(style.groups)}]", "")
    plain = without_groups.str.replace(style.decimal, ".", literal=True)
    return plain.cast(pl.Float64, strict=False).set(~fits.fill_null(False), None)


def _strip_unit(column: pl.Series, unit: str) -> pl.Series:
    """Remove blanks and the unit, and turn brackets and typographic signs into a minus."""
    digits = (
        column.str.strip_chars()
        .str.replace_all("−", "-", literal=True)
        .str.replace(r"^\((.*)\)$", "-$1")
    )
    return digits.str.replace(unit, "", literal=True).str.strip_chars() if unit else digits


def parse_value(text: str, form: str) -> float:
    """Read one number; raises `ValueError` if it is not written in this form.

    >>> parse_value("1.234,5 €", "comma_decimal €"), parse_value("(1,234)", COMMA_GROUPS)
    (1234.5, -1234.0)
    """
    name, _, unit = form.partition(" ")
    style = STYLES[name]
    digits = re.sub(r"^\((.*)\)$", r"-\1", text.strip().replace("−", "-"))
    if unit:
        digits = digits.replace(unit, "", 1).strip()
    if not re.match(style.pattern, digits):
        raise ValueError(text)
    return float(re.sub(f"[{re.escape(style.groups)}]", "", digits).replace(style.decimal, "."))


def plain_value(text: str) -> float:
    """Read one number as every machine does; raises `ValueError` for any other text.

    >>> plain_value(" 1e3 ")
    1000.0
    """
    digits = text.strip()
    if not PLAIN.fullmatch(digits):
        raise ValueError(text)
    return float(digits)
