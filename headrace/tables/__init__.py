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
from headrace.tables.counts import count_values
from headrace.tables.foreign import is_pandas, to_pandas, to_polars
from headrace.tables.lock import BusyError, exclusive_lock
from headrace.tables.remote import is_remote
from headrace.tables.scan import Scan, scan, unreadable_error
from headrace.tables.schema import (
    POLARS,
    Column,
    Dtype,
    Schema,
    conform,
    describe_expected,
    dtype_of,
    rename_columns,
    to_text,
)
from headrace.tables.sources import (
    Sources,
    add_time,
    infer_columns,
    list_files,
    read_events,
    read_sources,
    read_table,
    reads_server,
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
    "add_time",
    "atomic_file",
    "atomic_folder",
    "conform",
    "count_values",
    "describe_expected",
    "dtype_of",
    "exclusive_lock",
    "has_zone",
    "infer_columns",
    "is_pandas",
    "is_remote",
    "list_files",
    "load",
    "numbers",
    "publish_folder",
    "read_events",
    "read_sources",
    "read_table",
    "read_weights",
    "reads_server",
    "rename_columns",
    "scan",
    "sink",
    "times",
    "to_pandas",
    "to_polars",
    "to_text",
    "unreadable_error",
]
