"""Leaks among the training rows' columns, and whether the split is one that service will look like."""

from collections.abc import Collection

import polars as pl
import polars.selectors as cs

from headrace import spec
from headrace.errors import Finding
from headrace.explore import leaks, order_checks, split_checks
from headrace.tables import Column
from headrace.train import TrainingData


def find_leaks(data: TrainingData, special: Collection[str]) -> list[Finding]:
    """The findings of `explore` about training rows; `special` columns are none of the model's."""
    system, parts = data.system, data.parts
    used = leak_columns(data.columns)
    trained = training_rows(data, used)
    y, task = data.y[parts.train], data.target.task
    labels = [spec.label_text(label) for label in data.target.classes]

    aside = {*special, *system.features.exclude, *used}
    ignored = [
        one.name
        for one in data.columns
        if one.name not in aside and one.dtype not in ("nested", "vector")
    ]
    findings = leaks(trained, y, task, data.target.name, labels, training_rows(data, ignored))
    findings += order_checks(trained, y, task, system.split.by)
    time, by = system.data.time_column, system.split.by
    return findings + split_checks(data.frame, used, parts.train, parts.test, time, by)


def leak_columns(columns: list[Column]) -> list[str]:
    """The columns that enter the model and have plain values."""
    return [
        one.name
        for one in columns
        if one.kind != "ignored" and one.dtype not in ("nested", "vector")
    ]


def training_rows(data: TrainingData, columns: list[str]) -> pl.DataFrame:
    """Some columns of the rows to train on."""
    return data.frame[data.parts.train].select(cs.by_name(*columns))
