"""Judge whether a run's model may go live.

Gates compare it with the baseline and the champion; requirements measure it on this machine.
"""

import math
import os
from typing import Any

import polars as pl
from msgspec import Struct

from headrace import predict, registry, spec, train
from headrace.errors import InputError
from headrace.evaluate import Curves, ModelPair, curves
from headrace.run.evaluation import Evaluation, Tested
from headrace.spec import Requirements, System

_MEASURED_ROWS, _BATCH_ROWS = 500, 20_000


class ChampionComparison(Struct, frozen=True, omit_defaults=True):
    """The model compared with the champion, on test rows that the champion was not fitted on.

    `why` says why they cannot be compared, where that is so. `values` are those of the deciding
    metric, the model's first. `gain` is the 95 % interval of how much better the model is. `curves`
    are the champion's.
    """

    version: int
    why: str | None = None
    rows: int | None = None
    values: list[float] | None = None
    gain: list[float] | None = None
    curves: Curves | None = None


class Verdict(Struct, frozen=True):
    """The results of all gates, the version of the champion, and the comparison with it."""

    champion: int | None
    results: list[registry.Result]
    comparison: ChampionComparison | None


def check_gates(system: System) -> list[spec.Gate]:
    """Return the gates of a resolved spec; raises `InputError` for a metric of another task."""
    task = system.goal.task
    assert task is not None
    gates = [spec.parse_gate(text) for text in system.gates]
    for gate in gates:
        if not spec.is_metric(gate.metric, task):
            found = f"{gate.metric} with task {task}"
            raise InputError(f"gates {gate.text!r}", found, spec.describe_metrics(task))
    return gates


def judge(
    data: train.TrainingData, model: train.Model, tested: Tested, evaluation: Evaluation
) -> Verdict:
    """Judge a model against the baseline and the champion of this moment."""
    system = data.system
    test = data.frame[data.parts.test]
    metric = system.goal.metric
    assert metric is not None
    gates = check_gates(system)
    champion = system.workspace.read_aliases(system.name).get("champion")
    champion_pair = None
    if champion is not None:
        bundle = system.workspace.bundle(system.name, champion)
        champion_pair = registry.score_champion(bundle, test, data.target, tested.pair)

    others = {"baseline": tested.pair, "champion": champion_pair}
    results = [registry.parity(model.parity, train.TOLERANCE)]
    results += _measure_required(system.requirements, tested.predictor, test)
    results += registry.fairness(evaluation.fairness, system.evaluate.fairness.max_gap)
    results += registry.judge(gates, evaluation.assessment.metrics, others)
    if not any(gate.bound == "champion" for gate in gates):
        results += registry.not_worse(metric, champion_pair)
    comparison = _compare(champion, champion_pair, metric, len(data.target.classes))
    return Verdict(champion, results, comparison)


def _compare(
    champion: int | None, pair: ModelPair | str | None, metric: str, classes: int
) -> ChampionComparison | None:
    if champion is None or pair is None:
        return None
    if isinstance(pair, str):
        return ChampionComparison(champion, why=pair)
    gain = pair.gain(metric)
    return ChampionComparison(
        version=champion,
        rows=len(pair),
        values=[gain.new, gain.other],
        gain=gain.interval,
        curves=curves(pair.other, classes, metric),
    )


def _measure_required(
    required: Requirements, predictor: predict.Predictor, test: pl.DataFrame
) -> list[registry.Result]:
    """Measure what is required of the model itself, on this machine."""
    if required == Requirements():
        return []
    results = []
    requests = predict.to_requests(predictor, test.head(_MEASURED_ROWS))
    if required.latency_p99_ms is not None:
        p99 = predict.measure_p99_ms(predictor.predict_dicts, requests)
        results.append(registry.latency(p99, required.latency_p99_ms))
    if required.throughput_rps is None:
        return results

    if required.prediction == "online":
        rate, how = _measure_single_rows(predictor, requests)
    else:
        rate, how = _measure_tables(predictor, test)
    return [*results, registry.throughput(rate, required.throughput_rps, how)]


def _measure_single_rows(
    predictor: predict.Predictor, requests: list[dict[str, Any]]
) -> tuple[float, str]:
    """Measure the rows a second of all cores, each of which answers row by row; say how."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1

    def answer_each() -> None:
        for row in requests:
            predictor.predict_dicts([row])

    rate = predict.measure_rows_per_s(answer_each, len(requests))
    how = f"{cores} cores, each {rate:,.0f} single rows/s, without the network"
    return cores * rate, how


def _measure_tables(predictor: predict.Predictor, test: pl.DataFrame) -> tuple[float, str]:
    """Measure the rows a second of one process that answers whole tables; say how."""
    copies = math.ceil(_BATCH_ROWS / test.height)
    large = pl.concat([test] * copies).head(_BATCH_ROWS)
    threads = os.cpu_count() or 1
    rate = predict.measure_rows_per_s(
        lambda: predictor.predict_frame(large, threads=threads), large.height
    )
    return rate, f"tables of {_BATCH_ROWS:,} rows in one process"
