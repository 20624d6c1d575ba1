"""How the bytes of a text table become text.

`encoding_of` asks these questions in turn; the first that has an answer decides:

    is the content packed (gzip, zip)?                  an error that says what to do
    does the spec state an encoding, not UTF-8?         that one
    does the file begin with a byte order mark?         UTF-8 or UTF-16
    is the whole file valid UTF-8?                      UTF-8
    are there 9 good lines for each bad one?            UTF-8; a bad byte becomes �
    does a byte occur that Windows-1252 does not have?  Latin-1, with a finding
    none of these                                       Windows-1252, with a finding
"""

import codecs
import gzip
from pathlib import Path
from typing import IO

from msgspec import Struct

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec

_CHUNK_BYTES = 1 << 22
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNDEFINED_IN_CP1252 = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
_GOOD_LINES_EACH = 9
"""So many lines of valid UTF-8 for each bad one show that the file is UTF-8 with damage.

Lines of ASCII alone do not count: they are the same in every encoding.
"""
_PACKED = (
    (b"\x1f\x8b", "gzip content", "name it .gz"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
)


class Encoding(Struct, frozen=True):
    """The encoding of a file: its name, and how bytes that it does not have are treated.

    `errors` is an error handler of Python's codecs, `strict` or `replace`.
    """

    name: str
    errors: str = "strict"
    findings: list[Finding] = []


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file to read its bytes, unpacked if it is a `.gz`."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def encoding_of(path: Path, head: bytes, read: ReadSpec) -> Encoding:
    """Find the encoding of a file that begins with `head`; the module's docstring has the rules.

    A guess comes with a finding that shows an example. Raises `InputError` for packed content,
    and for a file that is not the UTF-8 that `read` states.
    """
    for magic, found, do in _PACKED:
        if head.startswith(magic):
            raise InputError(str(path), found, "a text table", do)

    # A stated UTF-8 still goes through the checks below: damage shall be reported.
    if read.encoding is not None and not _is_utf8(read.encoding):
        return Encoding(read.encoding)
    for mark, name in _BOMS:
        if head.startswith(mark) and read.encoding is None:
            return Encoding(name)
    if _decodes(path):
        return Encoding("utf-8")

    # A file of another encoding has hardly a line beyond ASCII that is valid UTF-8 by chance.
    good, bad, first = _count_utf8_lines(path)
    if good >= _GOOD_LINES_EACH * bad:
        message = (
            f"{path.name} has lines that are not UTF-8 ({bad}), the first is {first}; "
            "characters that could not be read became �"
        )
        finding = Finding("schema.bad_byte", [], "warning", message, {"lines": bad, "first": first})
        return Encoding("utf-8", "replace", [finding])

    if read.encoding is not None:
        raise InputError(
            str(path), f"is not {read.encoding}: {first}", "another data.read.encoding"
        )
    name = _one_byte_encoding(path)
    return Encoding(name, "strict", [_guess_finding(path, name)])


def _is_utf8(name: str) -> bool:
    """Say whether a name is one of UTF-8.

    >>> _is_utf8("U8"), _is_utf8("cp1252"), _is_utf8("nonsense")
    (True, False, False)
    """
    try:
        return codecs.lookup(name).name == "utf-8"
    except LookupError:
        return False


def _decodes(path: Path) -> bool:
    """Say whether the whole file is valid UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path) as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _count_utf8_lines(path: Path) -> tuple[int, int, str]:
    """Count the lines beyond ASCII that are UTF-8 and that are not, and describe the first bad one.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile() as file:
    ...     _ = file.write("plain\\né\\n".encode() + b"\\xe9\\n")
    ...     file.flush()
    ...     _count_utf8_lines(Path(file.name))
    (1, 1, 'line 3 (byte 0xE9)')
    """
    good = 0
    bad = 0
    first = ""
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            if line.isascii():
                continue
            try:
                line.decode()
                good += 1
            except UnicodeDecodeError as error:
                bad += 1
                first = first or f"line {number} (byte 0x{line[error.start]:02X})"
    return good, bad, first


def _one_byte_encoding(path: Path) -> str:
    """Return `latin-1` for a file with a byte that Windows-1252 does not have, else `cp1252`.

    Windows-1252 has every letter of Latin-1; it lacks five control characters.
    """
    with open_bytes(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if any(byte in chunk for byte in _UNDEFINED_IN_CP1252):
                return "latin-1"
    return "cp1252"


def _guess_finding(path: Path, name: str) -> Finding:
    """Report a guessed encoding, with the first word beyond ASCII as an example."""
    with open_bytes(path) as file:
        line = next(line for line in file if not line.isascii())
    words = line.decode(name).split()
    word = next(word for word in words if not word.isascii())[:40]
    message = (
        f"{path.name} is not UTF-8 and was read as {name}, for example {word!r}; "
        "data.read.encoding states another"
    )
    return Finding("schema.encoding", [], "info", message, {"encoding": name, "example": word})
