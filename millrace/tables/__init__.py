"""Rows in and out: reading, types, schema, fingerprint, writing. Everything goes through Polars."""

from millrace.tables.scan import FORMATS, Scan, scan, unreadable
from millrace.tables.schema import Column, Dtype, Schema, conform, dtype_of
from millrace.tables.sources import Sources, files_of, read_sources
from millrace.tables.table import Table, load
from millrace.tables.weights import weights_of
from millrace.tables.write import atomic_file, atomic_folder, settle, sink

__all__ = [
    "FORMATS",
    "Column",
    "Dtype",
    "Scan",
    "Schema",
    "Sources",
    "Table",
    "atomic_file",
    "atomic_folder",
    "conform",
    "dtype_of",
    "files_of",
    "load",
    "read_sources",
    "scan",
    "settle",
    "sink",
    "unreadable",
    "weights_of",
]
