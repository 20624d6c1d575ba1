"""History and log as one table: the files that a spec names, and what was pushed since."""

import polars as pl
from msgspec import structs

from millrace.events.history import available_in, times_of
from millrace.events.told import from_payloads
from millrace.spec import EventTable
from millrace.tables import Column

_AVAILABLE = "__available__"


def with_log(
    frame: pl.DataFrame, table: EventTable, columns: list[Column], records: pl.DataFrame, where: str
) -> tuple[pl.DataFrame, EventTable]:
    """The events of a table and those that records of the log tell of, and what the spec says of them then.

    Both count where events have ids: versions of one event are told apart by when they were known. Without ids history
    counts as far as it goes, and the log after it, so that nothing that is in both counts twice.
    """
    if not records.height:
        return frame, table
    available = available_in(frame, table, where)
    if table.id is None and len(available):
        records = records.filter(pl.col("available").to_physical() > int(available.max()))
    told = from_payloads(records, columns)
    frame = frame.with_columns(pl.Series(_AVAILABLE, available))
    told = told.with_columns(pl.Series(_AVAILABLE, times_of(records["available"], where)))
    both = pl.concat([frame, told], how="vertical_relaxed").with_columns(pl.col(_AVAILABLE).cast(pl.Datetime("us")))
    return both, structs.replace(table, available=_AVAILABLE, delay=None)
