"""Promoting a run's model, or refusing it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace import registry, train
from headrace.registry import Decision
from headrace.run.judge import Verdict
from headrace.workspace import BundleName


class Released(NamedTuple):
    """What was decided, by which verdict."""

    decision: Decision
    verdict: Verdict


def release(
    data: train.TrainingData,
    bundle: BundleName,
    verdict: Verdict,
    judge_again: Callable[[], Verdict],
) -> Released:
    """Promotes a bundle or refuses it.

    Where another champion was named since the gates were judged they are judged again, beside it.
    """
    system = data.system
    fitted = np.concatenate([data.parts.train, data.parts.validation])
    registry.write_fitted_rows(system.workspace, bundle.folder, _identifying_columns(data)[fitted])
    while True:
        results, champion = verdict.results, verdict.champion
        decision = registry.decide(system.workspace, system.name, bundle.version, results, champion)
        if decision is not None:
            registry.sync_mlflow(system.workspace, system.name)
            return Released(decision, verdict)
        verdict = judge_again()


def _identifying_columns(data: train.TrainingData) -> pl.DataFrame:
    """What makes a row this row and no other: its id, or all that it holds but what is computed."""
    name = data.system.data.id
    names = [name] if name is not None else []
    if name is None:
        names = [
            column.name for column in data.columns if column.dtype != "nested" and not column.window
        ]
    return data.frame.select(cs.by_name(*names))
