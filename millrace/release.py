"""Whether a run's model goes live: judged beside the baseline and the champion, then promoted or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from millrace import predict, registry, spec, train
from millrace.bundle import read_aliases
from millrace.errors import InputError
from millrace.spec import System


class Gates(NamedTuple):
    """The champion that a model was compared with, and what became of every gate."""

    champion: int | None
    results: list[registry.Result]


def stated_gates(system: System) -> list[spec.Gate]:
    """The gates of a (resolved) spec; raises `InputError` for a metric of another task."""
    task = system.goal.task
    assert task is not None
    gates = [spec.parse_gate(text) for text in system.gates]
    for gate in gates:
        if gate.metric not in spec.METRICS[task]:
            known = "one of: " + ", ".join(spec.METRICS[task])
            raise InputError(f"gates {gate.text!r}", f"{gate.metric} with task {task}", known)
    return gates


def against_baseline(rows: train.Rows, scores: Any, threshold: float | None) -> registry.Rival:
    """The model's and the baseline's scores of the test rows."""
    test, cut = rows.parts.test, 0.5 if threshold is None else threshold
    owner = None if rows.parts.group is None else rows.parts.group[test]
    baseline = train.baseline_scores(rows)
    return registry.Rival(rows.y[test], scores, baseline, rows.weight_of(test), owner, cut, seed=rows.system.seed)


def judge(
    stated: list[spec.Gate],
    rows: train.Rows,
    refitted: train.Refitted,
    predictor: predict.Predictor,
    metrics: dict[str, dict[str, float]],
    pair: registry.Rival,
) -> Gates:
    """The champion of this moment, and the result of every gate beside it."""
    system, test = rows.system, rows.frame[rows.parts.test]
    champion = read_aliases(system.workspace, system.name).get("champion")
    rivals = {
        "baseline": pair,
        "champion": registry.champion(system.workspace, system.name, champion, test, rows.target, pair),
    }
    results = [registry.parity(refitted.parity, train.TOLERANCE)]
    if system.requirements.latency_p99_ms is not None:
        p99 = predict.p99_ms(predictor.predict_dicts, predict.requests_of(predictor, test.head(500)))
        results.append(registry.latency(p99, system.requirements.latency_p99_ms))
    return Gates(champion, results + registry.judge(stated, rows.target.task, metrics, rivals))


def release(rows: train.Rows, folder: Path, gates: Gates, judge_anew: Callable[[], Gates]) -> dict[str, Any]:
    """Promotes a bundle or refuses it, and tells which.

    Where another champion was named since the gates were judged they are judged anew, beside it.
    """
    system, fitted = rows.system, np.concatenate([rows.parts.train, rows.parts.validation])
    registry.remember(system.workspace, folder.name, _told_apart(rows)[fitted])
    while True:
        champion, results = gates
        decision = registry.decide(system.workspace, system.name, int(folder.name[-6:]), results, champion)
        if decision is not None:
            promoted = decision.action == "promote"
            alias = "champion" if promoted else None
            registry.mirror(system.workspace, system.name)
            return {"gates": registry.told(results), "promoted": promoted, "alias": alias, "before": champion}
        gates = judge_anew()


def _told_apart(rows: train.Rows) -> pl.DataFrame:
    """What makes a row this row and no other: its id, or all that it holds but what is computed."""
    if rows.system.data.id is not None:
        return rows.frame.select(rows.system.data.id)
    return rows.frame.select(column.name for column in rows.columns if column.dtype != "nested" and not column.window)
