"""Record what is decided about a rollout: by its controller, or by a person."""

from typing import Literal

from msgspec import Struct

from headrace.clock import SYSTEM, to_text
from headrace.errors import WorkError
from headrace.registry.decide import current_user, supersede
from headrace.registry.journal import Decision, Journal, locked_journal
from headrace.rollout import Plan, Rollout, RolloutDecision, read_routing
from headrace.spec import System
from headrace.workspace import Alias


class RolloutRecord(Struct, frozen=True):
    """What the journal says about rollouts: the champion, the live one, and who waits for one."""

    champion: int | None
    rollout: Rollout | None
    waiting: int | None
    last_phase: int


def read_rollout(system: System) -> RolloutRecord:
    """Read what the journal of a system says about rollouts."""
    return _describe(Journal(system.workspace, system.name))


def _describe(journal: Journal) -> RolloutRecord:
    champion = journal.aliases.get("champion")
    return RolloutRecord(champion, journal.rollout, journal.waiting, journal.last_phase)


def heal_rollout(system: System, record: RolloutRecord) -> None:
    """Write the routing file anew if it is not what the journal says: torn, or gone."""
    path = system.workspace.routing(system.name)
    try:
        is_right = read_routing(path) == record.rollout
    except WorkError:
        is_right = False
    if not is_right:
        with locked_journal(system.workspace, system.name):
            pass


def make_plan(system: System, record: RolloutRecord) -> Plan:
    """Return what the next rollout of a system begins with."""
    assert system.rollout is not None
    return Plan(system.name, system.rollout, system.outcome_delay_us, record.last_phase)


def record_decision(
    system: System,
    decision: RolloutDecision,
    basis: RolloutRecord,
    by: Literal["rollout", "person"] = "rollout",
    now_us: int | None = None,
) -> Decision | None:
    """Record a decision about a rollout, unless what it is based on has changed meanwhile.

    So nothing is promoted against another champion than the one that it was compared with. Return
    the line of the journal, or None where nothing was recorded. MLflow is left to `sync_mlflow`.
    `now_us` is the time of the decision, now if left out.
    """
    with locked_journal(system.workspace, system.name) as journal:
        if _describe(journal) != basis:
            return None
        rollout = decision.after or journal.rollout
        alias: Alias = rollout.alias if rollout is not None else "challenger"
        if decision.action == "promote":
            alias = "champion"
        line = Decision(
            action=decision.action,
            version=decision.version,
            alias=alias,
            before=journal.aliases.get(alias),
            at=to_text(SYSTEM.now_us() if now_us is None else now_us),
            by=by,
            who=current_user(),
            why=decision.why,
            evidence=decision.evidence,
            rollout=decision.after,
        )
        if by == "person" and decision.action == "promote":
            supersede(journal, line)
        journal.append(line)
    return line
