"""A ranking from the table to the bundle: queries stay whole, and row order teaches nothing."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import headrace
from headrace import Run
from headrace.arrays import Floats, Integers
from headrace.errors import HeadraceError, InputError
from headrace.evaluate import Predictions
from headrace.evaluate.chance import chance_probability
from headrace.features import Target
from headrace.spec import Data, Models, SplitSpec
from headrace.split import (
    Split,
    Strata,
    check_parts,
    check_queries,
    folds,
    inner_folds,
    split_rows,
)
from headrace.tasks import Grading, Queries, Truth
from headrace.train.subsample import subsample


def make_lists(queries: int, seed: int = 1, noise: bool = False) -> pl.DataFrame:
    """Rows of searches: their grade follows from price and kind, or from nothing."""
    chance = np.random.default_rng(seed)
    sizes = chance.integers(1, 14, queries)
    of_row = np.repeat(np.arange(queries), sizes)
    rows = len(of_row)
    price = chance.normal(size=rows) + chance.normal(size=queries)[of_row] * 3
    kind = chance.choice(["book", "film", "game"], rows)
    taste = chance.normal(size=rows)
    if not noise:
        mean = np.bincount(of_row, price) / sizes
        taste = (mean[of_row] - price) * 2 + (kind == "film") * 1.5 + taste * 0.5
    day = chance.integers(0, 300, queries)[of_row] * 1440 + chance.integers(0, 1440, rows)
    return pl.DataFrame(
        {
            "search": [f"s{at}" for at in of_row],
            "at": pl.Series(day).cast(pl.Int64) * 60_000_000,
            "country": chance.choice(["de", "fr"], queries)[of_row],
            "item": [f"i{at}" for at in chance.integers(0, 60, rows)],
            "price": price,
            "kind": kind,
            "grade": np.digitize(taste, [0.3, 1.5, 3.0]),
        }
    ).with_columns(pl.col("at").cast(pl.Datetime("us")))


def write(folder: Path, rows: pl.DataFrame, **branches: Any) -> Path:
    spec: dict[str, Any] = {
        "name": "shop",
        "goal": {"target": "grade", "task": "ranking"},
        "data": {"source": "rows.parquet", "group": "search"},
        "features": {"exclude": ["at"]},
        "models": {"search": {"trials": 0}, "gbdt": {"max_rounds": 60}},
    }
    for name, branch in branches.items():
        spec[name] = spec.get(name, {}) | branch if isinstance(branch, dict) else branch
    folder.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(folder / "rows.parquet")
    (folder / "system.yaml").write_bytes(msgspec.yaml.encode(spec))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    gates = ["test.ndcg_10 > baseline", "test.map_3 >= 0.5"]
    folder = tmp_path_factory.mktemp("shop")
    search = {"trials": 6, "seconds": 600}
    rows = make_lists(400)
    return headrace.run(write(folder, rows, gates=gates, models={"search": search}))


def test_an_order_is_learned_and_goes_live(run: Run) -> None:
    document = run.document
    assert document.metric.name == "ndcg_10"
    assert document.metric.test is not None
    assert document.metric.baseline is not None
    assert document.metric.test > document.metric.baseline + 0.1
    assert document.promoted
    assert "map_3" in document.metrics["test"]
    assert "fewer than 300 validation queries" in document.method
    tried = {(one.family, (one.params or {}).get("objective")) for one in document.candidates}
    assert {("linear", "pairs"), ("gbdt", "lambdarank"), ("gbdt", "pointwise")} <= tried
    assert document.threshold is None


def test_a_bundle_is_verified_and_its_queries_are_read_again(run: Run) -> None:
    found = headrace.verify(run.bundle)
    assert found.passed, found.findings


def test_the_report_has_lists_and_no_curve_of_decisions(run: Run) -> None:
    page = run.report.read_text()
    assert "NDCG by the length of the list" in page
    assert "The queries that it serves worst" in page
    assert "ROC" not in page
    report = run.document.queries
    assert report is not None
    values = [one.value for one in report.worst]
    assert values == sorted(values)
    assert report.left_out >= 0


def test_a_list_is_ordered_in_process(run: Run) -> None:
    model = headrace.open(run.bundle)
    names = [column.name for column in model.columns]
    rows = make_lists(1, seed=9).select(names).to_dicts()
    expected = [one["prediction"] for one in model.predict(rows)]
    items = model.rank({}, rows)
    assert [one["score"] for one in items] == sorted(expected, reverse=True)


def test_the_same_run_is_not_worse_than_itself(run: Run) -> None:
    folder = run.bundle.parent.parent.parent
    system = headrace.load(folder)
    again = headrace.run(system, fresh=True)
    assert again.document.comparison is not None
    assert again.document.comparison.gain == [0.0, 0.0]
    found = headrace.compare([run.model, again.model], folder).document
    assert found.metrics["ndcg_10"][0] == found.metrics["ndcg_10"][1]


def divide(rows: pl.DataFrame, by: Any, queries: Integers) -> Split:
    data = Data(source="", group="search", time="at" if by == "time" else None)
    split = SplitSpec(by=by, validation=0.2, test=0.2)
    return split_rows(rows, split, data, Strata(queries=queries), 0, seed=3)


@pytest.mark.parametrize("by", ["time", "group", "random", "stratified"])
def test_no_split_and_no_fold_divides_a_query(by: str) -> None:
    # the rows of a query lie apart, and under time over several days
    rows = make_lists(200).sample(fraction=1.0, shuffle=True, seed=1)
    queries = rows["search"].rank("dense").to_numpy().astype(np.int64) - 1
    parts = divide(rows, by, queries)
    pieces = [parts.train, parts.validation, parts.test]
    for fold in [*folds(parts, None, 4, 1), *inner_folds(parts, parts.train, None, 3, 1)]:
        pieces.append(fold.predict)
        assert not set(queries[fold.fit]) & set(queries[fold.predict])
    whole = np.bincount(queries)
    for piece in pieces:
        inside = np.bincount(queries[piece], minlength=len(whole))
        assert ((inside == 0) | (inside == whole)).all()
    seen = [set(queries[part]) for part in pieces[:3]]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert not seen[0] & seen[2]
    if by == "time":
        earliest = np.full(len(whole), np.iinfo(np.int64).max)
        np.minimum.at(earliest, queries, rows["at"].to_physical().to_numpy())
        ends = [(earliest[list(one)].min(), earliest[list(one)].max()) for one in seen]
        assert ends[0][1] <= ends[1][0] <= ends[1][1] <= ends[2][0]


def test_a_query_of_the_holdout_is_in_no_other_part() -> None:
    rows = make_lists(60)
    both = pl.concat([rows, rows.filter(pl.col("search") == "s3").with_columns(price=0.5)])
    queries = both["search"].rank("dense").to_numpy().astype(np.int64) - 1
    extra = both.height - rows.height
    split = SplitSpec(by="group", validation=0.2, test=0.2)
    parts = split_rows(
        both, split, Data(source="", group="search"), Strata(None, queries), extra, 3
    )
    fitted = np.concatenate([parts.train, parts.validation])
    assert not set(queries[fitted]) & set(queries[parts.test])


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_rows_to_fit_lie_by_query_and_keep_what_is_relevant(share: float) -> None:
    chance = np.random.default_rng(2)
    of_row = chance.integers(0, 30, 2000)
    grades = np.where(chance.random(2000) < 0.1, 2.0, 0.0)
    weight = chance.random(2000)
    truth = Truth(grades, weight, Queries(of_row, Grading()))
    target = Target("y", "ranking", [])
    drawn = subsample(truth, target, Models(negatives=share), seed=5)
    assert (np.diff(of_row[drawn.rows]) >= 0).all()
    assert drawn.shift == []
    assert drawn.weight is not None
    assert (drawn.weight == weight[drawn.rows]).all()
    for query in range(30):
        own = np.flatnonzero(of_row == query)
        inside = drawn.rows[of_row[drawn.rows] == query]
        assert set(own[grades[own] > 0]) <= set(inside)
        others, kept = (grades[own] == 0).sum(), (grades[inside] == 0).sum()
        assert kept == max(round(share * others), min(10, others))
        assert len(set(inside)) == len(inside)
        # the order of the table is not that of the fit
        assert share < 1 or inside.tolist() != own.tolist()


@pytest.mark.parametrize("family", ["linear", "gbdt"])
def test_noise_is_at_the_prior_though_rows_come_sorted(tmp_path: Path, family: str) -> None:
    rows = make_lists(900, seed=5, noise=True).sort("search", "grade", descending=[False, True])
    encode = {"columns": {"item": {"kind": "categorical", "encode": ["target"]}}}
    models = {"candidates": [family]}
    folder = write(tmp_path, rows, features=encode | {"exclude": ["at"]}, models=models)
    document = headrace.run(folder).document
    low, high = document.intervals["ndcg_10"]
    assert document.metric.baseline is not None
    assert low is not None
    assert high is not None
    assert low < document.metric.baseline < high
    assert not document.gates[-1].passed or document.gates[-1].gate.startswith("parity")


def test_a_model_that_knows_nothing_is_as_good_as_chance() -> None:
    chance = np.random.default_rng(7)
    of_row = np.repeat(np.arange(150), 8)
    grades = chance.integers(0, 4, 1200).astype(np.float64)
    # scores that differ between queries alone say nothing, however well they fit their grades
    means = np.bincount(of_row, grades)[of_row] + chance.normal(size=1200) * 1e-9
    blind = Predictions("ranking", grades, means, queries=Queries(of_row, Grading()))
    assert chance_probability("ndcg_10", blind) > 0.02
    sighted = blind.with_scores(grades + chance.normal(size=1200) * 2, None)
    assert chance_probability("ndcg_10", sighted) < 0.01


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_grades_may_be_fractions(tmp_path: Path, factor: float) -> None:
    rows = make_lists(150).with_columns(grade=pl.col("grade") * factor)
    document = headrace.run(write(tmp_path, rows, models={"candidates": ["gbdt"]})).document
    decided = {one.field: one.value for one in document.decisions}
    assert decided["goal.gain"] == ("exponential" if factor == 1 else "linear")
    assert document.metric.test is not None
    assert document.metric.baseline is not None
    assert document.metric.test > document.metric.baseline


def test_time_orders_whole_queries(tmp_path: Path) -> None:
    rows = make_lists(300)
    document = headrace.run(write(tmp_path, rows, data={"time": "at"})).document
    assert document.split == "time"
    assert document.promoted


Grade = pl.Series


@pytest.mark.parametrize(
    ("change", "branches", "words"),
    [
        ({}, {"data": {"group": None}}, "data.group: null with task ranking"),
        ({"search": pl.lit("a")}, {}, "one query in all rows"),
        ({"search": pl.int_range(pl.len()).cast(pl.String)}, {}, "queries of one row each"),
        ({"grade": pl.col("search").rank("dense")}, {}, "one grade each"),
        ({"grade": pl.lit(-1.0)}, {}, "the same value"),
        ({"grade": pl.col("grade") - 1}, {}, "a grade of -1"),
        (
            {
                "grade": pl.when(pl.int_range(pl.len()) == 4)
                .then(float("inf"))
                .otherwise(pl.col("grade"))
            },
            {},
            "row 5: a grade of inf",
        ),
        (
            {"grade": pl.when(pl.int_range(pl.len()) == 4).then(None).otherwise(pl.col("grade"))},
            {},
            "row 5 of rows.parquet: no grade",
        ),
        ({"grade": pl.col("kind")}, {}, "numbers"),
        (
            {"search": pl.when(pl.int_range(pl.len()) == 4).then(None).otherwise(pl.col("search"))},
            {},
            "row 5: no query",
        ),
        ({"grade": pl.col("grade") * 400}, {"goal": {"gain": "exponential"}}, "a grade of 1200"),
        ({}, {"goal": {"metric": "roc_auc"}}, "ndcg, map, mrr, recall, precision or hit_rate"),
        ({}, {"goal": {"metric": "ndcg_1001"}}, "goal.metric"),
        ({}, {"goal": {"metric": "ndcg_0"}}, "goal.metric"),
        ({}, {"goal": {"decision": {"by": "f1"}}}, "only a binary task has one"),
        ({}, {"models": {"class_weight": "balanced"}}, "class_weight"),
        ({}, {"models": {"gbdt": {"objective": "quantile"}}}, "models.gbdt.objective"),
        ({}, {"evaluate": {"fairness": {"attributes": ["country"]}}}, "do not compare"),
        ({}, {"gates": ["test.roc_auc > 0.5"]}, "roc_auc with task ranking"),
        ({}, {"rollout": {"unit": "search"}}, "the loss of a prediction, with task ranking"),
        ({}, {"goal": {"metric": "map_5", "relevant": 9}}, "no row is relevant"),
        ({"grade": pl.col("grade") / 10}, {"goal": {"metric": "mrr"}}, "no row is relevant"),
        ({}, {"goal": {"metric": "recall"}}, "the same for every order"),
        ({}, {"models": {"calibration": {"method": "sigmoid"}}}, "only probabilities"),
        (
            {},
            {"models": {"members": [{"family": "gbdt", "gbdt": {"objective": "mape"}}]}},
            "models.members[0].objective: mape with task ranking",
        ),
        ({}, {"split": {"by": "stratified"}}, "queries have no classes"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, change: dict[str, Any], branches: dict[str, Any], words: str
) -> None:
    rows = make_lists(60).with_columns(**change)
    with pytest.raises(HeadraceError) as caught:
        headrace.run(write(tmp_path, rows, **branches))
    assert words in str(caught.value)
    assert not (tmp_path / ".headrace" / "bundles").exists()


@pytest.mark.parametrize(
    ("branches", "words"),
    [
        ({"goal": {"target": "price", "gain": "linear"}}, "only grades have one"),
        ({"goal": {"target": "price", "metric": "recall_10"}}, "recall_10"),
        ({"models": {"gbdt": {"objective": "lambdarank"}}, "goal": {}}, "lambdarank with task"),
        ({"models": {"gbdt": {"truncation": 5}}, "goal": {}}, "models.gbdt.truncation"),
        ({"goal": {"target": "price", "relevant": 3}}, "goal.relevant: 3 with task"),
        (
            {
                "models": {"members": [{"family": "gbdt", "gbdt": {"objective": "xendcg"}}]},
                "goal": {},
            },
            "models.members[0].objective: xendcg",
        ),
    ],
)
def test_what_belongs_to_a_ranking_is_refused_elsewhere(
    tmp_path: Path, branches: dict[str, Any], words: str
) -> None:
    spec = branches | {"goal": {"target": "price", "task": "regression"} | branches["goal"]}
    with pytest.raises(HeadraceError) as caught:
        headrace.run(write(tmp_path, make_lists(60), **spec))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("kept", "models"),
    [
        (["search", "grade", "text"], {}),
        (["search", "grade", "vector"], {"candidates": ["gbdt"]}),
        (["search", "grade", "country"], {}),
        (["search", "grade", "price"], {"members": [{"family": "baseline"}]}),
    ],
)
def test_no_plain_column_may_matter(
    tmp_path: Path, kept: list[str], models: dict[str, Any]
) -> None:
    rows = make_lists(120)
    text = pl.format("item {} of kind {} in the {} shop", "item", "kind", "country")
    chance = np.random.default_rng(1).normal(size=(rows.height, 4)).astype(np.float32)
    rows = rows.with_columns(text=text, vector=pl.Series(chance, dtype=pl.Array(pl.Float32, 4)))
    folder = write(tmp_path, rows.select(kept), models=models, features={"exclude": []})
    report = headrace.run(folder).document.queries
    assert report is not None
    assert report.worst
    assert report.worst[0].values[0][0] == 1


def test_parts_without_anything_to_learn_or_to_find_are_refused() -> None:
    queries = np.repeat(np.arange(30), 5)
    split = SplitSpec(by="group", validation=0.2, test=0.2)
    frame = pl.DataFrame({"q": queries, "x": np.arange(150)})
    data = Data(source="", group="q")
    parts = split_rows(frame, split, data, Strata(queries=queries), 0, seed=3)
    grades = np.tile([0.0, 1.0, 0.0, 2.0, 0.0], 30)
    check_parts(queries, grades, parts, 1.0)
    flat = grades.copy()
    flat[parts.train] = 1.0
    with pytest.raises(InputError, match=r"split\.train.*an order to learn"):
        check_parts(queries, flat, parts, 1.0)
    nothing = grades.copy()
    nothing[parts.test] = 0.0
    with pytest.raises(InputError, match=r"split\.test.*something to find"):
        check_parts(queries, nothing, parts, 1.0)


def test_a_query_of_both_tables_does_not_move_the_holdout_back() -> None:
    days = np.r_[np.arange(60), np.arange(60, 70)]
    queries = np.r_[np.arange(60), [3, *range(61, 70)]]
    frame = pl.DataFrame({"at": pl.Series(days * 86_400_000_000).cast(pl.Datetime("us"))})
    frame = frame.with_columns(q=queries)
    split = SplitSpec(by="time", gap="1d")
    data = Data(source="", group="q", time="at")
    parts = split_rows(frame, split, data, Strata(queries=queries), 10, seed=1)
    assert parts.test.tolist() == list(range(60, 70))
    assert 3 not in parts.train
    assert len(parts.train) + len(parts.validation) > 50


def test_a_comparison_takes_whole_queries_and_rows_that_repeat(tmp_path: Path) -> None:
    rows = make_lists(150)
    rows = pl.concat([rows, rows.filter(pl.col("grade") == 0)])
    folder = write(tmp_path, rows)
    first = headrace.run(folder)
    second = headrace.run(folder, fresh=True)
    found = headrace.compare([first.model, second.model], folder).document
    assert found.metrics["ndcg_10"][0] == pytest.approx(first.document.metric.test)
    write(tmp_path, rows, goal={"relevant": 2})
    third = headrace.run(folder)
    with pytest.raises(InputError, match="judged alike"):
        headrace.compare([first.model, third.model], folder)


def test_thinning_out_keeps_whole_queries_and_some_of_them() -> None:
    queries = Queries(np.repeat(np.arange(10), 100), Grading())
    truth = Truth(np.zeros(1000), queries=queries)
    rows = np.arange(100, 900)
    assert set(np.bincount(queries.of_row[truth.thin_out(rows, 50)])) <= {0, 100}
    assert len(truth.thin_out(rows, 50)) == 100
    assert len(truth.thin_out(rows, 350)) == 300
    assert len(truth.thin_out(rows, 5000)) == 800


def test_flat_queries_are_counted() -> None:
    grades: Floats = np.array([1.0, 1.0, 0.0, 2.0, 3.0])
    (found,) = check_queries(np.array([0, 0, 1, 1, 2]), grades, Data(source="", group="q"))
    assert (found.check, found.evidence) == ("split.flat_queries", {"flat": 2, "queries": 3})
    with pytest.raises(InputError, match="one grade each"):
        check_queries(np.array([0, 0, 1, 1]), np.array([1.0, 1, 2, 2]), Data(source="", group="q"))


def test_the_resolved_spec_gives_the_same_model(run: Run, tmp_path: Path) -> None:
    home = run.bundle.parent.parent.parent
    (tmp_path / "system.yaml").write_bytes((run.bundle / "system.yaml").read_bytes())
    (tmp_path / "rows.parquet").write_bytes((home / "rows.parquet").read_bytes())
    again = headrace.run(headrace.load(tmp_path))
    assert (again.bundle / "model.onnx").read_bytes() == (run.bundle / "model.onnx").read_bytes()
