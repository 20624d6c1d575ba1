"""Verdicts on simulated streams: false ones stay rare under peeking, and true ones come in time.

400 runs of each here; `make test-all` makes 2,000. Each test has a rival that must fail it.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest

from headrace.arrays import Floats
from headrace.rollout.statistics.compare import Comparison, Plan, bound_lift
from headrace.rollout.statistics.mismatch import find_mismatch
from headrace.rollout.statistics.wealth import (
    CHALLENGER,
    CHAMPION,
    Cells,
    Odds,
    log_wealth,
    log_wealth_path,
    score,
)
from tests.rollout.simulate import (
    ALPHA,
    Stream,
    alarms,
    draw_stream,
    first_crossing,
    score_stream,
    upper_limit,
)

MOST_FALSE, MOST_LIMIT = 0.05, 0.065
RUNS = [
    pytest.param(400),
    pytest.param(2_000, marks=pytest.mark.slow),
]


def repeated_users(
    chance: np.random.Generator, users: int, most: int, rate: float
) -> tuple[Floats, Floats, Floats]:
    """Predictions of users who keep their arm and differ in how often they click.

    Returns user, arm and value of each prediction, in a random order.
    """
    repeats = chance.integers(1, most + 1, users)
    own_rate = chance.beta(rate * 2, (1 - rate) * 2, users)
    arm = chance.integers(0, 2, users)
    user = chance.permutation(np.repeat(np.arange(users), repeats))
    value = (chance.random(len(user)) < own_rate[user]).astype(np.float64)
    return user, arm[user], value


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_no_effect_gives_few_verdicts_at_any_rate_and_share(
    rate: float, share: float, runs: int
) -> None:
    count = 3_000 if runs == 400 else 20_000
    chance = np.random.default_rng([int(rate * 100), int(share * 100)])
    found = sum(alarms(draw_stream(chance, count, rate, share)) for _ in range(runs))
    assert found / runs <= MOST_FALSE
    assert upper_limit(found, runs) <= MOST_LIMIT


@pytest.mark.parametrize("runs", RUNS)
def test_no_effect_under_a_daily_rhythm_and_a_ramp(runs: int) -> None:
    """The rate swings over the day; the challenger's share rises from 5 to 50 % meanwhile."""
    count = 3_000
    day = 0.1 * (1 + 0.9 * np.sin(np.arange(count) / 500))
    ramp = np.linspace(0.05, 0.5, count)
    chance = np.random.default_rng(1)
    found = sum(alarms(draw_stream(chance, count, day, ramp)) for _ in range(runs))
    assert upper_limit(found, runs) <= MOST_LIMIT


@pytest.mark.parametrize("runs", RUNS)
def test_no_effect_under_weights_that_thompson_moves(runs: int) -> None:
    from headrace.rollout.policies.policy import Feedback, with_floor
    from headrace.rollout.policies.thompson import Thompson

    count, every = 2_000, 200
    chance = np.random.default_rng(2)
    policy = Thompson()
    found = 0
    for run in range(runs):
        state = policy.start(2, 0)
        parts = []
        for start in range(0, count, every):
            weights = with_floor(policy.weigh(state, (), run * count + start), 0.02)
            part = draw_stream(chance, every, 0.1, float(weights[1])).units
            none = np.zeros((every, 0))
            state = policy.update(state, Feedback(part.arm, part.value, none))
            parts.append(part)
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        units = type(parts[0])(*columns)
        at = np.arange(count) * 1000
        stream = Stream(units._replace(exposed_us=at, closed_us=at + 1), Odds(0.02, 0.02))
        found += alarms(stream)
    assert upper_limit(found, runs) <= MOST_LIMIT


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("most", [20, 50])
def test_users_who_return_are_one_unit_each(most: int, runs: int) -> None:
    """A user has one score, however often he comes; a sequence over predictions is fooled."""
    chance = np.random.default_rng([3, most])
    by_user = by_prediction = 0
    for _ in range(runs):
        user, arm, value = repeated_users(chance, 300, most, 0.1)
        first = np.unique(user, return_index=True)[1]
        clicked = np.bincount(user.astype(int), value)[user[first].astype(int)] > 0
        by_user += alarms(stream_of(arm[first], clicked.astype(np.float64)))
        by_prediction += alarms(stream_of(arm, value))
    assert upper_limit(by_user, runs) <= MOST_LIMIT
    assert by_prediction / runs > 0.08


def stream_of(arm: Floats, value: Floats) -> Stream:
    """A stream of units at 50/50."""
    stream = draw_stream(np.random.default_rng(9), len(arm), 0.5)
    roles = np.where(arm == 1, CHALLENGER, CHAMPION)
    return Stream(stream.units._replace(arm=roles, value=value), stream.odds)


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_rivals_exceed_what_is_allowed(rate: float) -> None:
    """So that the tests above can fail: a z-test, and the raw asymptotic sequence."""
    chance = np.random.default_rng(4)
    z_test = asymptotic = 0
    for _ in range(100):
        stream = draw_stream(chance, 5_000, rate, 0.05)
        z_test += bool((z_path(stream)[100:] > 1.96).any())
        asymptotic += sequence_alarms(stream)
    assert z_test / 100 > 0.2
    assert asymptotic / 100 > 0.065


def means_and_errors(stream: Stream) -> tuple[Floats, Floats, Floats]:
    """After each unit: how many there are, the difference of the means, and its variance."""
    own = stream.units.arm == CHALLENGER
    value = stream.units.value
    counts = [np.maximum(np.cumsum(arm), 1) for arm in (own, ~own)]
    means = [
        np.cumsum(np.where(arm, value, 0)) / count
        for arm, count in zip((own, ~own), counts, strict=True)
    ]
    errors = sum(mean * (1 - mean) / count for mean, count in zip(means, counts, strict=True))
    return np.arange(1.0, len(value) + 1), means[0] - means[1], np.asarray(errors)


def z_path(stream: Stream) -> Floats:
    """The z-statistic after each unit."""
    _, difference, variance = means_and_errors(stream)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.abs(difference) / np.sqrt(variance), posinf=0)


def sequence_alarms(stream: Stream) -> bool:
    """The asymptotic confidence sequence of Waudby-Smith et al. (2021), from the first event on."""
    count, difference, variance = means_and_errors(stream)
    level = -2 * math.log(ALPHA)
    rho = math.sqrt((level + math.log(level + 1)) / 5_000)
    scale = count * rho**2 + 1
    width = np.sqrt(variance * count * 2 * scale / (count * rho) ** 2)
    width *= np.sqrt(np.log(np.sqrt(scale) / (ALPHA / 2)))
    known = variance > 0
    return bool((known & (np.abs(difference) > width)).any())


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize(("rate", "share", "lift"), [(0.1, 0.5, 0.2), (0.3, 0.2, -0.1)])
def test_the_truth_is_covered_at_all_times_at_once(
    rate: float, share: float, lift: float, runs: int
) -> None:
    chance = np.random.default_rng(5)
    missed = 0
    for _ in range(runs):
        stream = draw_stream(chance, 3_000, rate, share, lift)
        cells = score_stream(stream)
        for side in ("above", "below"):
            path = log_wealth_path(cells, stream.odds, side, lift=lift)
            missed += first_crossing(path, ALPHA / 2) is not None
    assert missed / runs <= ALPHA


def test_the_bounds_are_where_the_wealth_crosses() -> None:
    chance = np.random.default_rng(6)
    for _ in range(20):
        stream = draw_stream(chance, 2_000, 0.1, 0.3, 0.5)
        cells = score_stream(stream)
        interval = bound_lift(cells, stream.odds, 0.025)
        needed = -math.log(0.025)
        if interval.low is not None:
            assert log_wealth(cells, stream.odds, "above", lift=interval.low) >= needed
            inside = interval.low + 1e-3 * abs(interval.low) + 1e-3
            assert log_wealth(cells, stream.odds, "above", lift=inside) < needed
        if interval.high is not None:
            assert log_wealth(cells, stream.odds, "below", lift=interval.high) >= needed


@pytest.mark.parametrize("runs", RUNS)
def test_the_planned_effect_is_found_in_time(runs: int) -> None:
    """80 % power within 1.6 times the fixed sample; decided on average by that sample."""
    rate, lift = 0.1, 0.2
    spread = rate * (1 - rate) + rate * (1 + lift) * (1 - rate * (1 + lift))
    fixed = round(2 * (1.959964 + 0.841621) ** 2 * spread / (rate * lift) ** 2)
    most = round(1.6 * fixed)
    chance = np.random.default_rng(7)
    decided = []
    for _ in range(runs):
        stream = draw_stream(chance, most, rate, lift=lift)
        path = log_wealth_path(score_stream(stream, lift), stream.odds, "above")
        decided.append(first_crossing(path, ALPHA / 2) or most + 1)
    power = np.mean(np.array(decided) <= most)
    assert power >= 0.78  # 0.80, and what 400 runs leave open
    assert np.mean(np.minimum(decided, most)) <= 1.0 * fixed


@pytest.mark.parametrize("correlation", [0.5, 0.8])
def test_a_covariate_shortens_a_test_by_what_it_explains(correlation: float) -> None:
    """Wealth grows faster by 1 / (1 - r²), and verdicts come as soon as that promises."""
    noise = 0.1 * math.sqrt(1 - correlation**2)
    fixed = (1.959964 + 0.841621) ** 2 * 4 * noise**2 / 0.005**2
    count = int(3 * fixed)
    chance = np.random.default_rng(8)
    decided = []
    for _ in range(100):
        stream = draw_stream(chance, count, 0.5, lift=0.01, noise=noise)
        cells = score_stream(stream, 0.01)
        path = log_wealth_path(cells, stream.odds, "above")
        decided.append(first_crossing(path, ALPHA / 2) or count)
    assert np.mean(decided) <= 1.25 * fixed

    unknown = Stream(stream.units._replace(covariate=np.full(count, np.nan)), stream.odds)
    plain = score_stream(unknown, 0.01)
    late = slice(count // 4, None)
    ratio = np.mean(score(cells, 0.0)[late] ** 2) / np.mean(score(plain, 0.0)[late] ** 2)
    assert ratio == pytest.approx(1 - correlation**2, rel=0.1)


def test_a_mismatch_is_caught_and_exact_shares_are_not_accused() -> None:
    chance = np.random.default_rng(10)
    for share, caught in ((0.49, True), (0.5, False)):
        found = []
        for _ in range(40):
            drawn = np.cumsum(chance.random(200_000) < share)
            looks = np.arange(2_000, 200_001, 2_000)
            counts = [{"a": int(drawn[at - 1]), "b": int(at - drawn[at - 1])} for at in looks]
            shares = {"a": 0.5, "b": 0.5}
            found.append(any(find_mismatch(shares, one).p < 0.001 for one in counts))
        assert np.mean(found) == (1.0 if caught else 0.0)


def score_by_hand(stream: Stream, at: int, forecast: float, lift: float) -> float:
    """The score of a unit, written down as the issue of the design does."""
    units = stream.units
    outcome = units.value[at]
    if units.arm[at] == CHALLENGER:
        return float((outcome - (1 + lift) * forecast) / units.propensity[at])
    return float(-(1 + lift) * (outcome - forecast) / units.propensity[at])


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_scores_have_the_mean_of_the_effect_whatever_the_forecast(share: float) -> None:
    chance = np.random.default_rng(11)
    stream = draw_stream(chance, 200_000, 0.2, share, 0.5)
    for forecast in (0.0, 0.2, 0.9):
        scores = [score_by_hand(stream, at, forecast, 0.0) for at in range(200_000)]
        error = np.std(scores) / math.sqrt(len(scores))
        assert np.mean(scores) == pytest.approx(0.1, abs=float(4 * error))


def test_counts_say_the_same_as_scores_one_by_one_and_merge_in_any_pieces() -> None:
    chance = np.random.default_rng(12)
    stream = draw_stream(chance, 3_000, 0.3, 0.2, 0.1)
    plan = Plan(0.05, True, (stream.odds.champion, stream.odds.challenger))
    whole, pieces = Comparison(plan), Comparison(plan)
    cells = whole.score_each(stream.units)
    for start in range(0, 3_000, 77):
        pieces.add(stream.units.select(slice(start, start + 77)))
    assert pieces.counts == whole.counts
    assert pieces.blocks == whole.blocks
    for side in ("above", "below"):
        path = log_wealth_path(cells, stream.odds, side)
        assert log_wealth(whole.cells(), stream.odds, side) == pytest.approx(path[-1])


WEALTH: list[Callable[[Cells, Odds], float]] = [
    lambda cells, odds: log_wealth(cells, odds, "above"),
    lambda cells, odds: log_wealth(cells, odds, "below", lift=0.3),
    lambda cells, odds: log_wealth(cells, odds, "above", effect=-0.01),
]


@pytest.mark.parametrize("wealth", WEALTH)
def test_no_outcome_can_ruin_a_gambler(wealth: Callable[[Cells, Odds], float]) -> None:
    """The worst score for a stake leaves something, at any forecast and any arm."""
    odds = Odds(0.01, 0.99)
    for arm in (CHAMPION, CHALLENGER):
        for value in (0.0, 1.0):
            for forecast in (0.0, 0.5, 1.0):
                propensity = odds.challenger if arm == CHALLENGER else odds.champion
                cells = Cells(
                    np.array([arm]),
                    np.array([propensity]),
                    np.array([forecast]),
                    np.array([value]),
                    np.array([1e9]),
                    np.array([1.0]),
                )
                assert math.isfinite(wealth(cells, odds))


def draw_lucky_test(chance: np.random.Generator, redraw: bool) -> tuple[Floats, Floats] | None:
    """Arms and values of a test of a worthless challenger; None where its canary did not pass.

    Users differ in how often they click, and a canary of half of them passes where it clicked a
    twentieth more. Without a new salt its users stay in their arm.
    """
    users = 1_500
    rates = chance.beta(0.2, 0.8, users)
    canary = chance.random(users) < 0.5
    first = chance.random(users) < rates
    if first[canary].mean() <= 1.05 * first[~canary].mean():
        return None
    arm = chance.random(users) < 0.5 if redraw else canary
    return arm.astype(np.float64), (chance.random(users) < rates).astype(np.float64)


def draw_lucky_tests(count: int, redraw: bool) -> list[tuple[Floats, Floats]]:
    """Tests whose canaries have passed, of so many."""
    chance = np.random.default_rng(13)
    drawn = (draw_lucky_test(chance, redraw) for _ in range(count))
    return [one for one in drawn if one is not None]


def ships_at_the_end(arm: Floats, value: Floats) -> bool:
    """Whether a z-test at the end, of a rate of 2.5 %, ships the challenger."""
    own, base = value[arm == 1], value[arm == 0]
    spread = np.sqrt(value.var() * (1 / len(own) + 1 / len(base)))
    return bool((own.mean() - base.mean()) / spread > 1.96)


def ships(arm: Floats, value: Floats) -> bool:
    """Whether the sequence ships the challenger, looked at after every unit."""
    path = log_wealth_path(score_stream(stream_of(arm, value), 0.1), Odds(0.5, 0.5), "above")
    return first_crossing(path, ALPHA / 2) is not None


@pytest.mark.parametrize("runs", RUNS)
def test_a_canary_that_passed_by_luck_flatters_no_test_with_a_new_salt(runs: int) -> None:
    new, old = (draw_lucky_tests(10 * runs, redraw) for redraw in (True, False))
    fair, flattered = (np.mean([ships_at_the_end(*one) for one in each]) for each in (new, old))
    assert fair <= 1.3 * ALPHA / 2
    assert flattered > 1.5 * fair  # so that this can fail
    shipped = [ships(*one) for one in new[:runs]]
    assert upper_limit(sum(shipped), len(shipped)) <= 0.0325
