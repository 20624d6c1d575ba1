"""Attacks on the first version, each with the right value."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

import headrace
from headrace import outcomes
from headrace.clock import SYSTEM, ManualClock
from headrace.errors import InputError, SpecError
from headrace.log import Log
from headrace.loop.by_hand import start_rollout, steer_rollout
from headrace.loop.judge import Judge
from headrace.loop.rollout import RolloutJob
from headrace.loop.shadow import MOST_BEHIND_US, Shadow
from headrace.outcomes import Expected, Join, JoinedPhase, Outcome, Parsed, parse
from headrace.outcomes.reader import Reader
from headrace.registry import read_rollout
from headrace.rollout import Evidence, Rollout, read_routing
from headrace.rollout.evidence import Interval, MetricResult
from headrace.rollout.policies.policy import with_floor
from headrace.rollout.stages import find_best_arm
from headrace.rollout.state import Arm, Phase, Plan, begin
from headrace.serve.models.arms import read_number
from headrace.serve.service import Service
from headrace.spec import RolloutMetric, System, decode
from tests.outcomes.test_reader import BEGIN, Prediction, outcome_table, table_of
from tests.outcomes.test_reader import Outcome as Logged
from tests.rollout_system import NAME, body_of, copy_system, make_row, write_spec
from tests.rollout_system import SPEC as PLAIN
from tests.serve.running import within

S = 1_000_000
CLICK = b'{"by":"%b","name":"clicked","outcome_id":"","outcome":1}'


def make_system(template: Path, folder: Path, **changes: Any) -> System:
    return headrace.load(copy_system(template, folder, **changes))


def begin_live(system: System, model: str = f"{NAME}@2") -> Rollout:
    start_rollout(model, system.root)
    rollout = read_rollout(system).rollout
    assert rollout is not None
    return rollout


def users_of(system: System, arm: str, count: int) -> list[str]:
    from headrace.rollout.assign import find_arm, locate

    rollout = read_rollout(system).rollout
    assert rollout is not None
    phase = rollout.phase
    found = (f"u{at}" for at in range(10_000))
    own = (
        one for one in found if find_arm(phase.division, locate(phase.salt.encode(), one)) == arm
    )
    return [next(own) for _ in range(count)]


def logged(system: System) -> list[dict[str, Any]]:
    return [json.loads(one) for one in Log(system.workspace.predictions).read()["payload"]]


def test_a_unit_is_the_same_in_the_header_and_in_a_column(
    ads_template: Path, tmp_path: Path
) -> None:
    system = make_system(ads_template, tmp_path)
    begin_live(system)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for at in range(20):
            unit = f"é{at}"
            column = await client.post("/predict", content=body_of(make_row(unit)))
            header = await client.post(
                "/predict",
                content=body_of(make_row("zz")),
                headers={b"x-headrace-unit": unit.encode()},
            )
            assert column.headers["x-headrace-arm"] == header.headers["x-headrace-arm"]

    within([str(system.root)], ask)
    assert {one["unit"] for one in logged(system)} == {f"é{at}" for at in range(20)}


def test_a_request_that_is_refused_exposes_nobody_and_names_the_right_row(
    ads_template: Path, tmp_path: Path
) -> None:
    system = make_system(ads_template, tmp_path)
    begin_live(system)
    (own,), (other,) = users_of(system, "champion", 1), users_of(system, "challenger", 1)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        rows = [make_row(other), make_row(other), make_row(own), make_row(own) | {"x": "oops"}]
        reply = await client.post("/predict", content=body_of(*rows))
        assert reply.status_code == 422
        assert reply.json()["errors"][0]["row"] == 4
        assert "row 4, column 'x'" in reply.json()["detail"]
        service.repository.record_counts()
        assert not [key for key in service.metrics.counts if key[0] == "headrace_arm_failures"]

    within([str(system.root)], ask)
    assert logged(system) == []


def test_a_split_request_of_the_inference_protocol_says_who_answered(
    ads_template: Path, tmp_path: Path
) -> None:
    system = make_system(ads_template, tmp_path)
    begin_live(system)
    rows = [make_row(users_of(system, arm, 1)[0]) for arm in ("champion", "challenger")]

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        inputs = [
            {
                "name": name,
                "shape": [2, 1],
                "datatype": "FP64" if name in "xz" else "BYTES",
                "data": [row[name] for row in rows],
            }
            for name in ("x", "z", "city", "user")
        ]
        reply = await client.post("/v2/models/ads/infer", json={"inputs": inputs})
        outputs = {one["name"]: one["data"] for one in reply.json()["outputs"]}
        assert outputs["arm"] == ["champion", "challenger"]
        assert outputs["version"] == [1, 2]

    within([str(system.root)], ask)


def test_a_context_stays_finite() -> None:
    assert read_number(1e160) == 1e6
    assert read_number("-inf") == 0.0


def test_a_torn_or_missing_routing_file_is_healed_by_the_controller(
    ads_template: Path, tmp_path: Path
) -> None:
    system = make_system(ads_template, tmp_path)
    rollout = begin_live(system)
    path = system.workspace.routing(NAME)
    job = RolloutJob(system)
    for damage in (lambda: path.write_text('{"format": 1, "ro'), path.unlink):
        damage()
        job.run()
        assert read_routing(path) == rollout
    status = system.workspace.rollout_status(NAME)
    whole = status.read_bytes()
    status.write_bytes(whole[:40])
    job.run()
    assert json.loads(status.read_bytes())["stage"] == "test"


def test_a_rollout_can_be_stopped_after_its_branch_was_taken_out(
    ads_template: Path, tmp_path: Path
) -> None:
    system = make_system(ads_template, tmp_path)
    begin_live(system)
    write_spec(system.root, PLAIN)
    assert steer_rollout("stop", system.root).action == "stop"
    assert system.workspace.read_aliases(NAME) == {"champion": 1}
    with pytest.raises(SpecError, match="no such branch"):
        steer_rollout("stop", system.root)


def test_other_shares_leave_a_paused_rollout_paused(ads_template: Path, tmp_path: Path) -> None:
    system = make_system(ads_template, tmp_path)
    begin_live(system)
    steer_rollout("pause", system.root)
    decision = steer_rollout("arms", system.root, shares={"challenger": 0.2})
    assert decision.rollout is not None
    assert decision.rollout.paused == "paused by hand"
    with pytest.raises(InputError, match="resume"):
        steer_rollout("next", system.root)
    with pytest.raises(InputError, match="ads@VERSION"):
        steer_rollout("arms", system.root, shares={"shop@1": 0.1})


@pytest.mark.parametrize("arm", ["ads@²", "ads@0", "shop@1"])
def test_an_arm_is_a_version_of_its_own_system(arm: str) -> None:
    arms = {"champion": 0.5, "challenger": 0.4, arm: 0.1}
    spec = PLAIN | {"rollout": {"stages": {"test": {"arms": arms}}}}
    with pytest.raises(SpecError):
        decode(spec)


def test_no_arm_gets_less_than_its_floor() -> None:
    for floor in (0.0019, 0.0005, 0.05, 0.3333):
        weights = with_floor(np.array([1.0, 0.0, 0.0]), floor)
        assert weights.min() >= floor - 1e-12
        assert weights.sum() == pytest.approx(1.0)


def test_the_better_arm_is_the_one_with_less_where_less_is_wanted() -> None:
    spec = decode(
        PLAIN
        | {
            "rollout": {
                "stages": {"test": {"arms": {"champion": 0.4, "challenger": 0.3, "ads@3": 0.3}}},
                "metrics": [{"name": "complaints", "of": "complained", "want": "less"}],
            }
        }
    ).rollout
    assert spec is not None
    rollout = begin(Plan(NAME, spec), (1, 2), 0)
    nothing = Interval(None, None, None)

    def result(arm: str, lift: float) -> MetricResult:
        interval = Interval(lift - 0.01, lift, lift + 0.01)
        return MetricResult("complaints", "goal", arm, 1, 1, nothing, interval, 9, shown=True)

    evidence = Evidence(champion=1, metrics=[result("challenger", -0.3), result("ads@3", -0.05)])
    assert find_best_arm(rollout, evidence) == "challenger"


def test_labels_that_are_numbers_meet() -> None:
    """A multiclass model of the labels 0, 1 and 2: right predictions have the loss 0."""
    metric = RolloutMetric(name="loss", of="loss")
    reader = Reader(Join((metric,), 10 * S, True, False, "multiclass", "kind"))
    reader.begin_phase(JoinedPhase(1, ("champion", "challenger"), "", False, BEGIN))
    rows = [Prediction(BEGIN + at * S, BEGIN + at * S, 1, "u", 1, float(at)) for at in range(3)]
    expected = Expected("kind", True, None, 9)
    reader.read_predictions(table_of(rows, 0))
    sent = [Outcome(prediction_id=row.id, outcome=at) for at, row in enumerate(rows)]
    parsed = parse(sent, expected, BEGIN + 60 * S)
    assert [json.loads(one.payload)["outcome"] for one in parsed] == ["0", "1", "2"]
    table = outcome_table([Logged(row.time + 1, row.id, "kind", "", None) for row in rows], 0)
    payloads = [one.payload.decode() for one in parsed]
    reader.read_outcomes(table.with_columns(pl.Series("payload", payloads)))
    (closed,) = reader.close(BEGIN + 60 * S)
    assert closed.value.tolist() == [0.0, 0.0, 0.0]


def test_an_outcome_of_a_row_waits_for_all_predictions_before_it() -> None:
    """The later prediction of row 5 is logged after its outcome was read."""
    first = Prediction(BEGIN, BEGIN, 1, "a", 1, 0.5)
    second = Prediction(BEGIN + S + S // 20, BEGIN + S, 2, "b", 1, 0.5)
    last = Prediction(BEGIN + 60 * S, BEGIN + 60 * S, 1, "c", 1, 0.5)
    metric = RolloutMetric(name="clicks", of="clicked")
    reader = Reader(Join((metric,), 10 * S, True, False, "binary", "clicked"))
    reader.begin_phase(JoinedPhase(1, ("champion", "challenger"), "", False, BEGIN))

    def read(prediction: Prediction, position: int) -> None:
        reader.read_predictions(table_of([prediction], position).with_columns(row_id=pl.lit("5")))

    read(first, 0)
    table = outcome_table([Logged(BEGIN + S + S // 50, "5", "clicked", "", 1.0)], 0)
    reader.read_outcomes(table.with_columns(pl.col("payload").str.replace('"prediction"', '"row"')))
    reader.close(BEGIN - S)
    read(second, 1)
    read(last, 2)
    (closed,) = reader.close(BEGIN + 50 * S)
    assert closed.value.tolist() == [0.0, 1.0]


def test_a_clock_that_steps_back_changes_no_closed_unit(ads_template: Path, tmp_path: Path) -> None:
    system = make_system(
        ads_template, tmp_path, metrics=[{"name": "clicks", "of": "clicked"}], within="100s"
    )
    rollout = begin_live(system)

    async def ask(service: Service, client: httpx.AsyncClient) -> str:
        reply = await client.post("/predict", content=body_of(make_row("u1")))
        return str(reply.json()["predictions"][0]["prediction_id"])

    id_ = within([str(system.root)], ask)
    clock = ManualClock(SYSTEM.now_us() + 300 * S)
    judge = Judge(system, rollout, "binary", clock)
    judge.read()
    clock.set(SYSTEM.now_us() + S)
    judge.read()
    log = Log(system.workspace.outcomes)
    outcomes.append(log, [Parsed(id_, clock.now_us(), CLICK % b"prediction")], clock=clock)
    judge.read()
    clock.set(SYSTEM.now_us() + 900 * S)
    rebuilt = Judge(system, rollout, "binary", clock)
    rebuilt.read()
    for one in (judge, rebuilt):
        (clicks,) = one.gather(1, None, clock.now_us()).metrics
        assert (clicks.value or 0.0) + (clicks.champion or 0.0) == 0.0


@pytest.mark.parametrize("by", [b"prediction", b"row"])
def test_a_shadow_that_was_killed_scores_nothing_twice(
    ads_template: Path, tmp_path: Path, by: bytes
) -> None:
    metrics = [{"name": "loss", "of": "loss", "need": "not_worse"}]
    stages = {"shadow": {"least": "1s"}}
    system = make_system(
        ads_template, tmp_path, unit=None, stages=stages, metrics=metrics, within="1h"
    )
    rollout = begin_live(system)

    async def ask(service: Service, client: httpx.AsyncClient) -> list[str]:
        rows = [make_row(f"u{user}") for user in range(100)]
        reply = (await client.post("/predict", content=body_of(*rows))).json()["predictions"]
        return [str(one["prediction_id" if by == b"prediction" else "row"]) for one in reply]

    ids = within([str(system.root)], ask)
    sent = [Parsed(id_, SYSTEM.now_us(), CLICK % by) for id_ in ids]
    outcomes.append(Log(system.workspace.outcomes), sent)
    assert Shadow(system, rollout).score_new() == 100
    assert Shadow(system, rollout).score_new() == 0

    later = ManualClock(SYSTEM.now_us() + 3_600 * S + 2 * MOST_BEHIND_US)
    judge = Judge(system, rollout, "binary", later)
    judge.read()
    (loss,) = judge.gather(1, None, later.now_us()).metrics
    champion = headrace.open(f"{NAME}@1", system.root)
    answers = champion.predict([make_row(f"u{user}") for user in range(100)])
    expected = np.mean([(one["prediction"] - 1.0) ** 2 for one in answers])
    assert loss.champion == pytest.approx(expected, abs=1e-6)
    assert loss.units == 100


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(prediction_id="٠" * 14 + "00000101000007", outcome=1), "28 hexadecimal"),
        (Outcome(id=7, outcome=1, time="0001-01-01T00:00:00+14:00"), "time"),
        (Outcome(id=7, outcome=1, time="9999-12-31T23:59:59-14:00"), "time"),
    ],
)
def test_odd_feedback_is_refused(outcome: Outcome, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse([outcome], Expected("clicked", False, "row", 9), SYSTEM.now_us())


def test_a_share_below_a_thousandth_is_judged_by_itself() -> None:
    from headrace.loop.judge import find_odds

    arms = (Arm("champion", 1, 0.9999), Arm("challenger", 2, 0.0001))
    odds = find_odds(Phase(1, "canary", 0, arms), arms[1])
    assert (odds.champion, odds.challenger) == (0.9999, 0.0001)
