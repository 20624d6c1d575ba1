"""Whether a run's model goes live: judged beside the baseline and the champion, then promoted or refused."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace import predict, registry, spec, train
from headrace.errors import InputError
from headrace.spec import System


class Verdict(NamedTuple):
    """The champion that a model was compared with, what became of every gate, and what a page says of the champion."""

    champion: int | None
    results: list[registry.Result]
    beside: dict[str, Any] | None


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


def against_baseline(rows: train.TrainingData, scores: Any, threshold: float | None) -> registry.ModelPair:
    """The model's and the baseline's scores of the test rows."""
    test, cut = rows.parts.test, 0.5 if threshold is None else threshold
    owner = None if rows.parts.group is None else np.unique(rows.parts.group[test], return_inverse=True)[1]
    baseline = train.baseline_scores(rows)
    return registry.ModelPair(rows.y[test], scores, baseline, rows.weight_of(test), owner, cut, seed=rows.system.seed)


def judge(
    stated: list[spec.Gate],
    rows: train.TrainingData,
    refitted: train.Model,
    predictor: predict.Predictor,
    assessed: dict[str, Any],
    pair: registry.ModelPair,
) -> Verdict:
    """The champion of this moment, and the result of every gate beside it; `assessed` holds the model's `metrics` by
    split and its `fairness`."""
    system, test = rows.system, rows.frame[rows.parts.test]
    champion = system.workspace.read_aliases(system.name).get("champion")
    rival = registry.score_champion(system.workspace, system.name, champion, test, rows.target, pair)
    rivals = {"baseline": pair, "champion": rival}
    results = [registry.parity(refitted.parity, train.TOLERANCE)]
    results += _required(system.requirements, predictor, test)
    results += registry.fairness(assessed["fairness"], system.evaluate.fairness.max_gap)
    results += registry.judge(stated, rows.target.task, assessed["metrics"], rivals)
    if not any(gate.bound == "champion" for gate in stated):
        assert system.goal.metric is not None
        results += registry.not_worse(rows.target.task, system.goal.metric, rival)
    return Verdict(champion, results, _beside(champion, rival, rows))


def _beside(
    champion: int | None, rival: registry.ModelPair | str | None, rows: train.TrainingData
) -> dict[str, Any] | None:
    """The champion and the model on the rows that the champion has not seen, or why they cannot be compared."""
    if rival is None:
        return None
    if isinstance(rival, str):
        return {"version": champion, "why": rival}
    metric = rows.system.goal.metric
    assert metric is not None
    return {"version": champion} | registry.compare_curves(rival, rows.target.task, metric, rows.target.classes)


def _required(required: spec.Requirements, predictor: predict.Predictor, test: pl.DataFrame) -> list[registry.Result]:
    """What is measured of the model itself, on this machine."""
    results = []
    requests = [] if required == spec.Requirements() else predict.as_requests(predictor, test.head(500))
    if required.latency_p99_ms is not None:
        p99 = predict.p99_ms(predictor.predict_dicts, requests)
        results.append(registry.latency(p99, required.latency_p99_ms))
    if required.throughput_rps is not None and required.prediction == "online":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        one = predict.rows_per_s(lambda: [predictor.predict_dicts([row]) for row in requests], len(requests))
        how = f"{cores} cores, each {one:,.0f} rows/s one by one, before the network"
        results.append(registry.throughput(cores * one, required.throughput_rps, how))
    elif required.throughput_rps is not None:
        large = pl.concat([test] * -(-20_000 // test.height)).head(20_000)
        rate = predict.rows_per_s(lambda: predictor.predict_frame(large, threads=os.cpu_count() or 1), large.height)
        results.append(registry.throughput(rate, required.throughput_rps, "tables of 20,000 rows in one process"))
    return results


def release(
    rows: train.TrainingData, folder: Path, gates: Verdict, judge_anew: Callable[[], Verdict]
) -> dict[str, Any]:
    """Promotes a bundle or refuses it, and tells which.

    Where another champion was named since the gates were judged they are judged anew, beside it.
    """
    system, fitted = rows.system, np.concatenate([rows.parts.train, rows.parts.validation])
    registry.write_fitted_rows(system.workspace, folder.name, _identifying_columns(rows)[fitted])
    while True:
        champion, results, _ = gates
        decision = registry.decide(system.workspace, system.name, int(folder.name[-6:]), results, champion)
        if decision is not None:
            registry.sync_mlflow(system.workspace, system.name)
            return describe_decision(decision) | {"beside": gates.beside}
        gates = judge_anew()


def describe_decision(decision: registry.Decision) -> dict[str, Any]:
    """What the document of a run says of the decision about its model."""
    promoted = decision.action == "promote"
    alias = "champion" if promoted else None
    return {"gates": decision.evidence, "promoted": promoted, "alias": alias, "before": decision.before}


def _identifying_columns(rows: train.TrainingData) -> pl.DataFrame:
    """What makes a row this row and no other: its id, or all that it holds but what is computed."""
    if rows.system.data.id is not None:
        return rows.frame.select(cs.by_name(rows.system.data.id))
    return rows.frame.select(
        cs.by_name(*(column.name for column in rows.columns if column.dtype != "nested" and not column.window))
    )
