"""Names of columns: how they are written, and what they say about the values."""

import re

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TIME_WORDS = {
    "time",
    "timestamp",
    "date",
    "datetime",
    "at",
    "ts",
    "epoch",
    "when",
    "created",
    "updated",
}
_DATE_WORDS = {"date", "day"}


def safe_name(name: str) -> str:
    """Strip blanks from a column's name, and protect it from being read as a pattern.

    Polars reads a name from `^` to `$` as a regular expression, in every method of a column. A
    blank at its end makes it a plain name, and blanks around a name mean nothing.

    >>> safe_name(" age "), safe_name("^c.*$")
    ('age', '^c.*$ ')
    """
    stripped = name.strip()
    if stripped.startswith("^") and stripped.endswith("$"):
        return f"{stripped} "
    return stripped


def split_words(name: str) -> list[str]:
    """Split a name into its words, in lower case.

    >>> split_words("createdAt"), split_words("order_date"), split_words("GMT offset")
    (['created', 'at'], ['order', 'date'], ['gmt', 'offset'])
    """
    return [word.lower() for word in _WORDS.findall(name)]


def is_time_name(name: str) -> bool:
    """Say whether a column holds times, by its name.

    >>> is_time_name("createdAt"), is_time_name("rating")
    (True, False)
    """
    return not _TIME_WORDS.isdisjoint(split_words(name))


def is_date_name(name: str) -> bool:
    """Say whether a column holds days, by its name.

    >>> is_date_name("order_date"), is_date_name("updated")
    (True, False)
    """
    return not _DATE_WORDS.isdisjoint(split_words(name))
