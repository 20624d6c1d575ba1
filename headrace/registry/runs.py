"""Runs side by side: what was asked, how good each became, and whether the difference is more than luck."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace.arrays import Hashes, Integers
from headrace.bundle import Bundle, find_bundle, open_bundle
from headrace.errors import InputError
from headrace.evaluate import Measure, curves, paired_interval
from headrace.features import Target, encode_target
from headrace.predict import Predictor
from headrace.registry.fitted_rows import row_hashes
from headrace.workspace import Workspace

_NOT_COMPARED = ("name", "models.members", "models.calibration")


class RunSummary(Struct, frozen=True):
    """A run in one line; `aliases` are those that stand for its version now."""

    model: str
    created: str
    spec_hash: str
    family: str
    metric: str
    test: float | None
    interval: list[float | None]
    baseline: float | None
    promoted: bool | None
    aliases: Sequence[str]
    run: str


def list_runs(workspace: Workspace) -> list[RunSummary]:
    """The runs of a workspace, the latest first."""
    found = []
    for path in workspace.runs.glob("*/run.json"):
        run = msgspec.json.decode(path.read_bytes())
        name, version = run["model"].split("@")
        held = [alias for alias, live in workspace.read_aliases(name).items() if live == int(version)]
        metric = run["metric"]
        found.append(
            RunSummary(
                model=run["model"], created=run["created"], spec_hash=run["spec_hash"], family=run["winner"]["family"],
                metric=metric["name"], test=metric["test"], interval=run["intervals"][metric["name"]],
                baseline=metric["baseline"], promoted=run["promoted"], aliases=held, run=run["run"],
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.created, int(one.model.split("@")[1])), reverse=True)


def compare_models(folder: Path, models: list[str]) -> dict[str, Any]:
    """The first model beside each of the others, on the test rows that all of them have.

    The rows are those of the bundles' holdouts, with the predictions that were made when each was built: none of the
    models was fitted on them. Returns a document with the differences of the specs, each metric's values, and the 95 %
    interval of how much better each other model is than the first. Raises `InputError` for models of different targets
    and where no row is common to all.
    """
    bundles = [open_bundle(find_bundle(model, folder)) for model in models]
    names = [f"{bundle.manifest.name}@{bundle.manifest.version}" for bundle in bundles]
    predictors = [Predictor(one.read("model.onnx"), one.schema, "", 0) for one in bundles]
    targets = [predictor.session.metadata for predictor in predictors]
    told = {(meta["target"], meta["task"], str(meta["classes"])) for meta in targets}
    if len(told) > 1:
        raise InputError(" ".join(models), "models of different targets or classes", "models of one target")
    target = Target(targets[0]["target"], targets[0]["task"], targets[0]["classes"])
    rows, answers = _common([one.holdout() for one in bundles], bundles)
    y = encode_target(target, rows[0][target.name])
    weighed = bundles[0].system.data.weight
    weight = rows[0][weighed].cast(pl.Float64).to_numpy() if weighed and weighed in rows[0].columns else None
    scores = [predictor.scores(part) for predictor, part in zip(predictors, answers, strict=True)]
    cuts = [0.5 if one.evaluation["threshold"] is None else one.evaluation["threshold"] for one in bundles]
    ones = np.ones(len(y)) if weight is None else weight
    values = [Measure(target.task, y, one, None, cut)(ones) for one, cut in zip(scores, cuts, strict=True)]
    decides = bundles[0].evaluation["metric"]["name"]
    order = [decides, *(name for name in values[0] if name != decides)]
    gains = {
        metric: [
            paired_interval(target.task, metric, y, other, scores[0], weight, cuts=(cut, cuts[0]))
            for other, cut in zip(scores[1:], cuts[1:], strict=True)
        ]
        for metric in order
    }
    return {
        "models": names,
        "task": target.task,
        "metric": decides,
        "rows": len(y),
        "metrics": {metric: [found[metric] for found in values] for metric in order},
        "gains": gains,
        "spec": _differences([bundle.system for bundle in bundles]),
        "curves": [curves(target.task, y, one, target.classes, cut) for one, cut in zip(scores, cuts, strict=True)],
    }


Tables = list[pl.DataFrame]


def _common(holdouts: list[tuple[pl.DataFrame, pl.DataFrame]], bundles: list[Bundle]) -> tuple[Tables, Tables]:
    """The rows that every holdout has, in one order, and the predictions of each; rows are told apart by the id, or by
    all that they hold."""
    names = {bundle.system.data.id for bundle in bundles}
    known = names.pop() if len(names) == 1 else None
    columns = sorted(set.intersection(*(set(rows.columns) for rows, _ in holdouts)))
    keys = [row_hashes(rows.select(cs.by_name(*([known] if known else columns)))) for rows, _ in holdouts]
    common = keys[0]
    for key in keys[1:]:
        common = np.intersect1d(common, key)
    if not len(common):
        raise InputError("runs", "no test row is common to all", "models that were judged on some of the same rows")
    places = [_places(key, common) for key in keys]
    rows, answers = zip(*holdouts, strict=True)
    return [one[at] for one, at in zip(rows, places, strict=True)], [
        one[at] for one, at in zip(answers, places, strict=True)
    ]


def _places(keys: Hashes, wanted: Hashes) -> Integers:
    """Where each of the wanted keys stands first, in their order."""
    different, first = np.unique(keys, return_index=True)
    return np.asarray(first[np.searchsorted(different, np.unique(wanted))])


def _differences(systems: list[Any]) -> list[dict[str, Any]]:
    """The fields in which specs differ, with the value of each."""
    flat = [dict(_leaves(msgspec.to_builtins(system), "")) for system in systems]
    fields = list(dict.fromkeys(field for one in flat for field in one))
    found = [{"field": field, "values": [one.get(field) for one in flat]} for field in fields]
    return [one for one in found if one["values"].count(one["values"][0]) < len(systems)]


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if path in _NOT_COMPARED:
        return []
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}" if path else key)]
    return [(path, value)]
