"""A policy moves shares by closed rows alone; services draw by what it has published."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import headrace
from headrace import outcomes
from headrace.clock import SYSTEM, ManualClock
from headrace.log import Log
from headrace.loop.by_hand import start_rollout
from headrace.loop.judge import Judge
from headrace.outcomes import Parsed
from headrace.registry import read_rollout
from headrace.rollout import Rollout, read_weights
from headrace.serve.service import Service
from headrace.spec import System
from tests.rollout_system import NAME, body_of, copy_system, make_row
from tests.serve.running import within

S = 1_000_000


def make_system(template: Path, folder: Path, **test: Any) -> System:
    stages = {"test": {"least": "1s", "most": "1d", "every": "1s", **test}}
    metrics = [{"name": "clicks", "of": "clicked"}]
    copied = copy_system(template, folder, unit=None, stages=stages, metrics=metrics)
    return headrace.load(copied)


def begin(system: System) -> Rollout:
    start_rollout(f"{NAME}@2", system.root)
    rollout = read_rollout(system).rollout
    assert rollout is not None
    return rollout


def serve_and_click(
    system: System, rates: dict[str, float], count: int, seed: int = 1
) -> list[dict[str, Any]]:
    """Send rows, and clicks at a rate of each arm; return what was logged."""
    chance = np.random.default_rng(seed)

    async def ask(service: Service, client: httpx.AsyncClient) -> list[Parsed]:
        clicked = []
        for at in range(0, count, 250):
            rows = [make_row(f"u{user}", seed) for user in range(at, at + 250)]
            reply = (await client.post("/predict", content=body_of(*rows))).json()
            for one in reply["predictions"]:
                if chance.random() < rates[one["arm"]]:
                    payload = b'{"by":"prediction","name":"clicked","outcome_id":"","outcome":1}'
                    clicked.append(Parsed(one["prediction_id"], SYSTEM.now_us(), payload))
        return clicked

    outcomes.append(Log(system.workspace.outcomes), within([str(system.root)], ask))
    return [json.loads(one) for one in Log(system.workspace.predictions).read()["payload"]]


def test_thompson_gives_more_to_the_arm_that_earns_more(ads_template: Path, tmp_path: Path) -> None:
    system = make_system(ads_template, tmp_path, policy="thompson", floor=0.05)
    rollout = begin(system)
    first = serve_and_click(system, {"champion": 0.1, "challenger": 0.4}, 1_000)
    assert {one["propensity"] for one in first} == {0.5}

    later = ManualClock(SYSTEM.now_us() + 100 * S)
    judge = Judge(system, rollout, "binary", later)
    judge.read()
    assert judge.bandit is not None
    judge.bandit.publish(system.workspace, later.now_us())
    weights = read_weights(system.workspace.weights(NAME), rollout.phase.number)
    assert weights is not None
    assert weights.shares == {"champion": 0.05, "challenger": 0.95}

    both = serve_and_click(system, {"champion": 0.1, "challenger": 0.4}, 2_000, seed=2)
    new = both[len(first) :]
    own = [one for one in new if one["arm"] == "challenger"]
    assert len(own) / len(new) == pytest.approx(0.95, abs=0.03)
    assert {(one["arm"], one["propensity"]) for one in new} == {
        ("champion", 0.05),
        ("challenger", 0.95),
    }


def test_pending_rows_teach_nothing(ads_template: Path, tmp_path: Path) -> None:
    system = make_system(ads_template, tmp_path, policy="thompson")
    rollout = begin(system)
    serve_and_click(system, {"champion": 0.0, "challenger": 0.0}, 500)
    judge = Judge(system, rollout, "binary")  # now: within is not over
    judge.read()
    assert judge.bandit is not None
    assert judge.bandit.weigh().shares["champion"] == pytest.approx(0.5, abs=0.03)


def test_linucb_chooses_by_the_columns_of_a_row(ads_template: Path, tmp_path: Path) -> None:
    system = make_system(ads_template, tmp_path, policy="linucb", context=["x", "z"], floor=0.1)
    rollout = begin(system)
    logged = serve_and_click(system, {"champion": 0.1, "challenger": 0.4}, 1_500)
    for one in logged:
        assert one["context"] == [one["row"]["x"], one["row"]["z"]]
        assert one["propensity"] in (0.1, 0.9)

    later = ManualClock(SYSTEM.now_us() + 100 * S)
    judge = Judge(system, rollout, "binary", later)
    judge.read()
    assert judge.bandit is not None
    judge.bandit.publish(system.workspace, later.now_us())
    both = serve_and_click(system, {"champion": 0.1, "challenger": 0.4}, 1_000, seed=2)
    new = both[len(logged) :]
    share = np.mean([one["arm"] == "challenger" for one in new])
    assert share > 0.8


def test_without_a_floor_nothing_can_be_shown(ads_template: Path, tmp_path: Path) -> None:
    system = make_system(ads_template, tmp_path, policy="epsilon")
    rollout = begin(system)
    serve_and_click(system, {"champion": 0.0, "challenger": 0.9}, 1_000)
    later = ManualClock(SYSTEM.now_us() + 100 * S)
    judge = Judge(system, rollout, "binary", later)
    judge.read()
    (clicks,) = judge.gather(1, None, later.now_us()).metrics
    assert (clicks.shown, clicks.harm) == (False, False)
