"""What the name of a column says about its values."""

import re

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_OF_TIME = {
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
_OF_DATE = {"date", "day"}


def safe_name(name: str) -> str:
    """A column's name without blanks around it, in which no library sees a pattern.

    Polars takes a name from `^` to `$` for a regular expression, in every method of a column. A
    blank at its end makes it a plain name, and blanks around a name mean nothing.

    >>> safe_name(" age "), safe_name("^c.*$")
    ('age', '^c.*$ ')
    """
    bare = name.strip()
    return f"{bare} " if bare.startswith("^") and bare.endswith("$") else bare


def split_words(name: str) -> list[str]:
    """The words of a name, in lower case.

    >>> split_words("createdAt"), split_words("order_date"), split_words("GMT offset")
    (['created', 'at'], ['order', 'date'], ['gmt', 'offset'])
    """
    return [word.lower() for word in _WORDS.findall(name)]


def is_time_name(name: str) -> bool:
    """Whether a column's values are times, by its name."""
    return not _OF_TIME.isdisjoint(split_words(name))


def is_date_name(name: str) -> bool:
    """Whether a column's values are days, by its name."""
    return not _OF_DATE.isdisjoint(split_words(name))
