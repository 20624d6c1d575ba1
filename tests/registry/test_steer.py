"""A rollout is what the journal says: each step a line, and the files are made from it."""

from pathlib import Path

import pytest

import headrace
from headrace.errors import InputError
from headrace.registry import make_plan, read_rollout, record_decision
from headrace.registry.journal import locked_journal
from headrace.rollout import Evidence, read_routing, steer, step
from headrace.spec import System
from tests.rollout_system import NAME, copy_system

NOW = 1_700_000_000_000_000


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path))


def move(system: System, waiting: int | None = None) -> str | None:
    """One step, recorded; returns what was done."""
    record = read_rollout(system)
    assert record.champion is not None
    evidence = Evidence(champion=record.champion, waiting=waiting or record.waiting)
    _, decision = step(make_plan(system, record), record.rollout, evidence, NOW)
    if decision is None:
        return None
    assert record_decision(system, decision, record) is not None
    return decision.action


def aliases(system: System) -> dict[str, int]:
    return {str(alias): one for alias, one in system.workspace.read_aliases(NAME).items()}


def test_a_version_whose_gates_pass_becomes_challenger_and_a_newer_one_waits(
    system: System,
) -> None:
    run = headrace.run(system, fresh=True)
    assert (run.document.promoted, run.document.alias) == (True, "challenger")
    assert aliases(system) == {"champion": 1, "challenger": 4}
    assert read_rollout(system).waiting == 4

    assert move(system) == "start"
    second = headrace.run(system, fresh=True)
    assert (second.document.promoted, second.document.alias) == (True, None)
    assert headrace.history(NAME, system.root)[-1].action == "wait"
    assert aliases(system) == {"champion": 1, "challenger": 4}

    third = headrace.run(system, fresh=True)
    assert third.model == "ads@6"
    headrace.promote(f"{NAME}@1", why="start over", folder=system.root)
    assert read_rollout(system).rollout is None
    assert move(system) == "start"
    rollout = read_rollout(system).rollout
    assert rollout is not None
    assert rollout.challenger == 6  # the newest wins


def test_the_files_follow_the_journal_and_are_healed(system: System) -> None:
    assert move(system, waiting=2) == "start"
    path = system.workspace.routing(NAME)
    rollout = read_routing(path)
    assert rollout == read_rollout(system).rollout
    path.write_text('{"format": 1, "roll')
    with pytest.raises(Exception, match="cannot be read"):
        read_routing(path)
    with locked_journal(system.workspace, NAME):
        pass
    assert read_routing(path) == rollout
    path.unlink()
    headrace.promote(f"{NAME}@3", alias="shadow", folder=system.root)
    assert read_routing(path) == rollout


def test_aliases_follow_the_stages_and_are_gone_afterwards(system: System) -> None:
    stages = {"shadow": {}, "test": {"least": "1s", "most": "1d"}}
    folder = copy_system(system.root, system.root.parent / "again", stages=stages)
    again = headrace.load(folder)
    assert move(again, waiting=2) == "start"
    assert aliases(again) == {"champion": 1, "shadow": 2}
    for do, expected in (("next", {"champion": 1, "challenger": 2}), ("stop", {"champion": 1})):
        record = read_rollout(again)
        record_decision(again, steer(record.rollout, do, NOW), record, "person")
        assert aliases(again) == expected
    assert read_routing(again.workspace.routing(NAME)) is None


def test_a_promotion_by_hand_supersedes_and_says_so(system: System) -> None:
    move(system, waiting=2)
    headrace.promote(f"{NAME}@3", why="I know better", folder=system.root)
    stop, promotion = headrace.history(NAME, system.root)[-2:]
    assert (stop.action, stop.by, stop.version) == ("stop", "person", 2)
    assert "superseded" in stop.why
    assert (promotion.action, promotion.version) == ("promote", 3)
    assert read_rollout(system).rollout is None
    headrace.rollback(NAME, folder=system.root)
    assert aliases(system) == {"champion": 1}


def test_a_rollout_that_is_promoted_by_hand_is_one_champion_more(system: System) -> None:
    move(system, waiting=2)
    record = read_rollout(system)
    record_decision(system, steer(record.rollout, "promote", NOW), record, "person")
    assert aliases(system) == {"champion": 2}
    assert read_rollout(system).rollout is None
    headrace.rollback(NAME, folder=system.root)
    assert aliases(system)["champion"] == 1


def test_nothing_is_recorded_on_a_basis_that_has_changed(system: System) -> None:
    move(system, waiting=2)
    record = read_rollout(system)
    decision = steer(record.rollout, "promote", NOW)
    headrace.promote(f"{NAME}@3", folder=system.root)
    lines = len(headrace.history(NAME, system.root))
    assert record_decision(system, decision, record) is None
    assert len(headrace.history(NAME, system.root)) == lines
    assert aliases(system)["champion"] == 3


def test_without_a_rollout_in_the_spec_everything_is_as_before(ads_template: Path) -> None:
    decisions = headrace.history(NAME, ads_template)
    assert {one.alias for one in decisions} == {"champion"}
    assert not headrace.load(ads_template).workspace.routing(NAME).exists()
    with pytest.raises(InputError, match="has no challenger"):
        headrace.open(f"{NAME}@challenger", ads_template)
