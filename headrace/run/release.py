"""Promote a run's model, or refuse it."""

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
    """The decision about a model, and the verdict that it follows."""

    decision: Decision
    verdict: Verdict


def release(
    data: train.TrainingData,
    bundle: BundleName,
    verdict: Verdict,
    judge_again: Callable[[], Verdict],
) -> Released:
    """Promote a bundle or refuse it.

    If the champion has changed since the gates were judged, judge them again with the new one.
    """
    system = data.system
    fitted = np.concatenate([data.parts.train, data.parts.validation])
    registry.write_fitted_rows(system.workspace, bundle.folder, _identifying_columns(data)[fitted])
    while True:
        results, champion = verdict.results, verdict.champion
        decision = registry.decide(system, bundle.version, results, champion)
        if decision is not None:
            registry.sync_mlflow(system.workspace, system.name)
            return Released(decision, verdict)
        verdict = judge_again()


def _identifying_columns(data: train.TrainingData) -> pl.DataFrame:
    """Return the columns that tell rows apart: the id, or all but nested and computed ones."""
    name = data.system.data.id
    if name is not None:
        return data.frame.select(cs.by_name(name))
    given = [one for one in data.columns if one.dtype != "nested" and not one.window]
    return data.frame.select(cs.by_name(*(column.name for column in given)))
