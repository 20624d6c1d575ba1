"""A list is put in order as its rows are predicted, one by one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.errors import InputError
from headrace.predict import Predictor, order_scores
from headrace.predict.lists import ListReader
from headrace.predict.rows import RowReader
from headrace.tables import Column, Schema
from tests.conftest import Runs, make_table


def rows_of(predictor: Predictor, count: int) -> list[dict[str, Any]]:
    names = [column.name for column in predictor.columns]
    rows = make_table(count, seed=5).to_dicts()
    return [{name: row[name] for name in names} for row in rows]


def divide(rows: list[dict[str, Any]], shared: list[str]) -> tuple[Any, Any]:
    """Make the columns `shared` those of a context; all rows get the first row's values there."""
    context = {name: rows[0][name] for name in shared}
    candidates = [
        {name: value for name, value in row.items() if name not in context} for row in rows
    ]
    return context, candidates


@pytest.mark.parametrize("task", ["binary", "regression"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_list_is_scored_as_its_rows(runs: Runs, task: str, data: st.DataObject) -> None:
    predictor = headrace.open(runs(task, "gbdt").bundle)
    rows = rows_of(predictor, data.draw(st.integers(1, 12)))
    shared = data.draw(st.lists(st.sampled_from(sorted(rows[0])), unique=True))
    for row in rows:
        for name in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=3, unique=True)):
            row[name] = data.draw(
                st.sampled_from([None, "unheard of"] if name == "colour" else [None])
            )
    context, candidates = divide(rows, shared)
    merged = [{**context, **candidate} for candidate in candidates]
    expected = [one["prediction"] for one in predictor.predict(merged)]
    scores, gaps = predictor.score_list(context, candidates)
    assert scores.tolist() == pytest.approx(expected, rel=1e-6)
    for at, one in enumerate(predictor.predict(merged)):
        gap = gaps.get(at)
        assert (gap.imputed if gap else []) == one.get("imputed", [])
        assert (gap.unseen if gap else []) == one.get("unseen", [])

    k = data.draw(st.none() | st.integers(1, 15))
    items = predictor.rank(context, candidates, k)
    assert [one["position"] for one in items] == list(range(1, min(k or 12, len(rows)) + 1))
    best_first = sorted(range(len(rows)), key=lambda at: -scores[at])
    assert [one["candidate"] for one in items] == best_first[:k]
    assert [one["score"] for one in items] == [scores[at] for at in best_first[:k]]


def test_equal_scores_stay_as_given() -> None:
    assert [at for at, _ in order_scores(np.array([1.0, 2.0, 1.0, 2.0]), None)] == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("change", "where", "found"),
    [
        (lambda context, rows: rows[2].update(context), "candidate 3, column", "context as well"),
        (lambda context, rows: rows[1].pop(next(iter(rows[1]))), "candidate 2, column", "no such"),
        (lambda context, rows: rows[1].update({next(iter(rows[1])): {}}), "candidate 2", "dict"),
        (lambda context, rows: rows.__setitem__(1, 7), "candidate 2", "int '7'"),
        (
            lambda context, rows: context.update({next(iter(context)): []}),
            "context, column",
            "list",
        ),
    ],
)
def test_what_cannot_be_put_in_order_is_named(
    runs: Runs, change: Any, where: str, found: str
) -> None:
    predictor = headrace.open(runs("binary", "gbdt").bundle)
    rows = rows_of(predictor, 4)
    context, candidates = divide(rows, sorted(rows[0])[:2])
    change(context, candidates)
    with pytest.raises(InputError, match=where) as caught:
        predictor.rank(context, candidates)
    assert found in str(caught.value)


def test_a_column_in_two_inputs_is_one_column_of_a_candidate() -> None:
    columns = [Column(name=name, dtype="number", kind="numeric") for name in "ab"]
    schema = Schema(columns=columns, target="y", target_dtype="number")
    session: Any = SimpleNamespace(groups={"numbers": ["a", "b"], "doubles": ["a"]}, codes=[])
    reader = ListReader(RowReader(session, schema))
    feeds, _ = reader.read({"b": 5}, [{"a": 1}, {"a": 2}])
    assert feeds["numbers"].tolist() == [[1, 5], [2, 5]]
    # As many columns as the inputs have left: `b` would hide among them.
    with pytest.raises(InputError, match=r"column 'b'.*in the context as well"):
        reader.read({"b": 5}, [{"a": 1, "b": 6}])


def test_a_model_of_classes_ranks_nothing(runs: Runs, tmp_path: Path) -> None:
    predictor = headrace.open(runs("multiclass", "gbdt").bundle)
    with pytest.raises(InputError, match="one number"):
        predictor.rank({}, rows_of(predictor, 2))
    model: Any = headrace.open(runs("binary", "gbdt").bundle)
    for k in (0, -1, True, 2.5, "3"):
        with pytest.raises(InputError, match="k: "):
            model.rank({}, [], k)
    unusable: list[Any] = [None, {}, iter([])]
    for candidates in unusable:
        with pytest.raises(InputError, match="a list of dicts"):
            model.rank({}, candidates)


def test_no_candidates_are_no_items(runs: Runs) -> None:
    assert headrace.open(runs("binary", "gbdt").bundle).rank({"x": 1}, []) == []
