"""How a text table is written: encoding, separator, quote and header, told from its first bytes."""

import codecs
import csv
import gzip
import io
from collections import Counter
from pathlib import Path
from typing import IO

from msgspec import Struct

from millrace.errors import InputError
from millrace.spec import Read

_HEAD_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 22
_SEPARATORS = ",;\t|"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Dialect(Struct, frozen=True):
    """What a reader must know."""

    encoding: str
    separator: str
    quote: str
    header: list[str]


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where it is a `.gz`."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def sniff(path: Path, read: Read) -> Dialect:
    """Tells a text table's dialect; what `read` states is taken as it is.

    Raises `InputError` for an empty or binary file and where no separator gives the lines one width.
    """
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD_BYTES)
        encoding = read.encoding or _encoding(path, head)
    except (OSError, EOFError) as error:
        raise InputError(str(path), f"cannot be unpacked ({error})", "a whole .gz file") from None
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head).removeprefix("\ufeff")
    except (LookupError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be decoded ({error})", "another data.read.encoding") from None
    if not text.strip():
        raise InputError(str(path), "the file is empty", "a header line and rows")
    if "\0" in text:
        raise InputError(str(path), "binary content", "a text table", "a Parquet file must end in .parquet")
    separator, quote = _separator_and_quote(path, text, len(head) == _HEAD_BYTES, read)
    header = next(csv.reader(io.StringIO(text), delimiter=separator, quotechar=quote, skipinitialspace=True))
    return Dialect(encoding, separator, quote, [name.strip() for name in header])


def _encoding(path: Path, head: bytes) -> str:
    """UTF-8 where the whole file is, else the mark at its start, else Windows-1252 (a superset of Latin-1's text)."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path) as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _one_byte_encoding(path)
    return "utf-8"


def _one_byte_encoding(path: Path) -> str:
    undefined = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
    with open_bytes(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if any(byte in chunk for byte in undefined):
                return "latin-1"
    return "cp1252"


def _separator_and_quote(path: Path, text: str, cut: bool, read: Read) -> tuple[str, str]:
    """The pair under which most of the first records are equally wide, and widest."""
    if read.separator and read.quote:
        return read.separator, read.quote
    quotes = [read.quote] if read.quote else ['"', "'"] if _quoted_by_apostrophe(text) else ['"']
    separators = [read.separator] if read.separator else list(_SEPARATORS)
    best, best_score = (separators[0], quotes[0]), (0.0, 0)
    for quote in quotes:
        for separator in separators:
            score = _evenness(text, separator, quote, cut)
            if score > best_score:
                best, best_score = (separator, quote), score
    if best_score[0] < 0.5 and not read.separator:
        raise InputError(
            str(path), "no separator of , ; tab | gives its lines one width", "a table", "state data.read.separator"
        )
    return best


def _quoted_by_apostrophe(text: str) -> bool:
    return '"' not in text and any(f"{separator}'" in text for separator in _SEPARATORS)


def _evenness(text: str, separator: str, quote: str, cut: bool) -> tuple[float, int]:
    """The share of records that are as wide as the header, and that width; one column scores below any other."""
    records = []
    try:
        for record in csv.reader(io.StringIO(text), delimiter=separator, quotechar=quote, skipinitialspace=True):
            if record:
                records.append(len(record))
            if len(records) > 200:
                break
    except csv.Error:
        return 0.0, 0
    if cut and len(records) <= 200:
        records = records[:-1] or records
    width = records[0]
    share = Counter(records)[width] / len(records)
    return (share if width > 1 else 0.5, width)


def refuse_ragged(path: Path, source: Path, dialect: Dialect) -> None:
    """Raises `InputError` with the line where a record is wider or narrower than the header.

    `source` is `path` in UTF-8. Polars would fill a short line with nulls without a word, so every line is counted.
    """
    width = len(dialect.header)
    csv.field_size_limit(1 << 30)
    with open_bytes(source) as file:
        reader = csv.reader(
            io.TextIOWrapper(file, "utf-8", newline=""), delimiter=dialect.separator, quotechar=dialect.quote
        )
        for record in reader:
            if record and len(record) != width:  # an empty line is a row of missing values
                raise InputError(
                    f"{path}, line {reader.line_num}",
                    f"{len(record)} fields",
                    f"{width} as in the header",
                    "quote fields that hold the separator, or state data.read.separator",
                )
