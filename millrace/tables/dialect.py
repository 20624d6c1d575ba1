"""How a text table is written: separator, quote, escape, header and what stands above it, told from its beginning."""

import csv
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from millrace.errors import InputError
from millrace.spec import Read
from millrace.tables.encoding import Encoding, encoding_of, open_bytes

if TYPE_CHECKING:
    from _csv import Reader

_HEAD_BYTES = 1 << 18
_HEAD_RECORDS = 200
_SEPARATORS = ",;\t|"
_MOST_ABOVE = 20
"""So many lines of text above the header are told from the table itself."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
_ESCAPED = re.compile(r"\\([\"'\\])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LONGEST_FIELD = 1 << 30

Record = list[str]


class Dialect(Struct, frozen=True):
    """What a reader must know.

    `header` are the names of the columns; `first` is the number of lines before the first row (the header and what
    stands above it); `quote` is empty where nothing is quoted; lines that begin with `comment` and are no rows are left
    out; `trailing` says that every row ends in one separator more.
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
    """Python's own reader, which knows more of what people write than any other; what stands between a closing quote
    and the separator is an error."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    sign = quote or None
    return csv.reader(lines, delimiter=separator, quotechar=sign, quoting=quoting, skipinitialspace=True, strict=True)


def unescaped(line: str) -> str:
    r"""A line with doubled quotes in the place of escaped ones.

    >>> print(unescaped(r'1,"say \"hi\" now"'))
    1,"say ""hi"" now"
    """
    return _ESCAPED.sub(lambda found: found[1] if found[1] == "\\" else found[1] * 2, line)


def sniff(path: Path, read: Read) -> Dialect:
    """Tells a text table's dialect; what `read` states is taken as it is.

    Raises `InputError` for an empty or binary file, where no separator gives the lines one width, and where the first
    line is no header.
    """
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD_BYTES)
        encoding = encoding_of(path, head, read)
    except (OSError, EOFError) as error:
        raise InputError(str(path), f"cannot be unpacked ({error})", "a whole .gz file") from None
    text, cut = _text_of(path, head, encoding), len(head) == _HEAD_BYTES
    lines = text.splitlines(keepends=True)
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
    comment = read.comment or ("#" if any(line.startswith("#") for line in text.splitlines()[:above]) else "")
    header, rows = _header(path, records, read, above)
    trailing = _ends_in_separator(header, rows)
    header = header[:-1] if trailing and header and not header[-1] else header
    headed = read.header is None or read.header is True
    first = above + (_lines_of_header(lines, separator, quote, escape) if headed else 0)
    return Dialect(encoding, separator, quote, header, first, escape, comment, trailing, above)


def _text_of(path: Path, head: bytes, encoding: Encoding) -> str:
    import codecs

    try:
        text: str = codecs.getincrementaldecoder(encoding.name)(encoding.errors).decode(head).removeprefix("\ufeff")
    except (LookupError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be decoded ({error})", "another data.read.encoding") from None
    if not text.strip():
        raise InputError(str(path), "the file is empty", "a header line and rows")
    if "\0" in text:
        raise InputError(str(path), "binary content", "a text table", "a Parquet file must end in .parquet")
    return text


def _above(lines: list[str], read: Read) -> tuple[int, str | None]:
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
    path: Path, lines: list[str], cut: bool, read: Read, stated: str | None
) -> tuple[str, str, str, list[Record]]:
    """The separator, quote and escape under which most of the first records are equally wide, and widest."""
    separators = [read.separator or stated or ""] if read.separator or stated else list(_SEPARATORS)
    quotes = [read.quote] if read.quote else ['"', "'"] if _quoted_by_apostrophe(lines) else ['"']
    escapes = [read.escape] if read.escape else ["", "\\"] if any('\\"' in line for line in lines) else [""]
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
            str(path), "no separator of , ; tab | gives its lines one width", "a table", "state data.read.separator"
        )
    return best


def _quoted_by_apostrophe(lines: list[str]) -> bool:
    return not any('"' in line for line in lines) and any(
        f"{separator}'" in line for line in lines for separator in _SEPARATORS
    )


def _evenness(
    lines: list[str], separator: str, quote: str, escape: str, cut: bool
) -> tuple[tuple[float, int, int], list[Record]]:
    """The share of records of the commonest width, whether quotes were as they should be, and that width.

    One column scores below any other. An empty last field counts for no field where that makes records even.
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
    while at < min(_MOST_ABOVE, len(records) - 1) and len([field for field in records[at] if field.strip()]) <= 1:
        at += 1
    return at if at and len(records[at]) in (width, width - 1) else 0


def _header(path: Path, records: list[Record], read: Read, above: int) -> tuple[list[str], list[Record]]:
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
    if not rows or not header:
        return False
    numbers = [bool(_NUMBER.fullmatch(name)) for name in header]
    if not any(numbers):
        return False
    columns = [[row[at].strip() for row in rows if at < len(row)] for at in range(len(header))]
    over_numbers = [
        is_number and all(_NUMBER.fullmatch(value) for value in column if value)
        for is_number, column in zip(numbers, columns, strict=True)
    ]
    words = [at for at, is_number in enumerate(numbers) if not is_number and header[at]]
    if words:
        return any(over_numbers) and all(header[at] in columns[at] for at in words)
    counts = [float(name) for name in header]
    counted = all(two - one == 1 for one, two in pairwise(counts))  # such as years, or 0, 1, 2, …
    return all(over_numbers) and not (counted and len(counts) > 1)


def _ends_in_separator(header: list[str], rows: list[Record]) -> bool:
    """Whether every row ends in one separator more, with nothing behind it."""
    widths = {len(row) for row in rows if any(row)}
    if not rows or len(widths) != 1 or any(row[-1].strip() for row in rows if any(row)):
        return False
    width = widths.pop()
    return width == len(header) + 1 or (width == len(header) > 1 and not header[-1])


def _lines_of_header(lines: list[str], separator: str, quote: str, escape: str) -> int:
    """How many lines the first record of some lines takes."""
    reader = reader_of((unescaped(line) for line in lines) if escape else iter(lines), separator, quote)
    for record in reader:
        if any(record):
            break
    return int(reader.line_num)
