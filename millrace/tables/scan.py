"""A file as a lazy Polars frame, whatever its format."""

import codecs
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from millrace.errors import Finding, InputError
from millrace.spec import Read
from millrace.tables.dialect import Dialect, open_bytes, refuse_ragged, sniff

FORMATS = {
    "csv": (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
    "parquet": (".parquet", ".pq"),
    "ndjson": (".ndjson", ".jsonl"),
    "arrow": (".arrow", ".ipc", ".feather"),
}
"""The formats that can be read, by the ends of their file names."""


class Scan:
    """A table that has not been read yet.

    `frame` is lazy. Where `text` is true, every column is text as it stood in the file and its type is still to be
    told. `findings` holds what was noticed on the way.
    """

    def __init__(self, frame: pl.LazyFrame, text: bool, findings: list[Finding], transcoded: Any = None) -> None:
        self.frame, self.text, self.findings = frame, text, findings
        self._transcoded = transcoded  # a temporary file that lives as long as the scan


def format_of(path: Path) -> str:
    """The format that a file name's end stands for; raises `InputError` for an unknown one."""
    name = path.name.lower()
    for kind, ends in FORMATS.items():
        if name.endswith(ends):
            return kind
    known = ", ".join(end for group in FORMATS.values() for end in group)
    raise InputError(str(path), "unknown format", f"a name that ends in {known}")


def scan(path: Path, read: Read | None = None) -> Scan:
    """Opens a table lazily: a file, a folder of files, or all that match a pattern (`parts/*.parquet`), in the order of
    their names.

    Raises `InputError` where it is absent, empty, cut off or not of its format, and for files of different columns.
    """
    files = files_at(path)
    scans = [_scan_file(file, read) for file in files]
    return scans[0] if len(scans) == 1 else _together(scans, files)


def files_at(path: Path) -> list[Path]:
    """The files that a path stands for; raises `InputError` where a folder or a pattern has none."""
    if path.is_dir():
        known = tuple(end for ends in FORMATS.values() for end in ends)
        found = sorted(file for file in path.iterdir() if file.name.lower().endswith(known))
        if not found:
            raise InputError(str(path), "a folder without a table", f"files that end in {', '.join(known)}")
        return found
    if path.exists() or not any(sign in str(path) for sign in "*?["):
        return [path]
    fixed = next(at for at, part in enumerate(path.parts) if any(sign in part for sign in "*?["))
    found = sorted(Path(*path.parts[:fixed]).glob("/".join(path.parts[fixed:])))
    if not found:
        raise InputError(str(path), "no file matches", "at least one table")
    return found


def _together(scans: list[Scan], files: list[Path]) -> Scan:
    """Files of the same columns, one below the other."""
    first = scans[0].frame.collect_schema().names()
    for one, file in zip(scans[1:], files[1:], strict=True):
        names = one.frame.collect_schema().names()
        if set(names) != set(first) or one.text != scans[0].text:
            odd = sorted(set(names) ^ set(first)) or ["a format without types beside one that has some"]
            raise InputError(str(file), f"differs from {files[0].name} in {', '.join(odd[:5])}", "the same columns")
    frame = pl.concat([one.frame.select(first) for one in scans], how="vertical_relaxed")
    findings = list({finding.message: finding for one in scans for finding in one.findings}.values())
    return Scan(frame, scans[0].text, findings, scans)


def _scan_file(path: Path, read: Read | None) -> Scan:
    kind = format_of(path)
    if not path.exists():
        raise InputError(str(path), "no such file", "a table", f"relative paths start from {path.parent}")
    if path.stat().st_size == 0:
        raise InputError(str(path), "the file is empty", "a table")
    if kind == "csv":
        return _scan_text(path, read or Read())
    try:
        if kind == "parquet":
            frame = pl.scan_parquet(path, glob=False)
        elif kind == "arrow":
            frame = pl.scan_ipc(path)
        else:
            frame = pl.scan_ndjson(path, infer_schema_length=None)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None
    return Scan(frame, False, [])


def unreadable(path: Path, error: Exception) -> InputError:
    """Polars' words for a broken file, cut to their first line."""
    text = str(error).strip()
    return InputError(
        str(path), f"cannot be read ({text.splitlines()[0] if text else type(error).__name__})", "a whole, valid file"
    )


def _scan_text(path: Path, read: Read) -> Scan:
    dialect = sniff(path, read)
    names, findings = _unique(dialect.header)
    source, keep = (path, None) if dialect.encoding == "utf-8" else _transcode(path, dialect)
    refuse_ragged(path, source, dialect)
    # The header is skipped and its names are given, so that padded and repeated names need no second look.
    frame = pl.scan_csv(
        source,
        has_header=False,
        skip_rows=1,
        separator=dialect.separator,
        quote_char=dialect.quote,
        schema=dict.fromkeys(names, pl.String),
        glob=False,
    )
    return Scan(frame, True, findings, keep)


def _unique(header: list[str]) -> tuple[list[str], list[Finding]]:
    """Names columns that have none and renames second copies."""
    names: list[str] = []
    findings = []
    for position, given in enumerate(header, 1):
        name = base = given or f"column_{position}"
        copy = 1
        while name in names or (copy > 1 and name in header):
            copy += 1
            name = f"{base}_{copy}"
        if copy > 1:
            findings.append(
                Finding("schema.duplicate_column", [base], "warning", f"a second column {base!r} was renamed {name!r}")
            )
        names.append(name)
    return names, findings


def _transcode(path: Path, dialect: Dialect) -> tuple[Path, Any]:
    """The file as UTF-8, beside: Polars reads nothing else, and a table may be larger than memory."""
    copy = tempfile.NamedTemporaryFile(prefix="millrace-", suffix=".csv")  # noqa: SIM115 - lives with the scan
    decoder = codecs.getincrementaldecoder(dialect.encoding)()
    try:
        with open_bytes(path) as file:
            while chunk := file.read(1 << 22):
                copy.write(decoder.decode(chunk).encode())
            copy.write(decoder.decode(b"", final=True).encode())
    except UnicodeDecodeError as error:
        raise InputError(
            str(path), f"is not {dialect.encoding} ({error.reason} at byte {error.start})", "another data.read.encoding"
        ) from None
    copy.flush()
    return Path(copy.name), copy
