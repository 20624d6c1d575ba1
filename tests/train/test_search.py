"""What the search promises: its budget, what it leaves alone, what ships, and noise as noise."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec import structs

import headrace
from headrace import Run
from headrace.clock import ManualClock
from headrace.errors import InputError
from headrace.evaluate import MetricObjective, Predictions, compute_metrics
from headrace.features import Target
from headrace.models import FAMILIES, Fitted, Sample, TrialPruned, ValidationSet
from headrace.spec import GbdtParams, Member, parse
from headrace.tasks import Truth
from headrace.train import select
from headrace.train.ensemble import average_scores, select_members
from headrace.train.trial import Candidate
from tests.conftest import make_table, value_of

SPEC = """
name: searched
goal: {{target: {target}{goal}}}
data: {{source: rows.parquet{data}}}
features: {{exclude: [{exclude}], {features}}}
models: {{search: {{trials: {trials}, seconds: {seconds}}}{models}}}
{more}
"""


def write(folder: Path, frame: pl.DataFrame, target: str, **more: Any) -> Path:
    frame.write_parquet(folder / "rows.parquet")
    others = [
        name
        for name in ("label", "kind", "amount", "owner", "row")
        if name != target and name in frame.columns
    ]
    settled = {
        "goal": "",
        "data": "",
        "features": "columns: {}",
        "trials": 8,
        "seconds": 600,
        "models": "",
        "more": "",
    }
    (folder / "system.yaml").write_text(
        SPEC.format(target=target, exclude=", ".join(others), **settled | more)
    )
    return folder


def run(folder: Path) -> Run:
    return headrace.run(headrace.load(folder))


@pytest.mark.parametrize(
    "target",
    ["label", *(pytest.param(target, marks=pytest.mark.slow) for target in ("kind", "amount"))],
)
def test_the_resolved_spec_of_a_search_gives_the_same_model(tmp_path: Path, target: str) -> None:
    goal = ", decision: {by: f1}" if target == "label" else ""
    first = run(
        write(
            tmp_path,
            make_table(900, 4),
            target,
            goal=goal,
            models=", gbdt: {max_rounds: 60}",
            trials=5,
        )
    )
    assert len(first.document.candidates) > 4
    again = tmp_path / "again"
    again.mkdir()
    (again / "rows.parquet").write_bytes((tmp_path / "rows.parquet").read_bytes())
    (again / "system.yaml").write_bytes((first.bundle / "system.yaml").read_bytes())
    second = run(again)
    assert (second.bundle / "model.onnx").read_bytes() == (first.bundle / "model.onnx").read_bytes()
    assert len(second.document.candidates) == 1 + len(first.document.winner.members)
    assert headrace.verify(first.bundle).passed


def test_the_budget_of_seconds_is_held_within_a_fit(tmp_path: Path) -> None:
    """A fit of a million rounds that never stops early by itself ends at its deadline."""
    chance = np.random.default_rng(1)
    X = chance.normal(size=(20_000, 20)).astype(np.float32)
    y = (chance.random(20_000) < 0.5).astype(np.float64)
    params = GbdtParams(learning_rate=0.001, max_rounds=1_000_000, early_stopping=1_000_000)
    begin = time.perf_counter()
    watched = ValidationSet(X[:2000], y[:2000], deadline=begin + 1.0)
    fitted = FAMILIES["gbdt"].fit(Sample(X, y), Target("y", "binary", [0, 1]), params, 7, watched)
    assert fitted.params.rounds < 1_000_000
    assert fitted.state.booster.current_iteration() >= fitted.params.rounds >= 1


class RoundClock(ManualClock):
    """A clock by which every round of a fit takes a hundredth of a second."""

    def monotonic_s(self) -> float:
        self.advance(0.01)
        return super().monotonic_s()


def test_a_fit_with_little_time_takes_a_larger_learning_rate_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = np.random.default_rng(1)
    X = chance.normal(size=(2_000, 20)).astype(np.float32)
    y = (chance.random(2_000) < 0.5).astype(np.float64)
    target, params = Target("y", "binary", [0, 1]), GbdtParams(learning_rate=0.001)
    monkeypatch.setattr("headrace.models.gbdt.SYSTEM", RoundClock())
    hurried = FAMILIES["gbdt"].fit(
        Sample(X, y), target, params, 7, ValidationSet(X, y, deadline=0.2)
    )
    assert 0.001 < hurried.params.learning_rate <= 0.3
    late = FAMILIES["gbdt"].fit(Sample(X, y), target, params, 7, ValidationSet(X, y, deadline=0.0))
    assert late.params.rounds == 1
    calm = FAMILIES["gbdt"].fit(
        Sample(X[:500], y[:500]), target, structs.replace(params, max_rounds=20), 7, None
    )
    assert calm.params.learning_rate == 0.001


def test_a_fit_that_is_given_up_says_so() -> None:
    X = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.float64)
    asked: list[int] = []

    def should_prune(step: int, loss: float) -> bool:
        asked.append(step)
        return step >= 3

    watched = ValidationSet(X, y, should_prune=should_prune)
    with pytest.raises(TrialPruned):
        params = GbdtParams(learning_rate=0.2)
        FAMILIES["gbdt"].fit(Sample(X, y), Target("y", "binary", [0, 1]), params, 7, watched)
    assert asked == [1, 2, 3]


def candidate(name: float, scores: np.ndarray, y: np.ndarray, judge: MetricObjective) -> Candidate:
    member = Member(family="gbdt", gbdt=GbdtParams(l2=name))
    return Candidate(
        member,
        scores,
        judge.value(Truth(y), scores),
        judge.cost(Truth(y), scores),
        0.0,
        Fitted("gbdt", None, None),
        "searched",
    )


def test_an_average_ships_only_where_it_pays() -> None:
    chance = np.random.default_rng(3)
    y = chance.normal(size=2000)
    judge = MetricObjective("regression", "rmse")
    apart = [candidate(float(at + 1), y + chance.normal(size=2000), y, judge) for at in range(4)]
    members = select_members(apart, Truth(y), judge, 7)
    assert len(members) == 4
    assert sum(member.weight for member in members) == pytest.approx(1)
    scores = {one.member.gbdt.l2: one.scores for one in apart if one.member.gbdt}
    together = average_scores(
        [scores[m.gbdt.l2] for m in members if m.gbdt], [m.weight for m in members]
    )
    assert judge.value(Truth(y), together) < 0.6 * min(one.value for one in apart)
    noise = chance.normal(size=2000)
    alike = [candidate(float(at + 1), y + noise + at * 1e-9, y, judge) for at in range(4)]
    assert select_members(alike, Truth(y), judge, 7) == []
    assert select_members(apart[:1], Truth(y), judge, 7) == []


def noise_table(rows: int) -> pl.DataFrame:
    chance = np.random.default_rng(11)
    words = [f"word{at}" for at in range(300)]
    return pl.DataFrame(
        {
            "city": pl.Series(chance.integers(0, 400, rows)).cast(pl.String),
            "shop": pl.Series(chance.integers(0, 60, rows)).cast(pl.String),
            "x": chance.normal(size=rows),
            "note": [" ".join(chance.choice(words, 6)) for _ in range(rows)],
            "label": chance.choice(["no", "yes"], rows, p=[0.7, 0.3]),
        }
    )


@pytest.mark.parametrize("split", ["stratified", pytest.param("time", marks=pytest.mark.slow)])
def test_pure_noise_scores_at_the_prior_with_target_means_and_text(
    tmp_path: Path, split: str
) -> None:
    """Were a row's own target to reach its mean or its text's weights, both splits would part."""
    start = datetime(2024, 1, 1)
    frame = noise_table(4000).with_columns(
        at=pl.Series([start + timedelta(minutes=row) for row in range(4000)])
    )
    columns = (
        "columns: {city: {encode: [ordinal, target]}, shop: {encode: target}, note: {kind: text}}"
    )
    more = f"split: {{by: {split}}}"
    data = ", time: at" if split == "time" else ""
    document = run(
        write(
            tmp_path,
            frame,
            "label",
            features=columns,
            more=more,
            data=data,
            trials=4,
            models=", gbdt: {max_rounds: 40}",
        )
    ).document
    assert abs(value_of(document, "roc_auc") - 0.5) < 0.09  # three standard errors of 600 rows
    assert abs(value_of(document, "roc_auc", "validation") - 0.5) < 0.05
    assert value_of(document, "normalized_entropy") < 1.03


def test_target_means_of_a_category_with_one_row_each_do_not_learn_by_heart(tmp_path: Path) -> None:
    """The classic leak: the mean of a category seen once is the row's own target."""
    twins = pl.Series([f"t{row // 2}" for row in range(3000)])
    frame = noise_table(3000).drop("note").with_columns(twin=twins)
    columns = "columns: {twin: {kind: categorical, encode: target}}"
    models = ", candidates: [gbdt], gbdt: {max_rounds: 80}"
    document = run(
        write(tmp_path, frame, "label", features=columns, trials=0, models=models)
    ).document
    assert value_of(document, "normalized_entropy") < 1.05
    assert abs(value_of(document, "roc_auc") - 0.5) < 0.1


def test_no_slower_candidate_than_required(tmp_path: Path) -> None:
    bound = "requirements: {latency_p99_ms: 0.000001}"
    settled: dict[str, Any] = {"trials": 1, "models": ", gbdt: {max_rounds: 40}"}
    document = run(write(tmp_path, make_table(700, 4), "amount", more=bound, **settled)).document
    assert [one.check for one in document.findings][-1] == "train.latency"
    assert "the fastest, which was chosen" in document.findings[-1].message
    easy = tmp_path / "easy"
    easy.mkdir()
    document = run(
        write(
            easy,
            make_table(700, 4),
            "amount",
            more="requirements: {latency_p99_ms: 10000}",
            **settled,
        )
    ).document
    assert not [one for one in document.findings if one.check == "train.latency"]


def test_weights_count_in_the_fit_and_in_the_metrics(tmp_path: Path) -> None:
    frame = make_table(1200, 4)
    weight = np.where(frame["colour"].fill_null("") == "red", 0.0, 1.0)
    folder = write(
        tmp_path,
        frame.with_columns(w=pl.Series(weight)),
        "amount",
        data=", weight: w",
        trials=0,
        models=", candidates: [linear]",
    )
    found = run(folder)
    holdout = pl.read_parquet(found.bundle / "holdout.parquet")
    kept = holdout.filter(pl.col("w") > 0)
    predictions = Predictions(
        "regression", kept["amount"].to_numpy(), kept["prediction"].to_numpy()
    )
    expected = compute_metrics(predictions)
    assert found.document.metrics["test"]["rmse"] == pytest.approx(expected["rmse"])
    red = holdout.filter(pl.col("w") == 0)
    assert (
        np.mean(red["amount"].to_numpy() - red["prediction"].to_numpy()) > 10
    )  # nobody told the model of the red rows
    assert "w" not in found.document.features
    assert headrace.verify(found.bundle).passed
    frame.with_columns(w=pl.lit(-1.0)).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(
        InputError, match=r"data.weight 'w', row 1: -1; expected a number of at least 0"
    ):
        run(folder)


def test_rare_events_keep_their_probability(tmp_path: Path) -> None:
    frame = make_table(8000, 5).with_columns(
        label=pl.when(pl.col("amount") > 128).then(pl.lit("yes")).otherwise(pl.lit("no"))
    )
    share = np.mean((frame["label"] == "yes").to_numpy())
    models = ", candidates: [gbdt], negatives: 0.2, gbdt: {max_rounds: 60}"
    document = run(write(tmp_path, frame, "label", trials=0, models=models)).document
    assert share < 0.1
    assert value_of(document, "calibration_ratio") == pytest.approx(1, abs=0.25)
    assert value_of(document, "roc_auc") > 0.9


def test_a_decision_is_in_every_answer(tmp_path: Path) -> None:
    goal = ", metric: roc_auc, secondary: [f1], decision: {by: cost, false_negative: 4}"
    models = ", gbdt: {max_rounds: 40}"
    found = run(write(tmp_path, make_table(1500, 6), "label", goal=goal, trials=0, models=models))
    predictor, holdout = (
        headrace.open(found.bundle),
        pl.read_parquet(found.bundle / "holdout.parquet"),
    )
    threshold = found.document.threshold
    assert threshold is not None
    assert 0 < threshold < 0.5
    assert list(found.document.metrics["test"])[:2] == ["roc_auc", "f1"]
    table = predictor.predict(holdout)
    assert table["decision"].to_list() == [
        "yes" if p >= threshold else "no" for p in table["prediction"]
    ]
    rows = [
        {key: value for key, value in row.items() if key != "label"}
        for row in holdout.head(20).to_dicts()
    ]
    assert [one["decision"] for one in predictor.predict(rows)] == table["decision"].head(
        20
    ).to_list()
    assert holdout["decision"].to_list() == table["decision"].to_list()
    decided = headrace.load(found.bundle).goal.decision
    assert decided is not None
    assert decided.threshold == threshold


def test_text_vectors_and_crosses_travel_to_the_service(tmp_path: Path) -> None:
    chance = np.random.default_rng(8)
    rows = 600
    good = chance.random(rows) < 0.5
    frame = pl.DataFrame(
        {
            "review": [
                f"{'great and lovely' if one else 'bad and broken'} thing number {number}"
                for one, number in zip(good, chance.integers(0, 50, rows), strict=True)
            ],
            "embedding": pl.Series(
                (chance.normal(size=(rows, 4)) + good[:, None]).astype(np.float32),
                dtype=pl.Array(pl.Float32, 4),
            ),
            "a": chance.choice(["x", "y", "z"], rows),
            "b": chance.choice(["p", "q"], rows),
            "label": good,
        }
    )
    features = "crosses: [[a, b]]"
    for family in ("linear", "gbdt"):
        folder = tmp_path / family
        folder.mkdir()
        found = run(
            write(
                folder,
                frame,
                "label",
                features=features,
                trials=0,
                models=f", candidates: [{family}], gbdt: {{max_rounds: 30}}",
            )
        )
        assert value_of(found.document, "roc_auc") > 0.97
        assert found.document.parity <= 1e-5
        assert headrace.verify(found.bundle).passed
        predictor = headrace.open(found.bundle)
        asked = frame.head(7).drop("label")
        table = predictor.predict(asked)["prediction"].to_list()
        assert [one["prediction"] for one in predictor.predict(asked.to_dicts())] == pytest.approx(
            table, abs=1e-6
        )
        assert [
            predictor.predict([row])[0]["prediction"] for row in asked.to_dicts()
        ] == pytest.approx(table, abs=1e-6)
        with pytest.raises(
            InputError, match=r"row 1, column 'embedding'.*expected a list of 4 numbers"
        ):
            predictor.predict([asked.to_dicts()[0] | {"embedding": [1.0]}])


def test_speed_takes_the_fastest_of_those_that_are_level(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(3)
    y = chance.normal(size=2000)
    judge = MetricObjective("regression", "rmse")
    noise = chance.normal(size=2000)
    best, level, worse = (
        candidate(l2, y + noise * size, y, judge)
        for l2, size in ((1.0, 1.0), (2.0, 1.0 + 1e-9), (3.0, 1.5))
    )
    level = structs.replace(level, scores=level.scores + chance.normal(size=2000) * 0.01)
    taken = {1.0: 3.0, 2.0: 2.0, 3.0: 0.1}
    monkeypatch.setattr(select, "_fitted_member", lambda one, rows, fit_on: one)
    monkeypatch.setattr(
        select, "measure_ms", lambda parts, rows, quantile: taken[parts[0].member.gbdt.l2]
    )
    rows: Any = None
    ranked = [best, level, worse]
    member, why = select._pick_fastest(ranked, Truth(y), judge, rows, np.arange(0))
    assert member == level.member
    assert why.endswith("not certainly worse than the best: 2 ms a row, the best 3")


def test_a_preference_for_speed_ships_one_candidate_and_says_why(tmp_path: Path) -> None:
    frame = make_table(700, 4)
    folder = write(tmp_path, frame, "label", trials=3, models=", gbdt: {max_rounds: 40}")
    text = (folder / "system.yaml").read_text().replace("trials: 3", "trials: 3, prefer: speed")
    (folder / "system.yaml").write_text(text)
    run_of = run(folder)
    assert len(run_of.document.winner.members) == 1
    (why,) = [one.why for one in run_of.document.decisions if one.field == "models"]
    assert "the fastest of" in why
    # the resolved spec states the member, and prefers nothing
    spec = run_of.bundle / "system.yaml"
    resolved = parse(spec.read_bytes(), spec)
    assert resolved.models.search.prefer == "quality"
    bad = text.replace("models: {", "models: {members: [{family: linear}], ", 1)
    (folder / "system.yaml").write_text(bad)
    with pytest.raises(InputError, match=r"models\.search\.prefer"):
        run(folder)
