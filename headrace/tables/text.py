r"""A text table as Polars can read it: checked record by record, and copied if it is not plain.

Polars fills a short line with nulls without a word, stops at a quote in the middle of a field, and
takes a blank line for a row. So Python's reader goes through every file first. Polars then reads a
plain file as it lies there, and a plain copy of any other:

    the file                          the copy
    # Sales of 2024                   30.12.,"1,50"
    day;price                         31.12.,"1,60"
    30.12.;"1,50"
                                      The rows alone, without the header. Findings report the
    # checked                         rest: 1 line above the header, 1 blank line, 1 comment,
    31.12.;1,60                       and line 7, which holds totals.
    Total;3,10
"""

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec
from headrace.tables.dialect import LONGEST_FIELD, Dialect, open_reader, sniff, unescape
from headrace.tables.encoding import open_bytes

_BLANKS = " \t\ufeff"
_CHUNK_BYTES = 1 << 22
TOTALS = {
    "total",
    "totals",
    "grand total",
    "sum",
    "summe",
    "gesamt",
    "gesamtsumme",
    "totaal",
    "totale",
    "somme",
    "suma",
}
"""First words of a line of totals, in lower case."""


class PlainText(Struct, frozen=True):
    """A file that Polars reads: rows in UTF-8 behind `skip` lines.

    `stated_separator` is the separator of the original. A `copy` is removed from the disk when
    nobody refers to it.
    """

    path: Path
    separator: str
    quote: str
    skip: int
    names: list[str]
    findings: list[Finding]
    stated_separator: str
    copy: Any = None


class _Counts(Struct):
    """The rows of a file, the records that are no rows, and whether the file is plain.

    `total` is the number of the last line, if it holds totals.
    """

    rows: int = 0
    blank: int = 0
    headers: int = 0
    comments: int = 0
    total: int | None = None
    plain: bool = True


def plain_text(path: Path, read: ReadSpec) -> PlainText:
    r"""Look at every record of a text table, and make it plain.

    Raises `InputError` with the number of the line if a record is wider or narrower than the
    header, or a quote is not closed.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("day;price\n30.12.;1,50\n\nTotal;1,50\n")
    ...     file.flush()
    ...     plain = plain_text(Path(file.name), ReadSpec())
    >>> plain.path.read_text()
    '30.12.,"1,50"\n'
    >>> [finding.check for finding in plain.findings]
    ['schema.blank_lines', 'schema.total_line']
    """
    dialect = sniff(path, read)
    has_stated_comment = read.comment is not None
    counts = _Counts()
    # The first reading only checks and counts.
    for _ in _read_rows(path, dialect, counts, has_stated_comment):
        pass

    findings = dialect.encoding.findings + _report_left_out(path, dialect, counts)
    if counts.plain:
        return PlainText(
            path,
            dialect.separator,
            dialect.quote,
            dialect.first,
            dialect.header,
            findings,
            dialect.separator,
        )

    # The file is read a second time: its rows may not fit into memory.
    copy = tempfile.NamedTemporaryFile(  # noqa: SIM115
        "w", prefix="headrace-", suffix=".csv", encoding="utf-8", newline=""
    )
    rows = _read_rows(path, dialect, _Counts(), has_stated_comment)
    # A line of totals is the last one, and was counted as a row.
    if counts.total is not None:
        rows = islice(rows, counts.rows - 1)
    csv.writer(copy, lineterminator="\n").writerows(rows)
    copy.flush()
    return PlainText(
        Path(copy.name), ",", '"', 0, dialect.header, findings, dialect.separator, copy
    )


class _PlainLines:
    """The lines of a file without quotes, escapes and comments.

    Each line is a record, so none needs a look of its own: the reader takes them from the file.
    """

    quoted = False
    between = True

    def __init__(self, file: io.TextIOWrapper, dialect: Dialect) -> None:
        self._first = dialect.first
        self.reader = open_reader(
            islice(file, dialect.first, None), dialect.separator, dialect.quote
        )

    @property
    def begins(self) -> int:
        """The number of the line of the record that was read last."""
        return self._first + int(self.reader.line_num)


class _Lines:
    """The lines of a file as a reader of records asks for them.

    Lines above the first row and comments are left out. A record may take several lines:

        7   1,"a note       the reader asks for a line: `begins` is 7, `between` is now False
        8   # of two        still within the record: this is no comment
        9   lines"          the record ends; the loop over records sets `between` to True
        10  # checked       a comment
    """

    def __init__(
        self, file: io.TextIOWrapper, dialect: Dialect, counts: _Counts, has_stated_comment: bool
    ) -> None:
        self._file = file
        self._dialect = dialect
        self._counts = counts
        self._has_stated_comment = has_stated_comment
        # The reader skips blanks before a quote; Polars takes them for text.
        self._padded_quote = f" {dialect.quote}"
        self.number = 0
        self.begins = 0
        self.quoted = False
        """Whether the record that was read last has a quote."""
        self.between = True
        """Whether the next line begins a record; only then may it be a comment."""
        self.reader = open_reader(self, dialect.separator, dialect.quote)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        # This runs for every line of a file: the tests are in line, the cheapest first.
        dialect = self._dialect
        for line in self._file:
            self.number += 1
            if self.number <= dialect.first:
                continue
            if (
                self.between
                and dialect.comment
                and line.startswith(dialect.comment)
                and self._is_comment(line)
            ):
                self._counts.comments += 1
                self._counts.plain = False
                continue

            if self.between:
                self.begins = self.number
                self.between = False
                self.quoted = False
            if dialect.quote and dialect.quote in line:
                self.quoted = True
                if self._padded_quote in line:
                    self._counts.plain = False
            return unescape(line) if dialect.escape else line
        raise StopIteration

    def _is_comment(self, line: str) -> bool:
        """Say whether a line that begins with the sign of comments is one.

        If the spec does not state the sign, a line as wide as the table is a row.
        """
        if self._has_stated_comment:
            return True
        return line.count(self._dialect.separator) + 1 != len(self._dialect.header)


def _read_rows(
    path: Path, dialect: Dialect, counts: _Counts, has_stated_comment: bool
) -> Iterator[list[str]]:
    """Yield the rows of a file, and count in `counts` the rows and everything else.

    `has_stated_comment` says that the spec states the sign of comments.
    """
    csv.field_size_limit(LONGEST_FIELD)
    header = dialect.header
    width = len(header)
    counts.plain = _can_be_plain(dialect)
    encoding = dialect.encoding
    # A byte order mark would become a part of the first name.
    name = "utf-8-sig" if encoding.name == "utf-8" else encoding.name
    with open_bytes(path) as binary:
        file = io.TextIOWrapper(binary, name, encoding.errors, newline="")
        lines = _open_lines(path, file, dialect, counts, has_stated_comment)
        last: list[str] = []
        with _explain(path, dialect, lines):
            # This loop runs for every record of a file: its tests are in line.
            for record in lines.reader:
                if not any(record):
                    # In a table of one column a quoted nothing is a missing value, no blank line.
                    if record == [""] and width == 1:
                        counts.rows += 1
                        yield record
                    else:
                        counts.blank += 1
                    lines.between = True
                    continue

                row = record
                if dialect.trailing and len(record) == width + 1 and not record[-1]:
                    row = record[:-1]
                if len(row) != width:
                    raise _ragged(path, dialect, lines.begins, len(record))
                lines.between = True

                if row[0].strip(_BLANKS) == header[0] and _strip(row) == header:
                    counts.headers += 1
                    continue
                # Polars may stop at a quote within a field.
                if lines.quoted and any(dialect.quote in field for field in row):
                    counts.plain = False
                counts.rows += 1
                last = row
                yield row

        if _is_total(last, width):
            counts.total = lines.begins
        if _has_returns(file) or counts.blank or counts.headers or counts.total is not None:
            counts.plain = False


def _open_lines(
    path: Path,
    file: io.TextIOWrapper,
    dialect: Dialect,
    counts: _Counts,
    has_stated_comment: bool,
) -> _PlainLines | _Lines:
    if _is_unquoted(path, dialect):
        return _PlainLines(file, dialect)
    return _Lines(file, dialect, counts, has_stated_comment)


def _can_be_plain(dialect: Dialect) -> bool:
    """Say whether Polars could read a file of this dialect as it is."""
    encoding = dialect.encoding
    is_utf8 = encoding.name == "utf-8" and encoding.errors == "strict"
    return is_utf8 and not (dialect.escape or dialect.trailing) and dialect.first <= 1


def _strip(row: list[str]) -> list[str]:
    return [field.strip(_BLANKS) for field in row]


def _is_total(row: list[str], width: int) -> bool:
    """Say whether a last row holds totals: its first word says so, and not all fields are filled.

    >>> _is_total(["Total:", "", "3"], 3), _is_total(["Total", "3"], 2)
    (True, True)
    >>> _is_total(["Sum", "1", "2"], 3)
    False
    """
    words = [field for field in row if field.strip()]
    if not words or words[0].strip(" :").lower() not in TOTALS:
        return False
    return width == 2 or "" in row


def _has_returns(file: io.TextIOWrapper) -> bool:
    """Say whether a line ended in a carriage return alone, which Polars does not know."""
    newlines = file.newlines
    return newlines == "\r" or (isinstance(newlines, tuple) and "\r" in newlines)


@contextmanager
def _explain(path: Path, dialect: Dialect, lines: _PlainLines | _Lines) -> Iterator[None]:
    """Turn errors of Python's reader into `InputError`s that name the line and a field to state."""
    try:
        yield
    except csv.Error as error:
        quote = dialect.quote
        raise InputError(
            f"{path}, line {lines.begins}",
            f"a quote that is not closed, or text after a closed one ({error})",
            f"{quote} around fields that hold the separator, and {quote * 2} for a quote inside",
            "or state data.read.quote: none, or data.read.escape",
        ) from None
    except UnicodeDecodeError as error:
        found = f"is not {dialect.encoding.name} ({error.reason} at byte {error.start})"
        raise InputError(str(path), found, "another data.read.encoding") from None


def _is_unquoted(path: Path, dialect: Dialect) -> bool:
    """Say whether no line needs a look of its own.

    A search in the bytes is a hundred times faster than to go line by line.
    """
    # In other encodings the byte of a quote may be a part of a different character.
    if dialect.encoding.name not in ("utf-8", "cp1252", "latin-1"):
        return False
    if dialect.escape or dialect.comment:
        return False
    if not dialect.quote:
        return True

    quote = dialect.quote.encode()
    with open_bytes(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if quote in chunk:
                return False
    return True


def _ragged(path: Path, dialect: Dialect, line: int, width: int) -> InputError:
    return InputError(
        f"{path}, line {line}",
        f"{width} fields",
        f"{len(dialect.header)} as in the header (line {dialect.above + 1})",
        "quote fields that hold the separator, or state data.read: separator, "
        "skip (lines above the header), comment (what such a line begins with), "
        "or header (the names of the columns)",
    )


def _report_left_out(path: Path, dialect: Dialect, counts: _Counts) -> list[Finding]:
    """Report the lines that were left out because they are no rows."""
    has_total = int(counts.total is not None)
    comments = f"{counts.comments} lines that begin with {dialect.comment!r}"
    left_out = (
        ("schema.text_above", dialect.above, f"{dialect.above} lines above the header"),
        ("schema.blank_lines", counts.blank, f"{counts.blank} lines without any value"),
        (
            "schema.repeated_header",
            counts.headers,
            f"{counts.headers} lines that repeat the header",
        ),
        ("schema.comments", counts.comments, comments),
        ("schema.total_line", has_total, f"line {counts.total}, which holds totals,"),
    )
    return [
        Finding(
            check, [], "info", f"{lines} of {path.name} were left out as no rows", {"lines": count}
        )
        for check, count, lines in left_out
        if count
    ]
