"""Find leaks among the columns of training rows, and splits that serving will not look like."""

from collections.abc import Collection

import polars as pl
import polars.selectors as cs

from headrace import spec
from headrace.errors import Finding
from headrace.explore import Division, check_order, check_split, leaks
from headrace.tables import Column
from headrace.train import TrainingData


def find_leaks(data: TrainingData, special: Collection[str]) -> list[Finding]:
    """Check training rows for leaks; `special` columns are not inputs of the model."""
    system = data.system
    parts = data.parts
    used = leak_columns(data.columns)
    trained = training_rows(data, used)
    y = data.y[parts.train]
    task = data.target.task
    labels = [spec.format_label(label) for label in data.target.classes]

    aside = {*special, *system.features.exclude, *used}
    ignored = [
        one.name
        for one in data.columns
        if one.name not in aside and one.dtype not in ("nested", "vector")
    ]
    findings = leaks(trained, y, task, data.target.name, labels, training_rows(data, ignored))
    findings += check_order(trained, y, task, system.split.by)
    time = system.data.time_column
    division = Division(parts.train, parts.test, system.split.by, parts.group)
    return findings + check_split(data.frame, used, division, time)


def leak_columns(columns: list[Column]) -> list[str]:
    """Return the columns that enter the model and have plain values."""
    return [
        one.name
        for one in columns
        if one.kind != "ignored" and one.dtype not in ("nested", "vector")
    ]


def training_rows(data: TrainingData, columns: list[str]) -> pl.DataFrame:
    """Return some columns of the rows to train on."""
    return data.frame[data.parts.train].select(cs.by_name(*columns))
