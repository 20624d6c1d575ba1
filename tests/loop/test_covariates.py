"""What was known of a unit before it was drawn is found, and nothing that came later."""

from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

import headrace
from headrace import outcomes
from headrace.clock import SYSTEM, ManualClock
from headrace.errors import InputError
from headrace.log import Log
from headrace.loop.by_hand import start_rollout
from headrace.loop.covariates import FirstScores, History
from headrace.loop.judge import Judge
from headrace.loop.plan import plan_test
from headrace.outcomes import Parsed
from headrace.outcomes.reader import hash_units
from headrace.registry import read_rollout
from headrace.rollout import Rollout
from headrace.serve.service import Service
from headrace.spec import System
from tests.rollout_system import NAME, body_of, copy_system, make_row
from tests.serve.running import within

S = 1_000_000
CLICK = b'{"by":"prediction","name":"clicked","outcome_id":"","outcome":1}'
USERS = [f"u{user}" for user in range(300)]
CLICKING = set(USERS[:100])
METRICS = [{"name": "clicks", "of": "clicked", "effect": 0.1}]


def visit(system: System) -> None:
    """Every user comes once; a third of them always click."""

    async def ask(service: Service, client: httpx.AsyncClient) -> list[Parsed]:
        reply = await client.post("/predict", content=body_of(*map(make_row, USERS)))
        ids = [one["prediction_id"] for one in reply.json()["predictions"]]
        return [
            Parsed(id_, SYSTEM.now_us(), CLICK)
            for user, id_ in zip(USERS, ids, strict=True)
            if user in CLICKING
        ]

    outcomes.append(Log(system.workspace.outcomes), within([str(system.root)], ask))


def begin(system: System) -> Rollout:
    start_rollout(f"{NAME}@2", system.root)
    rollout = read_rollout(system).rollout
    assert rollout is not None
    return rollout


def test_history_is_what_a_unit_did_before_the_phase(ads_template: Path, tmp_path: Path) -> None:
    system = headrace.load(copy_system(ads_template, tmp_path, metrics=METRICS, within="1us"))
    visit(system)
    rollout = begin(system)
    visit(system)
    later = ManualClock(SYSTEM.now_us() + 100 * S)
    judge = Judge(system, rollout, "binary", later)
    history = History(system, judge.reader.join, rollout.phase)
    keys = hash_units(pl.Series([*USERS, "stranger"]))
    found = history.find(rollout.spec.metrics[0], keys)
    assert np.isnan(found[-1])
    assert not np.isnan(found[:-1]).any()

    judge.read()
    comparison = judge.find_comparison(
        rollout.phase, rollout.phase.challengers[0], rollout.spec.metrics[0]
    )
    assert comparison.known.count == len(USERS)


def test_scores_are_the_champions_in_both_arms(ads_template: Path, tmp_path: Path) -> None:
    system = headrace.load(copy_system(ads_template, tmp_path, metrics=METRICS, covariate="score"))
    rollout = begin(system)
    visit(system)
    scores = FirstScores(system, rollout)
    scores.read()
    keys = hash_units(pl.Series(USERS))
    found = scores.find(rollout.phase.number, keys)
    champion = headrace.open(f"{NAME}@1", system.root)
    expected = [champion.predict([make_row(user)])[0]["prediction"] for user in USERS]
    assert not np.isnan(found).any()
    # shares of the test scores: the same order
    assert np.corrcoef(np.argsort(np.argsort(found)), np.argsort(np.argsort(expected)))[0, 1] > 0.99


def test_a_plan_says_how_long_a_test_takes(ads_template: Path, tmp_path: Path) -> None:
    system = headrace.load(copy_system(ads_template, tmp_path, metrics=METRICS, within="1h"))
    with pytest.raises(InputError, match="0 units"):
        plan_test(system.root)
    visit(system)
    later = ManualClock(SYSTEM.now_us() + 7_200 * S)
    plan = plan_test(system.root, effect=0.5, clock=later)
    assert plan.units is not None
    assert 100 < plan.units < 2_000
    assert plan.smallest is not None
    assert "power of 80 %" in plan.say
    with pytest.raises(InputError, match="did you mean 'clicks'"):
        plan_test(system.root, metric="click")
    with pytest.raises(InputError, match="above 0"):
        plan_test(system.root, effect=-1)
