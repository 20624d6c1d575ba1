"""A shadow scores what was logged as its version predicts, and finds harm before it does any."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest

import headrace
from headrace import outcomes
from headrace.clock import SYSTEM, ManualClock
from headrace.log import Log
from headrace.loop.judge import Judge
from headrace.loop.shadow import MOST_BEHIND_US, Shadow
from headrace.outcomes import Parsed
from headrace.registry import make_plan, read_rollout, record_decision
from headrace.rollout import Rollout, start
from headrace.serve.service import Service
from headrace.spec import System
from tests.rollout_system import NAME, body_of, copy_system, make_row
from tests.serve.running import within

S = 1_000_000
SPEC = {
    "stages": {"shadow": {"least": "1s"}, "test": {"least": "1s", "most": "1d"}},
    "metrics": [{"name": "loss", "of": "loss", "need": "not_worse", "margin": 0.01}],
    "within": "1s",
}


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path, **SPEC))


def begin(system: System, challenger: int) -> Rollout:
    record = read_rollout(system)
    assert record.champion is not None
    plan = make_plan(system, record)
    decision = start(plan, None, (record.champion, challenger), SYSTEM.now_us(), "shadow")
    record_decision(system, decision, record, "person")
    assert decision.after is not None
    return decision.after


def send(system: System, count: int) -> None:
    """Rows of different users, answered by a service."""

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        rows = [make_row(f"u{user}") for user in range(count)]
        for at in range(0, count, 500):
            reply = await client.post("/predict", content=body_of(*rows[at : at + 500]))
            assert set(reply.headers["x-headrace-version"].split(",")) == {"1"}

    within([str(system.root)], ask)


def test_scores_are_what_the_challenger_predicts(system: System) -> None:
    rollout = begin(system, 2)
    send(system, 300)
    assert Shadow(system, rollout).score_new() == 300
    challenger = headrace.open(f"{NAME}@2", system.root)
    champion = headrace.open(f"{NAME}@1", system.root)
    rows = [make_row(f"u{user}") for user in range(300)]
    scored = Log(system.workspace.shadow).read("shadow")["payload"]
    for row, payload in zip(rows, scored, strict=True):
        one = json.loads(payload)
        assert one["answer"]["prediction"] == pytest.approx(
            challenger.predict([row])[0]["prediction"]
        )
        assert one["champion"] == pytest.approx(champion.predict([row])[0]["prediction"])
        assert (one["version"], one["unit"]) == (2, row["user"])

    judge = Judge(system, rollout, "binary")
    judge.read()
    assert judge.shadow is not None
    status = judge.shadow.status()
    assert (status.scored, status.share, status.unread) == (300, 1.0, 0)
    assert status.rank is not None
    assert 0.5 < status.rank < 1
    assert status.challenger_ms is not None


def test_rows_that_the_challenger_cannot_read_are_counted(system: System) -> None:
    rollout = begin(system, 3)
    send(system, 20)
    assert Shadow(system, rollout).score_new() == 0
    judge = Judge(system, rollout, "binary")
    judge.read()
    assert judge.shadow is not None
    assert judge.shadow.status().unread == 20


def test_a_shadow_that_is_far_behind_skips_and_says_so(system: System) -> None:
    rollout = begin(system, 2)
    send(system, 10)
    late = ManualClock(SYSTEM.now_us() + MOST_BEHIND_US + S)
    assert Shadow(system, rollout, late).score_new() == 0
    judge = Judge(system, rollout, "binary")
    judge.read()
    assert judge.shadow is not None
    assert judge.shadow.status().share == 0.0


@pytest.mark.parametrize(("champion", "challenger", "harm"), [(2, 1, True), (1, 2, False)])
def test_a_worse_loss_ends_the_rollout_before_anybody_is_exposed(
    system: System, champion: int, challenger: int, harm: bool
) -> None:
    """Version 2 knows more than version 1. Clicks follow what is really so."""
    headrace.promote(f"{NAME}@{champion}", folder=system.root)
    rollout = begin(system, challenger)

    async def ask(service: Service, client: httpx.AsyncClient) -> list[tuple[str, float]]:
        found = []
        for at in range(0, 3_000, 500):
            rows = [make_row(f"u{user}") for user in range(at, at + 500)]
            reply = await client.post("/predict", content=body_of(*rows))
            for row, one in zip(rows, reply.json()["predictions"], strict=True):
                rate = 1 / (1 + np.exp(0.5 - row["x"] - 0.5 * row["z"]))
                found.append((one["prediction_id"], rate))
        return found

    rates = within([str(system.root)], ask)
    Shadow(system, rollout).score_new()
    chance = np.random.default_rng(1)
    payload = b'{"by":"prediction","name":"clicked","outcome_id":"","outcome":1}'
    clicked = [
        Parsed(id_, SYSTEM.now_us(), payload) for id_, rate in rates if chance.random() < rate
    ]
    log = Log(system.workspace.outcomes)
    outcomes.append(log, clicked)
    later = ManualClock(SYSTEM.now_us() + 10 * MOST_BEHIND_US)
    judge = Judge(system, rollout, "binary", later)
    judge.read()
    (loss,) = judge.gather(champion, None, later.now_us()).metrics
    assert loss.harm is harm
    assert loss.value is not None
    assert loss.champion is not None
    assert (loss.value > loss.champion) is harm
