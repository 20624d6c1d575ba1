"""List the runs of a workspace, a line each."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.bundle import find_bundle
from headrace.errors import InputError
from headrace.workspace import Workspace, is_system


class RunSummary(Struct, frozen=True):
    """A run in one line; `aliases` are those of its version now."""

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


class _Metric(Struct):
    name: str
    test: float | None
    baseline: float | None


class _Shipped(Struct):
    family: str


class _Run(Struct):
    """The fields of `run.json` that a summary needs."""

    run: str
    model: str
    created: str
    spec_hash: str
    winner: _Shipped
    metric: _Metric
    intervals: dict[str, list[float | None]]
    promoted: bool | None


def runs(folder: str | Path = ".") -> list[RunSummary]:
    """List the runs of a system's folder, the latest first."""
    workspace = Workspace(Path(folder))
    if not is_system(workspace.root):
        workspace.require("runs")
    found = []
    for path in workspace.runs.glob("*/run.json"):
        run = msgspec.json.decode(path.read_bytes(), type=_Run)
        name, version = run.model.split("@")
        live = workspace.read_aliases(name)
        aliases = [alias for alias, one in live.items() if one == int(version)]
        summary = RunSummary(
            model=run.model,
            created=run.created,
            spec_hash=run.spec_hash,
            family=run.winner.family,
            metric=run.metric.name,
            test=run.metric.test,
            interval=run.intervals[run.metric.name],
            baseline=run.metric.baseline,
            promoted=run.promoted,
            aliases=aliases,
            run=run.run,
        )
        found.append((run.created, int(version), summary))
    found.sort(key=lambda one: one[:2], reverse=True)
    return [summary for _, _, summary in found]


def find_report(model: str = ".", folder: str | Path = ".") -> Path:
    """Find the report of a model, or of the latest run of a system.

    Parameters: `model`, the folder of a system, `name@3`, `name@champion`, or a bundle's folder;
    `folder`, the system whose workspace has such names. A bundle outside of its workspace has its
    model card alone. Raises `InputError` where nothing was run yet.
    """
    if is_system(Path(model)):
        latest = runs(model)
        if not latest:
            raise InputError(model, "nothing was run yet", "a run", f"`headrace run {model}`")
        return Workspace(Path(model)).runs / latest[0].run / "report.html"

    bundle = find_bundle(model, Path(folder))
    workspace = Workspace.containing(bundle)
    if workspace is not None:
        pages = sorted(workspace.runs.glob(f"{bundle.resolve().name}-*/report.html"))
        if pages:
            return pages[-1]
    return bundle / "card.html"
