"""Words without case and accents: `Café` and `CAFE` are one word."""

import unicodedata
from functools import lru_cache


@lru_cache(1 << 18)  # the folds of a search ask for the same words again and again
def fold_case(text: str) -> str:
    """Return a text in lower case and without accents.

    >>> fold_case("Éclair"), fold_case("STRASSE") == fold_case("Straße")
    ('eclair', True)
    """
    # NFKD writes é as e and an accent of its own, which is a combining sign.
    signs = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in signs if not unicodedata.combining(sign))
