"""Case and accents folded: `Café` and `CAFE` are one word."""

import unicodedata


def fold_case(text: str) -> str:
    """Lower case without accents.

    >>> fold_case("Éclair"), fold_case("STRASSE") == fold_case("Straße")
    ('eclair', True)
    """
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))
