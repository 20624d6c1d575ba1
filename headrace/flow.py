"""The spine: from a spec to a bundle, one call per room, top to bottom."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace import design, evaluate, features, predict, registry, spec, split, tables, train
from headrace.errors import Finding
from headrace.explore import balance, leaks, order_checks, relations, split_checks
from headrace.report import Steps, Watch, quiet
from headrace.run import Cache, diagnosis, record, release, resume
from headrace.spec import System
from headrace.store import add_window_features
from headrace.windows import check_keys_match, window_columns

STAGES = (
    "tables", "events", "spec", "split", "features", "explore", "train", "refit", "evaluate", "gates", "bundle",
    "registry", "report",
)  # fmt: skip
"""The stages of a run, in the order in which they begin."""


class Run(Struct, frozen=True):
    """What a run made: where its bundle and its report are, and its document (the content of `run.json`)."""

    model: str
    bundle: Path
    report: Path
    document: dict[str, Any]


class Exploration(Struct, frozen=True):
    """What a look at the data found: the document, and the `explore.json` that holds it."""

    path: Path
    document: dict[str, Any]


class _Prepared(Struct, frozen=True):
    """What is known before anything is learned: the tables' fingerprints, the rows with their roles, kinds and split,
    why the spec was resolved so, and what was noticed."""

    fingerprints: dict[str, str]
    rows: train.TrainingData
    why: dict[str, str]
    findings: list[Finding]


def run(system: System, watch: Watch = quiet, fresh: bool = False) -> Run:
    """Takes a system's tables to a tested bundle, and that to be the champion or to be refused.

    What was done before for the same spec, tables and code is not done again, unless it shall be `fresh`; the document
    of a run that had nothing to do says `"cached": true`. `watch(stage, detail)` hears how far it is. Raises
    `SpecError`, `InputError` or `WorkError`; nothing half-written is left behind then.
    """
    system = spec.with_safe_names(system)
    step, cache = Steps(watch), Cache(system.workspace.cache)
    names = step("tables", resume.cache_keys, system)
    if not fresh and (document := resume.find_run(system, cache, names.run)) is not None:
        return _run(document)
    known = cache.make(_Prepared, names.prepared, partial(_prepare, system, names.position, step), fresh)
    rows, system = resume.with_current_spec(known.rows, system)
    stated = release.stated_gates(system)
    diagnosis.check(system, rows.frame)
    keep = resume.trial_memo(cache, names.prepared, fresh)
    choose = partial(step, "train", train.select_model, rows, evaluate.make_objective(system.goal), step.detail, keep)
    choice = cache.make(train.Choice, names.choice, choose, fresh)
    threshold = _threshold(rows, choice)
    refitted = step("refit", train.refit, rows, choice, threshold)
    resolved = train.resolved_spec(rows, refitted, choice, threshold)
    predictor = predict.Predictor(refitted.model, _schema(system, rows.columns, refitted.columns), system.name, 0)
    tested = step("evaluate", predictor.predict_frame, rows.frame[rows.parts.test])
    pair = release.against_baseline(rows, predictor.scores(tested), threshold)
    assessed = step("evaluate", diagnosis.assess, rows, choice, pair, threshold)
    assessed |= step("evaluate", diagnosis.diagnose, rows, refitted, predictor, pair)
    judge = partial(release.judge, stated, rows, refitted, predictor, assessed, pair)
    gates = step("gates", judge)
    document = record.describe(known.fingerprints, rows, known.why, resolved, choice, refitted) | assessed
    noticed = known.findings + choice.findings + assessed["findings"]
    document |= {"findings": msgspec.to_builtins(noticed), "gates": registry.as_dicts(gates.results)}
    document["beside"] = gates.beside
    document["seconds"] = step.seconds
    folder = step("bundle", record.keep_bundle, document, resolved, refitted.model, predictor, rows, tested)
    cache.put(record.keep_run(system, document, folder), names.run)
    document |= step("registry", release.release, rows, folder, gates, judge)
    step("report", record.finish_run, document)
    return _run(document)


def _run(document: dict[str, Any]) -> Run:
    return Run(document["model"], Path(document["bundle"]), Path(document["report"]), document)


def explore(system: System) -> Exploration:
    """Looks at a system's tables without learning: columns, their relation to the target, leaks, the split.

    Writes `explore.json` into the workspace. Raises as `run` does for tables and specs that cannot be used.
    """
    system = spec.with_safe_names(system)
    names, cache = resume.cache_keys(system), Cache(system.workspace.cache)
    known = cache.make(_Prepared, names.prepared, partial(_prepare, system, names.position, Steps(quiet)), False)
    rows, parts = known.rows, known.rows.parts
    used = [column.name for column in rows.columns if _may_leak(column)]
    labels = [spec.label_text(label) for label in rows.target.classes]
    trained = rows.frame[parts.train].select(cs.by_name(*used))
    document = {
        "name": system.name,
        "goal": msgspec.to_builtins(rows.system.goal),
        "why": known.why,
        "rows": {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
        "balance": balance(rows.y, labels),
        "columns": msgspec.to_builtins(rows.columns),
        "relations": relations(trained, rows.y[parts.train], rows.target.task),
        "findings": msgspec.to_builtins(known.findings),
    }
    path = system.workspace.explored
    with tables.atomic_file(path) as beside:
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
    return Exploration(path, document)


def clean(system: System, most_bytes: int = 0) -> int:
    """Shrinks the cache of a system, the least recently used first, and returns the bytes that it still holds.

    Bundles, runs and the record of decisions stay.
    """
    return Cache(system.workspace.cache).trim(most_bytes)


def _prepare(system: System, position: int, step: Steps) -> _Prepared:
    """The first half of every command: read, join the windows, resolve the goal, split, tell kinds, look for leaks."""
    sources = step("tables", tables.read_sources, system)
    frame = step("events", add_window_features, system, sources.frame, sources, position)
    matched = check_keys_match(frame, system.features.windows, sources.events, position == 0)
    system, why = step("spec", _resolve, system, frame)
    target = features.make_target(system.goal, frame[system.goal.target])
    _, left_out = design.infer_candidates(system.models, len(target.classes))
    y = features.encode_target(target, frame[target.name])
    strata = y.astype(int) if target.classes else None
    parts = step("split", split.split_rows, frame, system.split, system.data, strata, sources.holdout_rows, system.seed)
    roles, windows = _special(system)
    trained = frame[parts.train]
    columns = step("features", features.plan_columns, trained, system.features, roles, windows, sources.forms)
    rows = train.TrainingData(frame, columns, target, y, system, parts, tables.read_weights(frame, system.data.weight))
    noticed = step("explore", _explore, rows)
    fingerprints = sources.fingerprints | ({"log": str(position)} if position else {})
    return _Prepared(fingerprints, rows, why, sources.findings + matched + left_out + parts.findings + noticed)


def _resolve(system: System, frame: pl.DataFrame) -> tuple[System, dict[str, str]]:
    goal, why = design.infer_goal(system.goal, frame[system.goal.target])
    by, split_why = design.infer_split(system.split, system.data, goal)
    return spec.with_changes(system, goal=goal, split=by), why | split_why


def _special(system: System) -> tuple[dict[str, str], list[str]]:
    """Columns that are no features, each with the reason; and the columns of the windows."""
    data = system.data
    roles = {
        system.goal.target: "the target",
        data.id: "the id",
        data.group: "the group",
        data.weight: "the weight of rows",
    }
    if isinstance(data.time, list):
        roles |= {data.time_column: "the time", data.time[0]: "the year of the time: absolute time is no feature"}
    windows = [name for window in system.features.windows for name in window_columns(window)]
    return {name: role for name, role in roles.items() if name is not None}, windows


def _explore(rows: train.TrainingData) -> list[Finding]:
    """Leaks among the training rows' columns, and whether the split is one that service will look like."""
    used = [column.name for column in rows.columns if _may_leak(column)]
    parts, system = rows.parts, rows.system
    trained = rows.frame[parts.train].select(cs.by_name(*used))
    y, task = rows.y[parts.train], rows.target.task
    labels = [spec.label_text(label) for label in rows.target.classes]
    roles, _ = _special(system)
    aside = {*roles, *system.features.exclude, *used}
    ignored = [one.name for one in rows.columns if one.name not in aside and one.dtype not in ("nested", "vector")]
    beside = rows.frame[parts.train].select(cs.by_name(*ignored))
    found = leaks(trained, y, task, rows.target.name, labels, beside) + order_checks(trained, y, task, system.split.by)
    return found + split_checks(rows.frame, used, parts.train, parts.test, system.data.time_column, system.split.by)


def _may_leak(column: tables.Column) -> bool:
    """Whether a column enters the model and has plain values."""
    return column.kind != "ignored" and column.dtype not in ("nested", "vector")


def _threshold(rows: train.TrainingData, choice: train.Choice) -> float | None:
    """Where a binary decision is made, by the goal's objective on rows that nothing was fitted on."""
    decision = rows.system.goal.decision
    if decision is None:
        return None
    return evaluate.pick_threshold(rows.y[choice.rows], choice.scores, decision, rows.weight_of(choice.rows))


def _schema(system: System, columns: list[tables.Column], used: set[str]) -> tables.Schema:
    data = system.data
    dtypes = {column.name: column.dtype for column in columns}
    return tables.Schema(
        columns=[column for column in columns if column.name in used],
        target=system.goal.target,
        target_dtype=dtypes[system.goal.target],
        id=data.id,
        id_dtype=dtypes[data.id] if data.id else "string",
        missing=data.missing,
        read=data.read,
    )
