"""What a run tells, as plain values, and where it is kept: the bundle, `run.json` and the report."""

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace import bundle, predict, registry, report, spec, split, tables, train
from headrace._version import __version__
from headrace.clock import SYSTEM, to_text
from headrace.errors import InputError
from headrace.spec import System
from headrace.workspace import Workspace

GOLDEN_ROWS = 5
_IN_BUNDLE = (
    "task", "metric", "metrics", "intervals", "curves", "threshold", "candidates", "winner", "parity", "rows",
    "features", "findings", "gates", "importances", "slices", "fairness",
    "seconds", "who",
)  # fmt: skip


def describe(
    fingerprints: dict[str, str],
    rows: train.TrainingData,
    why: dict[str, str],
    resolved: System,
    choice: train.Choice,
    refitted: train.Model,
) -> dict[str, Any]:
    """How the model came about: the data, what was decided and why, the candidates, what ships."""
    system, target, parts = rows.system, rows.target, rows.parts
    families = sorted({member.family for member in refitted.members})
    count = len(refitted.members)
    shipped = families[0] if count == 1 else f"average of {count} ({', '.join(families)})"
    return {
        "name": system.name,
        "model": system.name,
        "created": to_text(SYSTEM.now_us(), "seconds", " "),
        "task": target.task,
        "target": target.name,
        "classes": target.classes,
        "who": registry.current_user(),
        "source": system.data.source,
        "fingerprints": fingerprints,
        "spec_hash": spec.spec_hash(system),
        "code_version": __version__,
        "decisions": _decisions(system, why, resolved, choice, shipped),
        "split": system.split.by,
        "borders": parts.borders,
        "timeline": _timeline(rows),
        "method": choice.method,
        "candidates": [_candidate(one, choice.weight_of(one)) for one in choice.candidates],
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


def _timeline(rows: train.TrainingData) -> list[dict[str, Any]]:
    """How the parts lie in time, where rows have one."""
    name = rows.system.data.time_column
    times = None if name is None else rows.frame[name]
    if times is None or not (times.dtype in (pl.Date, pl.Datetime) or times.dtype.is_integer()):
        return []
    return split.timeline(rows.parts, times)


def _decisions(
    system: System, why: dict[str, str], resolved: System, choice: train.Choice, shipped: str
) -> list[dict[str, str]]:
    """What the spec left open: the field, what it became, and why."""
    goal = system.goal
    inferred = {"goal.task": goal.task, "goal.positive": goal.positive, "goal.metric": goal.metric}
    inferred |= {"split.by": system.split.by}
    inferred |= {"split.gap": system.split.gap} if system.split.gap != "0s" else {}
    found = [(field, str(value), why.get(field, "as stated")) for field, value in inferred.items() if value is not None]
    found.append(("models", shipped, f"{choice.why['models']} on {choice.method}"))
    if "models.calibration" in choice.why:
        method = choice.calibration.method if choice.calibration else "none"
        found.append(("models.calibration", method, choice.why["models.calibration"]))
    if goal.decision is not None and resolved.goal.decision is not None:
        best = f"best by {goal.decision.by or 'f1'} on {choice.method}"
        by = best if goal.decision.threshold is None else "as stated"
        found.append(("goal.decision.threshold", f"{resolved.goal.decision.threshold:.4g}", by))
    return [{"field": field, "value": value, "why": reason} for field, value, reason in found]


def _candidate(one: train.TrialRecord, weight: float) -> dict[str, Any]:
    return {
        "family": one.member.family,
        "value": one.value,
        "seconds": one.seconds,
        "origin": one.origin,
        "weight": weight,
        "params": msgspec.to_builtins(one.member.params),
        "encode": msgspec.to_builtins(one.member.encode),
    }


def keep_bundle(
    document: dict[str, Any],
    resolved: System,
    model: bytes,
    predictor: predict.Predictor,
    rows: train.TrainingData,
    tested: pl.DataFrame,
) -> Path:
    """Writes the next version of the system's bundle, with its test rows and their predictions, and returns its
    folder."""
    system, parts, schema = rows.system, rows.parts, predictor.schema
    held = rows.frame[parts.test]
    plain = held.select(
        cs.by_name(*(name for name, dtype in held.schema.items() if tables.dtype_of(dtype) != "nested"))
    )
    inputs = [column.name for column in schema.columns] + ([system.data.id] if system.data.id else [])
    requests = msgspec.json.decode(msgspec.json.encode(plain.head(GOLDEN_ROWS).select(cs.by_name(*inputs)).to_dicts()))
    replies = predictor.predict(requests)
    files = bundle.build_files(
        resolved,
        schema,
        model,
        bundle.build_profile(rows.frame[parts.train], schema.columns, predictor.scores(tested)),
        [{"request": row, "reply": reply} for row, reply in zip(requests, replies, strict=True)],
        {key: document[key] for key in _IN_BUNDLE},
        report.card_page(document),
    )
    system.workspace.claim()
    answers = tested.select(~cs.by_name(system.data.id)) if system.data.id else tested
    return bundle.write_bundle(
        system.workspace.bundles,
        system.name,
        files,
        bundle.join_answers(plain, answers),
        document["spec_hash"],
        document["fingerprints"],
        document["code_version"],
        registry.last_version(system.workspace, system.name),
    )


class Comparison(Struct, frozen=True):
    """Models side by side: the page, and the document that it was made of."""

    page: Path
    document: dict[str, Any]


def runs(folder: str | Path = ".") -> list[registry.RunSummary]:
    """The runs of a system's folder, the latest first."""
    return registry.list_runs(Workspace(Path(folder)))


def compare(models: list[str], folder: str | Path = ".") -> Comparison:
    """Compares models (`name@3`, `name@champion`, a bundle's folder) with the first of them and writes a page.

    Raises `InputError` where they cannot be compared: other targets, or no test row in common.
    """
    if len(models) < 2:
        raise InputError("runs", f"{len(models)} model to compare", "at least two, such as name@1 name@2")
    document = registry.compare_models(Path(folder), models)
    page = Workspace(Path(folder).absolute()).comparisons / ("--".join(document["models"]) + ".html")
    with tables.atomic_file(page) as beside:
        beside.write_text(report.compare_page(document), encoding="utf-8")
    return Comparison(page, document)


def keep_run(system: System, document: dict[str, Any], bundle_folder: Path) -> str:
    """Writes the `run.json` of a run whose model is not judged yet, and returns the run's name; the document is told
    the names of what was made."""
    name = document["created"].replace("-", "").replace(":", "").replace(" ", "-")[:15]
    run = f"{bundle_folder.name}-{name}"
    final: Path = system.workspace.runs / run
    document |= {
        "run": run, "model": f"{system.name}@{int(bundle_folder.name[-6:])}", "bundle": str(bundle_folder),
        "report": str(final / "report.html"), "promoted": None, "alias": None, "before": None, "cached": False,
    }  # fmt: skip
    with tables.atomic_folder(system.workspace.runs) as beside:
        _write_run(beside, document)
        tables.publish_folder(beside, final)
    return run


def finish_run(document: dict[str, Any]) -> None:
    """Writes the report of a run whose model was promoted or refused, and its `run.json` anew."""
    document["flow"] = report.stages(document)
    page = Path(document["report"])
    with tables.atomic_file(page) as beside:
        beside.write_text(report.report_page(document), encoding="utf-8")
    _write_run(page.parent, document)


def _write_run(folder: Path, document: dict[str, Any]) -> None:
    with tables.atomic_file(folder / "run.json") as beside:
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
