"""The commands of a rollout: what they print, what they record, and how they refuse."""

import json
from pathlib import Path

import polars as pl
import pytest

import headrace
from headrace.log import Log
from tests.command import run_command
from tests.rollout_system import NAME, copy_system


@pytest.fixture
def folder(ads_template: Path, tmp_path: Path) -> Path:
    return copy_system(ads_template, tmp_path)


def rollout(folder: Path, *arguments: str) -> tuple[int, str]:
    done = run_command("rollout", *arguments, "--dir", folder)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_rollout_is_steered_and_every_step_is_recorded(folder: Path) -> None:
    assert rollout(folder, "start", f"{NAME}@2", "--why", "look at it")[0] == 0
    status = run_command("status", folder, "--json")
    document = json.loads(status.stdout)
    assert (document["stage"], document["phase"]) == ("test", 1)
    assert rollout(folder, "arms", "challenger=0.2")[0] == 0
    assert rollout(folder, "pause")[0] == 0
    assert "pause" in run_command("status", folder).stdout
    assert rollout(folder, "resume")[0] == 0
    assert rollout(folder, "promote", "--why", "enough")[0] == 0

    lines = run_command("history", folder).stdout.splitlines()[-6:]
    actions = [line.split()[1] for line in lines]
    assert actions == ["start", "arms", "pause", "resume", "stop", "promote"]
    assert "look at it" in lines[0]
    assert "enough" in lines[-1]
    assert headrace.load(folder).workspace.read_aliases(NAME) == {"champion": 2}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("next",), "no rollout is live"),
        (("start", f"{NAME}@1"), "it is the champion"),
        (("start", f"{NAME}@9"), "no such version"),
        (("start",), "no challenger waits"),
        (("start", f"{NAME}@2", "--stage", "tset"), "one of: shadow, canary, test"),
        (("start", f"{NAME}@2", "--stage", "canary"), "no stage canary"),
        (("arms", "challenger"), "ARM=SHARE"),
        (("arms", "challenger=much"), "ARM=SHARE"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    status, text = rollout(folder, *arguments)
    assert status == 2
    assert words in text
    assert len(text.strip().splitlines()) == 1


def test_the_champion_against_itself(folder: Path) -> None:
    assert rollout(folder, "start", "--aa")[0] == 0
    assert "against itself" in run_command("history", folder).stdout.splitlines()[-1]


def test_a_system_without_the_branch_says_so(ads_template: Path) -> None:
    status, text = rollout(ads_template, "start", f"{NAME}@2")
    assert status == 2
    assert "add `rollout:` to system.yaml" in text


def test_feedback_from_a_table(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    rows = {"row": [7, 8, 9], "outcome": [1.5, 0, 2], "time": ["2026-01-01T00:00:00"] * 3}
    pl.DataFrame(rows, strict=False).write_csv(table)
    done = run_command("feedback", table, "--name", "paid", "--dir", folder, "--json")
    assert json.loads(done.stdout) == {"taken": 3}
    log = Log(headrace.load(folder).workspace.outcomes).read()
    assert log["id"].to_list() == ["7", "8", "9"]
    assert json.loads(log["payload"][0])["name"] == "paid"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row,outcom\n7,1\n", "no column 'outcome'"),
        ("who,outcome\n7,1\n", "`prediction_id`, or the spec's id"),
        ("row,outcome\n7,yes\n", "row index [0].outcome: 'yes'"),
        ("prediction_id,outcome\nabc,1\n", "28 hexadecimal digits"),
    ],
)
def test_a_bad_table_of_feedback_is_one_clear_error(
    folder: Path, tmp_path: Path, text: str, words: str
) -> None:
    table = tmp_path / "orders.csv"
    table.write_text(text)
    done = run_command("feedback", table, "--dir", folder)
    assert done.returncode == 2
    assert words in done.stderr
    assert not headrace.load(folder).workspace.outcomes.exists()
