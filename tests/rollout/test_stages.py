"""One step of a rollout: from what is known to what is decided, and nothing else."""

from typing import Any

import pytest
from msgspec import structs

from headrace.errors import InputError, SpecError
from headrace.rollout import Evidence, Plan, Rollout, begin, judge, start, steer, step
from headrace.rollout.assign import SPACE, measure
from headrace.rollout.evidence import GuardResult, Interval, MetricResult, MismatchResult
from headrace.rollout.routing import decode_routing, encode_routing
from headrace.spec import RolloutSpec, decode

MINUTE = 60 * 10**6
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_700_000_000 * 10**6
NOTHING = Interval(None, None, None)


def spec_of(**changes: Any) -> RolloutSpec:
    system = {
        "name": "ads",
        "goal": {"target": "clicked"},
        "data": {"source": "rows.csv"},
        "rollout": {
            "unit": "user",
            "stages": {
                "shadow": {"least": "1h"},
                "canary": {"shares": [0.01, 0.2], "least": "30min"},
                "test": {"least": "7d", "most": "28d"},
            },
            "metrics": [
                {"name": "clicks", "of": "clicked"},
                {"name": "paid", "of": "paid", "role": "guard"},
            ],
            **changes,
        },
    }
    spec = decode(system).rollout
    assert spec is not None
    return spec


def plan_of(**changes: Any) -> Plan:
    return Plan("ads", spec_of(**changes), HOUR, last_phase=7)


def in_stage(stage: Any, **changes: Any) -> Rollout:
    return begin(plan_of(**changes), (3, 4), NOW, stage)


def evidence_of(**changes: Any) -> Evidence:
    return Evidence(champion=3, **changes)


def guard(name: str, judgement: Any, arm: str = "challenger") -> GuardResult:
    return GuardResult(name, arm, 0.02, 0.01, 0.001, judgement)


def metric(name: str, arm: str = "challenger", point: float = 0.1, **flags: bool) -> MetricResult:
    role = "goal" if name == "clicks" else "guard"
    lift = Interval(point - 0.05, point, point + 0.05)
    return MetricResult(name, role, arm, 0.2, 0.1, NOTHING, lift, 1_000, **flags)


WITHIN = [guard("errors", "within"), guard("unread", "within")]
SHOWN = [metric("clicks", shown=True), metric("paid", shown=True)]


def take(rollout: Rollout | None, evidence: Evidence, now: int, **changes: Any) -> Any:
    return step(plan_of(**changes), rollout, evidence, now)


def test_a_challenger_that_waits_begins_a_rollout_in_the_first_stage() -> None:
    rollout, decision = take(None, evidence_of(waiting=4), NOW)
    assert decision.action == "start"
    assert (rollout.champion, rollout.challenger, rollout.stage) == (3, 4, "shadow")
    assert rollout.phase.number == 8
    assert take(None, evidence_of(), NOW) == (None, None)
    assert take(None, evidence_of(waiting=3), NOW) == (None, None)


def test_stages_that_are_left_out_are_skipped() -> None:
    only_test = {"test": {"least": "1d", "most": "2d"}}
    rollout, _ = take(None, evidence_of(waiting=4), NOW, stages=only_test)
    assert rollout.stage == "test"
    with pytest.raises(SpecError, match="no stage canary"):
        begin(plan_of(stages=only_test), (3, 4), NOW, "canary")
    with pytest.raises(SpecError, match="at least one of"):
        spec_of(stages={})


def test_a_whole_rollout_goes_from_shadow_to_champion() -> None:
    rollout, _ = take(None, evidence_of(waiting=4), NOW)
    seen = []
    now = NOW
    known = {"scored": 100, "guards": WITHIN, "metrics": SHOWN}
    for wait in (HOUR, 30 * MINUTE, 30 * MINUTE, 7 * DAY):
        early = take(rollout, evidence_of(**known), now + wait - 1)
        assert early == (rollout, None)
        now += wait
        rollout, decision = take(rollout, evidence_of(**known), now)
        place = None if rollout is None else (rollout.stage, rollout.phase.step)
        seen.append((decision.action, place))
    assert seen == [
        ("stage", ("canary", 0)),
        ("stage", ("canary", 1)),
        ("stage", ("test", 0)),
        ("promote", None),
    ]
    assert decision.version == 4
    assert decision.evidence[0]["gate"] == "errors of challenger within 0.001"


def test_phases_are_numbered_on_and_the_test_draws_units_anew() -> None:
    rollout = in_stage("canary")
    salts = [rollout.phase.salt]
    for _ in range(2):
        rollout = steer(rollout, "next", NOW).after or rollout
        salts.append(rollout.phase.salt)
    assert [phase.number for phase in rollout.phases] == [8, 9, 10]
    assert salts[0] == salts[1] != salts[2]
    other = begin(plan_of(), (3, 5), NOW, "canary")
    assert other.phase.salt not in salts


def test_a_canary_waits_until_its_guards_are_shown() -> None:
    """Argo Rollouts turns back where there is no data yet: its issue 1905."""
    rollout = in_stage("canary")
    for guards in ([], [guard("errors", "within")], [guard("errors", "open"), WITHIN[1]]):
        assert take(rollout, evidence_of(guards=guards), NOW + DAY)[1] is None
        verdict = judge(rollout, evidence_of(guards=guards), NOW + DAY)
        assert verdict.action == "wait"
        assert "rows of the challenger" in verdict.say


@pytest.mark.parametrize("stage", ["canary", "test"])
@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"guards": [guard("errors", "beyond")]}, "harm in errors: 2 % beside 1 %"),
        ({"metrics": [metric("clicks", harm=True)]}, "harm in clicks: clicks 0.2 beside 0.1"),
        ({"crashed": "challenger"}, "workers died of challenger"),
    ],
)
def test_harm_stops_at_any_time(stage: str, known: dict[str, Any], words: str) -> None:
    rollout, decision = take(in_stage(stage), evidence_of(**known), NOW + 1)
    assert rollout is None
    assert decision.action == "stop"
    assert words in decision.why


def test_a_test_ships_only_what_every_goal_and_guard_has_shown() -> None:
    rollout = in_stage("test")
    half = [metric("clicks", shown=True), metric("paid")]
    assert take(rollout, evidence_of(metrics=half), NOW + 8 * DAY)[1] is None
    _, decision = take(rollout, evidence_of(metrics=SHOWN), NOW + 8 * DAY)
    assert decision.action == "promote"


def test_a_test_ends_without_a_difference_or_when_its_time_is_over() -> None:
    rollout = in_stage("test")
    futile = [metric("clicks", futile=True), metric("paid", shown=True)]
    _, decision = take(rollout, evidence_of(metrics=futile), NOW + 8 * DAY)
    assert decision.action == "stop"
    assert "no difference of the size" in decision.why
    _, decision = take(rollout, evidence_of(metrics=[metric("clicks")]), NOW + 28 * DAY)
    assert (decision.action, "`most` is over" in decision.why) == ("stop", True)


def test_decide_ask_leaves_the_last_word_to_a_person() -> None:
    rollout = in_stage("test", decide="ask")
    assert step(plan_of(), rollout, evidence_of(metrics=SHOWN), NOW + 8 * DAY)[1] is None
    assert judge(rollout, evidence_of(metrics=SHOWN), NOW + 8 * DAY).action == "ship"
    assert steer(rollout, "promote", NOW).version == 4


def test_nothing_is_promoted_against_another_champion() -> None:
    moved = structs.replace(evidence_of(metrics=SHOWN), champion=5)
    rollout, decision = take(in_stage("test"), moved, NOW + 8 * DAY)
    assert (rollout, decision.action) == (None, "stop")
    assert "superseded: version 5" in decision.why


def test_a_mismatch_pauses_and_gives_no_verdict() -> None:
    shares = {"champion": 0.5, "challenger": 0.5}
    found = MismatchResult(shares, {"champion": 0.6, "challenger": 0.4}, 1e-9)
    known = evidence_of(metrics=SHOWN, mismatch=found)
    rollout, decision = take(in_stage("test"), known, NOW + 8 * DAY)
    assert decision.action == "pause"
    assert rollout.paused
    assert take(rollout, known, NOW + 9 * DAY) == (rollout, None)
    resumed = steer(rollout, "resume", NOW).after
    assert resumed is not None
    assert resumed.paused is None
    assert resumed.phase.salt != rollout.phase.salt


def test_requests_without_units_pause() -> None:
    rollout, decision = take(in_stage("canary"), evidence_of(lacking_units=True), NOW)
    assert (decision.action, "x-headrace-unit" in decision.why) == ("pause", True)
    assert take(rollout, evidence_of(guards=[guard("errors", "beyond")]), NOW)[1].action == "stop"


ARMS = {"champion": 0.4, "challenger": 0.3, "ads@2": 0.3}
THREE = {"stages": {"test": {"arms": ARMS, "least": "1d", "most": "9d"}}}


def test_an_arm_that_does_harm_is_dropped_and_the_others_go_on() -> None:
    rollout = in_stage("test", **THREE)
    harm = evidence_of(metrics=[metric("clicks", "ads@2", harm=True), metric("clicks")])
    after, decision = take(rollout, harm, NOW + 1, **THREE)
    assert (decision.action, decision.version) == ("arms", 2)
    dropped = after.phase.arm("ads@2")
    assert (dropped.dropped, dropped.version) == (True, 3)
    assert after.phase.division == rollout.phase.division
    assert after.phase.number == rollout.phase.number
    assert [arm.name for arm in after.phase.challengers] == ["challenger"]


def test_the_better_of_two_challengers_ships() -> None:
    rollout = in_stage("test", **THREE)
    metrics = [
        *(metric(name, "challenger", 0.1, shown=True) for name in ("clicks", "paid")),
        *(metric(name, "ads@2", 0.3, shown=True) for name in ("clicks", "paid")),
    ]
    _, decision = take(rollout, evidence_of(metrics=metrics), NOW + 2 * DAY, **THREE)
    assert (decision.action, decision.version) == ("promote", 2)


def test_the_champion_against_itself_is_never_promoted() -> None:
    rollout = begin(plan_of(), (3, 3), NOW, "test")
    assert rollout.aa
    assert step(plan_of(), rollout, evidence_of(metrics=SHOWN), NOW + 8 * DAY)[1] is None
    with pytest.raises(InputError, match="against itself"):
        steer(rollout, "promote", NOW)


def test_changing_shares_begins_a_phase_and_moves_the_fewest_units() -> None:
    rollout = in_stage("test")
    after = steer(rollout, "arms", NOW + 5, {"challenger": 0.3}).after
    assert after is not None
    assert after.phase.number == rollout.phase.number + 1
    assert after.phase.salt == rollout.phase.salt
    points = measure(after.phase.division)
    assert points["challenger"] == pytest.approx(0.3 * SPACE)
    anew = steer(rollout, "arms", NOW + 5, {"challenger": 0.3}, anew=True).after
    assert anew is not None
    assert anew.phase.salt != rollout.phase.salt


@pytest.mark.parametrize(
    ("stage", "do", "shares", "words"),
    [
        ("test", "next", None, "the last stage"),
        ("test", "resume", None, "not paused"),
        ("test", "arms", {"chalenger": 0.3}, "did you mean 'challenger'"),
        ("test", "arms", {"challenger": 1.3}, "champion: -0.3"),
        ("test", "arms", {"challenger": -0.1}, "challenger: -0.1"),
        ("test", "arms", {"challenger": float("nan")}, "nan"),
        ("test", "arms", {"champion": 0.3}, "sum to 0.8"),
        ("canary", "arms", {"challenger": 0.001}, "less than 0.01"),
        ("shadow", "arms", {"challenger": 0.5}, "answers nobody"),
        ("test", "fly", None, "one of: next"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(
    stage: str, do: str, shares: dict[str, float] | None, words: str
) -> None:
    with pytest.raises((InputError, SpecError), match=words):
        steer(in_stage(stage), do, NOW, shares)


def test_steering_needs_a_rollout_and_starting_needs_none() -> None:
    with pytest.raises(InputError, match="no rollout is live"):
        steer(None, "next", NOW)
    with pytest.raises(InputError, match="version 4 is live"):
        start(plan_of(), in_stage("test"), (3, 5), NOW)
    paused = steer(in_stage("test"), "pause", NOW).after
    with pytest.raises(InputError, match="it is paused"):
        steer(paused, "pause", NOW)


def test_a_rollout_survives_its_file(tmp_path: Any) -> None:
    rollout = in_stage("canary")
    assert decode_routing(encode_routing(rollout), tmp_path) == rollout
    assert decode_routing(encode_routing(None), tmp_path) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stages": {"test": {"arms": {"champion": 0.5, "challenger": 0.6}}}}, "sum to 1.1"),
        ({"stages": {"test": {"arms": {"champion": 1.0}}}}, "no share of the challenger"),
        ({"stages": {"test": {"arms": {"champion": 0.5, "other": 0.5}}}}, "no arm 'other'"),
        ({"stages": {"canary": {"shares": [0.2, 0.1]}}}, "do not rise"),
        ({"stages": {"test": {"policy": "thompson"}}}, "would learn nothing"),
        ({"unit": None, "stages": {"test": {"policy": "linucb"}}}, "no columns"),
        ({"stages": {"test": {"least": "9d", "most": "1d"}}}, "shorter than `least`"),
        ({"stages": {"test": {"floor": 0.6}}}, "at most 0.5"),
        ({"metrics": [{"name": "a", "of": "a", "range": [1, 1]}]}, "from 1 to 1"),
        ({"metrics": [{"name": "a", "of": "a"}, {"name": "a", "of": "b"}]}, "two are called 'a'"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        spec_of(**change)
