"""Rows in and out: reading, types, schema, fingerprint, writing. Everything goes through Polars.

Every table is read in the same steps, whatever its source:

    path ───────────────► scan ───────┐
    URL ──────► fetch ──► scan ───────┼─► clean ──► find_candidates ──► settle ──► Table
    database ─► read_query ───────────┘   blanks,   how each column     one        typed rows,
                                          nulls     can be read         locale     a fingerprint,
                                                                                   findings
The rows of a request take a shorter way: `conform` brings them to the columns of the schema.
"""

from headrace.tables import numbers, times
from headrace.tables.counts import value_counts
from headrace.tables.foreign import polars_of
from headrace.tables.lock import BusyError, exclusive_lock
from headrace.tables.remote import is_remote
from headrace.tables.scan import Scan, scan, unreadable_error
from headrace.tables.schema import (
    POLARS,
    Column,
    Dtype,
    Schema,
    as_text,
    conform,
    dtype_of,
    expected_of,
    rename_columns,
)
from headrace.tables.sources import (
    Sources,
    files_of,
    has_server,
    infer_columns,
    read_events,
    read_sources,
    read_table,
    with_time,
)
from headrace.tables.table import load
from headrace.tables.times import has_zone
from headrace.tables.weights import read_weights
from headrace.tables.write import atomic_file, atomic_folder, publish_folder, sink
from headrace.tables.written import Form

__all__ = [
    "POLARS",
    "BusyError",
    "Column",
    "Dtype",
    "Form",
    "Scan",
    "Schema",
    "Sources",
    "as_text",
    "atomic_file",
    "atomic_folder",
    "conform",
    "dtype_of",
    "exclusive_lock",
    "expected_of",
    "files_of",
    "has_server",
    "has_zone",
    "infer_columns",
    "is_remote",
    "load",
    "numbers",
    "polars_of",
    "publish_folder",
    "read_events",
    "read_sources",
    "read_table",
    "read_weights",
    "rename_columns",
    "scan",
    "sink",
    "times",
    "unreadable_error",
    "value_counts",
    "with_time",
]
