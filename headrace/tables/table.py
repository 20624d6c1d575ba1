"""A table in memory: typed, checked early, and fingerprinted."""

import hashlib
import re
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec
from headrace.tables.candidates import SAMPLE, Candidate, clean, find_candidates
from headrace.tables.parts import check_parts
from headrace.tables.scan import Scan, scan, unreadable_error, with_plain_names
from headrace.tables.schema import dtype_of, normalise
from headrace.tables.text import TOTALS
from headrace.tables.times import has_zone
from headrace.tables.types import Locale, infer_locale, settle
from headrace.tables.written import Form

_FEW_VALUES = 1_000
_LONGEST_NUMBER = 6
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Table(Struct, frozen=True):
    """Typed rows, the fingerprint of their content, and findings.

    `forms` holds the forms of columns that were not written in the plain way.
    """

    frame: pl.DataFrame
    fingerprint: str
    findings: list[Finding]
    forms: dict[str, Form] = {}


class RawTable(Struct, frozen=True):
    """Rows that were read from `where` and have no types yet: each column with its candidates.

    Another table of the same system may settle what this one leaves open.
    """

    where: str
    candidates: list[Candidate]
    locale: Locale
    findings: list[Finding]

    def settle(self, locale: Locale) -> Table:
        """Type the columns.

        The order of day and month is the one that the table itself proves, else that of `locale`.
        """
        own = structs.replace(self.locale, order=self.locale.order or locale.order)
        frame, forms, remarks = settle(self.candidates, own)
        findings = [
            *self.findings,
            *remarks,
            *_report_nested(frame),
            *_report_spelling(frame),
            *_report_totals(frame),
        ]
        return Table(frame, fingerprint(frame), findings, forms)


def load(path: Path, read: ReadSpec | None = None, missing: list[str] | None = None) -> Table:
    """Read a whole table.

    `missing` are the words that mean a missing value. Raises `InputError` for a file that is
    absent, empty, cut off, ragged or of an unknown format.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("day,price\\n31/12/2024,1.5\\n01/12/2024,?\\n")
    ...     file.flush()
    ...     table = load(Path(file.name), missing=["?"])
    >>> table.frame["price"].to_list(), table.forms["day"].form
    ([1.5, None], '%d/%m/%Y')
    """
    return look(path, read or ReadSpec(), missing).settle(Locale())


def look(path: Path, read: ReadSpec, missing: list[str] | None = None) -> RawTable:
    """Read a whole table, and find the candidates of its columns; see `load`."""
    source = scan(path, read)
    try:
        frame = source.frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable_error(path, error) from None

    raw = look_at(str(path), frame, missing, read, source)
    if not source.text:
        return raw
    differences = check_parts(source, raw.candidates, _words(missing))
    return structs.replace(raw, findings=[*raw.findings, *differences])


def look_at(
    where: str,
    frame: pl.DataFrame,
    missing: list[str] | None,
    read: ReadSpec | None = None,
    source: Scan | None = None,
) -> RawTable:
    """Find the candidates of the columns of rows that were read from `where`.

    `source` is their scan if they come from files; rows of a database have none. Raises
    `InputError` if there are no rows.
    """
    if frame.is_empty():
        raise InputError(
            where, "a header but no rows" if frame.width else "no columns", "at least one row"
        )
    source = source or Scan(frame.lazy(), False, [])
    frame, renamed = with_plain_names(frame)
    as_text = source.partitions | _find_padded(frame)
    # `normalise` cleans as well, and brings the types of other formats to ours.
    tidy = clean if source.text else normalise
    frame = tidy(frame, _words(missing))
    candidates = find_candidates(frame, source.text, as_text)
    locale = infer_locale(candidates, read or ReadSpec(), source.separator)
    return RawTable(where, candidates, locale, [*source.findings, *renamed])


def _find_padded(frame: pl.DataFrame) -> set[str]:
    """Find the columns of text all of whose values have blanks around them.

    A reader that left the blanks in has left the types out, too: ` 39` was not meant as text.

    >>> _find_padded(pl.DataFrame({"age": [" 39", " 5"], "zip": ["01", " 2"]}))
    {'age'}
    """
    padded = set()
    for column in frame.select(cs.string()):
        present = column.drop_nulls()
        for part in (present.head(SAMPLE), present):
            if part.is_empty() or not part.str.contains(r"^\s|\s$").all():
                break
        else:
            padded.add(column.name)
    return padded


def _words(missing: list[str] | None) -> list[str]:
    return missing if missing is not None else [""]


def _report_nested(frame: pl.DataFrame) -> list[Finding]:
    return [
        Finding(
            "schema.nested",
            [column.name],
            "warning",
            f"{column.name!r} is nested ({column.dtype}) and is ignored",
        )
        for column in frame
        if dtype_of(column.dtype) == "nested"
    ]


def _report_spelling(frame: pl.DataFrame) -> list[Finding]:
    """Report columns of few values some of which differ by case alone, or are one number twice."""
    findings = []
    for column in frame.select(cs.string()):
        values = column.drop_nulls().unique()
        if len(values) > _FEW_VALUES:
            continue
        twins = _find_twins(values.sort().to_list())
        if twins:
            shown = "; ".join(", ".join(map(repr, group)) for group in twins[:5])
            message = (
                f"values of {column.name!r} differ only in spelling: {shown}; "
                "each counts as a separate value"
            )
            evidence = {"values": twins[:20]}
            findings.append(Finding("value.spelling", [column.name], "warning", message, evidence))
    return findings


def _find_twins(values: list[str]) -> list[list[str]]:
    """Group values that differ in spelling alone.

    >>> _find_twins(["1", "1.0", "A", "a", "b"])
    [['1', '1.0'], ['A', 'a']]
    """
    groups: dict[str, list[str]] = {}
    for value in values:
        groups.setdefault(_number_spelling(value) or value.casefold(), []).append(value)
    return [group for group in groups.values() if len(group) > 1]


def _number_spelling(value: str) -> str:
    """Return a number in one spelling, or nothing for other text.

    >>> _number_spelling("1.50"), _number_spelling("1.5"), _number_spelling("one")
    ('1.5', '1.5', '')
    """
    if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
        return ""
    return f"{float(value):g}"


def _report_totals(frame: pl.DataFrame) -> list[Finding]:
    """Report rows that the first column of text calls totals: they count other rows again."""
    text = next((column for column in frame if column.dtype == pl.String), None)
    if text is None:
        return []
    rows = int(text.str.strip_chars(" :").str.to_lowercase().is_in(list(TOTALS)).sum())
    if not rows:
        return []
    message = f"{text.name!r} marks rows as totals ({rows}); they were read like all other rows"
    return [Finding("value.total_rows", [text.name], "warning", message, {"rows": rows})]


def fingerprint(frame: pl.DataFrame) -> str:
    """Hash the content of a table: sha256 over names, types and values in order.

    The file and the format do not matter. These bytes go in for each column:

        name \\0 type \\0 rows \\0    a bit for each missing value    the values, 0 for missing ones

    >>> a = pl.DataFrame({"x": [1, None], "s": ["é", None]})
    >>> fingerprint(a) == fingerprint(a.clone()) != fingerprint(a.reverse())
    True
    """
    digest = hashlib.sha256()
    for column in frame:
        zone = " UTC" if has_zone(column.dtype) else ""
        digest.update(f"{column.name}\0{dtype_of(column.dtype)}{zone}\0{len(column)}\0".encode())
        digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
        for part in _value_bytes(column):
            digest.update(part)
    return digest.hexdigest()


def _value_bytes(column: pl.Series) -> list[bytes]:
    """Return the values of a column as bytes."""
    if column.dtype == pl.String:
        # The lengths tell where a text ends: `ab`, `c` must differ from `a`, `bc`.
        lengths = column.str.len_bytes().fill_null(0).cast(pl.UInt32).to_numpy().tobytes()
        return [lengths, (column.str.join("").item() or "").encode()]
    if column.dtype.is_nested():
        return [column.to_frame().write_json().encode()]
    # Bytes that are no text, times of day, durations.
    if dtype_of(column.dtype) == "nested":
        return [str(column.to_list()).encode()]
    return [column.to_physical().fill_null(0).to_numpy().tobytes()]
