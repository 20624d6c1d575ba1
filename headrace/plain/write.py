"""Ejects a model: a plain script that fits it again, and files to run its bundle in a container.

bundle + table ──► settings, rows ──► a folder ──► run the script there ──► publish the folder
                                                      │
                                                      └─► predicts otherwise: an error, no folder
"""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from headrace import tables, train
from headrace.arrays import Integers
from headrace.bundle import Bundle, find_bundle, open_bundle
from headrace.errors import InputError, WorkError
from headrace.features import Features
from headrace.models import plan_trees
from headrace.plain.files import FILES
from headrace.plain.script import write_script
from headrace.report import Steps, quiet
from headrace.run.prepare import Prepared, prepare
from headrace.spec import Member, System, format_label, with_root
from headrace.split import inner_folds
from headrace.tasks import find_task
from headrace.workspace import Workspace

_FOLDS = 5
_LIBRARIES = ("polars", "numpy", "scipy", "scikit-learn", "lightgbm")
_KINDS = ("integer", "number", "boolean", "string", "datetime")


class Ejected(Struct, frozen=True):
    """An ejected model: its folder, and what its script said about its predictions."""

    folder: Path
    checked: str


def eject(model: str | Path, to: str | Path, folder: str | Path = ".") -> Ejected:
    """Write a plain script that fits a model again, and files to run its bundle.

    The script needs scikit-learn, LightGBM and Polars alone. It is run once: it must predict the
    test rows as the bundle does, within 1e-6.

    Parameters: `model`, as `headrace.open` takes it; `to`, a new folder; `folder`, the system whose
    workspace has the model. Raises `InputError` for what the script cannot do, such as windows over
    events, and where the table has changed; `WorkError` where it predicts otherwise.
    """
    target = Path(to)
    if target.exists():
        raise InputError("--to", f"{target} exists", "a folder that does not exist yet")
    bundle = open_bundle(find_bundle(model, Path(folder)))
    workspace = Workspace.containing(bundle.path)
    if workspace is None:
        expected = "a bundle in the workspace that it was made in, beside its table"
        raise InputError(str(bundle.path), "no workspace around it", expected)
    system = with_root(bundle.system, workspace.root)
    _refuse_system(system)
    prepared = prepare(system, 0, Steps(quiet))
    _refuse_data(bundle, prepared)

    with tables.atomic_folder(target.absolute().parent) as draft:
        settings = _write_parts(draft, bundle, prepared)
        title = f"{bundle.manifest.name}@{bundle.manifest.version}"
        (draft / "train.py").write_text(write_script(title, settings), encoding="utf-8")
        for name, text in FILES.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{model}", title), encoding="utf-8")
        pins = [f"{name}=={metadata.version(name)}" for name in _LIBRARIES]
        (draft / "requirements.txt").write_text("\n".join(pins) + "\n")
        shutil.copytree(bundle.path, draft / "bundle")
        checked = _check(draft, system.root / system.data.source)
        tables.publish_folder(draft, target.absolute())
    return Ejected(target, checked)


def _refuse_system(system: System) -> None:
    """Raise `InputError` for what a plain script cannot do."""
    source = system.root / system.data.source
    if system.features.windows:
        found = f"windows over events ({system.features.windows[0].name!r}, …)"
    elif any(member.family == "forest" for member in system.models.members):
        found = "a forest"
    elif find_task(system.goal.task).HAS_QUERIES:
        found = "a ranking"
    elif system.features.crosses:
        found = "crosses of columns"
    elif tables.is_remote(system.data.source) or system.data.query or not source.is_file():
        found = f"the source {system.data.source!r}"
    else:
        return
    expected = "a table in one file, without windows and crosses; no ranking and no forest"
    raise InputError("eject", found, expected, "the bundle itself runs in any ONNX Runtime")


def _refuse_data(bundle: Bundle, prepared: Prepared) -> None:
    """Raise `InputError` where the table has changed, or has a column that a script cannot read."""
    if prepared.fingerprints != bundle.manifest.data:
        found = "the table has changed since the model was fitted"
        raise InputError("eject", found, "the table as it was", "eject a model of the new table")
    for column in bundle.schema.columns:
        if column.written is not None or column.words or column.dtype not in _KINDS:
            found = f"the column {column.name!r}, written as {column.written or column.dtype}"
            raise InputError("eject", found, "plain numbers, text, flags and times")


def _write_parts(draft: Path, bundle: Bundle, prepared: Prepared) -> dict[str, Any]:
    """Write the rows and the test rows; return the settings of the script."""
    data = prepared.data
    system = data.system
    fit_on = np.sort(np.concatenate([data.parts.train, data.parts.validation]))
    drawn = train.subsample(data.truth_of(fit_on), data.target, system.models, system.seed)
    _rows_table(data, fit_on, drawn).write_parquet(draft / "rows.parquet")
    holdout, predictions = bundle.holdout()
    holdout.write_parquet(draft / "holdout.parquet")
    predictions.write_parquet(draft / "predictions.parquet")

    members = []
    for member in system.models.members:
        features = data.fit_encoders(fit_on, member)
        members.append(_describe_member(member, features, data))
    labels = [format_label(label) for label in data.target.classes]
    is_multiclass = len(labels) > 2
    types = {column.name: column.dtype for column in bundle.schema.columns}
    source = system.root / system.data.source
    return {
        "source": source.name,
        "separator": tables.scan(source, system.data.read).separator or ",",
        "missing": system.data.missing,
        "types": types | {data.target.name: bundle.schema.target_dtype},
        "target": data.target.name,
        "classes": labels,
        "predictions": [f"probability_{label}" for label in labels]
        if is_multiclass
        else ["prediction"],
        "folds": _FOLDS,
        "shift": drawn.shift,
        "calibration": msgspec.to_builtins(system.models.calibration),
        "members": members,
    }


def _rows_table(data: train.TrainingData, fit_on: Integers, drawn: train.Subsample) -> pl.DataFrame:
    """Make the table of the rows to fit on, with the folds of target means.

    A row is `predicted_in` a fold by means that the rows of `fit_…` give.
    """
    is_drawn = np.zeros(len(fit_on), dtype=bool)
    is_drawn[drawn.rows] = True
    columns: dict[str, Any] = {"row": fit_on, "drawn": is_drawn}
    if drawn.weight is not None:
        weight = np.zeros(len(fit_on))
        weight[drawn.rows] = drawn.weight
        columns["weight"] = weight

    strata = data.y.astype(np.int64) if data.target.classes else None
    predicted = np.full(len(fit_on), -1)
    folds = inner_folds(data.parts, fit_on, strata, _FOLDS, data.system.seed)
    for number in range(_FOLDS):
        fitted = np.zeros(len(fit_on), dtype=bool)
        if number < len(folds):
            fitted[np.searchsorted(fit_on, folds[number].fit)] = True
            predicted[np.searchsorted(fit_on, folds[number].predict)] = number
        columns[f"fit_{number}"] = fitted
    frame = pl.DataFrame(columns).with_columns(predicted_in=pl.Series(predicted))
    return frame.with_columns(pl.col("predicted_in").replace(-1, None))


def _describe_member(
    member: Member, features: Features, data: train.TrainingData
) -> dict[str, Any]:
    """Describe a member of the ensemble as the script reads it."""
    columns = []
    widths = []
    for block in features.blocks():
        for fitted in block:
            columns.append((fitted.encode, fitted.column, fitted.group == "doubles"))
            widths.append(len(fitted.names))
    described: dict[str, Any] = {
        "family": member.family,
        "weight": member.weight,
        "columns": columns,
        "widths": widths,
        "bags": [(fitted.encode, fitted.column) for fitted in features.wide],
    }
    if member.family == "linear":
        assert member.linear is not None
        described["l2"] = member.linear.l2
    elif member.family == "gbdt":
        assert member.gbdt is not None
        width = sum(widths)
        plan = plan_trees(member.gbdt, data.target, width, features.codes, data.system.seed)
        described |= {
            "settings": plan.settings,
            "sets": plan.sets,
            "centred": plan.is_centred,
            "rounds": member.gbdt.rounds,
        }
    return described


def _check(folder: Path, source: Path) -> str:
    """Run the script; return its sentence. Raises `WorkError` where it predicts otherwise."""
    command = [sys.executable, "train.py", str(source.absolute())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    printed = done.stdout.strip()
    if done.returncode:
        reason = printed or done.stderr.strip().splitlines()[-1][:300]
        raise WorkError("the script", reason, "the predictions of the bundle, within 1e-6")
    return printed
