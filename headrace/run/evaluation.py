"""Evaluate a model on the rows that judge it: how good it is, and where it is weak."""

from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace import evaluate, predict, spec, train
from headrace.errors import Finding, InputError, nearest
from headrace.evaluate import ModelPair, Predictions
from headrace.spec import System
from headrace.tables import Column, Schema
from headrace.tasks import find_task

_MOST_CELLS, _LEAST_COLUMNS = 1_000_000_000, 20
"""Of the matrices that all predictions for importances need together: some ten seconds of work."""


_MOST_SHOWN = 4
"""Columns of a row that a report shows of the queries that are served worst."""


class Tested(Struct, frozen=True):
    """A model's answers to the test rows.

    `answers` is the table of its predictions; `pair` holds its scores and the baseline's.
    """

    predictor: predict.Predictor
    answers: pl.DataFrame
    pair: ModelPair


class Evaluation(Struct, frozen=True):
    """The quality of a model.

    `fairness` compares groups of people. `importances` says for each column how much worse the
    metric becomes without it. `slices` are the parts of the rows where the model is weak. `queries`
    are those of a ranking.
    """

    assessment: evaluate.Assessment
    fairness: list[evaluate.Treated]
    importances: dict[str, float]
    slices: list[evaluate.WeakSlice]
    findings: list[Finding]
    queries: evaluate.QueryReport | None = None


def pick_threshold(data: train.TrainingData, choice: train.Choice) -> float | None:
    """Pick the threshold of binary decisions by the goal's objective; None where it has none.

    The rows that decide are those that nothing was fitted on.
    """
    decision = data.system.goal.decision
    if decision is None:
        return None
    return evaluate.pick_threshold(_validation(data, choice, None), decision)


def test_model(data: train.TrainingData, model: train.Model, threshold: float | None) -> Tested:
    """Ask the compiled model for the test rows."""
    system = data.system
    parts = data.parts
    schema = _build_schema(system, data.columns, model.columns)
    predictor = predict.Predictor(model.model, schema, system.name, 0)
    answers = predictor.predict_frame(data.frame[parts.test])
    owner = None
    if parts.group is not None:
        _, owner = np.unique(parts.group[parts.test], return_inverse=True)
    scores = predictor.scores(answers)
    truth = data.truth_of(parts.test)
    new = Predictions.of_truth(data.target.task, truth, scores, threshold)
    new = structs.replace(new, owner=owner)
    baseline = new.with_scores(train.predict_baseline(data), threshold)
    return Tested(predictor, answers, ModelPair(new, baseline, system.seed))


def evaluate_model(
    data: train.TrainingData, choice: train.Choice, model: train.Model, tested: Tested
) -> Evaluation:
    """Evaluate a model on the rows that chose it and on the test rows."""
    goal = data.system.goal
    pair = tested.pair
    assert goal.metric is not None
    validation = _validation(data, choice, pair.new.threshold)
    test = data.frame[data.parts.test]
    people = test.select(cs.by_name(*data.system.evaluate.fairness.attributes))
    inputs = tested.predictor.columns
    plain = [one.name for one in inputs if one.dtype != "vector" and one.kind != "text"]
    gates = [spec.parse_gate(text).metric for text in data.system.gates]
    assessment = evaluate.assess(goal, data.target.classes, validation, pair, gates)
    importances = _importances(data, model, tested, goal.metric)
    return Evaluation(
        assessment=assessment,
        fairness=evaluate.compare_groups(people, pair.new),
        importances=importances,
        slices=evaluate.find_weak_slices(
            test.select(cs.by_name(*plain)),
            pair.new,
            goal.metric,
            pair.seed,
        ),
        findings=_check_baseline(assessment.metric),
        queries=_report_queries(data, pair.new, list(importances)),
    )


def _validation(
    data: train.TrainingData, choice: train.Choice, threshold: float | None
) -> Predictions:
    """Return the scores of the rows that chose the model."""
    truth = data.truth_of(choice.rows)
    return Predictions.of_truth(data.target.task, truth, choice.scores, threshold)


def _importances(
    data: train.TrainingData, model: train.Model, tested: Tested, metric: str
) -> dict[str, float]:
    """Measure the importance of the columns that the model uses.

    Of a very wide table the columns that it uses most are measured alone.
    """
    uses = model.uses
    pair = tested.pair
    rows = evaluate.draw_for_importances(pair.new, len(uses), pair.seed)
    most = max(_MOST_CELLS // (len(rows) * max(model.width, 1)), _LEAST_COLUMNS)
    names = sorted(uses, key=lambda name: -uses[name])[:most]
    arrays = predict.Arrays(tested.predictor, data.frame[data.parts.test[rows]])
    picked = pair.new.select(rows).with_scores(arrays.scores(), pair.new.threshold)
    return evaluate.importances(picked, arrays.permuted, names, metric, pair.seed)


def _report_queries(
    data: train.TrainingData, predictions: Predictions, important: list[str]
) -> evaluate.QueryReport | None:
    """Report the queries of a ranking, with the columns that matter most; None without queries."""
    group, metric = data.system.data.group, data.system.goal.metric
    if predictions.queries is None or group is None or metric is None:
        return None
    test = data.frame[data.parts.test]
    vectors = [one.name for one in data.columns if one.dtype == "vector"]
    shown = [name for name in important if name not in vectors][:_MOST_SHOWN]
    if data.system.data.id is not None:
        shown = [data.system.data.id, *shown]
    return evaluate.report_queries(
        test.select(cs.by_name(*shown)), test[group], predictions, metric
    )


def _check_baseline(metric: evaluate.DecidingMetric) -> list[Finding]:
    if evaluate.is_better(metric.name, metric.test, metric.baseline):
        return []
    message = f"the model's test {metric.name} is not better than the baseline's"
    evidence: dict[str, Any] = {"model": metric.test, "baseline": metric.baseline}
    return [Finding("evaluate.baseline", [], "warning", message, evidence)]


def check_fairness(system: System, frame: pl.DataFrame) -> None:
    """Check the groups of people that a resolved spec compares.

    Raises `InputError` for a column that the table lacks, and for a gap of another task.
    """
    fairness = system.evaluate.fairness
    where = "evaluate.fairness.attributes"
    if fairness.attributes and not find_task(system.goal.task).TREATMENTS:
        found = f"{fairness.attributes[0]!r} with task {system.goal.task}"
        raise InputError(where, found, "[]", "scores of two queries do not compare")
    known = [
        column.name
        for column in frame
        if not (column.dtype.is_nested() or column.name == system.goal.target)
    ]
    for at, name in enumerate(fairness.attributes):
        if name in fairness.attributes[:at] and name in known:
            raise InputError(where, f"{name!r} twice", "some of: " + ", ".join(known))
        if name not in known:
            found = f"no column {name!r}"
            if name in frame.columns:
                found = f"{name!r}, the target or a nested column"
            raise InputError(where, found, "some of: " + ", ".join(known), nearest(name, known))

    treatments = find_task(system.goal.task).TREATMENTS
    for measure in fairness.max_gap:
        if measure not in treatments:
            expected = "some of: " + ", ".join(treatments)
            raise InputError(
                "evaluate.fairness.max_gap", f"{measure} with task {system.goal.task}", expected
            )
    if fairness.max_gap and not fairness.attributes:
        raise InputError("evaluate.fairness.max_gap", "no attributes to compare", where)


def _build_schema(system: System, columns: list[Column], used: set[str]) -> Schema:
    """Describe the columns that the model takes, and how its rows are written."""
    data = system.data
    dtypes = {column.name: column.dtype for column in columns}
    return Schema(
        columns=[column for column in columns if column.name in used],
        target=system.goal.target,
        target_dtype=dtypes[system.goal.target],
        id=data.id,
        id_dtype=dtypes[data.id] if data.id else "string",
        missing=data.missing,
        read=data.read,
    )
