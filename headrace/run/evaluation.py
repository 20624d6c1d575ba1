"""How good a model is and where it is weak, on the rows that judge it."""

from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace import evaluate, predict, train
from headrace.errors import Finding, InputError, nearest
from headrace.evaluate import ModelPair, Predictions
from headrace.spec import System
from headrace.tables import Column, Schema
from headrace.tasks import task_of

_MOST_CELLS, _LEAST_COLUMNS = 1_000_000_000, 20
"""Of the matrices that all predictions for importances need together: some ten seconds of work."""


class Tested(Struct, frozen=True):
    """A model's answers to the test rows: its predictor, the answers as a table, and its scores beside the baseline's."""

    predictor: predict.Predictor
    answers: pl.DataFrame
    pair: ModelPair


class Evaluation(Struct, frozen=True):
    """How good a model is: the assessment, how groups of people fare, which columns it relies on
    (how much worse the metric becomes without each), where it is weak, and what was noticed.
    """

    assessment: evaluate.Assessment
    fairness: list[evaluate.Treated]
    importances: dict[str, float]
    slices: list[evaluate.WeakSlice]
    findings: list[Finding]


def pick_threshold(data: train.TrainingData, choice: train.Choice) -> float | None:
    """Where a binary decision is made, by the goal's objective on rows that nothing was fitted on."""
    decision = data.system.goal.decision
    return (
        None
        if decision is None
        else evaluate.pick_threshold(_validation(data, choice, None), decision)
    )


def test_model(data: train.TrainingData, model: train.Model, threshold: float | None) -> Tested:
    """Asks the compiled model for the test rows."""
    system, test, parts = data.system, data.frame[data.parts.test], data.parts
    predictor = predict.Predictor(
        model.model, _schema(system, data.columns, model.columns), system.name, 0
    )
    answers = predictor.predict_frame(test)
    new = Predictions(
        task=data.target.task,
        y=data.y[parts.test],
        scores=predictor.scores(answers),
        weight=data.weight_of(parts.test),
        owner=None
        if parts.group is None
        else np.unique(parts.group[parts.test], return_inverse=True)[1],
        threshold=threshold,
    )
    baseline = new.with_scores(train.baseline_scores(data), threshold)
    return Tested(predictor, answers, ModelPair(new, baseline, system.seed))


def evaluate_model(
    data: train.TrainingData, choice: train.Choice, model: train.Model, tested: Tested
) -> Evaluation:
    """Evaluates a model on the rows that chose it and on the test rows."""
    goal, pair = data.system.goal, tested.pair
    assert goal.metric is not None
    validation = _validation(data, choice, pair.new.threshold)
    test = data.frame[data.parts.test]
    people = test.select(cs.by_name(*data.system.evaluate.fairness.attributes))
    plain = [
        one.name for one in tested.predictor.columns if one.dtype != "vector" and one.kind != "text"
    ]
    assessment = evaluate.assess(goal, data.target.classes, validation, pair)
    return Evaluation(
        assessment=assessment,
        fairness=evaluate.compare_groups(people, pair.new),
        importances=_importances(data, model, tested, goal.metric),
        slices=evaluate.weak_slices(
            test.select(cs.by_name(*plain)), pair.new, goal.metric, pair.seed
        ),
        findings=_check_baseline(assessment.metric),
    )


def _validation(
    data: train.TrainingData, choice: train.Choice, threshold: float | None
) -> Predictions:
    """The scores of the rows that chose the model."""
    weight = data.weight_of(choice.rows)
    return Predictions(
        data.target.task, data.y[choice.rows], choice.scores, weight, threshold=threshold
    )


def _importances(
    data: train.TrainingData, model: train.Model, tested: Tested, metric: str
) -> dict[str, float]:
    """Of the columns that the model uses; of very wide tables those that it uses most."""
    uses, pair = model.uses, tested.pair
    rows = evaluate.rows_for_importances(len(pair), len(uses), pair.seed)
    most = max(_MOST_CELLS // (len(rows) * max(model.width, 1)), _LEAST_COLUMNS)
    names = sorted(uses, key=lambda name: -uses[name])[:most]
    arrays = predict.Arrays(tested.predictor, data.frame[data.parts.test[rows]])
    picked = pair.new.select(rows).with_scores(arrays.scores(), pair.new.threshold)
    return evaluate.importances(picked, arrays.permuted, names, metric, pair.seed)


def _check_baseline(metric: evaluate.DecidingMetric) -> list[Finding]:
    if evaluate.is_better(metric.name, metric.test, metric.baseline):
        return []
    message = f"the model's test {metric.name} is not better than the baseline's"
    evidence: dict[str, Any] = {"model": metric.test, "baseline": metric.baseline}
    return [Finding("evaluate.baseline", [], "warning", message, evidence)]


def check_fairness(system: System, frame: pl.DataFrame) -> None:
    """Raises `InputError` where a resolved spec asks for groups that the table lacks, or for gaps of another task."""
    fairness, where = system.evaluate.fairness, "evaluate.fairness.attributes"
    known = [
        column.name
        for column in frame
        if not (column.dtype.is_nested() or column.name == system.goal.target)
    ]
    for at, name in enumerate(fairness.attributes):
        if name in fairness.attributes[:at] and name in known:
            raise InputError(where, f"{name!r} twice", "some of: " + ", ".join(known))
        if name not in known:
            found = (
                f"{name!r}, the target or no plain column"
                if name in frame.columns
                else f"no column {name!r}"
            )
            raise InputError(where, found, "some of: " + ", ".join(known), nearest(name, known))

    treatments = task_of(system.goal.task).TREATMENTS
    for measure in fairness.max_gap:
        if measure not in treatments:
            expected = "some of: " + ", ".join(treatments)
            raise InputError(
                "evaluate.fairness.max_gap", f"{measure} with task {system.goal.task}", expected
            )
    if fairness.max_gap and not fairness.attributes:
        raise InputError("evaluate.fairness.max_gap", "no attributes to compare", where)


def _schema(system: System, columns: list[Column], used: set[str]) -> Schema:
    """What the model takes, and how its rows are written."""
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
