"""A table in memory: typed, checked for what can be told early, and fingerprinted."""

import hashlib
import re
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec
from headrace.tables.parts import parts_disagree
from headrace.tables.scan import Scan, scan, unreadable_error, with_plain_names
from headrace.tables.schema import dtype_of, normalise
from headrace.tables.text import TOTALS
from headrace.tables.times import has_zone
from headrace.tables.types import Candidate, Locale, candidates, clean, locale_of, settle
from headrace.tables.written import Form

_FEW_VALUES, _LONGEST_NUMBER = 1_000, 6
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Table(Struct, frozen=True):
    """Rows with their types told, the fingerprint of their content, what was noticed while reading,
    and how columns that were not written plainly were written.
    """

    frame: pl.DataFrame
    fingerprint: str
    findings: list[Finding]
    forms: dict[str, Form] = {}


class Raw(Struct, frozen=True):
    """Rows as they were read from `where`, each column with what it may be; the table is settled by a locale."""

    where: str
    candidates: list[Candidate]
    locale: Locale
    findings: list[Finding]

    def settle(self, locale: Locale) -> Table:
        """The table, by what it proves itself and, where that is nothing, by how others order day and month."""
        own = structs.replace(self.locale, order=self.locale.order or locale.order)
        frame, forms, told = settle(self.candidates, own)
        findings = [*self.findings, *told, *_nested(frame), *_spelled_alike(frame), *_totals(frame)]
        return Table(frame, fingerprint(frame), findings, forms)


def load(path: Path, read: ReadSpec | None = None, missing: list[str] | None = None) -> Table:
    """Reads a whole table.

    Raises `InputError` for a file that is absent, empty, cut off, ragged or of an unknown format.
    """
    return look(path, read or ReadSpec(), missing).settle(Locale())


def look(path: Path, read: ReadSpec, missing: list[str] | None = None) -> Raw:
    """Reads a whole table as far as it tells by itself; see `load`."""
    source = scan(path, read)
    try:
        frame = source.frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable_error(path, error) from None
    raw = look_at(str(path), frame, missing, read, source)
    disagreeing = parts_disagree(source, raw.candidates, _words(missing)) if source.text else []
    return structs.replace(raw, findings=[*raw.findings, *disagreeing])


def look_at(
    where: str,
    frame: pl.DataFrame,
    missing: list[str] | None,
    read: ReadSpec | None = None,
    source: Scan | None = None,
) -> Raw:
    """Rows that were read from `where`, by a scan of files or with types of their own.

    Raises `InputError` where there are none.
    """
    if frame.is_empty():
        raise InputError(
            where, "a header but no rows" if frame.width else "no columns", "at least one row"
        )
    read, text = read or ReadSpec(), source is not None and source.text
    frame, renamed = with_plain_names(frame)
    frame = clean(frame, _words(missing)) if text else normalise(frame, _words(missing))
    found = candidates(frame, text, source.partitions if source is not None else set())
    locale = locale_of(found, read, source.separator if source is not None else "")
    return Raw(where, found, locale, [*(source.findings if source else []), *renamed])


def _words(missing: list[str] | None) -> list[str]:
    return missing if missing is not None else [""]


def _nested(frame: pl.DataFrame) -> list[Finding]:
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


def _spelled_alike(frame: pl.DataFrame) -> list[Finding]:
    """Columns of few values some of which differ by case alone, or are one number written in two ways."""
    found = []
    for column in frame.select(cs.string()):
        values = column.drop_nulls().unique()
        if len(values) > _FEW_VALUES:
            continue
        alike: dict[str, list[str]] = {}
        for value in values.sort().to_list():
            alike.setdefault(_as_number(value) or value.casefold(), []).append(value)
        if twins := [group for group in alike.values() if len(group) > 1]:
            shown = "; ".join(", ".join(map(repr, group)) for group in twins[:5])
            message = f"values of {column.name!r} differ in spelling alone: {shown}; each counts as one of its own"
            found.append(
                Finding("value.spelling", [column.name], "warning", message, {"values": twins[:20]})
            )
    return found


def _totals(frame: pl.DataFrame) -> list[Finding]:
    """Rows that the first column of text calls totals: what stands in them is there a second time."""
    text = next((column for column in frame if column.dtype == pl.String), None)
    rows = (
        0
        if text is None
        else int(text.str.strip_chars(" :").str.to_lowercase().is_in(list(TOTALS)).sum())
    )
    if text is None or not rows:
        return []
    message = (
        f"{rows} rows are called totals by {text.name!r}, and were read as rows like the others"
    )
    return [Finding("value.total_rows", [text.name], "warning", message, {"rows": rows})]


def _as_number(value: str) -> str:
    """A number in one spelling; empty for other text."""
    return f"{float(value):g}" if len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value) else ""


def fingerprint(frame: pl.DataFrame) -> str:
    """Names a table's content: sha256 over names, types and values in order, whatever file it came
    from.

    >>> a = pl.DataFrame({"x": [1, None], "s": ["é", None]})
    >>> fingerprint(a) == fingerprint(a.clone()) != fingerprint(a.reverse())
    True
    """
    digest = hashlib.sha256()
    for column in frame:
        zone = " UTC" if has_zone(column.dtype) else ""
        digest.update(f"{column.name}\0{dtype_of(column.dtype)}{zone}\0{len(column)}\0".encode())
        digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
        if column.dtype == pl.String:
            digest.update(column.str.len_bytes().fill_null(0).cast(pl.UInt32).to_numpy().tobytes())
            digest.update((column.str.join("").item() or "").encode())
        elif dtype_of(column.dtype) in ("nested", "vector"):
            digest.update(
                column.to_frame().write_json().encode()
                if column.dtype.is_nested()
                else str(column.to_list()).encode()
            )
        else:
            digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
    return digest.hexdigest()
