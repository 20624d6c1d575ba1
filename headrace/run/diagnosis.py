"""How good a model is and where it is weak, on the rows that judge it: the plain values that pages and gates read."""

from typing import Any

import polars as pl
import polars.selectors as cs

from headrace import evaluate, predict, registry, train
from headrace.errors import Finding, InputError, nearest
from headrace.spec import System

_MOST_CELLS, _LEAST_COLUMNS = 1_000_000_000, 20
"""Of the matrices that all predictions for importances need together: some ten seconds of work."""


def assess(
    rows: train.TrainingData, choice: train.Choice, pair: registry.ModelPair, threshold: float | None
) -> dict[str, Any]:
    """Metrics by split beside the baseline's, their intervals, curves, and how groups of people fare."""
    goal, y, fairness = rows.system.goal, rows.y[choice.rows], rows.system.evaluate.fairness
    validation = evaluate.Scored(y, choice.scores, rows.weight_of(choice.rows))
    test = evaluate.Scored(pair.y, pair.own, pair.weight, pair.owner)
    told = evaluate.assess(goal, rows.target.classes, validation, test, pair.scores, threshold, rows.system.seed)
    people = rows.frame[rows.parts.test].select(cs.by_name(*fairness.attributes))
    told["fairness"] = evaluate.treatment(people, rows.target.task, pair.y, pair.own, pair.weight, pair.own_cut)
    return told | {"findings": _not_better(told["metric"])}


def diagnose(
    rows: train.TrainingData, refitted: train.Model, predictor: predict.Predictor, pair: registry.ModelPair
) -> dict[str, Any]:
    """Which columns the model relies on, and on which rows it is worse than on the rest."""
    metric, test, inputs = rows.system.goal.metric, rows.frame[rows.parts.test], predictor.columns
    assert metric is not None
    given = rows.target.task, metric, pair.y
    plain = [one.name for one in inputs if one.dtype != "vector" and one.kind != "text"]

    return {
        "importances": _importances(rows, refitted, predictor, pair),
        "slices": evaluate.weak_slices(
            test.select(cs.by_name(*plain)), *given, pair.own, pair.weight, pair.own_cut, pair.seed
        ),
    }


def _importances(
    rows: train.TrainingData, refitted: train.Model, predictor: predict.Predictor, pair: registry.ModelPair
) -> dict[str, float]:
    """Of the columns that the model uses; of very wide tables those that it uses most."""
    metric, uses = rows.system.goal.metric, refitted.uses
    assert metric is not None
    some = evaluate.rows_for_importances(len(pair.y), len(uses), pair.seed)
    most = max(_MOST_CELLS // (len(some) * max(refitted.width, 1)), _LEAST_COLUMNS)
    names = sorted(uses, key=lambda name: -uses[name])[:most]
    arrays = predict.Arrays(predictor, rows.frame[rows.parts.test[some]])
    weight = None if pair.weight is None else pair.weight[some]
    return evaluate.importances(
        arrays.scores(), arrays.permuted, names, rows.target.task, metric, pair.y[some], weight, pair.own_cut, pair.seed
    )


def check(system: System, frame: pl.DataFrame) -> None:
    """Raises `InputError` where a resolved spec asks for groups that the table lacks, or for gaps of another task."""
    fairness, task = system.evaluate.fairness, system.goal.task
    assert task is not None
    known = [column.name for column in frame if not (column.dtype.is_nested() or column.name == system.goal.target)]
    for at, name in enumerate(fairness.attributes):
        if name not in known or name in fairness.attributes[:at]:
            found = f"no column {name!r}"
            if name in frame.columns:
                twice = f"{name!r} twice"
                found = twice if name in known else f"{name!r}, the target or no plain column"
            where = "evaluate.fairness.attributes"
            raise InputError(where, found, "some of: " + ", ".join(known), nearest(name, known))
    for measure in fairness.max_gap:
        if measure not in evaluate.TREATMENTS[task]:
            some = "some of: " + ", ".join(evaluate.TREATMENTS[task])
            raise InputError("evaluate.fairness.max_gap", f"{measure} with task {task}", some)
    if fairness.max_gap and not fairness.attributes:
        raise InputError("evaluate.fairness.max_gap", "no attributes to compare", "evaluate.fairness.attributes")


def _not_better(metric: dict[str, Any]) -> list[Finding]:
    if evaluate.better(metric["name"], metric["test"], metric["baseline"]):
        return []
    message = f"the model's test {metric['name']} is not better than the baseline's"
    return [
        Finding("evaluate.baseline", [], "warning", message, {"model": metric["test"], "baseline": metric["baseline"]})
    ]
