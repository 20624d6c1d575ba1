"""A text table as Polars can read it: checked record by record, and written anew beside where it is
not plain.

Polars fills a short line with nulls without a word, stops at a quote in the middle of a field, and
takes a blank line for a row. So Python's reader goes through every file first; a plain one is then
read as it lies there.
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
from headrace.tables.dialect import LONGEST_FIELD, Dialect, reader_of, sniff, unescaped
from headrace.tables.encoding import open_bytes

_BLANKS = " \t\ufeff"
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


class PlainText(Struct, frozen=True):
    """A file that Polars reads: rows alone behind `skip` lines, in UTF-8; `stated_separator` is
    that of the file as it was; `kept` lives as long as it is read.
    """

    path: Path
    separator: str
    quote: str
    skip: int
    names: list[str]
    findings: list[Finding]
    stated_separator: str
    kept: Any = None


class _Seen(Struct):
    """What a look at every record found: the numbers of lines that are no rows, and whether the file is plain."""

    rows: int = 0
    blank: int = 0
    headers: int = 0
    comments: int = 0
    total: int | None = None
    plain: bool = True


def plain_text(path: Path, read: ReadSpec) -> PlainText:
    """Looks at every record of a text table.

    Raises `InputError` with the line where a record is wider or narrower than the header, or a
    quote is not closed.
    """
    dialect = sniff(path, read)
    seen = _Seen()
    for _ in _rows(path, dialect, seen, read.comment is not None):
        pass
    findings = dialect.encoding.findings + _findings(path, dialect, seen)
    if seen.plain:
        return PlainText(
            path,
            dialect.separator,
            dialect.quote,
            dialect.first,
            dialect.header,
            findings,
            dialect.separator,
        )
    copy = tempfile.NamedTemporaryFile(  # noqa: SIM115
        "w", prefix="headrace-", suffix=".csv", encoding="utf-8", newline=""
    )
    writer = csv.writer(copy, lineterminator="\n")
    again, left = _Seen(), seen.rows
    for row in _rows(path, dialect, again, read.comment is not None):
        left -= 1
        if left or seen.total is None:  # a line of totals is the last one
            writer.writerow(row)
    copy.flush()
    return PlainText(
        Path(copy.name), ",", '"', 0, dialect.header, findings, dialect.separator, copy
    )


class _PlainLines:
    """The lines of a file without quotes, escapes and comments: each is a record, and none needs a look."""

    quoted, between = False, True

    def __init__(self, file: io.TextIOWrapper, dialect: Dialect) -> None:
        self._first = dialect.first
        self.reader = reader_of(islice(file, dialect.first, None), dialect.separator, dialect.quote)

    @property
    def begins(self) -> int:
        """The number of the line of the record that was read last."""
        return self._first + int(self.reader.line_num)


class _Lines:
    """The lines of a file as a reader of records asks for them: without what stands above, comments left out."""

    def __init__(self, file: io.TextIOWrapper, dialect: Dialect, seen: _Seen, stated: bool) -> None:
        self._file, self._dialect, self._seen = file, dialect, seen
        self.number, self.begins, self.quoted = 0, 0, False
        self.between = True
        """Whether the next line begins a record; only then may it be a comment."""
        self._odd, self._stated = f" {dialect.quote}", stated
        self.reader = reader_of(self, dialect.separator, dialect.quote)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
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
                self._seen.comments += 1
                self._seen.plain = False
                continue
            if self.between:
                self.begins, self.between, self.quoted = self.number, False, False
            if dialect.quote and dialect.quote in line:
                self.quoted = True
                if self._odd in line:
                    self._seen.plain = False
            return unescaped(line) if dialect.escape else line
        raise StopIteration

    def _is_comment(self, line: str) -> bool:
        """What is stated is one; where it was told from the top of the file, a line as wide as the table is a row."""
        return self._stated or line.count(self._dialect.separator) + 1 != len(self._dialect.header)


def _rows(path: Path, dialect: Dialect, seen: _Seen, stated: bool) -> Iterator[list[str]]:
    """The rows of a file; `seen` is told what else was there. `stated` says that the spec names the
    sign of comments.
    """
    csv.field_size_limit(LONGEST_FIELD)
    width = len(dialect.header)
    encoding = dialect.encoding
    name = "utf-8-sig" if encoding.name == "utf-8" else encoding.name
    seen.plain = (
        encoding.name == "utf-8"
        and encoding.errors == "strict"
        and not (dialect.escape or dialect.trailing)
        and dialect.first <= 1
    )
    with open_bytes(path) as bytes_:
        file = io.TextIOWrapper(bytes_, name, encoding.errors, newline="")
        lines = (
            _PlainLines(file, dialect)
            if _is_unquoted(path, dialect)
            else _Lines(file, dialect, seen, stated)
        )
        last: list[str] = []
        with _explain(path, dialect, lines):
            for record in lines.reader:
                if not any(record):
                    seen.blank += record != [""] or width > 1
                    if record == [""] and width == 1:  # a quoted nothing is a missing value
                        seen.rows += 1
                        yield record
                    lines.between = True
                    continue
                row = (
                    record[:-1]
                    if dialect.trailing and len(record) == width + 1 and not record[-1]
                    else record
                )
                if len(row) != width:
                    raise _ragged(path, dialect, lines.begins, len(record))
                lines.between = True
                if (
                    row[0].strip(_BLANKS) == dialect.header[0]
                    and [one.strip(_BLANKS) for one in row] == dialect.header
                ):
                    seen.headers += 1
                    continue
                if lines.quoted and any(dialect.quote in field for field in row):
                    seen.plain = False
                seen.rows += 1
                last = row
                yield row
        words = [field for field in last if field.strip()]
        if words and words[0].strip(" :").lower() in TOTALS and (width == 2 or "" in last):
            seen.total = lines.begins
        returns = file.newlines == "\r" or (
            isinstance(file.newlines, tuple) and "\r" in file.newlines
        )
        if seen.blank or seen.headers or seen.total is not None or returns:
            seen.plain = False


@contextmanager
def _explain(path: Path, dialect: Dialect, lines: _PlainLines | _Lines) -> Iterator[None]:
    """Turns errors of Python's reader into `InputError`s that name the line and the field to state."""
    try:
        yield
    except csv.Error as error:
        quote = dialect.quote
        raise InputError(
            f"{path}, line {lines.begins}",
            f"a quote that is not closed, or text behind a closed one ({error})",
            f"fields that hold the separator in {quote}, and {quote * 2} for a quote within",
            "or state data.read.quote: none, or data.read.escape",
        ) from None
    except UnicodeDecodeError as error:
        found = f"is not {dialect.encoding.name} ({error.reason} at byte {error.start})"
        raise InputError(str(path), found, "another data.read.encoding") from None


def _is_unquoted(path: Path, dialect: Dialect) -> bool:
    """Whether no line needs a look of its own: told from the bytes, a hundred times faster than line by line."""
    if (
        dialect.escape
        or dialect.comment
        or dialect.encoding.name not in ("utf-8", "cp1252", "latin-1")
    ):
        return False
    with open_bytes(path) as file:
        while dialect.quote and (chunk := file.read(1 << 22)):
            if dialect.quote.encode() in chunk:
                return False
    return True


def _ragged(path: Path, dialect: Dialect, line: int, width: int) -> InputError:
    return InputError(
        f"{path}, line {line}",
        f"{width} fields",
        f"{len(dialect.header)} as in the header (line {dialect.above + 1})",
        "quote fields that hold the separator, or state data.read: separator, skip (lines above the header), comment "
        "(what such a line begins with), or header (the names of the columns)",
    )


def _findings(path: Path, dialect: Dialect, seen: _Seen) -> list[Finding]:
    """What was left out, and why."""
    left_out = (
        (dialect.above, "schema.text_above", f"{dialect.above} lines above the header"),
        (seen.blank, "schema.blank_lines", f"{seen.blank} lines without any value"),
        (seen.headers, "schema.repeated_header", f"{seen.headers} lines that repeat the header"),
        (
            seen.comments,
            "schema.comments",
            f"{seen.comments} lines that begin with {dialect.comment!r}",
        ),
        (
            int(seen.total is not None),
            "schema.total_line",
            f"line {seen.total}, which holds totals,",
        ),
    )
    return [
        Finding(
            check, [], "info", f"{what} of {path.name} were left out as no rows", {"lines": count}
        )
        for count, check, what in left_out
        if count
    ]
