r"""The dialect of a text table: separator, quote, escape, header, and the lines above the header.

`sniff` infers it from the beginning of the file, and takes what the spec states as it is:

    sep=;                          ┐ a line that states the separator
    # exported on 31.12.           │ a comment
    Sales of 2024                  ┘ text of a single field           above = 3 lines
    day;price;note;                  header                           first = 4 lines
    30.12.;"1,50";"a \"hit\"";       the first row; escape is \, and trailing is true:
    31.12.;"1,60";none;              each row ends in one separator more

The separator is the sign under which most records are equally wide. Of equals the one wins under
which all quotes close, then the one of the wider table, then the first of tab, semicolon, bar and
comma:

    price, EUR;day                 ;  two fields in each line         the dialect
    0,5;1                          ,  two fields in each line
    1,5;2
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from headrace.errors import InputError
from headrace.spec import ReadSpec
from headrace.tables.encoding import Encoding, encoding_of, open_bytes

if TYPE_CHECKING:
    from _csv import Reader

_HEAD_BYTES = 1 << 18
_HEAD_RECORDS = 200
_SEPARATORS = "\t;|,"
"""Of two that make even lines the first wins: a table of semicolons may hold commas in numbers."""
_MOST_ABOVE = 20
"""At most so many lines of text above a header are recognised."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
_ESCAPED = re.compile(r"\\([\"'\\])")
_DIGITS = re.compile(r"\d+")
_VALUE = re.compile(r"[-+$€£¥(]*\d[\d.,:/TZ%€ eE+-]*[%€)]?")
"""A number, a time or an amount: it begins with a digit, or a sign before one, and has no words."""
LONGEST_FIELD = 1 << 30

Record = list[str]


class Dialect(Struct, frozen=True):
    """The way a text table is written.

    - `quote`: empty if nothing is quoted.
    - `header`: the names of the columns.
    - `first`: the number of lines before the first row: the header and the lines above it.
    - `comment`: the sign that begins lines to leave out, if they are no rows.
    - `trailing`: whether every row ends in one separator more.
    - `above`: the number of lines above the header.
    """

    encoding: Encoding
    separator: str
    quote: str
    header: list[str]
    first: int = 1
    escape: str = ""
    comment: str = ""
    trailing: bool = False
    above: int = 0


class _Signs(Struct, frozen=True):
    """The signs of a dialect; `quote` and `escape` may be empty."""

    separator: str
    quote: str
    escape: str


class _Attempt(Struct, frozen=True):
    """The first records of a file under some signs, and how much they look like a table."""

    signs: _Signs
    records: list[Record]
    score: tuple[float, int, int]
    """The share of records of the commonest width, 1 if all quotes close, and that width."""


def open_reader(lines: Iterable[str], separator: str, quote: str) -> "Reader":
    """Open Python's reader of records, which knows more of what people write than any other.

    Text between a closing quote and the separator is an error.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    return csv.reader(
        lines,
        delimiter=separator,
        quotechar=quote or None,
        quoting=quoting,
        skipinitialspace=True,
        strict=True,
    )


def unescape(line: str) -> str:
    r"""Double the quotes of a line that are escaped, and drop the escapes.

    >>> print(unescape(r'1,"say \"hi\" now"'))
    1,"say ""hi"" now"
    """
    return _ESCAPED.sub(lambda match: match[1] if match[1] == "\\" else match[1] * 2, line)


def sniff(path: Path, read: ReadSpec) -> Dialect:
    r"""Infer the dialect of a text table from its beginning; `read` overrides each part of it.

    Raises `InputError` for an empty or binary file, if no separator gives the lines one width, and
    if the first line is no header.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("Sales of 2024\nday;price;\n30.12.;1,50;\n31.12.;1,60;\n")
    ...     file.flush()
    ...     dialect = sniff(Path(file.name), ReadSpec())
    >>> dialect.separator, dialect.header, dialect.first, dialect.trailing
    (';', ['day', 'price'], 2, True)
    """
    csv.field_size_limit(LONGEST_FIELD)
    head, encoding = _read_head(path, read)
    all_lines = _split_lines(_decode(path, head, encoding))
    above, stated = _certainly_above(all_lines, read)
    lines = all_lines[above:]
    if not "".join(lines).strip():
        raise _empty(path)

    is_cut = len(head) == _HEAD_BYTES
    attempt = _find_signs(path, lines, is_cut, read, stated)
    signs = attempt.signs
    records = attempt.records
    if not any(map(any, records)):
        raise InputError(str(path), "no value in any line", "a header line and rows")

    # A title above the table is known by its width only now that the separator is known.
    if read.skip is None and read.header is None:
        titles = _count_titles(records)
        above += titles
        lines = lines[titles:]
        records = records[titles:]

    header, rows = _split_header(path, records, read, above)
    trailing = _ends_in_separator(header, rows)
    if trailing and header and not header[-1]:
        header = header[:-1]

    has_header_line = read.header is None or read.header is True
    return Dialect(
        encoding,
        signs.separator,
        signs.quote,
        header,
        first=above + (_count_header_lines(lines, signs) if has_header_line else 0),
        escape=signs.escape,
        comment=read.comment or _comment_sign(all_lines[:above]),
        trailing=trailing,
        above=above,
    )


def _read_head(path: Path, read: ReadSpec) -> tuple[bytes, Encoding]:
    """Read the first bytes of a file and find its encoding."""
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD_BYTES)
        return head, encoding_of(path, head, read)
    except (OSError, EOFError) as error:
        raise InputError(str(path), f"cannot be unpacked ({error})", "a whole .gz file") from None


def _decode(path: Path, head: bytes, encoding: Encoding) -> str:
    import codecs

    try:
        # An incremental decoder does not mind a character that the end of `head` cuts in two.
        decoder = codecs.getincrementaldecoder(encoding.name)(encoding.errors)
        text: str = decoder.decode(head).removeprefix("\ufeff")
    except (LookupError, UnicodeDecodeError) as error:
        raise InputError(
            str(path), f"cannot be decoded ({error})", "another data.read.encoding"
        ) from None
    if not text.strip():
        raise _empty(path)
    if "\0" in text:
        raise InputError(
            str(path), "binary content", "a text table", "a Parquet file must end in .parquet"
        )
    return text


def _empty(path: Path) -> InputError:
    return InputError(str(path), "the file is empty", "a header line and rows")


def _split_lines(text: str) -> list[str]:
    r"""Split a text into lines as a reader of records does: `str.splitlines` knows more ends.

    >>> _split_lines("a\fb\r\nc")
    ['a\x0cb\r\n', 'c']
    """
    return io.StringIO(text, newline="").readlines()


def _certainly_above(lines: list[str], read: ReadSpec) -> tuple[int, str | None]:
    r"""Count the lines that are certainly above the table.

    Also returns the separator that the first line states, else None.

    >>> _certainly_above(["sep=;\n", "\n", "# July\n", "a;b\n"], ReadSpec())
    (3, ';')
    """
    if read.skip is not None:
        return read.skip, None

    above = 0
    separator = None
    # Spreadsheets take their separator from a first line such as `sep=;`.
    statement = _SEPARATOR_LINE.fullmatch(lines[0].strip("\r\n")) if lines else None
    if statement is not None:
        above = 1
        separator = statement[1]

    while above < len(lines) and not lines[above].strip():
        above += 1
    sign = read.comment or "#"
    comments = above
    while comments < len(lines) and lines[comments].startswith(sign):
        comments += 1

    if read.comment is None and above < comments < len(lines):
        # `#` may also begin the name of the first column: a header is as wide as the line below it.
        last = lines[comments - 1]
        below = lines[comments]
        if any(last.count(sign) == below.count(sign) > 0 for sign in _SEPARATORS):
            comments -= 1
    return comments, separator


def _comment_sign(above: list[str]) -> str:
    return "#" if any(line.startswith("#") for line in above) else ""


def _find_signs(
    path: Path, lines: list[str], is_cut: bool, read: ReadSpec, stated: str | None
) -> _Attempt:
    """Find the signs under which most of the first records are equally wide, and widest.

    `stated` is the separator that the file itself states. Raises `InputError` if nothing is even.
    """
    separator = read.separator or stated
    signs = product(
        _possible_quotes(lines, read),
        _possible_escapes(lines, read),
        [separator] if separator else list(_SEPARATORS),
    )
    attempts = [
        _try_signs(lines, _Signs(separator, quote, escape), is_cut)
        for quote, escape, separator in signs
    ]
    # `max` takes the first of equal ones, so signs that are tried first win.
    best = max(attempts, key=lambda attempt: attempt.score)
    if not best.records or (best.score[0] < 0.5 and not separator):
        raise InputError(
            str(path),
            "none of the separators , ; tab | gives all lines the same number of fields",
            "a table",
            "state data.read.separator",
        )
    return best


def _possible_quotes(lines: list[str], read: ReadSpec) -> list[str]:
    if read.quote:
        return ["" if read.quote == "none" else read.quote]
    return ['"', "'"] if _is_quoted_by_apostrophe(lines) else ['"']


def _possible_escapes(lines: list[str], read: ReadSpec) -> list[str]:
    if read.escape:
        return [read.escape]
    # A backslash before a quote may also end a path: both are tried.
    return ["", "\\"] if any('\\"' in line for line in lines) else [""]


def _is_quoted_by_apostrophe(lines: list[str]) -> bool:
    if any('"' in line for line in lines):
        return False
    return any(f"{separator}'" in line for line in lines for separator in _SEPARATORS)


def _try_signs(lines: list[str], signs: _Signs, is_cut: bool) -> _Attempt:
    r"""Read the first records under some signs, and score them.

    `is_cut` says that the file goes on behind `lines`. One column scores below any wider table.

    >>> lines = ["price, EUR;day\n", "0,5;1\n", "1,5;2\n"]
    >>> _try_signs(lines, _Signs(";", '"', ""), is_cut=False).score
    (1.0, 1, 2)
    >>> _try_signs(lines, _Signs("|", '"', ""), is_cut=False).score
    (0.5, 1, 1)
    """
    records: list[Record] = []
    quotes_close = 1
    source = _source(lines, signs)
    reader = open_reader(source, signs.separator, signs.quote)
    while len(records) <= _HEAD_RECORDS:
        try:
            records.append(next(reader))
        except StopIteration:
            break
        except csv.Error:  # the end of `lines` may cut a quoted field in two
            at_end = next(source, None) is None
            quotes_close = int(is_cut and len(records) > 1 and at_end)
            break

    # The end of `lines` may have cut the last record.
    if is_cut and len(records) <= _HEAD_RECORDS:
        records = records[:-1] or records

    # A blank line has no width.
    widths = [len(record) for record in records if any(record)]
    if not widths:
        return _Attempt(signs, records, (0.0, 0, 0))
    width, count = Counter(widths).most_common(1)[0]
    share = count / len(widths)
    # A sign that never occurs makes every line one column wide: that proves little.
    if width == 1:
        share = min(share, 0.5)
    return _Attempt(signs, records, (share, quotes_close, width))


def _source(lines: list[str], signs: _Signs) -> Iterator[str]:
    """Yield lines as the reader takes them; it knows doubled quotes alone."""
    return map(unescape, lines) if signs.escape else iter(lines)


def _count_titles(records: list[Record]) -> int:
    """Count the lines of a single field above a table of several columns.

    >>> _count_titles([["Sales"], ["", ""], ["day", "price"], ["30.12.", "1"], ["31.12.", "2"]])
    2
    """
    width = Counter(len(record) for record in records if any(record)).most_common(1)[0][0]
    if width == 1:
        return 0
    titles = 0
    most = min(_MOST_ABOVE, len(records) - 1)
    while titles < most and sum(bool(field.strip()) for field in records[titles]) <= 1:
        titles += 1
    # The header of a table whose rows end in one separator more is narrower by one.
    return titles if len(records[titles]) in (width, width - 1) else 0


def _split_header(
    path: Path, records: list[Record], read: ReadSpec, above: int
) -> tuple[list[str], list[Record]]:
    """Split the first records into the names of the columns and the rows.

    Raises `InputError` if the first record looks like data, unless the spec says otherwise.
    """
    rows = [record for record in records if any(record)]
    if isinstance(read.header, list):
        return list(read.header), rows
    if read.header is False:
        width = Counter(map(len, rows)).most_common(1)[0][0]
        return [f"column_{at}" for at in range(1, width + 1)], rows

    header = _strip(rows[0])
    if read.header is None and _is_data(header, rows[1:]):
        shown = ", ".join(header[:5])
        raise InputError(
            f"{path}, line {above + 1}",
            f"looks like data ({shown}), not like the names of columns",
            "a header line",
            "state data.read.header: the names of the columns, or false (column_1, column_2, …); "
            "true if this line is the header",
        )
    return header, rows[1:]


def _strip(record: Record) -> Record:
    return [field.strip() for field in record]


def _is_data(header: list[str], rows: list[Record]) -> bool:
    """Say whether a first line is like those below it.

    It is if it has numbers over numbers, or words that are values of their columns.

    >>> _is_data(["red", "1.5"], [["blue", "2.5"], ["red", "1.5"]])
    True
    >>> _is_data(["colour", "2023"], [["blue", "2.5"], ["red", "1.5"]])
    False
    """
    # A header may occur once more among the rows.
    rows = [row for row in map(_strip, rows) if row != header]
    if not rows or not header:
        return False
    columns = [_filled(rows, position) for position in range(len(header))]

    # Names that all are values of their columns are values.
    repeats = [bool(name) and name in column for name, column in zip(header, columns, strict=True)]
    if len(header) > 1 and all(repeats):
        return True

    # Values over columns of values are data, unless a word names one of those columns.
    value_names: list[str] = []
    word_names: list[str] = []
    for name, column in zip(header, columns, strict=True):
        if column and all(map(_VALUE.fullmatch, column)):
            (value_names if _VALUE.fullmatch(name) else word_names).append(name)
    if not value_names or any(name and name not in ("NA", "?", "-") for name in word_names):
        return False
    return not _are_numbered(value_names)


def _filled(rows: list[Record], position: int) -> list[str]:
    """Return the fields of a column that are not empty; short rows have none."""
    return [row[position] for row in rows if position < len(row) and row[position]]


def _are_numbered(names: list[str]) -> bool:
    """Say whether names are years, or numbers one after the other.

    >>> _are_numbered(["2022", "2024"]), _are_numbered(["0", "1", "2"]), _are_numbered(["5", "1"])
    (True, True, False)
    """
    if not all(map(_DIGITS.fullmatch, names)):
        return False
    counts = [float(name) for name in names]
    if all(1900 <= count <= 2100 for count in counts):
        return True
    return len(counts) > 1 and all(after - before == 1 for before, after in pairwise(counts))


def _ends_in_separator(header: list[str], rows: list[Record]) -> bool:
    """Say whether every row ends in one separator more, with nothing behind it."""
    filled = [row for row in rows if any(row)]
    widths = {len(row) for row in filled}
    if len(widths) != 1 or any(row[-1].strip() for row in filled):
        return False
    width = widths.pop()
    return width == len(header) + 1 or (width == len(header) > 1 and not header[-1])


def _count_header_lines(lines: list[str], signs: _Signs) -> int:
    """Count the lines up to the end of the first record: a quoted name may hold line breaks."""
    reader = open_reader(_source(lines, signs), signs.separator, signs.quote)
    for record in reader:
        if any(record):
            break
    return int(reader.line_num)
