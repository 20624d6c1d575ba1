"""The error tree: an exception stops the work; a `Finding` reports and lets it go on."""

from typing import Any, Literal

import msgspec


class HeadraceError(Exception):
    """The root: one clear sentence about where, what was found, what was expected and what to do.

    >>> error = InputError("goal.target", "no column 'clickd'", "one of: clicked, price", "try one")
    >>> str(error)
    "goal.target: no column 'clickd'; expected one of: clicked, price; try one"
    """

    exit_code = 2

    def __init__(self, where: str, found: str, expected: str = "", do: str = "") -> None:
        self.where = where
        self.found = found
        self.expected = expected
        self.do = do
        parts = [f"{where}: {found}", f"expected {expected}" if expected else "", do]
        super().__init__("; ".join(part for part in parts if part))


class SpecError(HeadraceError):
    """A field of `system.yaml` is unknown, of the wrong type or out of range."""


class InputError(HeadraceError):
    """Rows, a table or an argument that a person handed in cannot be used."""


class BundleError(HeadraceError):
    """A bundle is missing, incomplete or has been changed since it was written."""


class WorkError(HeadraceError):
    """Good input, but the work cannot be finished: a full disk, a model that does not export."""

    exit_code = 1


class EmptyStoreError(InputError):
    """The online store was never filled, or its server has forgotten everything."""


DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of decoding a damaged JSON file. Text that is not UTF-8, and text nested without end,
have errors of their own."""


class Finding(msgspec.Struct, frozen=True):
    """An observation that did not stop the work; one form for every room, table and JSON file."""

    check: str
    columns: list[str]
    severity: Literal["info", "warning", "error"]
    message: str
    evidence: dict[str, Any] = {}


def check_format(
    error: type[HeadraceError], where: str, found: Any, known: int, do: str = ""
) -> None:
    """Raise an error for a file that was written in another format than this version reads.

    >>> check_format(WorkError, "the log", 2, 1)
    Traceback (most recent call last):
    headrace.errors.WorkError: the log: written in format 2; expected format 1; \
use the version of Headrace that wrote it, or a later one
    """
    if found != known:
        do = do or "use the version of Headrace that wrote it, or a later one"
        raise error(where, f"written in format {str(found)[:40]}", f"format {known}", do)


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """Return `did you mean 'x'?` for the closest known name, or the empty string.

    >>> nearest("traget", ["target", "task"])
    "did you mean 'target'?"
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""
