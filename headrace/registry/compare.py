"""Models side by side: what was asked, how good each is, and whether the difference is more than luck."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace import report
from headrace.arrays import Hashes, Integers
from headrace.bundle import Bundle, find_bundle, open_bundle
from headrace.errors import InputError
from headrace.evaluate import Curves, Predictions, compute_metrics, curves, paired_interval
from headrace.features import Target, encode_target
from headrace.predict import Predictor
from headrace.registry.fitted_rows import row_hashes
from headrace.spec import Task
from headrace.tables import atomic_file
from headrace.workspace import Workspace

_NOT_COMPARED = ("name", "models.members", "models.calibration")


class FieldDifference(Struct, frozen=True):
    """A field in which specs differ, with the value of each."""

    field: str
    values: list[Any]


class ComparisonDocument(Struct, frozen=True):
    """Models on the same test rows. By metric: `metrics`, each model's value; `gains`, the 95 %
    interval of how much better each other model is than the first. `metric` is the one that
    decides.
    """

    models: list[str]
    task: Task
    metric: str
    rows: int
    metrics: dict[str, list[float]]
    gains: dict[str, list[list[float]]]
    spec: list[FieldDifference]
    curves: list[Curves]


class Comparison(Struct, frozen=True):
    """Models side by side: the page, and the document that it was made of."""

    page: Path
    document: ComparisonDocument


def compare(models: list[str], folder: str | Path = ".") -> Comparison:
    """Compares models (`name@3`, `name@champion`, a bundle's folder) with the first of them and
    writes a page.

    Raises `InputError` where they cannot be compared: other targets, or no test row in common.
    """
    if len(models) < 2:
        raise InputError(
            "runs", f"{len(models)} model to compare", "at least two, such as name@1 name@2"
        )
    document = compare_models(Path(folder), models)
    page = Workspace(Path(folder).absolute()).comparisons / ("--".join(document.models) + ".html")
    with atomic_file(page) as beside:
        beside.write_text(report.compare_page(document), encoding="utf-8")
    return Comparison(page, document)


def compare_models(folder: Path, models: list[str]) -> ComparisonDocument:
    """The first model beside each of the others, on the test rows that all of them have.

    The rows are those of the bundles' holdouts, with the predictions that were made when each was
    built: none of the models was fitted on them. Raises `InputError` for models of different
    targets and where no row is common to all.
    """
    bundles = [open_bundle(find_bundle(model, folder)) for model in models]
    predictors = [Predictor(one.read("model.onnx"), one.schema, "", 0) for one in bundles]
    target = _common_target(models, predictors)
    rows, answers = _common([one.holdout() for one in bundles], bundles)
    y = encode_target(target, rows[0][target.name])
    weighed = bundles[0].system.data.weight
    weight = (
        rows[0][weighed].cast(pl.Float64).to_numpy()
        if weighed and weighed in rows[0].columns
        else None
    )

    predictions = []
    for bundle, predictor, part in zip(bundles, predictors, answers, strict=True):
        scores, threshold = predictor.scores(part), bundle.evaluation.threshold
        predictions.append(Predictions(target.task, y, scores, weight, threshold=threshold))
    values = [compute_metrics(one) for one in predictions]
    first, *others = predictions
    decides = bundles[0].evaluation.metric.name
    order = [decides, *(name for name in values[0] if name != decides)]
    return ComparisonDocument(
        models=[f"{bundle.manifest.name}@{bundle.manifest.version}" for bundle in bundles],
        task=target.task,
        metric=decides,
        rows=len(y),
        metrics={metric: [found[metric] for found in values] for metric in order},
        gains={
            metric: [paired_interval(metric, other, first) for other in others] for metric in order
        },
        spec=_differences([bundle.system for bundle in bundles]),
        curves=[curves(one, len(target.classes)) for one in predictions],
    )


def _common_target(models: list[str], predictors: list[Predictor]) -> Target:
    """The target of all models; raises `InputError` where they have different ones."""
    targets = [predictor.session.metadata for predictor in predictors]
    if len({(meta["target"], meta["task"], str(meta["classes"])) for meta in targets}) > 1:
        raise InputError(
            " ".join(models), "models of different targets or classes", "models of one target"
        )
    return Target(targets[0]["target"], targets[0]["task"], targets[0]["classes"])


def _common(
    holdouts: list[tuple[pl.DataFrame, pl.DataFrame]], bundles: list[Bundle]
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """The rows that every holdout has, in one order, and the predictions of each; rows are told
    apart by the id, or by all that they hold.
    """
    names = {bundle.system.data.id for bundle in bundles}
    known = names.pop() if len(names) == 1 else None
    columns = sorted(set.intersection(*(set(rows.columns) for rows, _ in holdouts)))
    keys = [
        row_hashes(rows.select(cs.by_name(*([known] if known else columns))))
        for rows, _ in holdouts
    ]
    common = keys[0]
    for key in keys[1:]:
        common = np.intersect1d(common, key)
    if not len(common):
        raise InputError(
            "runs",
            "no test row is common to all",
            "models that were judged on some of the same rows",
        )
    places = [_places(key, common) for key in keys]
    rows, answers = zip(*holdouts, strict=True)
    return [one[at] for one, at in zip(rows, places, strict=True)], [
        one[at] for one, at in zip(answers, places, strict=True)
    ]


def _places(keys: Hashes, wanted: Hashes) -> Integers:
    """Where each of the wanted keys stands first, in their order."""
    different, first = np.unique(keys, return_index=True)
    return np.asarray(first[np.searchsorted(different, np.unique(wanted))])


def _differences(systems: list[Any]) -> list[FieldDifference]:
    """The fields in which specs differ, with the value of each."""
    flat = [dict(_leaves(msgspec.to_builtins(system), "")) for system in systems]
    fields = list(dict.fromkeys(field for one in flat for field in one))
    found = [FieldDifference(field, [one.get(field) for one in flat]) for field in fields]
    return [one for one in found if one.values.count(one.values[0]) < len(systems)]


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if path in _NOT_COMPARED:
        return []
    if isinstance(value, dict) and value:
        return [
            leaf
            for key, item in value.items()
            for leaf in _leaves(item, f"{path}.{key}" if path else key)
        ]
    return [(path, value)]
