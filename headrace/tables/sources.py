"""Every table that a system names, read and brought together."""

from pathlib import Path

import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.errors import Finding, InputError, nearest
from headrace.spec import PARTS, Data, ReadSpec, System, time_of_parts
from headrace.tables.database import database_file, is_database, read_query
from headrace.tables.remote import fetch, is_remote
from headrace.tables.scan import files_at, scan, unreadable_error
from headrace.tables.schema import Column, conform, dtype_of
from headrace.tables.table import Raw, Table, fingerprint, look, look_at
from headrace.tables.times import has_zone
from headrace.tables.types import Locale, check_thousands, clean
from headrace.tables.written import Form

_ANSWERS = ("prediction", "decision")


class Sources(Struct, frozen=True):
    """All rows that have a target (those of the holdout last, `holdout_rows` of them), the event
    tables by name, the fingerprint of each table, how columns of the source were written, and the
    columns of each event table.
    """

    frame: pl.DataFrame
    holdout_rows: int
    events: dict[str, pl.DataFrame]
    fingerprints: dict[str, str]
    findings: list[Finding]
    forms: dict[str, Form] = {}
    columns: dict[str, list[Column]] = {}


def files_of(system: System) -> dict[str, Path]:
    """Every file that `read_sources` reads, by the name of its table; what lies behind a URL is fetched."""
    data = system.data
    named = {"source": data.source, "holdout": data.holdout}
    named |= {f"events.{name}": table.source for name, table in data.events.items()}
    found: dict[str, Path] = {}
    for name, source in named.items():
        if source is not None and not is_database(source):
            files = files_at(
                fetch(source, system.root) if is_remote(source) else system.root / source
            )
            found |= {f"{name} {at} {file.name}": file for at, file in enumerate(files)}
        elif source is not None and (file := database_file(source, system.root)) is not None:
            found[name] = file
    return found


def has_server(system: System) -> bool:
    """Whether a table comes from a server, whose content no file tells."""
    sources = [system.data.source, *(table.source for table in system.data.events.values())]
    return any(
        is_database(source) and database_file(source, system.root) is None for source in sources
    )


def read_table(
    source: str,
    query: str | None,
    root: Path,
    read: ReadSpec,
    missing: list[str],
    again: bool = True,
) -> Table:
    """A table wherever it is: a path (relative ones start from `root`), a URL, or a database with a
    query.

    A URL's copy that is there is read as it is unless its state shall be asked for `again`. Raises
    `InputError` where the table cannot be read.
    """
    return _look(source, query, root, read, missing, again).settle(Locale())


def _look(
    source: str, query: str | None, root: Path, read: ReadSpec, missing: list[str], again: bool
) -> Raw:
    if is_database(source):
        return look_at(source, read_query(source, query, root), missing)
    return look(_place(source, query, root, again), read, missing)


def _place(source: str, query: str | None, root: Path, again: bool) -> Path:
    if query is not None:
        raise InputError(
            "data.query", f"beside the file {source}", "a database such as sqlite:///shop.db"
        )
    return fetch(source, root, again) if is_remote(source) else root / source


def _look_of(system: System, source: str, query: str | None) -> Raw:
    """A table of a system, whose files `files_of` has fetched: what named the results is what is read."""
    return _look(source, query, system.root, system.data.read, system.data.missing, again=False)


def _locale_of(raws: list[Raw]) -> Locale:
    """The order of day and month that the first table proves which proves one: a system has one."""
    return next((raw.locale for raw in raws if raw.locale.order is not None), Locale())


def read_as(
    path: Path, columns: list[Column], read: ReadSpec, missing: list[str], where: str
) -> pl.DataFrame:
    """A table of known columns, each read as the schema says that it was written; see `conform` for the errors."""
    source = scan(path, read)
    try:
        frame = source.frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable_error(path, error) from None
    if frame.is_empty():
        raise InputError(where, "a header but no rows", "at least one row")
    return clean(conform(frame, columns, missing, where), missing)


def read_sources(system: System) -> Sources:
    """Reads source, holdout and events; raises `InputError` for a special column that the table does not have."""
    data, target = system.data, system.goal.target
    raw = _look_of(system, data.source, data.query)
    told = {
        name: _look_of(system, table.source, table.query) for name, table in data.events.items()
    }
    check_thousands(
        [one for each in (raw, *told.values()) for one in each.candidates], data.read.thousands
    )
    locale = _locale_of([raw, *told.values()])
    table = raw.settle(locale)
    frame = table.frame
    named = {
        "goal.target": target,
        "data.id": data.id,
        "data.group": data.group,
        "data.weight": data.weight,
    }
    named |= {f"data.time {name}": name for name in data.times}
    for field, column in named.items():
        if column is not None and column not in frame.columns:
            raise InputError(
                f"{field}",
                f"no column {column!r} in {data.source}",
                "one of: " + ", ".join(frame.columns),
                nearest(column, frame.columns),
            )
    if data.id is not None and (data.id in _ANSWERS or data.id.startswith("probability_")):
        raise InputError(
            "data.id", f"{data.id!r}", "a column of another name", "predictions are named so"
        )
    findings, fingerprints = list(table.findings), {"source": table.fingerprint}
    frame = _with_target(frame, target, data.source, findings)
    held = 0
    if data.holdout is not None:
        flat = [
            column
            for column in infer_columns(frame, table.forms, exact=True)
            if column.dtype != "nested"
        ]
        where = f"data.holdout {data.holdout}"
        typed = read_as(
            _place(data.holdout, None, system.root, False), flat, data.read, data.missing, where
        )
        fingerprints["holdout"] = fingerprint(typed)
        typed = _with_target(typed, target, data.holdout, findings)
        held = typed.height
        kept = frame.select(cs.by_name(*(column.name for column in flat)))
        frame = pl.concat([kept, typed], how="vertical_relaxed")
    frame = with_time(frame, data)
    events = {name: one.settle(locale) for name, one in told.items()}
    findings += _zones_differ(frame, data, events)
    events = {name: _absolute(one) for name, one in events.items()}
    fingerprints |= {f"events.{name}": one.fingerprint for name, one in events.items()}
    findings += [finding for one in events.values() for finding in one.findings]
    columns = {name: infer_columns(one.frame, one.forms) for name, one in events.items()}
    frames = {name: one.frame for name, one in events.items()}
    return Sources(frame, held, frames, fingerprints, findings, table.forms, columns)


def with_time(frame: pl.DataFrame, data: Data) -> pl.DataFrame:
    """Rows with the column of their times, where `data.time` names the parts of one: year, month,
    day, and so on.

    Raises `InputError` for parts that make no time, such as the 31st of a February.
    """
    if not isinstance(data.time, list):
        return frame
    name = data.time_column
    if name in frame.columns:
        raise InputError(
            "data.time", f"the table has a column {name!r} already", "another name for it"
        )
    where = f"data.time {data.time}"
    if not 1 <= len(data.time) <= len(PARTS):
        raise InputError(
            where,
            f"{len(data.time)} parts",
            "year, month, day, hour, minute and second, in this order",
        )
    for part in data.time:
        if not frame.get_column(part).dtype.is_integer():
            raise InputError(
                where,
                f"{part!r} holds {frame.get_column(part).dtype}",
                "whole numbers in every part",
            )
    times = time_of_parts([frame.get_column(part) for part in data.time])
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        found = ", ".join(f"{part} {frame.get_column(part)[row]}" for part in data.time)
        raise InputError(f"{where}, row {row + 1}", found, "a time in every row")
    return frame.with_columns(times.alias(str(name)))


def read_events(system: System) -> dict[str, Table]:
    """Every event table, by its name."""
    told = {
        name: _look_of(system, table.source, table.query)
        for name, table in system.data.events.items()
    }
    locale = (
        _locale_of([_look_of(system, system.data.source, system.data.query), *told.values()])
        if told
        else Locale()
    )
    return {name: _absolute(one.settle(locale)) for name, one in told.items()}


def _absolute(table: Table) -> Table:
    """Events with times in UTC and without zones: whoever tells of one may name any zone, or none."""
    return structs.replace(
        table, frame=table.frame.with_columns(cs.datetime(time_zone="*").dt.replace_time_zone(None))
    )


def _zones_differ(frame: pl.DataFrame, data: Data, events: dict[str, Table]) -> list[Finding]:
    """Findings for events whose times have a zone where those of the rows have none, or the other way round."""
    if data.time_column is None or not frame.get_column(data.time_column).dtype.is_temporal():
        return []
    zoned = has_zone(frame.get_column(data.time_column).dtype)
    found = []
    for name, table in events.items():
        column = data.events[name].time
        if (
            column in table.frame.columns
            and has_zone(table.frame.get_column(column).dtype) != zoned
        ):
            with_zone, without = (
                ("rows", f"events {name!r}") if zoned else (f"events {name!r}", "rows")
            )
            message = f"times of {with_zone} have a zone and those of {without} have none: these were taken for UTC"
            found.append(Finding("window.zones", [column], "warning", message))
    return found


def infer_columns(frame: pl.DataFrame, forms: dict[str, Form], exact: bool = False) -> list[Column]:
    """The columns of a table, and how they were written; with `exact` times must have a zone, or none, as these do."""
    return [
        Column(
            name=name,
            dtype=dtype_of(dtype),
            kind="ignored",
            written=forms[name].form if name in forms else None,
            words=forms[name].words if name in forms else [],
            width=dtype.shape[0] if isinstance(dtype, pl.Array) else None,
            zoned=has_zone(dtype) if exact and dtype_of(dtype) == "datetime" else None,
        )
        for name, dtype in frame.schema.items()
    ]


def _with_target(
    frame: pl.DataFrame, target: str, source: str, findings: list[Finding]
) -> pl.DataFrame:
    absent = frame[target].null_count()
    if absent == frame.height:
        raise InputError(
            f"goal.target {target!r}", f"no value in any row of {source}", "a value to learn from"
        )
    if absent:
        share = absent / frame.height
        message = f"{absent} rows of {source} have no {target!r} and were left out"
        findings.append(
            Finding(
                "value.missing_target",
                [target],
                "warning",
                message,
                {"rows": absent, "share": share},
            )
        )
    return frame.filter(frame.get_column(target).is_not_null())
