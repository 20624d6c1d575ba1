"""Move an alias, by the gates of a run or by a person: one move at a time, each in the journal."""

import getpass
from contextlib import suppress
from pathlib import Path

from headrace.bundle import find_bundle, open_bundle
from headrace.clock import SYSTEM, to_text
from headrace.errors import InputError, WorkError, nearest
from headrace.registry.gates import Result, as_dicts
from headrace.registry.journal import Action, Decision, Journal, locked_journal
from headrace.registry.mlflow_sync import sync_mlflow
from headrace.spec import System, load
from headrace.workspace import ALIASES, Alias, Workspace, is_system


def decide(
    system: System, version: int, results: list[Result], champion: int | None
) -> Decision | None:
    """Promote a version whose gates all passed, or record that it is refused.

    It is promoted to champion; if the spec has a rollout, to challenger, and it waits while another
    rollout is live. The very first version is champion at once. `champion` is the version that the
    gates compared with. If another one is champion by now, nothing happens and None is returned:
    the gates must be judged again.
    """
    failed = [one for one in results if not one.passed]
    why = "; ".join(f"{one.gate}: {one.why}" for one in failed) or f"gates passed: {len(results)}"
    is_challenger = system.rollout is not None and champion is not None
    alias: Alias = "challenger" if is_challenger else "champion"
    with locked_journal(system.workspace, system.name) as journal:
        if journal.aliases.get("champion") != champion:
            return None
        passed: Action = "promote"
        if journal.rollout is not None and is_challenger:
            passed = "wait"
            why += f"; waits for the rollout of version {journal.rollout.challenger} to end"
        decision = Decision(
            action="refuse" if failed else passed,
            version=version,
            alias=alias,
            before=journal.aliases.get(alias),
            at=to_text(SYSTEM.now_us()),
            by="gates",
            who=current_user(),
            why=why,
            evidence=as_dicts(results),
        )
        journal.append(decision)
    return decision


def find_decision(workspace: Workspace, name: str, version: int) -> Decision | None:
    """Find what the gates decided about a version; None where they have not decided yet."""
    with locked_journal(workspace, name) as journal:
        for decision in journal.decisions:
            if decision.version == version and decision.by == "gates":
                return decision
    return None


def last_version(workspace: Workspace, name: str) -> int:
    """Return the highest version that was ever decided about, even if its bundle is gone.

    No version number is used twice.
    """
    return Journal(workspace, name).last_version


def promote(
    model: str, alias: str = "champion", why: str = "", folder: str | Path = "."
) -> Decision:
    """Set an alias to a version by hand; the gate results in the bundle become the evidence.

    Parameters: `model`, such as `name@4`; `folder`, that of the system. Raises `InputError` where
    there is no such version or alias, and `BundleError` where the bundle is not whole.
    """
    path = find_bundle(model, Path(folder))
    own = Workspace.containing(path) if Path(model).is_dir() else None
    workspace = own or Workspace(Path(folder))
    bundle = open_bundle(path)
    name = bundle.manifest.name
    version = bundle.manifest.version
    if path.resolve() != workspace.bundle(name, version).resolve():
        expected = f"one of its bundles, such as {name}@{version}"
        raise InputError(model, f"is not a bundle of {workspace}", expected)

    with locked_journal(workspace, name) as journal:
        checked = _check_alias(alias)
        decision = Decision(
            action="promote",
            version=version,
            alias=checked,
            before=journal.aliases.get(checked),
            at=to_text(SYSTEM.now_us()),
            by="person",
            who=current_user(),
            why=why,
            evidence=bundle.evaluation.gates,
        )
        supersede(journal, decision)
        journal.append(decision)
    sync_mlflow(workspace, name)
    return decision


def rollback(
    name: str, alias: str = "champion", why: str = "", folder: str | Path = "."
) -> Decision:
    """Set an alias back to its version before the last promotion.

    Parameters: `name`, of a system in the workspace of `folder`, or its own folder. Raises
    `InputError` where there is no such version, and `BundleError` where its bundle is not whole.
    """
    workspace, name = _find_workspace(name, folder)
    with locked_journal(workspace, name) as journal:
        checked = _check_alias(alias)
        version = journal.before(checked)
        open_bundle(workspace.bundle(name, version))
        decision = Decision(
            action="rollback",
            version=version,
            alias=checked,
            before=journal.aliases.get(checked),
            at=to_text(SYSTEM.now_us()),
            by="person",
            who=current_user(),
            why=why,
        )
        supersede(journal, decision)
        journal.append(decision)
    sync_mlflow(workspace, name)
    return decision


def supersede(journal: Journal, decision: Decision) -> None:
    """Stop the live rollout before a person moves its champion, with which it was compared."""
    rollout = journal.rollout
    if rollout is None or decision.alias != "champion":
        return
    stop = Decision(
        action="stop",
        version=rollout.challenger,
        alias=rollout.alias,
        before=journal.aliases.get(rollout.alias),
        at=decision.at,
        by="person",
        who=decision.who,
        why=f"superseded: version {decision.version} becomes champion by hand",
    )
    journal.append(stop)


def history(name: str = ".", folder: str | Path = ".") -> list[Decision]:
    """Return every decision of a system, the oldest first; raises `InputError` without any.

    Parameters: `name`, of a system in the workspace of `folder`, or its own folder.
    """
    workspace, name = _find_workspace(name, folder)
    decisions = Journal(workspace, name).decisions
    # The journal can be read while MLflow is away.
    with suppress(WorkError):
        sync_mlflow(workspace, name)
    return decisions


def _find_workspace(name: str, folder: str | Path) -> tuple[Workspace, str]:
    """Find the workspace of a system that has decisions; return it and the system's name."""
    where = name
    workspace = Workspace(Path(folder))
    if is_system(Path(name)):
        system = load(name)
        workspace = system.workspace
        name = system.name
    workspace.require(where)
    if not workspace.journal(name).exists():
        known = sorted(path.stem for path in workspace.registry.glob("*.jsonl"))
        found = f"has no decisions in {workspace}"
        expected = f"one of: {', '.join(known)}" if known else "a system that was run"
        raise InputError(name, found, expected, nearest(name, known))
    return workspace, name


def _check_alias(alias: str) -> Alias:
    if alias not in ALIASES:
        expected = "one of: " + ", ".join(ALIASES)
        raise InputError("--alias", repr(alias), expected, nearest(alias, ALIASES))
    return alias


def current_user() -> str:
    """Return the name of the account that runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "unknown"
