"""Case and accents folded: `Café` and `CAFE` are one word."""

import unicodedata


def fold(text: str) -> str:
    """Lower case without accents.

    >>> fold("Éclair"), fold("STRASSE") == fold("Straße")
    ('eclair', True)
    """
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))
