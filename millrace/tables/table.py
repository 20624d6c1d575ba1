"""A table in memory: typed, checked for what can be told early, and fingerprinted."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import Struct

from millrace.errors import Finding, InputError
from millrace.spec import Read
from millrace.tables.scan import scan, unreadable
from millrace.tables.schema import dtype_of, normalise
from millrace.tables.types import clean, infer_types


class Table(Struct, frozen=True):
    """Rows with their types told, the fingerprint of their content, what was noticed while reading, and how numbers and
    times that were not written plainly were written."""

    frame: pl.DataFrame
    fingerprint: str
    findings: list[Finding]
    written: dict[str, str] = {}


def load(path: Path, read: Read | None = None, missing: list[str] | None = None) -> Table:
    """Reads a whole table.

    Raises `InputError` for a file that is absent, empty, cut off, ragged or of an unknown format.
    """
    source = scan(path, read)
    try:
        frame = source.frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None
    return typed(str(path), frame, missing, source.text, source.findings)


def typed(
    where: str, frame: pl.DataFrame, missing: list[str] | None, text: bool = False, findings: Sequence[Finding] = ()
) -> Table:
    """A table of rows that were read from `where`, as `text` or with types of their own.

    Raises `InputError` where there are none.
    """
    if frame.is_empty():
        raise InputError(where, "a header but no rows" if frame.width else "no columns", "at least one row")
    words = missing if missing is not None else [""]
    frame, forms, found = infer_types(clean(frame, words, True) if text else normalise(frame, words), text)
    return Table(frame, fingerprint(frame), [*findings, *found, *_nested(frame)], forms)


def _nested(frame: pl.DataFrame) -> list[Finding]:
    return [
        Finding("schema.nested", [column.name], "warning", f"{column.name!r} is nested ({column.dtype}) and is ignored")
        for column in frame
        if dtype_of(column.dtype) == "nested"
    ]


def fingerprint(frame: pl.DataFrame) -> str:
    """Names a table's content: sha256 over names, types and values in order, whatever file it came from.

    >>> a = pl.DataFrame({"x": [1, None], "s": ["é", None]})
    >>> fingerprint(a) == fingerprint(a.clone()) != fingerprint(a.reverse())
    True
    """
    digest = hashlib.sha256()
    for column in frame:
        digest.update(f"{column.name}\0{dtype_of(column.dtype)}\0{len(column)}\0".encode())
        digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
        if column.dtype == pl.String:
            digest.update(column.str.len_bytes().fill_null(0).cast(pl.UInt32).to_numpy().tobytes())
            digest.update((column.str.join("").item() or "").encode())
        elif dtype_of(column.dtype) in ("nested", "vector"):
            digest.update(
                column.to_frame().write_json().encode() if column.dtype.is_nested() else str(column.to_list()).encode()
            )
        else:
            digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
    return digest.hexdigest()
