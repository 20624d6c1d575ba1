from datetime import datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from headrace.design import Answers, infer_goal, infer_kind, interview, render_spec
from headrace.design.roles import infer_time
from headrace.errors import InputError
from headrace.spec import DecisionSpec, Goal
from headrace.spec.decode import decode


@pytest.mark.parametrize(
    ("values", "task", "positive"),
    [
        (["no", "yes", "no"], "binary", "yes"),
        ([0, 1, 0, 0], "binary", 1),
        ([True, False, False], "binary", True),
        (["cat", "dog", "dog"], "binary", "cat"),
        (["a", "b", "c"], "multiclass", None),
        ([1, 2, 3, 4], "multiclass", None),
        (list(range(50)), "regression", None),
        ([0.5, 1.5, 2.5], "regression", None),
    ],
)
def test_task_and_positive_class(values: list[Any], task: str, positive: Any) -> None:
    goal, why = infer_goal(Goal(target="y"), pl.Series("y", values))
    assert (goal.task, goal.positive) == (task, positive)
    assert why["goal.task"]
    assert why["goal.metric"]


def test_a_rare_event_is_judged_by_average_precision() -> None:
    goal, why = infer_goal(Goal(target="y"), pl.Series("y", [1] + [0] * 99))
    assert goal.metric == "average_precision"
    assert "1.00%" in why["goal.metric"]


@pytest.mark.parametrize(
    ("goal", "values", "words"),
    [
        (Goal(target="y"), [1, 1, 1], "the same value in every row"),
        (Goal(target="y"), [None, None], "no value in any row"),
        (Goal(target="y", task="regression"), ["a", "b"], "numbers for task regression"),
        (Goal(target="y", task="binary"), [1, 2, 3], "3 different values"),
        (Goal(target="y", task="multiclass"), [0.5, 1.5, 2.0], "numbers with fractions"),
        (Goal(target="y", positive="maybe"), ["no", "yes"], "'maybe' is not a value"),
        (Goal(target="y", metric="rmse"), ["no", "yes"], "'rmse' with task binary"),
        (Goal(target="y"), [[1], [2]], "nested"),
        (Goal(target="y", task="regression"), [1.0, float("inf"), 2.0], "infinite"),
        (Goal(target="y"), [f"c{number}" for number in range(1001)], "1001 different values"),
    ],
)
def test_an_impossible_target_is_refused(goal: Goal, values: list[Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        infer_goal(goal, pl.Series("y", values))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.5, None], "numeric"),
        ([True, False], "boolean"),
        (["a", "b"], "categorical"),
        ([datetime(2020, 1, 1), datetime(2020, 1, 2)], "datetime"),
        ([None, None], "ignored"),
        ([3, 3, 3], "ignored"),
        ([[1], [2]], "ignored"),
        ([f"u{number}" for number in range(500)], "ignored"),
        (list(range(200)), "ignored"),
        ([number * 7 % 1000 for number in range(1000)][:500], "numeric"),
    ],
)
def test_kinds(values: list[Any], kind: str) -> None:
    assert infer_kind(pl.Series(values))[0] == kind


def test_a_draft_is_a_valid_spec_with_reasons() -> None:
    frame = pl.DataFrame(
        {
            "order_id": [f"o{number}" for number in range(300)],
            "user_id": [number % 40 for number in range(300)],
            "ordered at": [
                datetime(2024, 1, 1 + number % 28, number % 24) for number in range(300)
            ],
            "size: odd # name": ["s", "m", "l"] * 100,
            "returned": [number % 10 == 0 for number in range(300)],
        }
    )
    text = render_spec(interview(frame, "some file.csv", Answers(target="returned")))
    import msgspec

    system = decode(msgspec.yaml.decode(text.encode()))
    assert (system.data.id, system.data.time, system.data.group) == (
        "order_id",
        "ordered at",
        "user_id",
    )
    assert (system.goal.task, system.goal.positive, system.split.by) == ("binary", True, "time")
    assert system.features.columns["size: odd # name"].kind == "categorical"
    assert "# " in text
    assert "10.0% of the rows are positive" in text


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pl.Series("zip", [10115, 10117, 80331] * 40), "categorical"),
        (pl.Series("customer_id", [1, 2, 3, 4] * 30), "categorical"),
        (pl.Series("customerId", list(range(500, 1000, 5))), "ignored"),
        (pl.Series("amount", [1, 2, 3, 4] * 30), "numeric"),
        (pl.Series("note", [f"my order number {n} has not arrived" for n in range(80)]), "text"),
        (pl.Series("token", [f"a{n:x}" for n in range(400)]), "ignored"),
        (
            pl.Series(
                "airport",
                ["Los Angeles International Airport", "San Francisco International Airport"] * 60,
            ),
            "categorical",
        ),
        (pl.Series("city", [f"city {n % 60}" for n in range(400)]), "categorical"),
        (pl.Series("v", [[1.0, 2.0]] * 5, dtype=pl.Array(pl.Float32, 2)), "vector"),
        (pl.Series("same", [1.0] * 50), "ignored"),
    ],
)
def test_kinds_by_name_and_words(column: pl.Series, kind: str) -> None:
    found, why = infer_kind(column)
    assert found == kind
    assert why


def test_the_time_of_a_day_is_no_time_of_a_row() -> None:
    frame = pl.DataFrame(
        {"at": [time(9, 30), time(10, 0)], "took": [timedelta(hours=1), timedelta(hours=2)]}
    )
    assert infer_time(frame)[0] is None
    assert [infer_kind(frame[name])[0] for name in frame.columns] == ["ignored", "ignored"]


def test_a_decision_of_another_task_is_refused_before_anything_is_fitted() -> None:
    with pytest.raises(InputError, match="only a binary task has one"):
        infer_goal(Goal(target="y", decision=DecisionSpec()), pl.Series("y", [1.5, 2.5, 3.5] * 5))


def test_the_times_that_were_not_chosen_are_named_beside_the_one_that_was() -> None:
    days = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 3, 1), eager=True)
    frame = pl.DataFrame({"x": days, "created_at": days})
    assert infer_time(frame) == ("created_at", "dates or times in every row (also: x)")
