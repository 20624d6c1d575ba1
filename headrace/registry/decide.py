"""Moving an alias: by the gates of a run, or by a person; always recorded, always one at a time."""

import getpass
from contextlib import suppress
from pathlib import Path

from headrace.bundle import find_bundle, open_bundle
from headrace.clock import SYSTEM, to_text
from headrace.errors import InputError, WorkError, nearest
from headrace.registry.gates import Result, as_dicts
from headrace.registry.journal import Decision, Journal, locked_journal
from headrace.registry.mlflow_sync import sync_mlflow
from headrace.workspace import ALIASES, Alias, Workspace


def decide(
    workspace: Workspace, name: str, version: int, results: list[Result], champion: int | None
) -> Decision | None:
    """Promotes a version whose gates all passed to champion, or records that it was refused.

    `champion` is the one that the gates compared with: where it is another by now nothing happens
    and none is returned, and the gates must be judged anew.
    """
    failed = [one for one in results if not one.passed]
    why = "; ".join(f"{one.gate}: {one.why}" for one in failed) or f"{len(results)} gates passed"
    with locked_journal(workspace, name) as journal:
        if journal.aliases.get("champion") != champion:
            return None
        decision = Decision(
            action="refuse" if failed else "promote", version=version, alias="champion", before=champion,
            at=to_text(SYSTEM.now_us()), by="gates", who=current_user(), why=why, evidence=as_dicts(results),
        )  # fmt: skip
        journal.append(decision)
    return decision


def find_decision(workspace: Workspace, name: str, version: int) -> Decision | None:
    """What the gates decided about a version; none where they were not asked yet."""
    with locked_journal(workspace, name) as journal:
        found = (one for one in journal.decisions if one.version == version and one.by == "gates")
        return next(found, None)


def last_version(workspace: Workspace, name: str) -> int:
    """The highest version that was ever decided about, whatever became of its bundle: no number is used twice."""
    return Journal(workspace, name).last_version


def promote(
    model: str, alias: str = "champion", why: str = "", folder: str | Path = "."
) -> Decision:
    """Lets an alias stand for MODEL (`name@4`), by hand; the bundle's own gate results are kept as
    evidence.

    `folder` is the system's. Raises `InputError` where there is no such version or alias and
    `BundleError` where the bundle is not whole.
    """
    workspace = Workspace(Path(folder))
    path = find_bundle(model, Path(folder))
    bundle = open_bundle(path)
    name, version = bundle.manifest.name, bundle.manifest.version
    if path.resolve() != workspace.bundle(name, version).resolve():
        raise InputError(
            model, f"is no bundle of {workspace}", f"one of its own, such as {name}@{version}"
        )
    with locked_journal(workspace, name) as journal:
        checked = _alias(alias)
        decision = Decision(
            action="promote", version=version, alias=checked, before=journal.aliases.get(checked),
            at=to_text(SYSTEM.now_us()),
            by="person", who=current_user(), why=why, evidence=bundle.evaluation.gates,
        )  # fmt: skip
        journal.append(decision)
    sync_mlflow(workspace, name)
    return decision


def rollback(
    name: str, alias: str = "champion", why: str = "", folder: str | Path = "."
) -> Decision:
    """Puts an alias back to what it stood for before the last promotion.

    Raises `InputError` where there is nothing to go back to and `BundleError` where the bundle
    there is not whole.
    """
    workspace = _workspace(name, folder)
    with locked_journal(workspace, name) as journal:
        checked = _alias(alias)
        version = journal.before(checked)
        open_bundle(workspace.bundle(name, version))
        decision = Decision(
            action="rollback", version=version, alias=checked, before=journal.aliases.get(checked),
            at=to_text(SYSTEM.now_us()),
            by="person", who=current_user(), why=why,
        )  # fmt: skip
        journal.append(decision)
    sync_mlflow(workspace, name)
    return decision


def history(name: str, folder: str | Path = ".") -> list[Decision]:
    """Every decision of a system, the oldest first; raises `InputError` where it has none."""
    workspace = _workspace(name, folder)
    decisions = Journal(workspace, name).decisions
    with suppress(WorkError):  # the record can be read while MLflow is away
        sync_mlflow(workspace, name)
    return decisions


def _workspace(name: str, folder: str | Path) -> Workspace:
    """The workspace of a system that has decisions."""
    workspace = Workspace(Path(folder))
    if not workspace.journal(name).exists():
        known = sorted(path.stem for path in workspace.registry.glob("*.jsonl"))
        have = f"one of: {', '.join(known)}" if known else "a system that was run"
        raise InputError(
            name, f"nothing was decided about it in {workspace}", have, nearest(name, known)
        )
    return workspace


def _alias(alias: str) -> Alias:
    if alias not in ALIASES:
        raise InputError(
            "--alias", repr(alias), "one of: " + ", ".join(ALIASES), nearest(alias, ALIASES)
        )
    return alias


def current_user() -> str:
    """The account that the work is done under."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "unknown"
