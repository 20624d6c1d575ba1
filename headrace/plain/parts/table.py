"""Reads the table of an ejected script, and its target."""

# mypy: ignore-errors

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SETTINGS: dict[str, Any] = {}


def read_table(path: str) -> pl.DataFrame:
    """Read the table that the model is fitted on, each column in its type."""
    file = Path(__file__).parent / path
    if not file.exists():
        sys.exit(f"{file}: no such table; put it there, or give its path: python train.py TABLE")
    if file.suffix in (".parquet", ".pq"):
        raw = pl.read_parquet(file)
    elif file.suffix in (".arrow", ".ipc", ".feather"):
        raw = pl.read_ipc(file)
    elif file.suffix in (".ndjson", ".jsonl"):
        raw = pl.read_ndjson(file, infer_schema_length=None)
    else:
        raw = pl.read_csv(file, separator=SETTINGS["separator"], infer_schema=False)
    raw = raw.rename({name: name.strip() for name in raw.columns})
    return pl.DataFrame([convert(raw[name], dtype) for name, dtype in SETTINGS["types"].items()])


def convert(column: pl.Series, dtype: str) -> pl.Series:
    """Convert a column; words that mean missing become null."""
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        column = text.set(text.is_in(["", *SETTINGS["missing"]]), None)
    if dtype == "string":
        return as_text(column)
    if dtype == "boolean":
        return as_text(column).str.to_lowercase().replace_strict({"true": True, "false": False})
    if dtype == "datetime":
        if column.dtype == pl.String:
            column = column.str.to_datetime(time_unit="us", strict=True)
        return column.cast(pl.Datetime("us"))
    if dtype == "integer":
        return column.cast(pl.Float64).cast(pl.Int64) if column.dtype == pl.String else column
    return column.cast(pl.Float64)


def as_text(column: pl.Series) -> pl.Series:
    """Write values as text: 5 and 5.0 are one value, true and false are lower case."""
    if not column.dtype.is_float():
        return column.cast(pl.String)
    texts = []
    for value in column.to_list():
        is_whole = value is not None and value.is_integer()
        texts.append(None if value is None else str(int(value) if is_whole else value))
    return pl.Series(column.name, texts, pl.String)


def encode_target(column: pl.Series) -> np.ndarray:
    """Return the target as numbers: the number of its class, or its value."""
    if not SETTINGS["classes"]:
        return column.cast(pl.Float64).to_numpy().copy()
    numbers = {label: float(at) for at, label in enumerate(SETTINGS["classes"])}
    return as_text(column).replace_strict(numbers, return_dtype=pl.Float64).to_numpy().copy()
