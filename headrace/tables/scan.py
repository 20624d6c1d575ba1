"""A file, a folder of files or a pattern as one lazy Polars frame, whatever the format.

path                      files                      columns
rows.csv                  that file                  those of the file
parts/*.parquet           all that match             the same in each file
orders/                   the tables in the folder   the same in each file
orders/day=2024-01-31/    the tables below it        and `day`, as Hive has it
"""

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

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""How Hive names the folder of rows without a value."""
_NO_TABLES = (".", "_")
"""Other tools begin the names of drafts and of notes about their tables with these."""
_PATTERN_SIGNS = "*?["
FORMATS = {
    "csv": (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
    "parquet": (".parquet", ".pq"),
    "ndjson": (".ndjson", ".jsonl"),
    "arrow": (".arrow", ".ipc", ".feather"),
}
"""The formats that can be read, by the ends of their file names."""


class Scan:
    """A table that has not been read yet.

    - `frame`: lazy rows.
    - `text`: whether every column is text as the file has it, with its type still to be inferred.
    - `separator`: the sign between the columns of a text file, else empty.
    - `findings`: remarks of the way here.
    - `parts`: the frame of each file, if there are several files.
    - `partitions`: the columns that came from the names of folders, as text.

    `resources` (temporary files) live as long as the scan.
    """

    def __init__(
        self,
        frame: pl.LazyFrame,
        text: bool,
        findings: list[Finding],
        resources: Any = None,
        separator: str = "",
    ) -> None:
        self.frame = frame
        self.text = text
        self.findings = findings
        self.separator = separator
        self.parts: dict[Path, pl.LazyFrame] = {}
        self.partitions: set[str] = set()
        self._resources = resources


def format_of(path: Path) -> str:
    """Return the format of a file by the end of its name; raises `InputError` for an unknown one.

    >>> format_of(Path("Rows.CSV.gz")), format_of(Path("rows.pq"))
    ('csv', 'parquet')
    """
    name = path.name.lower()
    for kind, ends in FORMATS.items():
        if name.endswith(ends):
            return kind
    known = ", ".join(_all_ends())
    raise InputError(str(path), "unknown format", f"a name that ends in {known}")


def _all_ends() -> tuple[str, ...]:
    return tuple(end for ends in FORMATS.values() for end in ends)


def scan(path: Path, read: ReadSpec | None = None) -> Scan:
    """Open a table lazily: a file, a folder of files, or all files that match a pattern.

    Files follow in the order of their names. Raises `InputError` if a file is absent, empty, cut
    off or not of its format, and for files of different columns.
    """
    files = files_at(path)
    scans = [_add_partitions(_scan_file(file, read), file, path) for file in files]
    source = scans[0] if len(scans) == 1 else _join_files(scans, files)
    if path.is_dir():
        source.findings = source.findings + _report_unread(path, files)
    return source


def _add_partitions(source: Scan, file: Path, path: Path) -> Scan:
    """Add the columns that the names of folders give, such as `day=2024-01-31`, to a scan."""
    base = path if path.is_dir() else _fixed_part(path)
    if not file.is_relative_to(base):
        return source

    columns = set(source.frame.collect_schema().names())
    for folder in file.relative_to(base).parts[:-1]:
        name, sign, value = folder.partition("=")
        # The file's own column wins over a folder of its name.
        if sign and name not in columns:
            text = None if value == _NO_VALUE else unquote(value)
            source.frame = source.frame.with_columns(pl.lit(text, pl.String).alias(name))
            source.partitions.add(name)
    return source


def files_at(path: Path) -> list[Path]:
    """List the files that a path stands for.

    Raises `InputError` if a folder holds no table or no file matches a pattern.
    """
    if path.is_dir():
        return _tables_in(path)
    if path.exists() or not any(sign in str(path) for sign in _PATTERN_SIGNS):
        return [path]

    fixed = _fixed_part(path)
    files = sorted(fixed.glob(str(path.relative_to(fixed))))
    # A pattern that begins so asks for such files.
    if not path.name.startswith(_NO_TABLES):
        files = [file for file in files if not file.name.startswith(_NO_TABLES)]
    if not files:
        raise InputError(str(path), "no file matches", "at least one table")
    return files


def _tables_in(folder: Path) -> list[Path]:
    """List the tables in a folder and in its partitions, in order."""
    ends = _all_ends()
    # Hive names the folders of partitions `column=value`.
    inside = {*folder.iterdir(), *folder.glob("**/*=*/*")}
    files = sorted(
        file
        for file in inside
        if file.name.lower().endswith(ends)
        and not file.name.startswith(_NO_TABLES)
        and file.is_file()
    )
    if not files:
        raise InputError(
            str(folder), "a folder without a table", f"files that end in {', '.join(ends)}"
        )
    return files


def _fixed_part(path: Path) -> Path:
    """Return a path up to its first folder or file that is a pattern.

    >>> _fixed_part(Path("data/2024-*/rows.csv")).as_posix()
    'data'
    """
    parts = takewhile(lambda part: not any(sign in part for sign in _PATTERN_SIGNS), path.parts)
    return Path(*parts)


def _report_unread(folder: Path, files: list[Path]) -> list[Finding]:
    """Report files of other formats in a folder of tables, and folders that are no partitions."""
    read = {file.relative_to(folder).parts[0] for file in files}
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in read
        and not path.name.startswith(_NO_TABLES)
        and (path.is_dir() or path.suffix.lower() not in ("", ".md"))
    )
    if not names:
        return []
    shown = ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")
    message = (
        f"{shown} in {folder.name} were not read: "
        "no tables, or folders that are not named column=value"
    )
    return [Finding("schema.passed_over", [], "warning", message, {"names": names[:20]})]


def _join_files(scans: list[Scan], files: list[Path]) -> Scan:
    """Put files of the same columns one below the other."""
    first = scans[0]
    names = first.frame.collect_schema().names()
    for source, file in zip(scans[1:], files[1:], strict=True):
        differing = sorted(set(source.frame.collect_schema().names()) ^ set(names))
        if source.text != first.text and not differing:
            differing = ["formats with and without types"]
        if differing:
            raise InputError(
                str(file),
                f"differs from {files[0].name} in {', '.join(differing[:5])}",
                "the same columns",
            )

    # Files may have the columns in another order.
    frames = [source.frame.select(cs.by_name(*names)) for source in scans]
    if not first.text:
        frames = _unify_types(frames, files)

    # Every file would repeat a remark that is true of all of them.
    findings = {finding.message: finding for source in scans for finding in source.findings}
    joined = Scan(
        pl.concat(frames, how="vertical_relaxed"),
        first.text,
        list(findings.values()),
        scans,
        first.separator,
    )
    joined.parts = dict(zip(files, frames, strict=True))
    joined.partitions = set.union(*(source.partitions for source in scans))
    return joined


def _unify_types(frames: list[pl.LazyFrame], files: list[Path]) -> list[pl.LazyFrame]:
    """Bring times to UTC and categories to text in every file.

    Raises `InputError` if a column is of one type in a file and of a different one in another.
    """
    unified: list[pl.LazyFrame] = []
    first_kinds: dict[str, tuple[str, Path]] = {}
    for frame, file in zip(frames, files, strict=True):
        casts = []
        for name, dtype in frame.collect_schema().items():
            if isinstance(dtype, pl.Datetime):
                casts.append(_as_utc(cs.by_name(name), dtype))
            elif dtype in (pl.Categorical, pl.Enum):
                casts.append(cs.by_name(name).cast(pl.String))

            # A column of nulls alone goes with any type.
            if dtype == pl.Null:
                continue
            kind = _kind_of(dtype)
            first_kind, first_file = first_kinds.setdefault(name, (kind, file))
            if first_kind != kind:
                raise InputError(
                    str(file),
                    f"column {name!r} holds {dtype}, in {first_file.name} {first_kind}",
                    "one type in every part",
                    "write the parts with one type",
                )
        unified.append(frame.with_columns(casts))
    return unified


def _as_utc(column: pl.Expr, dtype: pl.Datetime) -> pl.Expr:
    if dtype.time_zone:
        return column.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    return column.cast(pl.Datetime("us"))


def _kind_of(dtype: pl.DataType) -> str:
    """Name a type as coarsely as files may differ: all numbers are one kind.

    >>> _kind_of(pl.Boolean()), _kind_of(pl.Datetime("us", "UTC")), _kind_of(pl.Date())
    ('number', 'datetime with zones', 'datetime')
    """
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return "datetime with zones"
    kind = dtype_of(dtype)
    return "number" if kind in ("integer", "boolean") else kind


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
        # A name may hold signs of a pattern: `files_at` has resolved those that are one.
        if kind == "parquet":
            frame = pl.scan_parquet(path, glob=False)
        elif kind == "arrow":
            frame = pl.scan_ipc(path)
        else:
            frame = pl.scan_ndjson(path, infer_schema_length=None)
        header = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable_error(path, error) from None

    names, findings = _unique_names(header, nameless=False)
    if names != header:
        frame = frame.rename(dict(zip(header, names, strict=True)))
    return Scan(frame, False, findings)


def unreadable_error(path: Path, error: Exception) -> InputError:
    """Describe a broken file by the first line of Polars' message."""
    text = str(error).strip()
    message = text.splitlines()[0] if text else type(error).__name__
    do = ""
    if path.name.lower().endswith(FORMATS["ndjson"]):
        do = (
            "each line is one JSON object, in UTF-8 without a byte order mark, "
            "null where a value is missing"
        )
    return InputError(str(path), f"cannot be read ({message})", "a whole, valid file", do)


def _scan_text(path: Path, read: ReadSpec) -> Scan:
    plain = plain_text(path, read)
    names, findings = _unique_names(plain.names)
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
    return Scan(frame, True, plain.findings + findings, plain.copy, plain.stated_separator)


def _unique_names(header: list[str], nameless: bool = True) -> tuple[list[str], list[Finding]]:
    """Rename repeated columns, and with `nameless` also name the columns without a name.

    >>> _unique_names(["a", " a ", "", "a_2"])[0]
    ['a', 'a_3', 'column_3', 'a_2']
    """
    names: list[str] = []
    findings = []
    for position, given in enumerate(header, 1):
        if "\0" in given:
            raise InputError(
                "the table", f"a column called {given!r}", "names without a zero byte", "rename it"
            )
        base = safe_name(given)
        if not base and nameless:
            base = f"column_{position}"

        # A copy's number must not lead to the name of another column of the header.
        name = base
        copy = 1
        while name in names or (copy > 1 and name in header):
            copy += 1
            name = f"{base}_{copy}"

        if copy > 1:
            message = f"a second column {base!r} was renamed {name!r}"
            findings.append(Finding("schema.duplicate_column", [base], "warning", message))
        names.append(name)
    return names, findings


def with_plain_names(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """Strip blanks around the names of a table's columns, and rename names that then repeat."""
    if all(name == safe_name(name) and "\0" not in name for name in frame.columns):
        return frame, []
    names, findings = _unique_names(frame.columns, nameless=False)
    return frame.rename(dict(zip(frame.columns, names, strict=True))), findings
