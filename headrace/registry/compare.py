"""Compare models: their specs, their metrics, and whether a difference is more than luck."""

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
from headrace.evaluate import Curves, Predictions, compute_metrics, compute_paired_interval, curves
from headrace.features import Target, make_grading, read_truth
from headrace.predict import Predictor
from headrace.registry.fitted_rows import row_hashes
from headrace.spec import Task
from headrace.tables import atomic_file
from headrace.workspace import Workspace

_REPEAT = np.uint64(0x9E3779B97F4A7C15)
_NOT_COMPARED = ("name", "models.members", "models.calibration")


class FieldDifference(Struct, frozen=True):
    """A field in which specs differ, with the value of each."""

    field: str
    values: list[Any]


class ComparisonDocument(Struct, frozen=True):
    """Models on the same test rows.

    `metrics` holds, by metric, the value of each model; `gains`, by metric, the 95 % interval of
    how much better each other model is than the first. `metric` is the one that decides.
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
    """The result of a comparison: the page, and the document that it shows."""

    page: Path
    document: ComparisonDocument


def compare(models: list[str], folder: str | Path = ".") -> Comparison:
    """Compare models with the first of them, and write a page.

    A model is `name@3`, `name@champion` or a bundle's folder. Raises `InputError` where they cannot
    be compared: other targets, or no test row in common.
    """
    if len(models) < 2:
        found = f"{len(models)} model to compare"
        raise InputError("runs", found, "at least two, such as name@1 name@2")
    document = compare_models(Path(folder), models)
    page = Workspace(Path(folder).absolute()).comparisons / ("--".join(document.models) + ".html")
    with atomic_file(page) as draft:
        draft.write_text(report.render_comparison(document), encoding="utf-8")
    return Comparison(page, document)


def compare_models(folder: Path, models: list[str]) -> ComparisonDocument:
    """Compare the first model with each of the others on the test rows that all of them have.

    The rows come from the holdouts of the bundles, with the predictions at build time: none of the
    models was fitted on them. Raises `InputError` for models of different targets, and where no row
    is common to all.
    """
    bundles = [open_bundle(find_bundle(model, folder)) for model in models]
    predictors = [Predictor(one.read("model.onnx"), one.schema, "", 0) for one in bundles]
    target = _common_target(models, bundles, predictors)
    rows, answers = _select_common([one.holdout() for one in bundles], bundles)
    if target.kind.HAS_QUERIES:
        rows, answers = _select_whole([one.holdout()[0] for one in bundles], rows, answers, bundles)
    truth = read_truth(target, bundles[0].system.data, rows[0])
    predictions = []
    for bundle, predictor, part in zip(bundles, predictors, answers, strict=True):
        scores = predictor.scores(part)
        threshold = bundle.evaluation.threshold
        predictions.append(Predictions.of_truth(target.task, truth, scores, threshold))

    decides = bundles[0].evaluation.metric.name
    values = [compute_metrics(one, [decides]) for one in predictions]
    first, *others = predictions
    order = [decides, *(name for name in values[0] if name != decides)]
    gains = {}
    for metric in order:
        gains[metric] = [compute_paired_interval(metric, other, first) for other in others]
    return ComparisonDocument(
        models=[f"{bundle.manifest.name}@{bundle.manifest.version}" for bundle in bundles],
        task=target.task,
        metric=decides,
        rows=len(truth),
        metrics={metric: [found[metric] for found in values] for metric in order},
        gains=gains,
        spec=_find_differences([bundle.system for bundle in bundles]),
        curves=[curves(one, len(target.classes), decides) for one in predictions],
    )


def _common_target(models: list[str], bundles: list[Bundle], predictors: list[Predictor]) -> Target:
    """Return the target of all models; raises `InputError` where they have different ones."""
    targets = [predictor.session.metadata for predictor in predictors]
    if len({(meta["target"], meta["task"], str(meta["classes"])) for meta in targets}) > 1:
        found = "models of different targets or classes"
        raise InputError(" ".join(models), found, "models of one target")
    meta = targets[0]
    return Target(
        meta["target"], meta["task"], meta["classes"], make_grading(bundles[0].system.goal)
    )


def _select_common(
    holdouts: list[tuple[pl.DataFrame, pl.DataFrame]], bundles: list[Bundle]
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Select the rows that every holdout has, in one order, and the predictions of each model.

    The id tells rows apart, or all their columns where models have no common id.
    """
    names = {bundle.system.data.id for bundle in bundles}
    known = names.pop() if len(names) == 1 else None
    columns = sorted(set.intersection(*(set(rows.columns) for rows, _ in holdouts)))
    names_of_rows = [known] if known else columns
    keys = [_number_rows(rows.select(cs.by_name(*names_of_rows))) for rows, _ in holdouts]
    common = keys[0]
    for key in keys[1:]:
        common = np.intersect1d(common, key)
    if not len(common):
        expected = "models that were judged on some of the same rows"
        raise InputError("runs", "no test row is common to all", expected)

    rows = []
    answers = []
    for (all_rows, all_answers), key in zip(holdouts, keys, strict=True):
        at = _find_first(key, common)
        rows.append(all_rows[at])
        answers.append(all_answers[at])
    return rows, answers


def _number_rows(rows: pl.DataFrame) -> Hashes:
    """Return a number for each row; a row that repeats another one has a number of its own."""
    hashes = row_hashes(rows)
    repeats = pl.DataFrame({"row": hashes}).select(pl.int_range(pl.len()).over("row"))
    with np.errstate(over="ignore"):
        return hashes + repeats.to_series().to_numpy().astype(np.uint64) * _REPEAT


def _select_whole(
    holdouts: list[pl.DataFrame],
    rows: list[pl.DataFrame],
    answers: list[pl.DataFrame],
    bundles: list[Bundle],
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Select the queries of a ranking all of whose rows are common.

    Raises `InputError` for models with different queries or gradings, and where none is whole.
    """
    stated = {(one.system.data.group, make_grading(one.system.goal)) for one in bundles}
    if len(stated) > 1:
        found = "models of different queries or gains (data.group, goal.gain, goal.relevant)"
        raise InputError("runs", found, "models that are judged alike")
    group = str(bundles[0].system.data.group)
    sizes = [one[group].value_counts(name="rows") for one in holdouts]
    common = rows[0][group].value_counts(name="common")
    whole = common
    for at, counted in enumerate(sizes):
        whole = whole.join(counted.rename({"rows": f"rows_{at}"}), on=group)
    is_whole = [pl.col("common") == pl.col(f"rows_{at}") for at in range(len(sizes))]
    names = whole.filter(pl.all_horizontal(is_whole))[group]
    if not len(names):
        raise InputError("runs", "no query is whole in all of them", "models of the same test rows")
    mask = rows[0][group].is_in(names.implode())
    return [one.filter(mask) for one in rows], [one.filter(mask) for one in answers]


def _find_first(keys: Hashes, wanted: Hashes) -> Integers:
    """Find the first position of each of the wanted keys, in their order."""
    different, first = np.unique(keys, return_index=True)
    return np.asarray(first[np.searchsorted(different, np.unique(wanted))])


def _find_differences(systems: list[Any]) -> list[FieldDifference]:
    """Find the fields in which specs differ, with the value of each spec."""
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
