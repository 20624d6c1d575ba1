"""The spine: from a spec to a bundle, one call per room, top to bottom."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from millrace import (
    __version__,
    bundle,
    evaluate,
    events,
    features,
    predict,
    report,
    spec,
    split,
    tables,
    train,
)
from millrace.errors import Finding, InputError
from millrace.explore import balance, leaks, relations, split_checks
from millrace.report import Steps, Watch, quiet
from millrace.spec import Answers, System

GOLDEN_ROWS = 5


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
    """What is known before anything is learned: the tables as read, the rows with their roles, kinds and split, why the
    spec was resolved so, and what was noticed."""

    sources: tables.Sources
    rows: train.Rows
    why: dict[str, str]
    findings: list[Finding]


def run(system: System, watch: Watch = quiet) -> Run:
    """Takes a system's tables to a tested bundle and a report.

    `watch(stage, detail)` hears how far it is. Raises `SpecError`, `InputError` or `WorkError`; nothing half-written
    is left behind then.
    """
    step = Steps(watch)
    known = _prepare(system, step)
    rows, system = known.rows, known.rows.system
    choice = step("train", train.choose, rows, evaluate.judge_of(system.goal), step.detail)
    threshold = _threshold(rows, choice)
    refitted = step("refit", train.refit, rows, choice, threshold)
    resolved = train.resolved_spec(rows, refitted, choice, threshold)
    schema = _schema(system, rows.columns, refitted.columns)
    predictor = predict.Predictor(refitted.model, schema, system.name, 0)
    tested = step("evaluate", predictor.predict_frame, rows.frame[rows.parts.test])
    scores = predictor.scores(tested)
    judged = step("evaluate", _evaluate, rows, choice, scores, threshold)
    findings = known.findings + choice.findings + _not_better(judged["metric"])
    document = _document(known, resolved, choice, refitted) | judged
    document |= {"findings": msgspec.to_builtins(findings), "model": system.name, "seconds": step.seconds}
    document["flow"] = report.stages(document)
    folder = step("bundle", _write, document, resolved, schema, refitted.model, predictor, rows, tested, scores)
    document |= {"model": f"{system.name}@{int(folder.name[-6:])}", "bundle": str(folder)}
    document["flow"] = report.stages(document)
    page = step("report", _report, system, document)
    return Run(document["model"], folder, page, document)


def explore(system: System) -> Exploration:
    """Looks at a system's tables without learning: columns, their relation to the target, leaks, the split.

    Writes `explore.json` into the workspace. Raises as `run` does for tables and specs that cannot be used.
    """
    known = _prepare(system, Steps(quiet))
    rows, parts = known.rows, known.rows.parts
    used = [column.name for column in rows.columns if _may_leak(column)]
    labels = [spec.label_text(label) for label in rows.target.classes]
    document = {
        "name": system.name,
        "goal": msgspec.to_builtins(rows.system.goal),
        "why": known.why,
        "rows": {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
        "balance": balance(rows.y, labels),
        "columns": msgspec.to_builtins(rows.columns),
        "relations": relations(rows.frame[parts.train].select(used), rows.y[parts.train], rows.target.task),
        "findings": msgspec.to_builtins(known.findings),
    }
    path = system.workspace / "explore.json"
    with tables.atomic_file(path) as beside:
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
    return Exploration(path, document)


def _prepare(system: System, step: Steps) -> _Prepared:
    """The first half of every command: read, join the windows, resolve the goal, split, tell kinds, look for leaks."""
    sources = step("tables", tables.read_sources, system)
    frame = step("events", _add_windows, system, sources)
    system, why = step("spec", _resolve, system, frame)
    target = features.target_of(system.goal, frame[system.goal.target])
    y = features.encode_target(target, frame[target.name])
    strata = y.astype(int) if target.classes else None
    parts = step("split", split.divide, frame, system.split, system.data, strata, sources.holdout_rows, system.seed)
    roles, windows = _special(system)
    trained = frame[parts.train]
    columns = step("features", features.plan_columns, trained, system.features, roles, windows, sources.written)
    rows = train.Rows(frame, columns, target, y, system, parts, tables.weights_of(frame, system.data.weight))
    noticed = step("explore", _explore, rows)
    return _Prepared(sources, rows, why, sources.findings + parts.findings + noticed)


def init(data: Path, answers: Answers, folder: Path = Path()) -> tuple[Path, str]:
    """Writes a first `system.yaml` for a table into `folder` and returns its path and text.

    Raises `InputError` where the table cannot be read, lacks a named column, or a spec stands there already.
    """
    missing = spec.Data(source="").missing
    table = tables.load(data, None, missing)
    home = folder.absolute()
    path = home / "system.yaml"
    if path.exists():
        raise InputError(str(path), "a spec stands there already", "a folder without one", "choose another --dir")

    def seen_from_home(file: Path) -> str:
        file = file.absolute()
        return file.relative_to(home).as_posix() if file.is_relative_to(home) else file.as_posix()

    if answers.holdout is not None:
        answers = msgspec.structs.replace(answers, holdout=seen_from_home(Path(answers.holdout)))
    text = spec.draft(table.frame, seen_from_home(data), answers)
    with tables.atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
    spec.load(path)  # what was written is valid, or we say so now
    return path, text


def _add_windows(system: System, sources: tables.Sources) -> pl.DataFrame:
    times = {name: table.time for name, table in system.data.events.items()}
    return events.add_windows(sources.frame, system.features.windows, sources.events, system.data.time, times)


def _resolve(system: System, frame: pl.DataFrame) -> tuple[System, dict[str, str]]:
    goal, why = spec.infer_goal(system.goal, frame[system.goal.target])
    assert goal.task is not None
    by, split_why = spec.infer_split(system.split, system.data, goal.task)
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
    windows = [name for window in system.features.windows for name in events.window_columns(window)]
    return {name: role for name, role in roles.items() if name is not None}, windows


def _explore(rows: train.Rows) -> list[Finding]:
    """Leaks among the training rows' columns, and whether the split is one that service will look like."""
    used = [column.name for column in rows.columns if _may_leak(column)]
    parts, system = rows.parts, rows.system
    trained = rows.frame[parts.train].select(used)
    found = leaks(trained, rows.y[parts.train], rows.target.task, rows.target.name)
    return found + split_checks(rows.frame, used, parts.train, parts.test, system.data.time, system.split.by)


def _may_leak(column: tables.Column) -> bool:
    """Columns that enter the model, and those that were left out only for what their values look like."""
    return column.kind != "ignored" and column.dtype not in ("nested", "vector")


def _threshold(rows: train.Rows, choice: train.Choice) -> float | None:
    """Where a binary decision is made, by the goal's objective on rows that nothing was fitted on."""
    decision = rows.system.goal.decision
    if decision is None:
        return None
    if rows.target.task != "binary":
        raise InputError("goal.decision", f"stated with task {rows.target.task}", "null", "only a binary task has one")
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


def _evaluate(rows: train.Rows, choice: train.Choice, scores: Any, threshold: float | None) -> dict[str, Any]:
    goal, task = rows.system.goal, rows.target.task
    assert goal.metric is not None
    y, weight, cut = rows.y[rows.parts.test], rows.weight_of(rows.parts.test), 0.5 if threshold is None else threshold
    judged_y, judged_weight = rows.y[choice.rows], rows.weight_of(choice.rows)
    found = {
        "validation": evaluate.metrics(task, judged_y, choice.scores, judged_weight, cut),
        "test": evaluate.metrics(task, y, scores, weight, cut),
        "baseline": evaluate.metrics(task, y, train.baseline_scores(rows), weight, cut),
    }
    order = list(dict.fromkeys([goal.metric, *goal.secondary, *found["test"]]))
    found = {name: {metric: values[metric] for metric in order} for name, values in found.items()}
    owner = None if rows.parts.group is None else rows.parts.group[rows.parts.test]
    measured = evaluate.Measured(task, y, scores, None, cut)
    judged: dict[str, Any] = {"name": goal.metric, "higher_is_better": evaluate.higher_is_better(goal.metric)}
    judged |= {name: values[goal.metric] for name, values in found.items()}
    document: dict[str, Any] = {
        "metric": judged,
        "metrics": found,
        "intervals": evaluate.intervals(measured, weight, owner, rows.system.seed),
        "curves": evaluate.curves(task, y, scores, rows.target.classes, cut),
        "threshold": threshold,
    }
    if task == "binary":
        decision = goal.decision or spec.Decision()
        document["thresholds"] = evaluate.trade_off(judged_y, choice.scores, decision, judged_weight)
    return document


def _not_better(metric: dict[str, Any]) -> list[Finding]:
    if evaluate.better(metric["name"], metric["test"], metric["baseline"]):
        return []
    message = f"the model's test {metric['name']} is not better than the baseline's"
    return [
        Finding("evaluate.baseline", [], "warning", message, {"model": metric["test"], "baseline": metric["baseline"]})
    ]


def _document(known: _Prepared, resolved: System, choice: train.Choice, refitted: train.Refitted) -> dict[str, Any]:
    """Everything that the pages and `run.json` tell, as plain values."""
    rows, sources, why = known.rows, known.sources, known.why
    system, target, parts = rows.system, rows.target, rows.parts
    stated = {"goal.task": system.goal.task, "goal.positive": system.goal.positive, "goal.metric": system.goal.metric}
    stated |= {"split.by": system.split.by}
    decisions = [
        {"field": field, "value": str(value), "why": why.get(field, "as stated")}
        for field, value in stated.items()
        if value is not None
    ]
    families = sorted({member.family for member in refitted.members})
    count = len(refitted.members)
    shipped = families[0] if count == 1 else f"average of {count} ({', '.join(families)})"
    decisions.append({"field": "models", "value": shipped, "why": f"{choice.why['models']} on {choice.method}"})
    if "models.calibration" in choice.why:
        method = choice.calibration.method if choice.calibration else "none"
        decisions.append({"field": "models.calibration", "value": method, "why": choice.why["models.calibration"]})
    if system.goal.decision is not None and resolved.goal.decision is not None:
        stated_by = system.goal.decision.by or "f1"
        by = "as stated" if system.goal.decision.threshold is not None else f"best by {stated_by} on {choice.method}"
        decisions.append(
            {"field": "goal.decision.threshold", "value": f"{resolved.goal.decision.threshold:.4g}", "why": by}
        )
    candidates = [
        {
            "family": one.member.family,
            "value": one.value,
            "seconds": one.seconds,
            "origin": one.origin,
            "weight": choice.weight_of(one),
            "params": msgspec.to_builtins(one.member.params),
            "encode": msgspec.to_builtins(one.member.encode),
        }
        for one in choice.candidates
    ]
    return {
        "name": system.name,
        "created": datetime.now(UTC).isoformat(sep=" ", timespec="seconds"),
        "task": target.task,
        "target": target.name,
        "classes": target.classes,
        "source": system.data.source,
        "fingerprints": sources.fingerprints,
        "spec_hash": spec.spec_hash(system),
        "code_version": __version__,
        "decisions": decisions,
        "split": system.split.by,
        "borders": parts.borders,
        "method": choice.method,
        "candidates": candidates,
        "winner": {"family": shipped, "members": msgspec.to_builtins(refitted.members)},
        "parity": refitted.parity,
        "rows": {
            "train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test),
            "purged": parts.purged, "fitted": refitted.rows,
        },
        "columns": msgspec.to_builtins(rows.columns),
        "features": refitted.features.names,
        "resolved": spec.dump(resolved).decode(),
    }  # fmt: skip


def _write(
    document: dict[str, Any],
    resolved: System,
    schema: tables.Schema,
    model: bytes,
    predictor: predict.Predictor,
    rows: train.Rows,
    tested: pl.DataFrame,
    scores: Any,
) -> Path:
    system, parts = rows.system, rows.parts
    held = rows.frame[parts.test]
    plain = held.select(name for name, dtype in held.schema.items() if tables.dtype_of(dtype) != "nested")
    answers = tested.select(pl.exclude(system.data.id)) if system.data.id else tested
    inputs = [column.name for column in schema.columns] + ([system.data.id] if system.data.id else [])
    requests = msgspec.json.decode(msgspec.json.encode(plain.head(GOLDEN_ROWS).select(inputs).to_dicts()))
    examples = [
        {"request": row, "reply": reply} for row, reply in zip(requests, predictor.predict(requests), strict=True)
    ]
    keys = (
        "task", "metric", "metrics", "intervals", "curves", "threshold", "candidates", "winner", "parity", "rows",
        "features", "findings",
    )  # fmt: skip
    files = bundle.contents(
        resolved,
        schema,
        model,
        bundle.profile(rows.frame[parts.train], schema.columns, scores),
        examples,
        {key: document[key] for key in keys},
        report.card_page(document),
    )
    holdout = plain.hstack(answers.get_columns())
    fingerprints = document["fingerprints"]
    home = system.workspace / "bundles"
    return bundle.write_bundle(
        home, system.name, files, holdout, document["spec_hash"], fingerprints, document["code_version"]
    )


def _report(system: System, document: dict[str, Any]) -> Path:
    """Writes `run.json` and `report.html` and returns the page's path."""
    name = document["created"].replace("-", "").replace(":", "").replace(" ", "-")[:15]
    with tables.atomic_folder(system.workspace / "runs") as beside:
        document["run"] = f"{Path(document['bundle']).name}-{name}"
        final: Path = system.workspace / "runs" / document["run"]
        document["report"] = str(final / "report.html")
        (beside / "report.html").write_text(report.report_page(document), encoding="utf-8")
        (beside / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
        tables.settle(beside, final)
    return final / "report.html"
