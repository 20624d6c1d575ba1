"""Takes in outcomes from a table: the file of last night's orders, say."""

from pathlib import Path
from typing import Any

import msgspec

from headrace import outcomes, spec, tables
from headrace.bundle import read_champion
from headrace.clock import SYSTEM
from headrace.errors import InputError, nearest
from headrace.log import Log
from headrace.loop.rollout import find_task
from headrace.outcomes import Expected, Outcome
from headrace.spec import System
from headrace.spec.duration import parse_duration_us

_CHUNK = 50_000
_FIELDS = ("prediction_id", "outcome", "name", "outcome_id", "time")


def feed_back(table: str, name: str | None = None, folder: str | Path = ".") -> int:
    """Append the outcomes in a table to the log of a system; return how many there are.

    Parameters: `table`, a file or an address, with the columns `prediction_id` or the spec's id,
    `outcome`, and perhaps `name`, `outcome_id` and `time`; `name`, that of all outcomes. Raises
    `InputError` naming the row, and takes nothing then.
    """
    system = spec.load(folder)
    frame = tables.load(Path(table), system.data.read, system.data.missing).frame
    rows = _to_outcomes(system, frame, name, table)
    versions = system.workspace.versions(system.name)
    expected = Expected(
        system.goal.target,
        find_task(system, read_champion(system)) == "multiclass",
        system.data.id,
        max(versions, default=0),
    )
    try:
        parsed = outcomes.parse(rows, expected, SYSTEM.now_us())
    except InputError as error:
        where = error.where.replace("outcomes[", f"{table}, row index [")
        raise InputError(where, error.found, error.expected, error.do) from None
    log = _open_log(system)
    for start in range(0, len(parsed), _CHUNK):
        outcomes.append(log, parsed[start : start + _CHUNK])
    return len(parsed)


def _to_outcomes(system: System, frame: Any, name: str | None, table: str) -> list[Outcome]:
    row_id = system.data.id
    known = [*_FIELDS, *([row_id] if row_id else [])]
    if "outcome" not in frame.columns:
        do = nearest("outcome", frame.columns)
        raise InputError(table, "no column 'outcome'", f"columns among {', '.join(known)}", do)
    if "prediction_id" not in frame.columns and row_id not in frame.columns:
        found = f"the columns {', '.join(frame.columns[:8])}"
        raise InputError(table, found, "`prediction_id`, or the spec's id")
    rows = []
    for row in frame.select(*(one for one in known if one in frame.columns)).iter_rows(named=True):
        if row_id is not None and row_id in row and row.get("prediction_id") is None:
            row["id"] = row.pop(row_id)
        elif row_id is not None:
            row.pop(row_id, None)
        if row.get("name") is None and name is not None:
            row["name"] = name
        if hasattr(row.get("time"), "isoformat"):
            row["time"] = row["time"].isoformat()
        rows.append(msgspec.convert(row, Outcome))
    return rows


def _open_log(system: System) -> Log:
    limit = system.log.retention
    retention_us = None if limit is None else parse_duration_us(limit)
    return Log(system.workspace.outcomes, system.log.fsync, retention=retention_us)
