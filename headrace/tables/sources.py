"""All tables that a system names, read and brought together.

    data.source ───► look ──┐                    ┌─► rows with a target ──┐
    data.events ───► look ──┴─► one locale ──────┤                        ├─► Sources
                                settles them     └─► events, in UTC ──────┤
    data.holdout ──► read by the columns of the source ──► its last rows ─┘

A system has one locale: if the days of one table come first, those of the others do as well.
"""

from pathlib import Path

import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.errors import Finding, InputError, nearest
from headrace.spec import PARTS, Data, ReadSpec, System, join_time_parts
from headrace.tables.candidates import clean
from headrace.tables.database import database_file, is_database, read_query
from headrace.tables.remote import fetch, is_remote
from headrace.tables.scan import files_at, scan, unreadable_error
from headrace.tables.schema import Column, conform, dtype_of
from headrace.tables.table import RawTable, Table, fingerprint, look, look_at
from headrace.tables.times import has_zone
from headrace.tables.types import Locale, check_thousands
from headrace.tables.written import Form
from headrace.tasks import find_task

_ANSWERS = ("prediction", "decision")
"""Columns that a table of predictions has next to the id."""


class Sources(Struct, frozen=True):
    """The tables of a system.

    - `frame`: all rows that have a target; the last `holdout_rows` of them are the holdout.
    - `events`: the event tables by name, with times in UTC.
    - `fingerprints`: the fingerprint of each table.
    - `forms`: the forms of columns of the source that were not written plainly.
    - `columns`: the columns of each event table.
    """

    frame: pl.DataFrame
    holdout_rows: int
    events: dict[str, pl.DataFrame]
    fingerprints: dict[str, str]
    findings: list[Finding]
    forms: dict[str, Form] = {}
    columns: dict[str, list[Column]] = {}


def list_files(system: System) -> dict[str, Path]:
    """List every file that `read_sources` reads, by the name of its table; fetches URLs first."""
    data = system.data
    sources = {"source": data.source, "holdout": data.holdout}
    sources |= {f"events.{name}": table.source for name, table in data.events.items()}
    files: dict[str, Path] = {}
    for name, source in sources.items():
        if source is None:
            continue
        if is_database(source):
            file = database_file(source, system.root)
            if file is not None:
                files[name] = file
            continue
        path = fetch(source, system.root) if is_remote(source) else system.root / source
        for position, file in enumerate(files_at(path)):
            files[f"{name} {position} {file.name}"] = file
    return files


def reads_server(system: System) -> bool:
    """Say whether a table comes from a database server: no file shows whether it has changed."""
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
    """Read a table from a path, a URL, or a database with a query; paths start from `root`.

    With `again` the store of a URL is asked whether its files have changed; without it, a copy
    that is there is read as it is. Raises `InputError` if the table cannot be read.
    """
    return _look(source, query, root, read, missing, again).settle(Locale())


def _look(
    source: str, query: str | None, root: Path, read: ReadSpec, missing: list[str], again: bool
) -> RawTable:
    if is_database(source):
        return look_at(source, read_query(source, query, root), missing)
    return look(_local_path(source, query, root, again), read, missing)


def _local_path(source: str, query: str | None, root: Path, again: bool) -> Path:
    if query is not None:
        raise InputError(
            "data.query", f"beside the file {source}", "a database such as sqlite:///shop.db"
        )
    return fetch(source, root, again) if is_remote(source) else root / source


def _look_of(system: System, source: str, query: str | None) -> RawTable:
    """Read a table of a system.

    `list_files` has fetched it already. The cache names results by those files, so they are read
    even if the URL has changed since.
    """
    return _look(source, query, system.root, system.data.read, system.data.missing, again=False)


def _look_at_events(system: System) -> dict[str, RawTable]:
    return {
        name: _look_of(system, table.source, table.query)
        for name, table in system.data.events.items()
    }


def _shared_locale(tables: list[RawTable]) -> Locale:
    """Return the locale of the first table that proves an order of day and month."""
    return next((table.locale for table in tables if table.locale.order is not None), Locale())


def read_as(
    path: Path, columns: list[Column], read: ReadSpec, missing: list[str], where: str
) -> pl.DataFrame:
    """Read a table of known columns, in the forms that they have; see `conform` for the errors."""
    source = scan(path, read)
    try:
        frame = source.frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable_error(path, error) from None
    if frame.is_empty():
        raise InputError(where, "a header but no rows", "at least one row")
    return clean(conform(frame, columns, missing, where), missing)


def read_sources(system: System) -> Sources:
    """Read source, holdout and events.

    Raises `InputError` for a special column that the table does not have, and for a table that
    cannot be read.
    """
    data = system.data
    raw = _look_of(system, data.source, data.query)
    raw_events = _look_at_events(system)
    raw_tables = [raw, *raw_events.values()]
    candidates = [candidate for table in raw_tables for candidate in table.candidates]
    check_thousands(candidates, data.read.thousands)
    locale = _shared_locale(raw_tables)

    table = raw.settle(locale)
    _check_special_columns(system, table.frame.columns)
    findings = list(table.findings)
    fingerprints = {"source": table.fingerprint}
    # A model cannot learn from a row without an answer.
    frame, unlabelled = _drop_unlabelled(table.frame, system, data.source)
    findings += unlabelled

    holdout_rows = 0
    if data.holdout is not None:
        # The holdout is read in the forms of the source, so that both mean the same.
        columns = infer_columns(frame, table.forms, exact=True)
        flat = [column for column in columns if column.dtype != "nested"]
        holdout = _read_holdout(system, data.holdout, flat)
        fingerprints["holdout"] = fingerprint(holdout)
        holdout, unlabelled = _drop_unlabelled(holdout, system, data.holdout)
        findings += unlabelled
        holdout_rows = holdout.height
        same_columns = frame.select(cs.by_name(*holdout.columns))
        frame = pl.concat([same_columns, holdout], how="vertical_relaxed")

    frame = add_time(frame, data)
    events = {name: raw_table.settle(locale) for name, raw_table in raw_events.items()}
    findings += _report_zones(frame, data, events)
    # Whoever reports an event may do so in any zone, or in none.
    events = {name: _drop_zones(table) for name, table in events.items()}
    for name, event_table in events.items():
        fingerprints[f"events.{name}"] = event_table.fingerprint
        findings += event_table.findings
    return Sources(
        frame,
        holdout_rows,
        {name: table.frame for name, table in events.items()},
        fingerprints,
        findings,
        table.forms,
        {name: infer_columns(table.frame, table.forms) for name, table in events.items()},
    )


def _check_special_columns(system: System, columns: list[str]) -> None:
    """Check that the columns to which the spec gives a meaning exist; else `InputError`."""
    data = system.data
    special = {
        "goal.target": system.goal.target,
        "data.id": data.id,
        "data.group": data.group,
        "data.weight": data.weight,
    }
    special |= {f"data.time {name}": name for name in data.times}
    for field, column in special.items():
        if column is not None and column not in columns:
            raise InputError(
                field,
                f"no column {column!r} in {data.source}",
                "one of: " + ", ".join(columns),
                nearest(column, columns),
            )
    if data.id is not None and (data.id in _ANSWERS or data.id.startswith("probability_")):
        raise InputError(
            "data.id", f"{data.id!r}", "a column with another name", "predictions have this name"
        )


def _read_holdout(system: System, source: str, columns: list[Column]) -> pl.DataFrame:
    path = _local_path(source, None, system.root, again=False)
    return read_as(path, columns, system.data.read, system.data.missing, f"data.holdout {source}")


def add_time(frame: pl.DataFrame, data: Data) -> pl.DataFrame:
    """Add the column of times, if `data.time` names the parts of one: year, month, day, and so on.

    Raises `InputError` for parts that make no time, such as the 31st of a February.

    >>> data = Data(source="", time=["year", "month"])
    >>> add_time(pl.DataFrame({"year": [2024], "month": [2]}), data)["year-month"][0].isoformat()
    '2024-02-01T00:00:00'
    """
    if not isinstance(data.time, list):
        return frame
    name = data.time_column
    if name in frame.columns:
        raise InputError(
            "data.time", f"the table already has a column {name!r}", "another name for it"
        )
    where = f"data.time {data.time}"
    _check_time_parts(frame, data.time, where)

    parts = [frame.get_column(part) for part in data.time]
    times = join_time_parts(parts)
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        found = ", ".join(f"{part.name} {part[row]}" for part in parts)
        raise InputError(f"{where}, row {row + 1}", found, "a time in every row")
    return frame.with_columns(times.alias(str(name)))


def _check_time_parts(frame: pl.DataFrame, names: list[str], where: str) -> None:
    """Check the number and the types of the parts of a time; raises `InputError`."""
    if not 1 <= len(names) <= len(PARTS):
        raise InputError(
            where,
            f"{len(names)} parts",
            "year, month, day, hour, minute and second, in this order",
        )
    for name in names:
        dtype = frame.get_column(name).dtype
        if not dtype.is_integer():
            raise InputError(where, f"{name!r} holds {dtype}", "whole numbers in every part")


def read_events(system: System) -> dict[str, Table]:
    """Read every event table; returns the tables by name, with times in UTC."""
    raw_events = _look_at_events(system)
    if not raw_events:
        return {}
    # The rows may prove the order of day and month for the events.
    raw = _look_of(system, system.data.source, system.data.query)
    locale = _shared_locale([raw, *raw_events.values()])
    return {name: _drop_zones(table.settle(locale)) for name, table in raw_events.items()}


def _drop_zones(table: Table) -> Table:
    """Drop the zone of the times of a table, which are in UTC."""
    without_zones = cs.datetime(time_zone="*").dt.replace_time_zone(None)
    return structs.replace(table, frame=table.frame.with_columns(without_zones))


def _report_zones(frame: pl.DataFrame, data: Data, events: dict[str, Table]) -> list[Finding]:
    """Report events whose times have a zone if those of the rows have none, or the reverse."""
    if data.time_column is None or not frame.get_column(data.time_column).dtype.is_temporal():
        return []
    rows_have_zone = has_zone(frame.get_column(data.time_column).dtype)
    findings = []
    for name, table in events.items():
        column = data.events[name].time
        if column not in table.frame.columns:
            continue
        if has_zone(table.frame.get_column(column).dtype) == rows_have_zone:
            continue
        with_zone = "rows" if rows_have_zone else f"events {name!r}"
        without = f"events {name!r}" if rows_have_zone else "rows"
        message = (
            f"times of {with_zone} have a zone and those of {without} have none: "
            "the latter were read as UTC"
        )
        findings.append(Finding("window.zones", [column], "warning", message))
    return findings


def infer_columns(frame: pl.DataFrame, forms: dict[str, Form], exact: bool = False) -> list[Column]:
    """Describe the columns of a table, and the forms in which they were written.

    With `exact`, times of other rows must have a zone if these have one, and none if these have
    none.

    >>> column, = infer_columns(pl.DataFrame({"n": [1.5]}), {"n": Form("comma_decimal")})
    >>> column.dtype, column.written
    ('number', 'comma_decimal')
    """
    columns = []
    for name, dtype in frame.schema.items():
        form = forms.get(name, Form())
        is_exact_time = exact and dtype_of(dtype) == "datetime"
        columns.append(
            Column(
                name=name,
                dtype=dtype_of(dtype),
                kind="ignored",
                written=form.form,
                words=form.words,
                width=dtype.shape[0] if isinstance(dtype, pl.Array) else None,
                zoned=has_zone(dtype) if is_exact_time else None,
            )
        )
    return columns


def _drop_unlabelled(
    frame: pl.DataFrame, system: System, source: str
) -> tuple[pl.DataFrame, list[Finding]]:
    """Drop the rows without a target, and report them.

    Raises `InputError` if no row has a target, and for a row of a ranking without a grade: without
    it the order of its query is another one.
    """
    target = system.goal.target
    absent = frame[target].null_count()
    if absent == frame.height:
        raise InputError(
            f"goal.target {target!r}", f"no value in any row of {source}", "a value to learn from"
        )
    task = system.goal.task
    if absent and task is not None and find_task(task).HAS_QUERIES:
        row = int(frame[target].is_null().arg_max() or 0)
        raise InputError(
            f"goal.target {target!r}, row {row + 1} of {source}",
            f"no grade ({absent} rows have none)",
            "a grade in every row of a ranking",
            "leave these rows out, or grade them 0",
        )
    labelled = frame.filter(frame.get_column(target).is_not_null())
    if not absent:
        return labelled, []
    message = f"{absent} rows of {source} have no {target!r} and were left out"
    evidence = {"rows": absent, "share": absent / frame.height}
    return labelled, [Finding("value.missing_target", [target], "warning", message, evidence)]
