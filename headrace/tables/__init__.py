"""Rows in and out: reading, types, schema, fingerprint, writing. Everything goes through Polars."""

from headrace.tables import numbers, times
from headrace.tables.counts import value_counts
from headrace.tables.database import is_database
from headrace.tables.foreign import polars_of
from headrace.tables.lock import BusyError, alone
from headrace.tables.remote import is_remote
from headrace.tables.scan import FORMATS, Scan, scan, unreadable
from headrace.tables.schema import POLARS, Column, Dtype, Schema, as_text, conform, dtype_of, expected_of, named
from headrace.tables.sources import (
    Sources,
    columns_of,
    files_of,
    has_server,
    read_events,
    read_sources,
    read_table,
    with_time,
)
from headrace.tables.table import Table, load
from headrace.tables.times import has_zone
from headrace.tables.weights import weights_of
from headrace.tables.write import atomic_file, atomic_folder, settle, sink
from headrace.tables.written import Form

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
