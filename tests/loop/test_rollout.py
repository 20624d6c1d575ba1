"""The job reads what services logged, judges and decides; what it remembers can be deleted."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import headrace
from headrace import outcomes
from headrace.clock import ManualClock
from headrace.log import Log, Record, RecordBatch
from headrace.loop.by_hand import start_rollout, status, steer_rollout
from headrace.loop.judge import Judge
from headrace.loop.rollout import RolloutJob
from headrace.outcomes import Parsed
from headrace.registry import read_rollout
from headrace.rollout import Rollout
from headrace.rollout.assign import find_arm, locate
from headrace.spec import System
from tests.rollout_system import NAME, copy_system

S = 1_000_000
SPEC: dict[str, Any] = {
    "stages": {"test": {"least": "10s", "most": "1h"}},
    "metrics": [
        {"name": "clicks", "of": "clicked", "per": "2s", "effect": 0.3},
        {"name": "loss", "of": "loss", "role": "watch"},
    ],
    "within": "3s",
}


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path, **SPEC))


class Traffic:
    """What a service would log of users who click at known rates, second by second."""

    def __init__(self, system: System, rollout: Rollout, clock: ManualClock, seed: int) -> None:
        self._workspace = system.workspace
        self._rollout = rollout
        self._clock = clock
        self._chance = np.random.default_rng(seed)
        self._predictions = Log(system.workspace.predictions, segment=3_000)
        self._outcomes = Log(system.workspace.outcomes)
        self._counts = Log(system.workspace.counts)
        self._users = 0

    def pass_second(self, rates: dict[str, float], count: int = 100, failing: int = 0) -> None:
        """One second of traffic: predictions now, clicks of them at once."""
        phase = self._rollout.phase
        now = self._clock.now_us()
        rows: dict[str, list[tuple[str, str]]] = {arm.name: [] for arm in phase.arms}
        for at in range(count):
            unit = f"u{self._users}"
            self._users += 1
            arm = find_arm(phase.division, locate(phase.salt.encode(), unit))
            number = [one.name for one in phase.arms].index(arm) + 1
            rows[arm].append((unit, f"{now + at:014x}{number:06x}{number:02x}00000a"))
        for each in phase.arms:
            if rows[each.name]:
                self._log(each.name, each.version, each.share, rows[each.name])
        clicks = [
            id
            for arm, pairs in rows.items()
            for _, id in pairs
            if self._chance.random() < rates[arm]
        ]
        payload = b'{"by":"prediction","name":"clicked","outcome_id":"","outcome":1}'
        self._clock.advance(1.0)
        if clicks:
            sent = [Parsed(id, now, payload) for id in clicks]
            outcomes.append(self._outcomes, sent, clock=self._clock)
        counts = {arm: {"rows": len(pairs)} for arm, pairs in rows.items()}
        counts["challenger"]["errors"] = failing
        record = {"phase": phase.number, "at_us": now, "arms": counts, "calls": {}}
        with self._counts.append_lock():
            self._counts.append([Record("", now, now, "counts", msgspec.json.encode(record))])

    def _log(self, arm: str, version: int, share: float, rows: list[tuple[str, str]]) -> None:
        head = {
            "model": NAME,
            "version": version,
            "arm": arm,
            "phase": self._rollout.phase.number,
            "propensity": share,
        }
        values = (
            [{"x": 1.0}] * len(rows),
            [unit for unit, _ in rows],
            [{"prediction": 0.25, "prediction_id": id} for _, id in rows],
        )
        body = b",".join(msgspec.json.encode(column) for column in values)
        batch = RecordBatch(
            len(rows),
            "predictions",
            msgspec.json.encode(head)[:-1],
            ["row", "unit", "answer"],
            "prediction_id",
            memoryview(body),
        )
        with self._predictions.append_lock():
            self._predictions.append([batch])


def begin(system: System) -> tuple[Rollout, ManualClock, RolloutJob]:
    start_rollout(f"{NAME}@2", system.root, "let us see")
    rollout = read_rollout(system).rollout
    assert rollout is not None
    clock = ManualClock(rollout.since_us)
    return rollout, clock, RolloutJob(system, clock)


def run(system: System, rates: dict[str, float], seconds: int = 200, failing: int = 0) -> list[Any]:
    """Pass seconds until something is decided; return the journal's lines since the start."""
    rollout, clock, job = begin(system)
    traffic = Traffic(system, rollout, clock, seed=1)
    for _ in range(seconds):
        traffic.pass_second(rates, failing=failing)
        if job.run().moved:
            break
    return headrace.history(NAME, system.root)[-2:]


def test_a_better_version_is_promoted_with_its_evidence(system: System) -> None:
    started, promoted = run(system, {"champion": 0.3, "challenger": 0.5})
    assert (started.action, started.by) == ("start", "person")
    assert "let us see" in started.why
    assert (promoted.action, promoted.version, promoted.by) == ("promote", 2, "rollout")
    clicks = next(one for one in promoted.evidence if one["gate"].startswith("clicks"))
    assert clicks["passed"]
    assert clicks["interval"][0] > 0
    assert clicks["value"] == pytest.approx(0.5, abs=0.08)
    assert clicks["bound"] == pytest.approx(0.3, abs=0.08)
    assert system.workspace.read_aliases(NAME) == {"champion": 2}


def test_a_harmful_version_is_stopped(system: System) -> None:
    _, stopped = run(system, {"champion": 0.5, "challenger": 0.05})
    assert (stopped.action, stopped.version) == ("stop", 2)
    assert "harm in clicks" in stopped.why
    assert system.workspace.read_aliases(NAME) == {"champion": 1}


def test_a_failing_version_is_stopped_within_20_rows(system: System) -> None:
    _, stopped = run(system, {"champion": 0.3, "challenger": 0.3}, seconds=1, failing=40)
    assert (stopped.action, "harm in errors" in stopped.why) == ("stop", True)


def test_no_difference_changes_nothing_for_a_while(system: System) -> None:
    _, last = run(system, {"champion": 0.3, "challenger": 0.3}, seconds=8)
    assert last.action == "start"
    assert status(system.root).verdict.action == "wait"


def figures(judge: Judge, system: System) -> Any:
    """All that a judge says about its rollout."""
    evidence = judge.gather(1, None, judge._clock.now_us())
    return msgspec.to_builtins(evidence), {
        key: (one.counts, one.blocks) for key, one in judge.comparisons.items()
    }


def test_what_is_remembered_is_a_cache(system: System) -> None:
    """Whoever reads the logs at once says the same as who read them second by second."""
    rollout, clock, job = begin(system)
    traffic = Traffic(system, rollout, clock, seed=2)
    step_by_step = Judge(system, rollout, "binary", clock)
    for _ in range(40):
        traffic.pass_second({"champion": 0.3, "challenger": 0.33})
        step_by_step.read()
    at_once = Judge(system, rollout, "binary", clock)
    at_once.read()
    assert figures(at_once, system) == figures(step_by_step, system)
    # also if segments were sealed meanwhile
    with traffic._predictions.append_lock():
        traffic._predictions.seal()
    sealed = Judge(system, rollout, "binary", clock)
    sealed.read()
    assert figures(sealed, system) == figures(step_by_step, system)
    assert job is not None


def test_the_status_says_what_the_design_promises(system: System) -> None:
    rollout, clock, job = begin(system)
    traffic = Traffic(system, rollout, clock, seed=3)
    for _ in range(9):
        traffic.pass_second({"champion": 0.3, "challenger": 0.3})
        job.run()
    found = json.loads(msgspec.json.encode(job.look()))
    assert set(found) == {
        "name", "rollout", "stage", "phase", "since", "arms", "metrics", "guards", "mismatch",
        "counts", "verdict", "shadow", "findings",
    }  # fmt: skip
    assert set(found["arms"][0]) == {"arm", "version", "share", "units", "closed"}
    assert set(found["metrics"][0]) == {
        "metric", "role", "arm", "value", "champion", "effect", "lift", "shown", "asymptotic",
    }  # fmt: skip
    assert set(found["counts"]) == {"orphan", "late", "clipped", "unassigned"}
    assert set(found["verdict"]) == {"action", "say", "from", "to"}
    assert set(found["mismatch"]) == {"expected", "found", "p"}
    assert sum(arm["units"] for arm in found["arms"]) == 900
    loss = next(one for one in found["metrics"] if one["metric"] == "loss")
    assert 0 < loss["value"] < 1


def test_steering_by_hand_is_recorded_with_who_and_why(system: System) -> None:
    begin(system)
    for do in ("pause", "resume", "stop"):
        decision = steer_rollout(do, system.root, why="lunch")
        assert (decision.action, decision.by) == (do, "person")
        assert decision.why == "by hand: lunch"
    assert status(system.root).rollout is None


def test_outcomes_that_arrive_unevenly_are_found(ads_template: Path, tmp_path: Path) -> None:
    """With `absent: null` silence does not count: so it must be as frequent in both arms."""
    spec = SPEC | {"absent": None}
    system = headrace.load(copy_system(ads_template, tmp_path, **spec))
    rollout, clock, job = begin(system)
    traffic = Traffic(system, rollout, clock, seed=4)
    for _ in range(30):
        traffic.pass_second({"champion": 0.2, "challenger": 0.6}, count=200)
    found = {one.check for one in job.look().findings}
    assert "rollout.arrival" in found
