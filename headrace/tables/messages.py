"""Errors of other libraries as one line of a message."""

from headrace.spec import mask_secrets

_MOST_CHARACTERS = 300


def first_line(error: Exception, source: str) -> str:
    """Return the first line of an error without the secrets of the address `source`.

    An error without a text gives the name of its class.

    >>> first_line(ValueError("no such table\\nLINE 1: select"), "sqlite:///shop.db")
    'no such table'
    """
    lines = mask_secrets(str(error), source).strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    return line[:_MOST_CHARACTERS]
