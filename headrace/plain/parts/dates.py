"""Encodes times: as parts, and as points on circles."""

# mypy: ignore-errors

import numpy as np
import polars as pl

from headrace.plain.parts.numbers import to_numbers

DAY_US = 86_400_000_000


def fit_span(column: pl.Series) -> list[str]:
    """Find the cycles that the training rows went through twice; `missing` where a time lacks."""
    times = column.drop_nulls().to_physical()
    if not len(times):
        return []
    days = (times.max() - times.min()) / DAY_US
    lengths = {"day": 1, "week": 7, "month": 31, "year": 366}
    cycles = [name for name, length in lengths.items() if days >= 2 * length]
    if not (times % DAY_US != 0).any():
        cycles = [name for name in cycles if name != "day"]
    return [*cycles, "missing"] if column.null_count() else cycles


def encode_parts(state: list[str], column: pl.Series, double: bool) -> np.ndarray:
    """A time as month, day, weekday, hour and minute, missing as NaN."""
    parts = {
        "month": ("year", column.dt.month()),
        "day_of_year": ("year", column.dt.ordinal_day()),
        "day": ("month", column.dt.day()),
        "weekday": ("week", column.dt.weekday() - 1),
        "hour": ("day", column.dt.hour()),
        "minute": ("day", column.dt.hour().cast(pl.Int32) * 60 + column.dt.minute()),
    }
    found = [to_numbers(part, False) for cycle, part in parts.values() if cycle in state]
    return np.column_stack(found) if found else np.empty((len(column), 0))


def encode_cyclic(state: list[str], column: pl.Series, double: bool) -> np.ndarray:
    """A time as points on circles; a missing one is the centre."""
    minutes = column.dt.hour().cast(pl.Int32) * 60 + column.dt.minute()
    turns = {
        "year": (to_numbers(column.dt.ordinal_day(), False) - 1) / 366,
        "month": (to_numbers(column.dt.day(), False) - 1) / 31,
        "week": (to_numbers(column.dt.weekday(), False) - 1) / 7,
        "day": to_numbers(minutes, False) / 1440,
    }
    columns = []
    for cycle, turn in turns.items():
        if cycle in state:
            columns += [np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)]
    columns = [np.where(np.isnan(values), 0.0, values) for values in columns]
    if columns and "missing" in state:
        columns.append(column.is_null().to_numpy())
    return np.column_stack(columns) if columns else np.empty((len(column), 0))
