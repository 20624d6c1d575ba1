"""What can go wrong, said once: an exception stops the work, a `Finding` only tells."""

from typing import Any, Literal

import msgspec


class HeadraceError(Exception):
    """The root: one clear sentence about where, what was found, what was expected and what to do.

    >>> str(InputError("data.target", "no column 'clickd'", "one of: clicked, price", "did you mean 'clicked'?"))
    "data.target: no column 'clickd'; expected one of: clicked, price; did you mean 'clicked'?"
    """

    exit_code = 2

    def __init__(self, where: str, found: str, expected: str = "", do: str = "") -> None:
        self.where, self.found, self.expected, self.do = where, found, expected, do
        parts = [f"{where}: {found}", f"expected {expected}" if expected else "", do]
        super().__init__("; ".join(part for part in parts if part))


class SpecError(HeadraceError):
    """A field of `system.yaml` is unknown, of the wrong type or out of range."""


class InputError(HeadraceError):
    """Rows, a table or an argument that a person handed in cannot be used."""


class BundleError(HeadraceError):
    """A bundle is missing, incomplete or has been changed since it was written."""


class WorkError(HeadraceError):
    """Good input, but the work could not be finished (a full disk, a model that does not export faithfully)."""

    exit_code = 1


class EmptyStoreError(InputError):
    """The online store was never filled, or its server has forgotten everything."""


DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoding of a damaged JSON file raises: a text that is no UTF-8, or that is nested without
end, has an error of its own."""


class Finding(msgspec.Struct, frozen=True):
    """Something noticed in data that did not stop the work; one form in every room, table and JSON file."""

    check: str
    columns: list[str]
    severity: Literal["info", "warning", "error"]
    message: str
    evidence: dict[str, Any] = {}


def check_format(
    error: type[HeadraceError], where: str, found: Any, known: int, do: str = ""
) -> None:
    """Raises an error for a file that was written in another format than this version reads.

    >>> check_format(WorkError, "the log", 2, 1)
    Traceback (most recent call last):
    headrace.errors.WorkError: the log: written in format 2; expected format 1; \
use the version of Headrace that wrote it, or a later one
    """
    if found != known:
        do = do or "use the version of Headrace that wrote it, or a later one"
        raise error(where, f"written in format {str(found)[:40]}", f"format {known}", do)


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """`did you mean 'x'?` for the closest known name, or the empty string.

    >>> nearest("traget", ["target", "task"])
    "did you mean 'target'?"
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""
