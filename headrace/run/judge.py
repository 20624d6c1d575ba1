"""Whether a run's model may go live: judged beside the baseline and the champion, and by what is required of it."""

import os

import polars as pl
from msgspec import Struct

from headrace import predict, registry, spec, train
from headrace.errors import InputError
from headrace.evaluate import Curves, ModelPair, curves
from headrace.run.evaluation import Evaluation, Tested
from headrace.spec import Requirements, System

_MEASURED_ROWS, _BATCH_ROWS = 500, 20_000


class ChampionComparison(Struct, frozen=True, omit_defaults=True):
    """The champion and the model on the test rows that the champion was not fitted on, or `why`
    they cannot be compared.

    `values` are the deciding metric's of the model and of the champion, `gain` is the 95 % interval
    of how much better the model is, `curves` are the champion's.
    """

    version: int
    why: str | None = None
    rows: int | None = None
    values: list[float] | None = None
    gain: list[float] | None = None
    curves: Curves | None = None


class Verdict(Struct, frozen=True):
    """What became of every gate, the `champion` that the model was compared with, and how they compare."""

    champion: int | None
    results: list[registry.Result]
    comparison: ChampionComparison | None


def check_gates(system: System) -> list[spec.Gate]:
    """The gates of a (resolved) spec; raises `InputError` for a metric of another task."""
    task = system.goal.task
    assert task is not None
    gates = [spec.parse_gate(text) for text in system.gates]
    for gate in gates:
        if gate.metric not in spec.task_metrics(task):
            known = "one of: " + ", ".join(spec.task_metrics(task))
            raise InputError(f"gates {gate.text!r}", f"{gate.metric} with task {task}", known)
    return gates


def judge(
    data: train.TrainingData, model: train.Model, tested: Tested, evaluation: Evaluation
) -> Verdict:
    """Judges a model beside the champion of this moment."""
    system, test = data.system, data.frame[data.parts.test]
    metric = system.goal.metric
    assert metric is not None
    gates = check_gates(system)
    champion = system.workspace.read_aliases(system.name).get("champion")
    beside_champion = None
    if champion is not None:
        bundle = system.workspace.bundle(system.name, champion)
        beside_champion = registry.score_champion(bundle, test, data.target, tested.pair)

    others = {"baseline": tested.pair, "champion": beside_champion}
    results = [registry.parity(model.parity, train.TOLERANCE)]
    results += _required(system.requirements, tested.predictor, test)
    results += registry.fairness(evaluation.fairness, system.evaluate.fairness.max_gap)
    results += registry.judge(gates, evaluation.assessment.metrics, others)
    if not any(gate.bound == "champion" for gate in gates):
        results += registry.not_worse(metric, beside_champion)
    return Verdict(
        champion, results, _compare(champion, beside_champion, metric, len(data.target.classes))
    )


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
        curves=curves(pair.other, classes),
    )


def _required(
    required: Requirements, predictor: predict.Predictor, test: pl.DataFrame
) -> list[registry.Result]:
    """What is measured of the model itself, on this machine."""
    if required == Requirements():
        return []
    results = []
    requests = predict.as_requests(predictor, test.head(_MEASURED_ROWS))
    if required.latency_p99_ms is not None:
        p99 = predict.p99_ms(predictor.predict_dicts, requests)
        results.append(registry.latency(p99, required.latency_p99_ms))
    if required.throughput_rps is None:
        return results

    if required.prediction == "online":
        cores = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
        one = predict.rows_per_s(
            lambda: [predictor.predict_dicts([row]) for row in requests], len(requests)
        )
        how = f"{cores} cores, each {one:,.0f} rows/s one by one, before the network"
        return [*results, registry.throughput(cores * one, required.throughput_rps, how)]
    large = pl.concat([test] * -(-_BATCH_ROWS // test.height)).head(_BATCH_ROWS)
    rate = predict.rows_per_s(
        lambda: predictor.predict_frame(large, threads=os.cpu_count() or 1), large.height
    )
    how = f"tables of {_BATCH_ROWS:,} rows in one process"
    return [*results, registry.throughput(rate, required.throughput_rps, how)]
