"""How the bytes of a text table become text."""

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
"""So many lines of valid UTF-8 beside each bad one show that the file is UTF-8 and the bad one is damaged."""
_PACKED = (
    (b"\x1f\x8b", "gzip content", "name it .gz"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
)


class Encoding(Struct, frozen=True):
    """The name of an encoding, whether bytes that are none of its are replaced, and what was noticed."""

    name: str
    errors: str = "strict"
    findings: list[Finding] = []


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where it is a `.gz`."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def encoding_of(path: Path, head: bytes, read: ReadSpec) -> Encoding:
    """The encoding of a file that begins with `head`.

    What `read` states, else what the mark at its start says, else UTF-8 where all or nearly all of
    it is, else Windows-1252 (a superset of Latin-1's text); a guess shows an example. Raises
    `InputError` for packed content.
    """
    for magic, found, do in _PACKED:
        if head.startswith(magic):
            raise InputError(str(path), found, "a text table", do)
    if read.encoding is not None and not _is_utf8(read.encoding):
        return Encoding(read.encoding)
    for mark, name in _BOMS:
        if head.startswith(mark) and read.encoding is None:
            return Encoding(name)
    if _decodes(path):
        return Encoding("utf-8")
    good, bad, first = _lines_of_utf8(path)
    if good >= _GOOD_LINES_EACH * bad:
        message = f"{bad} lines of {path.name} are no UTF-8, the first is {first}; what could not be read became �"
        finding = Finding("schema.bad_byte", [], "warning", message, {"lines": bad, "first": first})
        return Encoding("utf-8", "replace", [finding])
    if read.encoding is not None:
        raise InputError(
            str(path), f"is not {read.encoding}: {first}", "another data.read.encoding"
        )
    name = _one_byte_encoding(path)
    return Encoding(name, "strict", [_guessed(path, name)])


def _is_utf8(name: str) -> bool:
    try:
        return codecs.lookup(name).name == "utf-8"
    except LookupError:
        return False


def _decodes(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path) as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _lines_of_utf8(path: Path) -> tuple[int, int, str]:
    """How many lines hold more than ASCII and are UTF-8, how many are not, and the first of these."""
    good, bad, first = 0, 0, ""
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
    with open_bytes(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if any(byte in chunk for byte in _UNDEFINED_IN_CP1252):
                return "latin-1"
    return "cp1252"


def _guessed(path: Path, name: str) -> Finding:
    with open_bytes(path) as file:
        line = next(line for line in file if not line.isascii())
    words = line.decode(name).split()
    word = next(word for word in words if not word.isascii())[:40]
    message = f"{path.name} is no UTF-8 and was read as {name}, for example {word!r}; data.read.encoding states another"
    return Finding("schema.encoding", [], "info", message, {"encoding": name, "example": word})
