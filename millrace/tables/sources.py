"""Every table that a system names, read and brought together."""

from pathlib import Path

import polars as pl
from msgspec import Struct

from millrace.errors import Finding, InputError, nearest
from millrace.spec import Read, System
from millrace.tables.database import database_file, is_database, read_query
from millrace.tables.remote import fetched, is_remote
from millrace.tables.scan import files_at
from millrace.tables.schema import Column, conform, dtype_of
from millrace.tables.table import Table, load, typed

_RESERVED = ("prediction", "decision")


class Sources(Struct, frozen=True):
    """All rows that have a target (those of the holdout last, `holdout_rows` of them), the event tables by name, the
    fingerprint of each table, how columns of the source were written, and the columns of each event table."""

    frame: pl.DataFrame
    holdout_rows: int
    events: dict[str, pl.DataFrame]
    fingerprints: dict[str, str]
    findings: list[Finding]
    written: dict[str, str] = {}
    columns: dict[str, list[Column]] = {}


def files_of(system: System) -> dict[str, Path]:
    """Every file that `read_sources` reads, by the name of its table; what lies behind a URL is fetched."""
    data = system.data
    named = {"source": data.source, "holdout": data.holdout}
    named |= {f"events.{name}": table.source for name, table in data.events.items()}
    found: dict[str, Path] = {}
    for name, source in named.items():
        if source is not None and not is_database(source):
            files = files_at(fetched(source, system.root) if is_remote(source) else system.root / source)
            found |= {f"{name} {at} {file.name}": file for at, file in enumerate(files)}
        elif source is not None and (file := database_file(source, system.root)) is not None:
            found[name] = file
    return found


def has_server(system: System) -> bool:
    """Whether a table comes from a server, whose content no file tells."""
    sources = [system.data.source, *(table.source for table in system.data.events.values())]
    return any(is_database(source) and database_file(source, system.root) is None for source in sources)


def read_table(source: str, query: str | None, root: Path, read: Read, missing: list[str], again: bool = True) -> Table:
    """A table wherever it is: a path (relative ones start from `root`), a URL, or a database with a query.

    A URL's copy that is there is read as it is unless its state shall be asked for `again`. Raises `InputError` where
    the table cannot be read.
    """
    if is_database(source):
        return typed(source, read_query(source, query, root), missing)
    if query is not None:
        raise InputError("data.query", f"beside the file {source}", "a database such as sqlite:///shop.db")
    place = fetched(source, root, again) if is_remote(source) else root / source
    return load(place, read, missing)


def _read(system: System, source: str, query: str | None) -> Table:
    """A table of a system, whose files `files_of` has fetched: what named the results is what is read."""
    return read_table(source, query, system.root, system.data.read, system.data.missing, again=False)


def read_sources(system: System) -> Sources:
    """Reads source, holdout and events; raises `InputError` for a special column that the table does not have."""
    data, target = system.data, system.goal.target
    table = _read(system, data.source, data.query)
    frame = table.frame
    named = {"goal.target": target, "data.id": data.id, "data.time": data.time, "data.group": data.group}
    named |= {"data.weight": data.weight}
    for field, column in named.items():
        if column is not None and column not in frame.columns:
            raise InputError(
                f"{field}",
                f"no column {column!r} in {data.source}",
                "one of: " + ", ".join(frame.columns),
                nearest(column, frame.columns),
            )
    for column in frame.columns:
        if column in _RESERVED or column.startswith("probability_"):
            raise InputError(
                f"data.source {data.source}", f"a column {column!r}", "another name", "predictions are named so"
            )
    findings, fingerprints = list(table.findings), {"source": table.fingerprint}
    frame = _with_target(frame, target, data.source, findings)
    held = 0
    if data.holdout is not None:
        holdout = _read(system, data.holdout, None)
        fingerprints["holdout"] = holdout.fingerprint
        flat = [column for column in columns_of(frame, table.written) if column.dtype != "nested"]
        typed = conform(holdout.frame, flat, data.missing, f"data.holdout {data.holdout}")
        typed = _with_target(typed, target, data.holdout, findings)
        held = typed.height
        frame = pl.concat([frame.select(column.name for column in flat), typed], how="vertical_relaxed")
    told = read_events(system)
    events = {name: one.frame for name, one in told.items()}
    fingerprints |= {f"events.{name}": one.fingerprint for name, one in told.items()}
    findings += [finding for one in told.values() for finding in one.findings]
    columns = {name: columns_of(one.frame, one.written) for name, one in told.items()}
    return Sources(frame, held, events, fingerprints, findings, table.written, columns)


def read_events(system: System) -> dict[str, Table]:
    """Every event table, by its name."""
    return {name: _read(system, table.source, table.query) for name, table in system.data.events.items()}


def columns_of(frame: pl.DataFrame, written: dict[str, str]) -> list[Column]:
    """The columns of a table, and how they were written."""
    return [
        Column(
            name=name,
            dtype=dtype_of(dtype),
            kind="ignored",
            written=written.get(name),
            width=dtype.shape[0] if isinstance(dtype, pl.Array) else None,
        )
        for name, dtype in frame.schema.items()
    ]


def _with_target(frame: pl.DataFrame, target: str, source: str, findings: list[Finding]) -> pl.DataFrame:
    absent = frame[target].null_count()
    if absent == frame.height:
        raise InputError(f"goal.target {target!r}", f"no value in any row of {source}", "a value to learn from")
    if absent:
        share = absent / frame.height
        message = f"{absent} rows of {source} have no {target!r} and were left out"
        findings.append(Finding("value.missing_target", [target], "warning", message, {"rows": absent, "share": share}))
    return frame.filter(pl.col(target).is_not_null())
