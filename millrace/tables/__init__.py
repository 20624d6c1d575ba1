"""Rows in and out: reading, types, schema, fingerprint, writing. Everything goes through Polars."""

from millrace.tables import numbers, times
from millrace.tables.counts import value_counts
from millrace.tables.database import is_database
from millrace.tables.foreign import polars_of
from millrace.tables.lock import BusyError, alone
from millrace.tables.remote import is_remote
from millrace.tables.scan import FORMATS, Scan, scan, unreadable
from millrace.tables.schema import POLARS, Column, Dtype, Schema, as_text, conform, dtype_of, expected_of, named
from millrace.tables.sources import (
    Sources,
    columns_of,
    files_of,
    has_server,
    read_events,
    read_sources,
    read_table,
    with_time,
)
from millrace.tables.table import Table, load
from millrace.tables.times import has_zone
from millrace.tables.weights import weights_of
from millrace.tables.write import atomic_file, atomic_folder, settle, sink
from millrace.tables.written import Form

__all__ = [
    "FORMATS",
    "POLARS",
    "BusyError",
    "Column",
    "Dtype",
    "Form",
    "Scan",
    "Schema",
    "Sources",
    "Table",
    "alone",
    "as_text",
    "atomic_file",
    "atomic_folder",
    "columns_of",
    "conform",
    "dtype_of",
    "expected_of",
    "files_of",
    "has_server",
    "has_zone",
    "is_database",
    "is_remote",
    "load",
    "named",
    "numbers",
    "polars_of",
    "read_events",
    "read_sources",
    "read_table",
    "scan",
    "settle",
    "sink",
    "times",
    "unreadable",
    "value_counts",
    "weights_of",
    "with_time",
]
