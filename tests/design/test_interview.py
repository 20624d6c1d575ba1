"""What a design review asks: the same answers by a prompt, by flags or by the data give the same
spec.
"""

import os
import pty
import select
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import headrace
from headrace.design import Answers, Ask, Question, interview, render_spec
from headrace.errors import InputError
from headrace.spec import System
from headrace.spec.decode import decode

QUESTIONS = {
    "target": "Which column should be predicted?",
    "task": "What kind of task is it?",
    "positive": "Which value is the positive class?",
    "metric": "Which metric decides between models?",
    "secondary": "Which other metrics must not get worse?",
    "costs": "What do a false alarm and a miss cost",
    "id": "Which column identifies each row?",
    "time": "Which column holds the time of each row?",
    "group": "Which column groups rows",
    "label_delay": "How long after the time of a row",
    "prediction": "Are predictions requested online",
    "latency_ms": "Within how many milliseconds",
    "throughput": "How many predictions per second",
    "sensitive": "Which columns name groups",
}
ANSWERS: dict[str, Any] = {
    "target": "returned", "task": "binary", "positive": "yes", "metric": "log_loss",
    "secondary": "brier, roc_auc",
    "costs": "1:5", "id": "order", "time": "at", "group": "-", "label_delay": "14 d",
    "prediction": "online",
    "latency_ms": "20", "throughput": "4,000", "sensitive": "gender",
}  # fmt: skip


def orders(rows: int = 300) -> pl.DataFrame:
    chance = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "order": [f"o{number}" for number in range(rows)],
            "user_id": chance.integers(0, 40, rows),
            "at": [datetime(2024, 1, 1) + timedelta(hours=number) for number in range(rows)],
            "gender": chance.choice(["f", "m"], rows),
            "size": chance.choice(["s", "m", "l"], rows),
            "returned": chance.choice(["yes", "no"], rows, p=[0.3, 0.7]),
        }
    )


def spec_of(text: str) -> System:
    return decode(msgspec.yaml.decode(text.encode()))


def asking(said: dict[str, Any], heard: list[Question]) -> Ask:
    def ask(question: Question) -> str:
        heard.append(question)
        return str(
            said[
                next(field for field, words in QUESTIONS.items() if question.text.startswith(words))
            ]
        )

    return ask


def test_every_question_is_a_flag() -> None:
    unasked = {"name", "query", "holdout", "read", "trials", "seconds", "yes"}
    assert set(QUESTIONS) | unasked == {field.name for field in msgspec.structs.fields(Answers)}
    heard: list[Question] = []
    asked = spec_of(
        render_spec(interview(orders(), "orders.csv", Answers(), asking(ANSWERS, heard)))
    )
    given = spec_of(render_spec(interview(orders(), "orders.csv", Answers(**ANSWERS))))
    assert asked == given
    assert len(heard) == len(QUESTIONS)
    assert given.goal.label_delay == given.split.gap == "14d"
    assert given.split.by == "time"
    assert given.goal.decision is not None
    assert given.goal.decision.false_negative == 5
    assert (given.requirements.latency_p99_ms, given.requirements.throughput_rps) == (20, 4000)
    assert given.evaluate.fairness.attributes == ["gender"]
    assert given.data.group is None
    assert given.gates == [
        "test.log_loss < baseline", "test.log_loss <= champion ± 0.006",
        "test.brier <= champion ± 0.002",
        "test.roc_auc >= champion ± 0.005",
    ]  # fmt: skip


def test_no_answer_takes_what_the_data_suggests() -> None:
    nothing = dict.fromkeys(QUESTIONS, "")
    asked = interview(orders(), "orders.csv", Answers(), asking(nothing, []))
    inferred = interview(orders(), "orders.csv", Answers(target="returned"))
    assert spec_of(render_spec(asked)) == spec_of(render_spec(inferred))
    assert asked["goal", "positive"] == ("yes", "the value that means yes")
    assert asked["data", "group"][0] == "user_id"
    assert "owners" in asked["data", "group"][1]


def test_only_what_applies_is_asked() -> None:
    heard: list[Question] = []
    frame = orders().with_columns(amount=pl.Series(np.arange(300) / 7)).drop("at")
    said = dict.fromkeys(QUESTIONS, "") | {"target": "amount", "prediction": "batch"}
    interview(frame, "orders.csv", Answers(id="-"), asking(said, heard))
    texts = " ".join(question.text for question in heard)
    absent = ("positive", "costs", "label_delay", "latency_ms", "id")
    assert not any(QUESTIONS[field] in texts for field in absent)
    assert QUESTIONS["throughput"] in texts


@pytest.mark.parametrize(
    ("field", "wrong", "words"),
    [
        ("target", "retuned", "did you mean 'returned'?"),
        ("task", "binnary", "did you mean 'binary'?"),
        ("task", "regression", "expected numbers for task regression"),
        ("positive", "maybe", "expected one of: "),
        ("metric", "rmse", "expected one of: roc_auc"),
        ("costs", "five", "such as 1:5"),
        ("costs", "1:0", "a number above 0"),
        ("label_delay", "a week", "such as 7d"),
        ("latency_ms", "fast", "a number above 0"),
        ("throughput", "-4", "a number above 0"),
        ("sensitive", "gender, rase", "no column 'rase'"),
        ("prediction", "-", "one of: online, batch"),
    ],
)
def test_a_wrong_answer_is_asked_again(field: str, wrong: str, words: str) -> None:
    heard: list[Question] = []
    first = asking(ANSWERS | {field: wrong}, heard)

    def ask(question: Question) -> str:
        return ANSWERS[field] if question.problem else first(question)

    problems: list[str] = []

    def listening(question: Question) -> str:
        problems.extend([question.problem] if question.problem else [])
        return ask(question)

    found = interview(orders(), "orders.csv", Answers(), listening)
    assert found == interview(orders(), "orders.csv", Answers(), asking(ANSWERS, []))
    assert len(problems) == 1
    assert words in problems[0]
    with pytest.raises(InputError, match="expected"):
        interview(orders(), "orders.csv", Answers(**(ANSWERS | {field: wrong})))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            {"target": "amount", "costs": "1:5"},
            "--costs: '1:5'; expected nothing: task regression has no positive class",
        ),
        (
            {"target": "size", "positive": "m"},
            "--positive: 'm'; expected nothing: task multiclass has no positive class",
        ),
        ({"target": "returned", "time": "size"}, "--time: 'size' holds String"),
        ({"target": "returned", "time": "gap"}, "--time: 'gap' has missing values (1)"),
        (
            {"target": "returned", "time": "user_id", "label_delay": "7d"},
            "'user_id' holds whole numbers",
        ),
        (
            {"target": "returned", "time": "-", "label_delay": "7d"},
            "no column holds the time of each row",
        ),
        ({"target": "returned", "sensitive": "returned"}, "no column 'returned'"),
        ({"target": "returned", "sensitive": "tags"}, "no column 'tags'"),
        ({"target": "returned", "name": "my ads"}, "--name: 'my ads'; expected up to 64 letters"),
    ],
)
def test_a_flag_that_does_not_apply_is_refused(answers: dict[str, Any], words: str) -> None:
    frame = orders().with_columns(
        amount=pl.Series(np.arange(300) / 7), gap=pl.col("at").shift(1), tags=pl.Series([[1]] * 300)
    )
    with pytest.raises(InputError) as error:
        interview(frame, "orders.csv", Answers(**answers))
    assert words in str(error.value)


def test_flags_may_say_that_there_is_none_and_name_one_twice() -> None:
    answers = Answers(
        target="returned", holdout="-", costs="-", label_delay="-", sensitive="gender, gender"
    )
    found = spec_of(render_spec(interview(orders(), "orders.csv", answers)))
    assert found.data.holdout is None
    assert found.evaluate.fairness.attributes == ["gender"]


def test_a_suggested_target_that_cannot_be_one_is_asked_again() -> None:
    """Enter takes the suggestion through the same door as an answer that was typed."""
    frame = orders().with_columns(same=pl.lit(1))
    asked: list[Question] = []

    def ask(question: Question) -> str:
        asked.append(question)
        return "returned" if question.problem else ""

    assert interview(frame, "orders.csv", Answers(), ask)["goal", "target"][0] == "returned"
    assert asked[0].suggestion == "same"
    assert "the same value in every row" in asked[1].problem


ODD = [
    "trail\n", "a\u2028b", "del\x7f", "nel\x85", 'quo"te', "dot.ted", "a: b # c", "é😀", "no",
    "- x", "\ufeffbom", "\t",
]  # fmt: skip


def test_columns_of_any_name_and_values_of_any_kind_make_a_valid_spec(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {name: ["a\u2028\x7f# b", "c"] * 30 for name in ODD} | {"y": ["no\x85", "on"] * 30}
    )
    frame.write_parquet(tmp_path / "odd.parquet")
    path, _ = headrace.init(tmp_path / "odd.parquet", Answers(target="y"), tmp_path)
    system = headrace.load(path)
    assert list(system.features.columns) == [name.strip() for name in ODD]
    assert system.goal.positive in ("no\x85", "on")


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    orders().write_csv(tmp_path / "orders.csv")
    for answers in (
        Answers(target="returned", name="my ads"),
        Answers(target="returned", holdout="none.csv"),
    ):
        with pytest.raises(InputError):
            headrace.init(tmp_path / "orders.csv", answers, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]
    headrace.init(tmp_path / "orders.csv", Answers(target="returned"), tmp_path)


def test_nobody_to_ask_and_no_target() -> None:
    with pytest.raises(
        InputError, match=r"--target: not given; expected the column to predict, one of: order"
    ):
        interview(orders(), "orders.csv", Answers())


def test_a_person_at_a_terminal(tmp_path: Path) -> None:
    orders().write_csv(tmp_path / "orders.csv")
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "headrace", "init", "orders.csv", "--dir", "shop"]
    child = subprocess.Popen(command, cwd=tmp_path, stdin=end, stdout=end, stderr=end)
    os.close(end)
    shown = ""
    said = ANSWERS | {"metric": "logloss"}
    expected = list(QUESTIONS)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and select.select([terminal], [], [], 30)[0]:
        try:
            shown += os.read(terminal, 65536).decode()
        except OSError:  # how Linux says that the other end is closed
            break
        if expected and shown.endswith("] ") and QUESTIONS[expected[0]] in shown:
            os.write(terminal, (said[expected[0]] + "\n").encode())
            if said[expected[0]] == "logloss":
                said["metric"] = "log_loss"
            else:
                expected.pop(0)
            time.sleep(0.05)
    os.close(terminal)
    assert child.wait(30) == 0
    assert not expected
    assert "did you mean 'log_loss'?" in shown
    assert "Wrote" in shown
    assert headrace.load(tmp_path / "shop").goal.metric == "log_loss"
