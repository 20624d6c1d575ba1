"""A file as a lazy Polars frame, whatever its format."""

from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import polars.selectors as cs

from headrace.errors import Finding, InputError
from headrace.spec import ReadSpec, safe_name
from headrace.tables.schema import dtype_of
from headrace.tables.text import plain_text

_NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""How Hive names the folder of rows without a value."""
_NO_TABLES = (".", "_")
"""What files begin with that others write while they work, or beside their tables."""
FORMATS = {
    "csv": (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
    "parquet": (".parquet", ".pq"),
    "ndjson": (".ndjson", ".jsonl"),
    "arrow": (".arrow", ".ipc", ".feather"),
}
"""The formats that can be read, by the ends of their file names."""


class Scan:
    """A table that has not been read yet.

    `frame` is lazy. Where `text` is true, every column is text as it stood in the file and its type
    is still to be told; `separator` is then that of the file. `findings` holds what was noticed on
    the way, `parts` the frames of the files that it is made of where they are several, `partitions`
    the columns that the names of folders gave, as text.
    """

    def __init__(
        self,
        frame: pl.LazyFrame,
        text: bool,
        findings: list[Finding],
        kept: Any = None,
        separator: str = "",
    ) -> None:
        self.frame, self.text, self.findings, self.separator = frame, text, findings, separator
        self.parts: dict[Path, pl.LazyFrame] = {}
        self.partitions: set[str] = set()
        self._kept = kept  # temporary files that live as long as the scan


def format_of(path: Path) -> str:
    """The format that a file name's end stands for; raises `InputError` for an unknown one."""
    name = path.name.lower()
    for kind, ends in FORMATS.items():
        if name.endswith(ends):
            return kind
    known = ", ".join(end for group in FORMATS.values() for end in group)
    raise InputError(str(path), "unknown format", f"a name that ends in {known}")


def scan(path: Path, read: ReadSpec | None = None) -> Scan:
    """Opens a table lazily: a file, a folder of files, or all that match a pattern
    (`parts/*.parquet`), in the order of their names.

    Raises `InputError` where it is absent, empty, cut off or not of its format, and for files of
    different columns.
    """
    files = files_at(path)
    scans = [_with_folders(_scan_file(file, read), file, path) for file in files]
    whole = scans[0] if len(scans) == 1 else _together(scans, files)
    whole.findings = whole.findings + (_passed_over(path, files) if path.is_dir() else [])
    return whole


def _with_folders(one: Scan, file: Path, path: Path) -> Scan:
    """The columns that the names of folders give, as Hive has them: `day=2024-01-31`."""
    base = path if path.is_dir() else _fixed(path)
    if not file.is_relative_to(base):
        return one
    told = [part.split("=", 1) for part in file.relative_to(base).parts[:-1] if "=" in part]
    here = set(one.frame.collect_schema().names())
    for name, value in told:
        if name not in here:
            text = None if value == _NOTHING else unquote(value)
            one.frame = one.frame.with_columns(pl.lit(text, pl.String).alias(name))
            one.partitions.add(name)
    return one


def files_at(path: Path) -> list[Path]:
    """The files that a path stands for; raises `InputError` where a folder or a pattern has none."""
    if path.is_dir():
        known = tuple(end for ends in FORMATS.values() for end in ends)
        inside = [*path.iterdir(), *path.glob("**/*=*/*")]  # Hive names folders `column=value`
        named = {
            file
            for file in inside
            if file.name.lower().endswith(known) and not file.name.startswith(_NO_TABLES)
        }
        found = sorted(file for file in named if file.is_file())
        if not found:
            raise InputError(
                str(path), "a folder without a table", f"files that end in {', '.join(known)}"
            )
        return found
    if path.exists() or not any(sign in str(path) for sign in "*?["):
        return [path]
    fixed = _fixed(path)
    found = sorted(fixed.glob(str(path.relative_to(fixed))))
    if not path.name.startswith(_NO_TABLES):
        found = [file for file in found if not file.name.startswith(_NO_TABLES)]
    if not found:
        raise InputError(str(path), "no file matches", "at least one table")
    return found


def _fixed(path: Path) -> Path:
    """What of a path stands before the first folder or file that is a pattern; the whole of one without."""
    parts = takewhile(lambda part: not any(sign in part for sign in "*?["), path.parts)
    return Path(*parts)


def _passed_over(folder: Path, files: list[Path]) -> list[Finding]:
    """What lies in a folder of tables and was not read: files of other formats, and folders that are no partitions."""
    read = {file.relative_to(folder).parts[0] for file in files}
    unread = [
        one
        for one in folder.iterdir()
        if one.name not in read and not one.name.startswith((".", "_"))
    ]
    others = sorted(
        one.name for one in unread if one.is_dir() or one.suffix.lower() not in ("", ".md")
    )
    if not others:
        return []
    shown = ", ".join(others[:5]) + (" and others" if len(others) > 5 else "")
    message = f"{shown} in {folder.name} were not read: no tables, or folders that are not named column=value"
    return [Finding("schema.passed_over", [], "warning", message, {"names": others[:20]})]


def _together(scans: list[Scan], files: list[Path]) -> Scan:
    """Files of the same columns, one below the other."""
    first = scans[0].frame.collect_schema()
    for one, file in zip(scans[1:], files[1:], strict=True):
        names = one.frame.collect_schema().names()
        if set(names) != set(first.names()) or one.text != scans[0].text:
            odd = sorted(set(names) ^ set(first.names())) or [
                "a format without types beside one that has some"
            ]
            raise InputError(
                str(file),
                f"differs from {files[0].name} in {', '.join(odd[:5])}",
                "the same columns",
            )
    order = cs.by_name(*first.names())
    frames = [one.frame.select(order) for one in scans]
    if not scans[0].text:
        frames = _of_one_type(frames, files)
    findings = list(
        {finding.message: finding for one in scans for finding in one.findings}.values()
    )
    whole = Scan(
        pl.concat(frames, how="vertical_relaxed"),
        scans[0].text,
        findings,
        scans,
        scans[0].separator,
    )
    whole.parts = dict(zip(files, frames, strict=True))
    whole.partitions = set.union(*(one.partitions for one in scans))
    return whole


def _of_one_type(frames: list[pl.LazyFrame], files: list[Path]) -> list[pl.LazyFrame]:
    """Times in UTC and categories as text in every file; raises `InputError` where a column means different things."""
    plain: list[pl.LazyFrame] = []
    known: dict[str, tuple[str, Path]] = {}
    for frame, file in zip(frames, files, strict=True):
        casts = []
        for name, dtype in frame.collect_schema().items():
            column = cs.by_name(name)
            kind = {"integer": "number", "boolean": "number"}.get(dtype_of(dtype), dtype_of(dtype))
            if isinstance(dtype, pl.Datetime):
                utc = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
                casts.append(utc.cast(pl.Datetime("us", "UTC" if dtype.time_zone else None)))
                kind = "datetime with zones" if dtype.time_zone else "datetime"
            elif dtype in (pl.Categorical, pl.Enum):
                casts.append(column.cast(pl.String))
            if dtype == pl.Null:
                continue
            before, where = known.setdefault(name, (kind, file))
            if before != kind:
                found = f"column {name!r} holds {dtype}, in {where.name} {before}"
                raise InputError(
                    str(file), found, "one type in every part", "write the parts with one type"
                )
        plain.append(frame.with_columns(casts))
    return plain


def _scan_file(path: Path, read: ReadSpec | None) -> Scan:
    kind = format_of(path)
    if not path.exists():
        raise InputError(
            str(path), "no such file", "a table", f"relative paths start from {path.parent}"
        )
    if path.stat().st_size == 0:
        raise InputError(str(path), "the file is empty", "a table")
    if kind == "csv":
        return _scan_text(path, read or ReadSpec())
    try:
        if kind == "parquet":
            frame = pl.scan_parquet(path, glob=False)
        elif kind == "arrow":
            frame = pl.scan_ipc(path)
        else:
            frame = pl.scan_ndjson(path, infer_schema_length=None)
        found = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable_error(path, error) from None
    names, findings = _unique(found, nameless=False)
    return Scan(
        frame.rename(dict(zip(found, names, strict=True))) if names != found else frame,
        False,
        findings,
    )


def unreadable_error(path: Path, error: Exception) -> InputError:
    """Polars' words for a broken file, cut to their first line."""
    text = str(error).strip()
    found = f"cannot be read ({text.splitlines()[0] if text else type(error).__name__})"
    is_json = path.name.lower().endswith(FORMATS["ndjson"])
    do = "each line is one JSON object, in UTF-8 without a mark at its beginning, null where a value is missing"
    return InputError(str(path), found, "a whole, valid file", do if is_json else "")


def _scan_text(path: Path, read: ReadSpec) -> Scan:
    plain = plain_text(path, read)
    names, findings = _unique(plain.names)
    # The header is skipped and its names are given, so that padded and repeated names need no
    # second look.
    frame = pl.scan_csv(
        plain.path,
        has_header=False,
        skip_rows=plain.skip,
        separator=plain.separator,
        quote_char=plain.quote or None,
        schema=dict.fromkeys(names, pl.String),
        glob=False,
    )
    return Scan(frame, True, plain.findings + findings, plain.kept, plain.stated_separator)


def _unique(header: list[str], nameless: bool = True) -> tuple[list[str], list[Finding]]:
    """Names columns that have none, where these are `nameless`, and renames second copies."""
    names: list[str] = []
    findings = []
    for position, given in enumerate(header, 1):
        if "\0" in given:
            raise InputError(
                "the table", f"a column called {given!r}", "names without a zero byte", "rename it"
            )
        name = base = safe_name(given) or (f"column_{position}" if nameless else "")
        copy = 1
        while name in names or (copy > 1 and name in header):
            copy += 1
            name = f"{base}_{copy}"
        if copy > 1:
            findings.append(
                Finding(
                    "schema.duplicate_column",
                    [base],
                    "warning",
                    f"a second column {base!r} was renamed {name!r}",
                )
            )
        names.append(name)
    return names, findings


def with_plain_names(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """A table whose names have no blanks around, as those of a text table, each once."""
    if all(name == safe_name(name) and "\0" not in name for name in frame.columns):
        return frame, []
    names, findings = _unique(frame.columns, nameless=False)
    return frame.rename(dict(zip(frame.columns, names, strict=True))), findings
