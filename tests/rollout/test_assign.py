"""A unit's arm: the same everywhere; shares are exact, and the fewest possible units move."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.rollout.assign import SPACE, Division, divide, find_arm, locate, measure, to_text

NAMES = ("champion", "challenger", "ads@7", "ads@9")


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    """Shares of two to four arms, in some order, that sum to 1."""
    arms = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True))
    weights = draw(st.lists(st.integers(0, 100), min_size=len(arms), max_size=len(arms)))
    weights[0] += 1
    total = sum(weights)
    return {arm: weight / total for arm, weight in zip(arms, weights, strict=True)}


def owner_lengths(first: Division, second: Division) -> dict[tuple[str, str], int]:
    """How many points have one arm in the first division and another one in the second."""
    ends = sorted({stretch.end for stretch in (*first, *second)})
    lengths: dict[tuple[str, str], int] = {}
    start = 0
    for end in ends:
        pair = find_arm(first, start), find_arm(second, start)
        lengths[pair] = lengths.get(pair, 0) + end - start
        start = end
    return lengths


@given(st.lists(shares(), min_size=1, max_size=6))
def test_shares_are_exact_and_the_fewest_points_move(changes: list[dict[str, float]]) -> None:
    division = divide(changes[0])
    for before, after in zip([changes[0], *changes], changes, strict=False):
        following = divide(after, division)
        points = measure(following)
        assert sum(points.values()) == SPACE
        for arm, share in after.items():
            assert points.get(arm, 0) == pytest.approx(share * SPACE, abs=2**10)

        moved = {
            pair: n for pair, n in owner_lengths(division, following).items() if len(set(pair)) > 1
        }
        arms = before.keys() | after.keys()
        change = sum(abs(after.get(arm, 0) - before.get(arm, 0)) for arm in arms)
        assert sum(moved.values()) == pytest.approx(change / 2 * SPACE, abs=2**12)
        for source, target in moved:
            assert after.get(source, 0) < before.get(source, 0)
            assert after.get(target, 0) > before.get(target, 0)
        division = following


def test_a_growing_canary_takes_no_unit_back() -> None:
    units = [str(number) for number in range(3_000)]
    division: Division = ()
    before: set[str] = set()
    for share in (0.01, 0.05, 0.2, 0.5):
        division = divide({"champion": 1 - share, "challenger": share}, division)
        own = {unit for unit in units if find_arm(division, locate(b"s", unit)) == "challenger"}
        assert before <= own
        assert len(own) == pytest.approx(share * len(units), abs=4 * len(units) ** 0.5)
        before = own


def test_another_process_finds_the_same_point() -> None:
    """Python's own hash is another one in every process."""
    code = "from headrace.rollout.assign import locate; print(locate(b'ads/4', 'user 7'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) == locate(b"ads/4", "user 7")


def test_rollouts_are_independent_of_each_other() -> None:
    first = np.array([locate(b"ads/4", str(unit)) for unit in range(20_000)]) / SPACE
    second = np.array([locate(b"ads/5", str(unit)) for unit in range(20_000)]) / SPACE
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    table = np.histogram2d(first > 0.5, second > 0.5, bins=2)[0]
    assert np.abs(table / len(first) - 0.25).max() < 0.015


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (7, "7"),
        ("7", "7"),
        (7.0, "7"),
        (7.5, "7.5"),
        (True, "true"),
        (None, None),
        ("", None),
        (float("nan"), None),
        (2**70, str(2**70)),
        ("\ud800", "\ud800"),
    ],
)
def test_a_unit_is_its_text(unit: object, text: str | None) -> None:
    assert to_text(unit) == text
    if text is not None:
        assert 0 <= locate(b"salt", text) < SPACE
