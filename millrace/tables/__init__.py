"""Rows in and out: reading, types, schema, fingerprint, writing. Everything goes through Polars."""

from millrace.tables.database import is_database
from millrace.tables.foreign import polars_of
from millrace.tables.lock import alone
from millrace.tables.remote import is_remote
from millrace.tables.scan import FORMATS, Scan, scan, unreadable
from millrace.tables.schema import POLARS, Column, Dtype, Schema, conform, dtype_of
from millrace.tables.sources import Sources, columns_of, files_of, has_server, read_events, read_sources, read_table
from millrace.tables.table import Table, load, typed
from millrace.tables.weights import weights_of
from millrace.tables.write import atomic_file, atomic_folder, settle, sink

__all__ = [
    "FORMATS",
    "POLARS",
    "Column",
    "Dtype",
    "Scan",
    "Schema",
    "Sources",
    "Table",
    "alone",
    "atomic_file",
    "atomic_folder",
    "columns_of",
    "conform",
    "dtype_of",
    "files_of",
    "has_server",
    "is_database",
    "is_remote",
    "load",
    "polars_of",
    "read_events",
    "read_sources",
    "read_table",
    "scan",
    "settle",
    "sink",
    "typed",
    "unreadable",
    "weights_of",
]
