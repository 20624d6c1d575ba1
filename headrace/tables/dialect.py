"""How a text table is written: separator, quote, escape, header and what stands above it, told from its beginning."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
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
"""Where two of them make even lines the first wins: `price, EUR` and `0,5` hold commas in a table of semicolons."""
_MOST_ABOVE = 20
"""So many lines of text above the header are told from the table itself."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
_ESCAPED = re.compile(r"\\([\"'\\])")
_WHOLE = re.compile(r"\d+")
_TYPED = re.compile(r"[-+$€£¥(]*\d[\d.,:/TZ%€ eE+-]*[%€)]?")
"""What begins with a digit, or a sign before one, and holds no words: a number, a time, an amount."""
LONGEST_FIELD = 1 << 30

Record = list[str]


class Dialect(Struct, frozen=True):
    """What a reader must know.

    `header` are the names of the columns; `first` is the number of lines before the first row (the
    header and what stands above it); `quote` is empty where nothing is quoted; lines that begin
    with `comment` and are no rows are left out; `trailing` says that every row ends in one
    separator more.
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


def reader_of(lines: Iterable[str], separator: str, quote: str) -> "Reader":
    """Python's own reader, which knows more of what people write than any other; what stands
    between a closing quote and the separator is an error.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    sign = quote or None
    return csv.reader(
        lines,
        delimiter=separator,
        quotechar=sign,
        quoting=quoting,
        skipinitialspace=True,
        strict=True,
    )


def unescaped(line: str) -> str:
    r"""A line with doubled quotes in the place of escaped ones.

    >>> print(unescaped(r'1,"say \"hi\" now"'))
    1,"say ""hi"" now"
    """
    return _ESCAPED.sub(lambda found: found[1] if found[1] == "\\" else found[1] * 2, line)


def sniff(path: Path, read: ReadSpec) -> Dialect:
    """Tells a text table's dialect; what `read` states is taken as it is.

    Raises `InputError` for an empty or binary file, where no separator gives the lines one width,
    and where the first line is no header.
    """
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD_BYTES)
        encoding = encoding_of(path, head, read)
    except (OSError, EOFError) as error:
        raise InputError(str(path), f"cannot be unpacked ({error})", "a whole .gz file") from None
    text, cut = _text_of(path, head, encoding), len(head) == _HEAD_BYTES
    lines = _lines_of(text)
    above, stated = _above(lines, read)
    lines = lines[above:]
    if not "".join(lines).strip():
        raise InputError(str(path), "the file is empty", "a header line and rows")
    separator, quote, escape, records = _told(path, lines, cut, read, stated)
    widths = Counter(len(record) for record in records if any(record))
    width = widths.most_common(1)[0][0]
    if read.skip is None and read.header is None:
        skipped = _text_above(records, width)
        above += skipped
        lines, records = lines[skipped:], records[skipped:]
    comment = read.comment or (
        "#" if any(line.startswith("#") for line in _lines_of(text)[:above]) else ""
    )
    header, rows = _header(path, records, read, above)
    trailing = _ends_in_separator(header, rows)
    header = header[:-1] if trailing and header and not header[-1] else header
    headed = read.header is None or read.header is True
    first = above + (_lines_of_header(lines, separator, quote, escape) if headed else 0)
    return Dialect(encoding, separator, quote, header, first, escape, comment, trailing, above)


def _lines_of(text: str) -> list[str]:
    """Lines as a reader of records sees them: a form feed or a separator of paragraphs ends none."""
    return io.StringIO(text, newline="").readlines()


def _text_of(path: Path, head: bytes, encoding: Encoding) -> str:
    import codecs

    try:
        text: str = (
            codecs.getincrementaldecoder(encoding.name)(encoding.errors)
            .decode(head)
            .removeprefix("\ufeff")
        )
    except (LookupError, UnicodeDecodeError) as error:
        raise InputError(
            str(path), f"cannot be decoded ({error})", "another data.read.encoding"
        ) from None
    if not text.strip():
        raise InputError(str(path), "the file is empty", "a header line and rows")
    if "\0" in text:
        raise InputError(
            str(path), "binary content", "a text table", "a Parquet file must end in .parquet"
        )
    return text


def _above(lines: list[str], read: ReadSpec) -> tuple[int, str | None]:
    """How many lines stand before the table for certain, and the separator that the first of them states."""
    if read.skip is not None:
        return read.skip, None
    at, separator = 0, None
    if lines and (found := _SEPARATOR_LINE.fullmatch(lines[0].strip("\r\n"))):
        at, separator = 1, found[1]
    while at < len(lines) and not lines[at].strip():
        at += 1
    mark = read.comment or "#"
    comments = at
    while comments < len(lines) and lines[comments].startswith(mark):
        comments += 1
    if read.comment is None and comments > at and comments < len(lines):
        # `#` may also begin the name of the first column: a header is as wide as the line below it.
        last, below = lines[comments - 1], lines[comments]
        if any(last.count(sign) == below.count(sign) > 0 for sign in _SEPARATORS):
            comments -= 1
    return comments, separator


def _told(
    path: Path, lines: list[str], cut: bool, read: ReadSpec, stated: str | None
) -> tuple[str, str, str, list[Record]]:
    """The separator, quote and escape under which most of the first records are equally wide, and widest."""
    separators = [read.separator or stated or ""] if read.separator or stated else list(_SEPARATORS)
    quotes = [read.quote] if read.quote else ['"', "'"] if _quoted_by_apostrophe(lines) else ['"']
    escapes = (
        [read.escape]
        if read.escape
        else ["", "\\"]
        if any('\\"' in line for line in lines)
        else [""]
    )
    best: tuple[str, str, str, list[Record]] | None = None
    best_score = (0.0, 0, 0)
    for quote in ("" if quote == "none" else quote for quote in quotes):
        for escape in escapes:
            for separator in separators:
                score, records = _evenness(lines, separator, quote, escape, cut)
                if best is None or score > best_score:
                    best, best_score = (separator, quote, escape, records), score
    assert best is not None
    if not best[3] or (best_score[0] < 0.5 and not (read.separator or stated)):
        raise InputError(
            str(path),
            "no separator of , ; tab | gives its lines one width",
            "a table",
            "state data.read.separator",
        )
    return best


def _quoted_by_apostrophe(lines: list[str]) -> bool:
    return not any('"' in line for line in lines) and any(
        f"{separator}'" in line for line in lines for separator in _SEPARATORS
    )


def _evenness(
    lines: list[str], separator: str, quote: str, escape: str, cut: bool
) -> tuple[tuple[float, int, int], list[Record]]:
    """The share of records of the commonest width, whether quotes were as they should be, and that
    width.

    One column scores below any other. An empty last field counts for no field where that makes
    records even.
    """
    records: list[Record] = []
    strict = 1
    source = (unescaped(line) for line in lines) if escape else iter(lines)
    reader = reader_of(source, separator, quote)
    while len(records) <= _HEAD_RECORDS:
        try:
            records.append(next(reader))
        except StopIteration:
            break
        except csv.Error:  # the end of what was read may cut a quoted field in two
            strict = int(cut and len(records) > 1 and next(source, None) is None)
            break
    if cut and len(records) <= _HEAD_RECORDS:
        records = records[:-1] or records
    filled = [len(record) for record in records if any(record)]
    if not filled:
        return (0.0, 0, 0), records
    width, count = Counter(filled).most_common(1)[0]
    share = count / len(filled)
    return (share if width > 1 else min(share, 0.5), strict, width), records


def _text_above(records: list[Record], width: int) -> int:
    """How many lines of one field stand before a table of several columns."""
    if width == 1:
        return 0
    at = 0
    while (
        at < min(_MOST_ABOVE, len(records) - 1)
        and len([field for field in records[at] if field.strip()]) <= 1
    ):
        at += 1
    return at if at and len(records[at]) in (width, width - 1) else 0


def _header(
    path: Path, records: list[Record], read: ReadSpec, above: int
) -> tuple[list[str], list[Record]]:
    """The names of the columns, and the first rows."""
    rows = [record for record in records if any(record)]
    if isinstance(read.header, list):
        return list(read.header), rows
    if read.header is False:
        width = Counter(map(len, rows)).most_common(1)[0][0]
        return [f"column_{at}" for at in range(1, width + 1)], rows
    header = [name.strip() for name in rows[0]]
    if read.header is None and _is_data(header, rows[1:]):
        shown = ", ".join(header[:5])
        raise InputError(
            f"{path}, line {above + 1}",
            f"looks like data ({shown}), not like the names of columns",
            "a header line",
            "state data.read.header: the names of the columns, or false (column_1, column_2, …); true if it is one",
        )
    return header, rows[1:]


def _is_data(header: list[str], rows: list[Record]) -> bool:
    """Whether a first line is like those below it: numbers over numbers, and words that are values of their columns."""
    others = [
        row for row in rows if [field.strip() for field in row] != header
    ]  # a header may stand within once more
    if not others or not header:
        return False
    columns = [
        [row[at].strip() for row in others if at < len(row) and row[at].strip()]
        for at in range(len(header))
    ]
    known = [bool(name) and name in column for name, column in zip(header, columns, strict=True)]
    if len(header) > 1 and all(known):
        return True
    typed = [
        bool(column) and all(_TYPED.fullmatch(value) for value in column) for column in columns
    ]
    like_data = [
        name
        for name, is_typed in zip(header, typed, strict=True)
        if is_typed and _TYPED.fullmatch(name)
    ]
    like_names = [
        name
        for name, is_typed in zip(header, typed, strict=True)
        if is_typed and not _TYPED.fullmatch(name)
    ]
    if not like_data or any(name and name not in ("NA", "?", "-") for name in like_names):
        return False
    counts = [float(name) for name in like_data if _WHOLE.fullmatch(name)]
    if len(counts) == len(like_data):  # such as years, or 0, 1, 2, …
        years = all(1900 <= count <= 2100 for count in counts)
        return not years and not (
            len(counts) > 1 and all(two - one == 1 for one, two in pairwise(counts))
        )
    return True


def _ends_in_separator(header: list[str], rows: list[Record]) -> bool:
    """Whether every row ends in one separator more, with nothing behind it."""
    widths = {len(row) for row in rows if any(row)}
    if not rows or len(widths) != 1 or any(row[-1].strip() for row in rows if any(row)):
        return False
    width = widths.pop()
    return width == len(header) + 1 or (width == len(header) > 1 and not header[-1])


def _lines_of_header(lines: list[str], separator: str, quote: str, escape: str) -> int:
    """How many lines the first record of some lines takes."""
    reader = reader_of(
        (unescaped(line) for line in lines) if escape else iter(lines), separator, quote
    )
    for record in reader:
        if any(record):
            break
    return int(reader.line_num)
