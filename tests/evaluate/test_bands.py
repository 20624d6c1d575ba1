"""Bands around curves, against a plain bootstrap with scikit-learn's curves; Wilson's interval
against SciPy's.
"""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from headrace.evaluate.bands import bands, wilson
from headrace.evaluate.predictions import Predictions


def scored(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    y = (chance.random(rows) < 0.4).astype(np.float64)
    return y, np.round(y * 0.8 + chance.normal(size=rows), 1)


def plain(y: np.ndarray, scores: np.ndarray, units: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Rows of each unit drawn together, and scikit-learn's curve of what was drawn."""
    chance, drawn = np.random.default_rng(9), []
    members = [np.flatnonzero(units == unit) for unit in range(units.max() + 1)]
    for _ in range(400):
        rows = np.concatenate(
            [members[unit] for unit in chance.integers(0, len(members), len(members))]
        )
        false, true, _ = roc_curve(y[rows], scores[rows], drop_intermediate=False)
        drawn.append(np.interp(grid, false, true))
    return np.asarray(np.quantile(drawn, (0.025, 0.975), axis=0))


@pytest.mark.parametrize("tied", [False, True])
def test_the_band_is_that_of_a_plain_bootstrap(tied: bool) -> None:
    y, scores = scored(600, 1)
    owner = np.repeat(np.arange(60), 10) if tied else None
    if tied:  # rows of an owner are alike, so that the band is wider
        y, scores = np.repeat(y[::10], 10), np.repeat(scores[::10], 10)
    found = np.array(bands(Predictions("binary", y, scores, owner=owner), 3)["roc"])
    expected = plain(y, scores, np.arange(600) if owner is None else owner, found[:, 0])
    inside = slice(3, -3)
    assert np.abs(found[inside, 1:] - expected.T[inside]).mean() < (0.03 if tied else 0.01)
    width = (found[inside, 2] - found[inside, 1]).mean()
    assert width > (0.2 if tied else 0.05)
    assert (found[:, 1] <= found[:, 2]).all()


def test_many_rows_in_steps_keep_the_curve() -> None:
    y, scores = scored(50_000, 2)
    scores = scores + np.random.default_rng(4).random(50_000) / 100
    found = np.array(bands(Predictions("binary", y, scores))["roc"])
    false, true, _ = roc_curve(y, scores)
    at = np.interp(found[:, 0], false, true)
    assert ((found[:, 1] - 1e-3 <= at) & (at <= found[:, 2] + 1e-3)).all()
    middle = np.trapezoid(found[:, 1:].mean(axis=1), found[:, 0])
    assert middle == pytest.approx(roc_auc_score(y, scores), abs=0.005)


def test_one_class_has_no_band() -> None:
    assert bands(Predictions("binary", np.ones(50), np.linspace(0, 1, 50))) == {}


@pytest.mark.parametrize(("events", "rows"), [(0, 5), (3, 7), (50, 100), (100, 100)])
def test_wilson(events: int, rows: int) -> None:
    expected = binomtest(events, rows).proportion_ci(method="wilson")
    assert wilson(events, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("case", ["rare", "rarer", "coarse"])
def test_a_line_lies_in_its_own_band(case: str) -> None:
    chance = np.random.default_rng(5)
    rows, share = {"rare": (100_000, 0.002), "rarer": (200_000, 0.001), "coarse": (3_000, 0.3)}[
        case
    ]
    y = (chance.random(rows) < share).astype(np.float64)
    scores = chance.normal(size=rows) + 3 * y
    scores = np.clip(np.round(scores / 3), 0, 2) if case == "coarse" else scores
    found = bands(Predictions("binary", y, scores))
    for kind in ("roc", "precision_recall"):
        if kind == "roc":
            false, true, _ = roc_curve(y, scores, drop_intermediate=False)
            top = np.append(false[1:] != false[:-1], True)
            x, line = false[top], true[top]
        else:
            precision, recall, _ = precision_recall_curve(y, scores)
            x, line = recall[::-1], precision[::-1]
        band = np.array(found[kind])
        at = np.interp(band[:, 0], x, line)
        outside = (at < band[:, 1] - 0.01) | (at > band[:, 2] + 0.01)
        assert outside.sum() <= 3, (kind, band[outside], at[outside])
