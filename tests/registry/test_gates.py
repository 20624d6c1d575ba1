"""Gates: what can be written, and that the paired interval on rows that the champion has not seen
decides.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace
from headrace.errors import InputError, SpecError
from headrace.evaluate import ModelPair, Predictions
from headrace.registry import judge, write_fitted_rows
from headrace.registry.fitted_rows import fitted_mask, row_hashes
from headrace.spec import parse_gate
from headrace.workspace import Workspace
from tests.conftest import write_system


def pair(better_by: float, rows: int = 2_000, seed: int = 1) -> ModelPair:
    """Two models of a value, the first with less noise."""
    chance = np.random.default_rng(seed)
    y, noise = chance.normal(size=rows), chance.normal(size=rows)
    new = Predictions("regression", y, y + noise * (1 - better_by))
    return ModelPair(new, new.with_scores(y + noise, None))


@pytest.mark.parametrize(
    ("gate", "better_by", "passed"),
    [
        ("test.rmse < champion", 0.1, True),
        ("test.rmse < champion", 0.0, False),
        ("test.rmse <= champion", 0.0, True),
        ("test.rmse <= champion", -0.1, False),
        ("test.rmse <= champion ± 0.2", -0.1, True),
        ("test.rmse <= champion +- 0.05", -0.1, False),
        ("test.r2 > champion", 0.1, True),
        ("test.r2 >= champion", -0.1, False),
        ("test.rmse < baseline", 0.1, True),
    ],
)
def test_a_rival_is_met_by_the_interval(gate: str, better_by: float, passed: bool) -> None:
    found = judge([parse_gate(gate)], {"test": {"rmse": 1.0, "r2": 0.0}}, dict.fromkeys(
        ("champion", "baseline"), pair(better_by)))[0]  # fmt: skip
    assert found.passed == passed, found
    assert found.value is not None
    assert found.bound is not None
    assert found.interval is not None


def test_a_lucky_point_does_not_pass() -> None:
    """Better by a little on few rows: the point says yes, the interval says that it may be luck."""
    chance = np.random.default_rng(3)
    y = chance.normal(size=60)
    first, second = y + chance.normal(size=60), y + chance.normal(size=60)
    better, worse = sorted((first, second), key=lambda scores: np.square(scores - y).mean())
    found = judge([parse_gate("test.rmse < champion")], {"test": {"rmse": 1.0}},
                  {"champion": ModelPair(Predictions("regression", y, better),
                                         Predictions("regression", y, worse))})[0]  # fmt: skip
    assert found.value is not None
    assert found.bound is not None
    assert found.value < found.bound
    assert not found.passed


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        ("test.rmse <= 1", 1.0, True),
        ("test.rmse < 1", 1.0, False),
        ("validation.rmse >= 1e-1", 0.2, True),
        ("test.r2 > -0.5", float("nan"), False),
    ],
)
def test_a_number_is_met_by_the_point(gate: str, value: float, passed: bool) -> None:
    metrics = {"test": {"rmse": value, "r2": value}, "validation": {"rmse": value}}
    assert judge([parse_gate(gate)], metrics, {})[0].passed == passed


def test_no_champion_passes_and_one_that_cannot_be_compared_does_not() -> None:
    gate = [parse_gate("test.rmse <= champion")]
    assert judge(gate, {"test": {"rmse": 1.0}}, {"champion": None})[0].passed
    failed = judge(gate, {"test": {"rmse": 1.0}}, {"champion": "its bundle is gone"})[0]
    assert not failed.passed
    assert "its bundle is gone" in failed.why


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roc_auc >= 0.75", "SPLIT.METRIC"),
        ("test.roc_acu >= 0.75", "did you mean 'roc_auc'"),
        ("test.roc_auc >= 0.75 ± 0.1", "a margin with a number"),
        ("validation.roc_auc >= champion", "the test split"),
        ("test.log_loss >= champion", "<= or < for log_loss"),
        ("test.roc_auc >= champion ± x", "SPLIT.METRIC"),
    ],
)
def test_a_gate_that_is_none(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_gate(text)


def test_a_metric_of_another_task(tmp_path: Path) -> None:
    folder = write_system(tmp_path, "regression", "linear", rows=200)
    text = (folder / "system.yaml").read_text()
    for _ in range(2):  # also where the rows were prepared before
        (folder / "system.yaml").write_text(text + 'gates: ["test.roc_auc > baseline"]\n')
        with pytest.raises(InputError, match="roc_auc with task regression"):
            headrace.run(headrace.load(folder))
        (folder / "system.yaml").write_text(text)
        assert headrace.run(headrace.load(folder)).document.promoted


numbers = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**40), 2**40)
)
texts = st.one_of(st.none(), st.text(max_size=4))


@given(rows=st.lists(st.tuples(texts, numbers), min_size=1, max_size=30))
def test_equal_rows_have_one_number_and_others_have_others(
    rows: list[tuple[str | None, float | None]],
) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.Float64}, orient="row", strict=False)
    plain = [(a, None if b is None or np.isnan(b) else b + 0.0) for a, b in frame.rows()]
    found = row_hashes(frame).tolist()
    assert len(set(zip(plain, found, strict=True))) == len(set(plain)) == len(set(found))


def test_the_numbers_of_rows_never_change(tmp_path: Path) -> None:
    """They are kept for years: these were written down once."""
    frame = pl.DataFrame({"n": [1, None, -3], "t": ["a", "", None], "x": [0.5, -0.0, None]})
    assert row_hashes(frame).tolist() == [
        10081968575832560566,
        9880857335257826362,
        6910322991574199900,
    ]
    write_fitted_rows(Workspace(tmp_path), "m-000001", frame[:2])
    assert fitted_mask(Workspace(tmp_path), "m-000001", frame.with_columns(more=1)) is not None
    seen = fitted_mask(Workspace(tmp_path), "m-000001", frame.with_columns(more=1))
    assert seen is not None
    assert seen.tolist() == [True, True, False]
    assert fitted_mask(Workspace(tmp_path), "m-000001", frame.drop("x")) is None
    assert (
        fitted_mask(
            Workspace(tmp_path), "m-000001", frame.with_columns(pl.col("x").cast(pl.String))
        )
        is None
    )
    assert fitted_mask(Workspace(tmp_path), "m-000002", frame) is None


def test_groups_that_fare_differently_are_refused(tmp_path: Path) -> None:
    spec = write_system(tmp_path, "binary", "linear", rows=1500) / "system.yaml"
    text = (
        spec.read_text() + "evaluate: {fairness: {attributes: [colour, owner], max_gap: {GAP}}}\n"
    )
    spec.write_text(text.replace("GAP", "selection_rate: 0.9"))
    assert headrace.run(headrace.load(tmp_path)).document.promoted
    spec.write_text(text.replace("GAP", "selection_rate: 0.01"))
    run = headrace.run(headrace.load(tmp_path))
    failed = [one for one in run.document.gates if not one.passed]
    assert not run.document.promoted
    assert failed[0].gate == "selection_rate by colour within 0.01"
    test = pl.read_parquet(run.bundle / "holdout.parquet")
    reds = test.filter(colour="red")["prediction"].to_numpy()
    assert f"red {(reds >= 0.5).mean():.3g}" in failed[0].why


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("attributes: [color]", "no column 'color'; expected some of: .*; did you mean 'colour'"),
        ("attributes: [colour, colour]", "'colour' twice"),
        ("attributes: [label]", "'label', the target or a nested column"),
        (
            "attributes: [colour], max_gap: {mean_error: 1}",
            "mean_error with task binary; expected some of: selection",
        ),
        ("max_gap: {accuracy: 0.1}", "no attributes to compare"),
    ],
)
def test_groups_that_cannot_be_compared(tmp_path: Path, spec: str, words: str) -> None:
    path = write_system(tmp_path, "binary", "linear", rows=300) / "system.yaml"
    path.write_text(path.read_text() + f"evaluate: {{fairness: {{{spec}}}}}\n")
    with pytest.raises(InputError, match=words):
        headrace.run(headrace.load(tmp_path))


@pytest.mark.parametrize("prediction", ["online", "batch"])
def test_a_required_load_is_measured(tmp_path: Path, prediction: str) -> None:
    path = write_system(tmp_path, "binary", "linear", rows=300) / "system.yaml"
    text = path.read_text() + f"requirements: {{prediction: {prediction}, throughput_rps: RATE}}\n"
    path.write_text(text.replace("RATE", "10"))
    assert headrace.run(headrace.load(tmp_path)).document.promoted
    path.write_text(text.replace("RATE", "1000000000000"))
    run = headrace.run(headrace.load(tmp_path))
    failed = [one for one in run.document.gates if not one.passed]
    assert [one.gate for one in failed] == ["throughput_rps >= 1e+12"]
    assert (failed[0].value or 0) > 10
