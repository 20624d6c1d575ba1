"""The contract of every family in every task: the graph predicts what the trainer predicts, one row
or many.
"""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from headrace.features import (
    EncoderChoice,
    Features,
    FittedEncoder,
    Target,
    fit_features,
    open_session,
    plan_columns,
)
from headrace.features.encoders import quantile
from headrace.features.encoders import raw as raw_encoder
from headrace.models import (
    FAMILIES,
    Fitted,
    FittedMember,
    Sample,
    ValidationSet,
    calibrate,
    compile_features,
    compile_model,
)
from headrace.spec import Calibration, FeaturesSpec, ForestParams, GbdtParams, Models
from headrace.tasks import Grading, Queries, find_task

TARGETS = {
    "binary": Target("y", "binary", ["no", "yes"]),
    "multiclass": Target("y", "multiclass", [3, 5, 8]),
    "regression": Target("y", "regression", []),
    "ranking": Target("y", "ranking", []),
}
MODELS = Models(
    gbdt=GbdtParams(rounds=30, min_rows_per_leaf=5), forest=ForestParams(trees=20, leaves=60)
)
WIDTH = 4


def data(task: str, rows: int, seed: int, missing: bool) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    X = chance.normal(size=(rows, WIDTH)).astype(np.float32)
    X[:, 1] = chance.integers(0, 4, rows)
    signal = X[:, 0] + (X[:, 1] == 2) + chance.normal(size=rows) * 0.5
    if missing:
        X[chance.random((rows, WIDTH)) < 0.1] = np.nan
    y = {
        "binary": (signal > 0.3).astype(np.float64),
        "multiclass": np.digitize(signal, [-0.3, 0.8]).astype(np.float64),
        "regression": signal.astype(np.float64) * 10 + 1e8,
        "ranking": np.digitize(signal, [-0.3, 0.8, 2.0]).astype(np.float64),
    }[task]
    return X, y


def sample_of(task: str, X: Any, y: np.ndarray, codes: list[int] | None = None) -> Sample:
    """Rows to fit on; those of a ranking in queries of eight."""
    queries = Queries(np.arange(len(y)) // 8, Grading()) if task == "ranking" else None
    return Sample(X, y, codes=codes or [], queries=queries)


def fit(family: str, task: str, missing: bool = False, rows: int = 400) -> Fitted:
    X, y = data(task, rows, 1, missing)
    params = getattr(MODELS, family, None)
    return FAMILIES[family].fit(sample_of(task, X, y), TARGETS[task], params, 7, None)


def graph_scores(fitted: Fitted, task: str, X: np.ndarray) -> np.ndarray:
    state = raw_encoder.fit(pl.Series([0.0, 1.0]))
    features = Features(
        [FittedEncoder(f"f{at}", "raw", "numbers", state) for at in range(WIDTH)], []
    )
    session = open_session(compile_model([FittedMember(features, fitted)], TARGETS[task]))
    output = "probabilities" if task == "multiclass" else "prediction"
    scores, label = session.run([output, "prediction"], {"numbers": X})
    if task == "multiclass":
        assert label[:, 0].tolist() == [TARGETS[task].classes[at] for at in scores.argmax(axis=1)]
    for row in range(min(len(X), 5)):
        assert np.array_equal(
            session.run([output], {"numbers": X[row : row + 1]})[0], scores[row : row + 1]
        )
    return scores if task == "multiclass" else scores[:, 0]


def trainer_scores(fitted: Fitted, task: str, X: np.ndarray) -> np.ndarray:
    return find_task(TARGETS[task].task).to_scores(FAMILIES[fitted.family].predict(fitted, X))


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.all(np.abs(found - expected) <= 1e-5 * np.maximum(1.0, np.abs(expected)))


@pytest.mark.parametrize("task", list(TARGETS))
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_graph_equals_the_trainer(family: str, task: str) -> None:
    fitted = fit(family, task)
    X, _ = data(task, 3000, 2, missing=False)
    assert_close(graph_scores(fitted, task, X), trainer_scores(fitted, task, X))
    assert graph_scores(fitted, task, X[:0]).shape[0] == 0


values = st.one_of(
    st.floats(width=32, allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1e8, -1e8, 1e-36, -1e-36, 0.5, 1.5, 2.5, float("nan")]),
)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("task", list(TARGETS))
@given(rows=st.lists(st.lists(values, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=20))
def test_trees_equal_lightgbm_on_any_number(
    task: str, missing: bool, rows: list[list[float]]
) -> None:
    fitted = _trees(task, missing)
    X = np.array(rows, dtype=np.float32)
    assert_close(graph_scores(fitted, task, X), trainer_scores(fitted, task, X))


_made: dict[Any, Fitted] = {}


def _trees(task: str, missing: bool) -> Fitted:
    if (task, missing) not in _made:
        _made[task, missing] = fit("gbdt", task, missing)
    return _made[task, missing]


@pytest.mark.parametrize("task", list(TARGETS))
def test_trees_are_exact_on_both_sides_of_every_threshold(task: str) -> None:
    fitted = fit("gbdt", task, missing=True)
    thresholds: dict[int, set[float]] = {}

    def collect(node: dict[str, Any]) -> None:
        if "split_feature" in node:
            thresholds.setdefault(node["split_feature"], set()).add(node["threshold"])
            collect(node["left_child"])
            collect(node["right_child"])

    for tree in fitted.state.booster.dump_model()["tree_info"]:
        collect(tree["tree_structure"])
    rows = []
    base = np.zeros(WIDTH, np.float32)
    for feature, found in thresholds.items():
        for threshold in found:
            with np.errstate(
                over="ignore"
            ):  # where only missing values go right, the threshold is huge
                at = np.float32(threshold)
                beside = [np.nextafter(at, np.float32(end)) for end in (np.inf, -np.inf)]
            for value in (at, *beside):
                row = base.copy()
                row[feature] = value
                rows.append(row)
    X = np.array(rows)
    assert len(X) > 100
    found_scores, expected = graph_scores(fitted, task, X), trainer_scores(fitted, task, X)
    assert_close(found_scores, expected)
    if task == "regression":
        assert np.max(np.abs(found_scores - expected)) <= 2 * np.spacing(
            1e8
        )  # the last bit of the sum


def test_adjacent_float32_levels_do_not_blur() -> None:
    """Converters that round thresholds to float32 get over a third of such rows wrong."""
    level = np.float32(1.0)
    levels = [level := np.nextafter(level, np.float32(2)) for _ in range(64)]
    chance = np.random.default_rng(0)
    X = np.array(levels, np.float32)[chance.integers(0, 64, (2000, WIDTH))]
    y = (chance.random(2000) < (X[:, 0] > levels[30]) * 0.6 + (X[:, 1] > levels[11]) * 0.3).astype(
        np.float64
    )
    fitted = FAMILIES["gbdt"].fit(Sample(X, y), TARGETS["binary"], MODELS.gbdt, 7, None)
    assert_close(graph_scores(fitted, "binary", X), trainer_scores(fitted, "binary", X))


@pytest.mark.parametrize("task", list(TARGETS))
def test_trees_that_split_categories_into_sets_are_exact(task: str) -> None:
    """Every code, missing (-1) and rare (0) included, and codes that no training row had."""
    chance = np.random.default_rng(2)
    X = chance.normal(size=(6000, WIDTH)).astype(np.float32)
    X[:, 1], X[:, 2] = chance.integers(-1, 90, 6000), chance.integers(-1, 6, 6000)
    signal = (
        (X[:, 1] * 7 % 11 > 5) + (X[:, 2] % 3 == 1) + X[:, 0] * 0.3 + chance.normal(size=6000) * 0.3
    )
    y = {
        "binary": signal > 0.9,
        "multiclass": np.digitize(signal, [0.5, 1.2]),
        "regression": signal,
        "ranking": np.digitize(signal, [0.5, 1.2]),
    }[task]
    params = GbdtParams(rounds=30, min_rows_per_leaf=5, categories="sets")
    sample = sample_of(task, X, y.astype(np.float64), [1, 2])
    fitted = FAMILIES["gbdt"].fit(sample, TARGETS[task], params, 7, None)
    assert "cat_threshold" in fitted.state.booster.model_to_string()
    unseen = X.copy()
    unseen[:, 1], unseen[:, 2] = chance.integers(-1, 300, 6000), chance.integers(-1, 300, 6000)
    for rows in (X, unseen):
        found, expected = graph_scores(fitted, task, rows), trainer_scores(fitted, task, rows)
        assert np.max(np.abs(found - expected)) <= 1e-6


@pytest.mark.parametrize("objective", ["lambdarank", "xendcg", "pointwise"])
@pytest.mark.parametrize("grading", [Grading(), Grading("linear", 2.0)])
def test_trees_of_every_objective_of_a_ranking_are_exact(objective: Any, grading: Grading) -> None:
    X, y = data("ranking", 800, 1, missing=True)
    # fractional grades, and more different ones than LightGBM has gains for
    y = y + np.round(np.abs(X[:, 2]), 2) if grading.gain == "linear" else y
    target = Target("y", "ranking", [], grading)
    queries = Queries(np.arange(800) // 8, grading)
    params = GbdtParams(rounds=20, min_rows_per_leaf=5, objective=objective)
    sample = Sample(X, np.nan_to_num(y), queries=queries)
    fitted = FAMILIES["gbdt"].fit(sample, target, params, 7, None)
    assert_close(graph_scores(fitted, "ranking", X), trainer_scores(fitted, "ranking", X))
    assert np.std(graph_scores(fitted, "ranking", X)) > 0


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("task", list(TARGETS))
def test_forests_are_exact_on_both_sides_of_every_threshold(task: str, missing: bool) -> None:
    fitted = fit("forest", task, missing)
    rows = [np.full(WIDTH, value, np.float32) for value in (np.nan, np.inf, -np.inf, 0, 3e38)]
    for one in fitted.state.estimator.estimators_[:5]:
        tree = one.tree_
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
            at = np.float32(threshold)
            for value in (at, *(np.nextafter(at, np.float32(end)) for end in (np.inf, -np.inf))):
                row = np.zeros(WIDTH, np.float32)
                row[max(feature, 0)] = value
                rows.append(row)
    X = np.array(rows)
    assert_close(graph_scores(fitted, task, X), trainer_scores(fitted, task, X))


def test_a_forest_is_the_mean_of_its_trees_and_never_sure() -> None:
    X, y = data("binary", 400, 1, False)
    params = ForestParams(trees=30, leaves=50, min_rows_per_leaf=1)
    fitted = FAMILIES["forest"].fit(Sample(X, y), TARGETS["binary"], params, 7, None)
    scores = trainer_scores(fitted, "binary", X)
    own = fitted.state.estimator.predict_proba(X)[:, 1]
    assert np.abs(scores - own).max() < 0.3
    assert np.corrcoef(scores, own)[0, 1] > 0.97
    pure = np.vstack([X[y == label] for label in (0, 1)])
    assert trainer_scores(fitted, "binary", pure).min() > 0
    assert trainer_scores(fitted, "binary", pure).max() < 1


def test_a_forest_ends_at_its_deadline_and_says_how_many_trees_it_has() -> None:
    X, y = data("regression", 400, 1, False)
    watched = ValidationSet(X, y, deadline=0.0)
    params = ForestParams(trees=500)
    fitted = FAMILIES["forest"].fit(Sample(X, y), TARGETS["regression"], params, 7, watched)
    assert fitted.params.trees == 10
    assert_close(graph_scores(fitted, "regression", X), trainer_scores(fitted, "regression", X))


def test_trees_without_a_split() -> None:
    X, y = data("binary", 8, 1, False)
    params = GbdtParams(rounds=3, min_rows_per_leaf=100)
    fitted = FAMILIES["gbdt"].fit(Sample(X, y), TARGETS["binary"], params, 7, None)
    assert_close(graph_scores(fitted, "binary", X), trainer_scores(fitted, "binary", X))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_linear_equals_scikit_learn(task: str) -> None:
    from sklearn.linear_model import LogisticRegression

    X, y = data(task, 500, 1, False)
    fitted = FAMILIES["linear"].fit(Sample(X, y), TARGETS[task], MODELS.linear, 7, None)
    reference = LogisticRegression(C=1 / (MODELS.linear.l2 * 500), max_iter=500).fit(
        X.astype(np.float64), y
    )
    expected = reference.predict_proba(X.astype(np.float64))
    assert_close(
        graph_scores(fitted, task, X), expected if task == "multiclass" else expected[:, 1]
    )


def test_a_class_that_no_row_had_gets_no_probability() -> None:
    X, y = data("multiclass", 300, 1, False)
    kept = y != 1
    for family in ("linear", "gbdt"):
        sample = Sample(X[kept], y[kept])
        fitted = FAMILIES[family].fit(
            sample, TARGETS["multiclass"], getattr(MODELS, family), 7, None
        )
        scores = graph_scores(fitted, "multiclass", X)
        assert_close(scores, trainer_scores(fitted, "multiclass", X))
        assert scores[:, 1].max() < 0.05


def test_early_stopping_names_its_rounds() -> None:
    X, y = data("binary", 600, 1, False)
    params = GbdtParams(max_rounds=500, early_stopping=10)
    watched = ValidationSet(X[400:], y[400:])
    fitted = FAMILIES["gbdt"].fit(Sample(X[:400], y[:400]), TARGETS["binary"], params, 7, watched)
    assert 1 <= fitted.params.rounds < 500
    assert (
        len(fitted.state.booster.dump_model(num_iteration=fitted.params.rounds)["tree_info"])
        == fitted.params.rounds
    )


def graph_of(
    parts: list[FittedMember], task: str, calibration: Calibration | None, X: np.ndarray
) -> np.ndarray:
    session = open_session(compile_model(parts, TARGETS[task], calibration))
    output = "probabilities" if task == "multiclass" else "prediction"
    scores: np.ndarray = session.run([output], {"numbers": X})[0]
    return scores if task == "multiclass" else scores[:, 0]


def parts_of(task: str) -> list[FittedMember]:
    """Two families with encoders of their own, shares and shifts."""
    X, y = data(task, 400, 1, False)
    frame = pl.DataFrame({f"f{at}": X[:, at].astype(np.float64) for at in range(WIDTH)})
    parts = []
    for family, encoder, weight in (("gbdt", raw_encoder, 0.7), ("linear", quantile, 0.3)):
        name = "raw" if family == "gbdt" else "quantile"
        features = Features(
            [FittedEncoder(c, name, "numbers", encoder.fit(frame[c])) for c in frame.columns], []
        )
        seen = open_session(compile_features(features)).rows(frame)
        fitted = FAMILIES[family].fit(
            sample_of(task, seen, y), TARGETS[task], getattr(MODELS, family), 7, None
        )
        shift = {"binary": [0.4], "multiclass": [0.1, -0.2, 0.3]}.get(task, [])
        scale = 0.37 if task == "ranking" else 1.0
        fitted = structs.replace(fitted, shift=shift, scale=scale)
        parts.append(FittedMember(features, fitted, weight))
    return parts


SIGMOID = Calibration(method="sigmoid", slope=0.7, intercept=0.0)
ISOTONIC = Calibration(method="isotonic", x=[-2.0, 0.0, 1.5], y=[0.05, 0.4, 0.9])
CASES: list[tuple[str, Calibration | None]] = [
    *((task, None) for task in TARGETS),
    ("binary", SIGMOID),
    ("binary", ISOTONIC),
    ("multiclass", SIGMOID),
]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("task", "calibration"), CASES)
def test_averages_shifts_and_calibration_in_the_graph(
    task: str, calibration: Calibration | None, count: int
) -> None:
    parts = parts_of(task)[:count]
    X, _ = data(task, 500, 9, False)
    frame = pl.DataFrame({f"f{at}": X[:, at].astype(np.float64) for at in range(WIDTH)})
    own = []
    for part in parts:
        raw = part.fitted.scale * FAMILIES[part.fitted.family].predict(
            part.fitted, open_session(compile_features(part.features)).rows(frame)
        )
        own.append(
            find_task(TARGETS[task].task).to_scores(
                raw + np.array(part.fitted.shift) if part.fitted.shift else raw
            )
        )
    weights = np.array([part.weight for part in parts])
    mean = np.tensordot(weights / weights.sum(), np.array(own), axes=1)
    assert_close(
        graph_of(parts, task, calibration, X),
        calibrate.apply(calibration, TARGETS[task].task, mean),
    )


def test_a_linear_model_of_dense_and_wide_columns() -> None:
    chance = np.random.default_rng(3)
    words = [f"w{at}" for at in chance.integers(0, 150, 900)]
    frame = pl.DataFrame({"x": chance.normal(size=900), "c": words})
    y = np.array([float(int(word[1:]) % 3 == 0) for word in words])
    spec = FeaturesSpec()
    features = fit_features(
        frame, plan_columns(frame, spec, {}, []), spec, EncoderChoice("linear"), []
    )
    session = open_session(compile_features(features))
    seen = session.rows(frame)
    assert hasattr(seen, "tocsr")
    assert features.names == ["x"]
    fitted = FAMILIES["linear"].fit(Sample(seen, y), TARGETS["binary"], MODELS.linear, 7, None)
    found = open_session(compile_model([FittedMember(features, fitted)], TARGETS["binary"])).column(
        "prediction", frame
    )[:, 0]
    assert_close(found, trainer_scores(fitted, "binary", seen))
    assert np.mean((found > 0.5) == y) > 0.99
