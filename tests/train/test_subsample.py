"""Drawn negatives and weighted classes: what the shift undoes is exactly what the drawing did."""

import numpy as np
import pytest

from headrace.errors import InputError
from headrace.features import Target
from headrace.models import FAMILIES, Fitted, Sample
from headrace.spec import LinearParams, Models
from headrace.tasks import Truth, find_task
from headrace.train.subsample import subsample

BINARY = Target("y", "binary", ["no", "yes"])
THREE = Target("y", "multiclass", ["a", "b", "c"])


def table(rows: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(1)
    X = chance.normal(size=(rows, 1)).astype(np.float32)
    return X, (chance.random(rows) < 1 / (1 + np.exp(4 - X[:, 0]))).astype(np.float64)


def fitted(
    X: np.ndarray, y: np.ndarray, models: Models, weight: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """Probabilities of a logistic regression, and on how many rows it was fitted."""
    drawn = subsample(Truth(y, weight), BINARY, models, 7)
    sample = Sample(X[drawn.rows], y[drawn.rows], drawn.weight)
    found: Fitted = FAMILIES["linear"].fit(sample, BINARY, LinearParams(l2=1e-9), 7, None)
    raw = FAMILIES["linear"].predict(found, X) + (drawn.shift[0] if drawn.shift else 0.0)
    return find_task("binary").to_scores(raw), len(drawn.rows)


@pytest.mark.parametrize(
    "models",
    [
        Models(negatives=0.2),
        Models(class_weight="balanced"),
        Models(class_weight={"yes": 30.0}, negatives=0.5),
    ],
)
def test_probabilities_are_those_of_all_rows(models: Models) -> None:
    X, y = table()
    plain, rows = fitted(X, y, Models())
    found, kept = fitted(X, y, models)
    assert kept == rows if models.negatives == 1 else kept < 0.6 * rows
    assert found.mean() == pytest.approx(y.mean(), rel=0.03)
    assert found == pytest.approx(plain, rel=0.15, abs=0.002)


def test_the_baseline_of_drawn_rows_is_exact() -> None:
    _, y = table()
    drawn = subsample(Truth(y), BINARY, Models(negatives=0.1), 7)
    baseline = FAMILIES["baseline"].fit(
        Sample(np.empty((len(drawn.rows), 0)), y[drawn.rows]), BINARY, None, 7, None
    )
    assert find_task("binary").to_scores(baseline.state + drawn.shift[0])[0] == pytest.approx(
        y.mean(), rel=1e-12
    )


def test_weighted_classes_of_several_are_undone() -> None:
    y = np.repeat([0.0, 1.0, 2.0], [700, 200, 100])
    drawn = subsample(Truth(y), THREE, Models(class_weight="balanced"), 7)
    baseline = FAMILIES["baseline"].fit(
        Sample(np.empty((1000, 0)), y, drawn.weight), THREE, None, 7, None
    )
    shifted = find_task("multiclass").to_scores((baseline.state + np.array(drawn.shift))[None])[0]
    assert shifted == pytest.approx([0.7, 0.2, 0.1])


def test_row_weights_count_in_the_shift() -> None:
    _, y = table(5000)
    weight = np.random.default_rng(2).random(5000) + 0.5
    drawn = subsample(Truth(y, weight), BINARY, Models(negatives=0.3), 7)
    kept, counted = y[drawn.rows], drawn.weight
    baseline = FAMILIES["baseline"].fit(
        Sample(np.empty((len(kept), 0)), kept, counted), BINARY, None, 7, None
    )
    expected = np.average(y, weights=weight)
    assert find_task("binary").to_scores(baseline.state + drawn.shift[0])[0] == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.parametrize(
    ("models", "target", "words"),
    [
        (Models(negatives=0.5), THREE, "models.negatives: 0.5 with task multiclass"),
        (
            Models(class_weight="balanced"),
            Target("y", "regression", []),
            "models.class_weight: given with task regression",
        ),
        (Models(class_weight={"maybe": 2.0}), BINARY, "no class 'maybe'; expected one of: no, yes"),
    ],
)
def test_what_makes_no_sense_is_refused(models: Models, target: Target, words: str) -> None:
    with pytest.raises(InputError, match=words):
        subsample(Truth(np.array([0.0, 1.0])), target, models, 7)
