"""What is live is decided one at a time, survives a kill, and can be taken back."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace
from headrace.errors import BundleError, InputError, WorkError
from headrace.registry.journal import Decision, Journal, locked_journal
from headrace.workspace import Workspace
from tests.conftest import write_system


def decision(
    version: int,
    action: Literal["promote", "refuse", "rollback"] = "promote",
    before: int | None = None,
) -> Decision:
    return Decision(
        action=action, version=version, alias="champion", before=None, at="2026-01-01",
        by="person", who="me", why=""
    )  # fmt: skip


@given(
    steps=st.lists(st.one_of(st.integers(1, 9), st.just("back"), st.just("refuse")), max_size=30)
)
def test_the_journal_is_a_stack_of_champions(
    steps: list[int | str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against the plainest model of it: a Python list."""
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    stack: list[int] = []
    for step in steps:
        with locked_journal(workspace, "m") as journal:
            if step == "refuse":
                journal.append(decision(10, "refuse"))
            elif step == "back":
                if len(stack) < 2:
                    with pytest.raises(InputError):
                        journal.before("champion")
                    continue
                stack.pop()
                assert journal.before("champion") == stack[-1]
                journal.append(decision(stack[-1], "rollback"))
            else:
                stack.append(int(step))
                journal.append(decision(int(step)))
        assert workspace.read_aliases("m") == ({"champion": stack[-1]} if stack else {})


def test_a_torn_line_never_counted_and_a_missing_pointer_is_written(tmp_path: Path) -> None:
    with locked_journal(Workspace(tmp_path), "m") as journal:
        journal.append(decision(1))
        journal.append(decision(2))
    path = Workspace(tmp_path).journal("m")
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole.splitlines()[0][:40])
    Workspace(tmp_path).aliases("m").write_text('{"champion":1}')
    with locked_journal(Workspace(tmp_path), "m") as journal:
        assert [one.version for one in journal.decisions] == [1, 2]
    assert path.read_bytes() == whole
    assert Workspace(tmp_path).read_aliases("m") == {"champion": 2}


@pytest.mark.parametrize("left", [b"", b"torn", 0, 1])
def test_reading_a_lost_journal_takes_nothing_out_of_service(
    tmp_path: Path, left: bytes | int
) -> None:
    with locked_journal(Workspace(tmp_path), "m") as journal:
        for version in (1, 2, 3):
            journal.append(decision(version))
    path, aliases = Workspace(tmp_path).journal("m"), Workspace(tmp_path).aliases("m")
    whole, live = path.read_bytes().splitlines(keepends=True), aliases.read_bytes()
    content = b"".join(whole[:left]) + whole[2][:20] if isinstance(left, int) else left
    path.write_bytes(content)
    if content != b"torn":
        headrace.history("m", tmp_path)
    assert Journal(Workspace(tmp_path), "m").last_version == 3
    assert (path.read_bytes(), aliases.read_bytes()) == (content, live)
    with locked_journal(Workspace(tmp_path), "m") as journal:
        assert not journal.knows_what_is_live
        assert journal.aliases == {"champion": 3}
        journal.append(decision(4, "refuse"))
        assert Workspace(tmp_path).read_aliases("m") == {"champion": 3}
        journal.append(decision(5))
    assert Workspace(tmp_path).read_aliases("m") == {"champion": 5}


def test_a_rollback_without_a_promotion_is_no_crash(tmp_path: Path) -> None:
    with locked_journal(Workspace(tmp_path), "m") as journal:
        journal.append(decision(2, "rollback"))
    with (
        locked_journal(Workspace(tmp_path), "m") as journal,
        pytest.raises(InputError, match="it has no champion"),
    ):
        journal.before("champion")


def test_a_number_is_never_used_twice(tmp_path: Path) -> None:
    folder = write_system(tmp_path, "binary", "linear", rows=300)
    for version in (1, 2):
        assert (
            headrace.run(headrace.load(folder), fresh=True).bundle.name == f"binary-00000{version}"
        )
    shutil.rmtree(folder / ".headrace" / "bundles" / "binary-000002")
    spec = folder / "system.yaml"
    spec.write_text(spec.read_text().rstrip() + '\ngates: ["test.roc_auc > 0.9999"]\n')
    run = headrace.run(headrace.load(folder), fresh=True)
    assert not run.document.promoted
    assert run.bundle.name == "binary-000003"
    assert Workspace(folder).read_aliases("binary") == {"champion": 2}


def test_a_broken_journal_says_so(tmp_path: Path) -> None:
    Workspace(tmp_path).registry.mkdir(parents=True)
    Workspace(tmp_path).journal("m").write_text("nonsense\n")
    with (
        pytest.raises(WorkError, match="the decisions as they were written"),
        locked_journal(Workspace(tmp_path), "m"),
    ):
        pass


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system with three bundles; the first is champion by its gates."""
    folder = write_system(tmp_path_factory.mktemp("versions"), "binary", "linear", rows=300)
    for _ in range(3):
        assert headrace.run(headrace.load(folder), fresh=True).document.promoted
    return folder


def test_by_hand(versions: Path, tmp_path: Path) -> None:
    assert headrace.open("binary@champion", versions).version == 3
    moved = headrace.promote("binary@1", "challenger", "looks good", versions)
    assert (moved.version, moved.before, moved.by, moved.evidence[0]["passed"]) == (
        1,
        None,
        "person",
        True,
    )
    assert headrace.open("binary@challenger", versions).version == 1
    assert headrace.rollback("binary", folder=versions).version == 2
    assert headrace.rollback("binary", why="again", folder=versions).version == 1
    with pytest.raises(InputError, match="version 1 was the first champion"):
        headrace.rollback("binary", folder=versions)
    assert [one.action for one in headrace.history("binary", versions)][-3:] == [
        "promote",
        "rollback",
        "rollback",
    ]
    for model, alias, said in (
        ("binary@9", "champion", "versions 1, 2, 3"),
        ("binary@1", "champoin", "did you mean 'champion'"),
        ("other@1", "champion", "no such version"),
    ):
        with pytest.raises(InputError, match=said):
            headrace.promote(model, alias, folder=versions)
    with pytest.raises(InputError, match="has no shadow"):
        headrace.open("binary@shadow", versions)
    with pytest.raises(InputError, match="has no decisions"):
        headrace.history("other", versions)
    with pytest.raises(InputError, match="no workspace in"):
        headrace.history("binary", tmp_path)
    headrace.promote("binary@3", folder=versions)


def test_a_bundle_that_is_not_whole_is_not_promoted(versions: Path) -> None:
    card = versions / ".headrace" / "bundles" / "binary-000002" / "card.html"
    whole = card.read_bytes()
    card.write_bytes(whole + b" ")
    try:
        with pytest.raises(BundleError, match="changed since it was written"):
            headrace.promote("binary@2", folder=versions)
    finally:
        card.write_bytes(whole)
    assert headrace.open("binary@champion", versions).version == 3


def command(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "headrace", *arguments, "--dir", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def agree(folder: Path) -> None:
    """After the next command: every decision follows from the one before, pointer and MLflow tell
    the last one.
    """
    from mlflow import MlflowClient

    headrace.promote("binary@2", folder=folder)
    decisions = [one for one in headrace.history("binary", folder) if one.alias == "champion"]
    live: int | None = None
    for one in decisions:
        assert one.before == live
        live = one.version if one.action != "refuse" else live
    assert Workspace(folder).read_aliases("binary").get("champion") == live
    assert headrace.open("binary@champion", folder).version == live
    uri = f"sqlite:///{folder / '.headrace' / 'mlflow.db'}"
    champion = MlflowClient(uri, uri).get_model_version_by_alias("binary", "champion")
    assert champion.tags["headrace.bundle"] == f"binary-{live:06d}"


@pytest.mark.parametrize("count", [9, pytest.param(30, marks=pytest.mark.slow)])
def test_many_at_once(versions: Path, count: int) -> None:
    """Promotions and rollbacks at once: each is recorded, none is lost."""
    before = len(headrace.history("binary", versions))
    started = [
        command(
            versions,
            *(
                ("rollback", "binary")
                if number % 3 == 0
                else ("promote", f"binary@{number % 3 + 1}")
            ),
        )
        for number in range(count)
    ]
    done = [process.wait(120) for process in started]
    assert len(headrace.history("binary", versions)) == before + done.count(0)
    assert (
        done.count(0) >= count * 2 // 3
    )  # a rollback has nothing to go back to where several came first
    agree(versions)


@pytest.mark.parametrize("kills", [7, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_any_point(versions: Path, kills: int) -> None:
    chance = random.Random(5)
    begin = time.perf_counter()
    assert command(versions, "promote", "binary@1").wait() == 0
    whole = time.perf_counter() - begin
    for number in range(kills):
        process = command(versions, "promote", f"binary@{number % 3 + 1}")
        time.sleep(chance.uniform(0.1, 1.05) * whole)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        agree(versions)


def refuses(folder: Path, gate: str) -> headrace.Run:
    spec = folder / "system.yaml"
    text = spec.read_text()
    spec.write_text(text + f'gates: ["{gate}"]\n')
    try:
        return headrace.run(headrace.load(folder))
    finally:
        spec.write_text(text)


def test_a_refused_run_leaves_the_champion(tmp_path: Path) -> None:
    folder = write_system(tmp_path, "binary", "linear", rows=300)
    first = headrace.run(headrace.load(folder))
    refused = refuses(folder, "test.roc_auc >= 0.999")
    assert not refused.document.promoted
    assert refused.bundle.is_dir()
    assert "Refused: test.roc_auc &gt;= 0.999" in refused.report.read_text()
    stored = json.loads((refused.bundle / "evaluation.json").read_text())["gates"]
    assert [one["passed"] for one in stored] == [True, False, True]
    assert headrace.open("binary@champion", folder).version == headrace.open(first.bundle).version
    last = headrace.history("binary", folder)[-1]
    assert (last.action, last.before, last.by) == ("refuse", 1, "gates")
    assert "0.999" in last.why


def test_the_champion_is_judged_on_rows_that_it_has_not_seen(tmp_path: Path) -> None:
    """With another seed most test rows are rows that the champion was fitted on; the gate must not
    count them.
    """
    folder = write_system(tmp_path, "binary", "gbdt", rows=1200)
    headrace.run(headrace.load(folder))
    again = refuses(folder, "test.roc_auc >= champion")
    gate = again.document.gates[-1]
    assert gate.passed
    assert gate.value == gate.bound
    assert "180 rows" in gate.why
    spec = folder / "system.yaml"
    spec.write_text(spec.read_text() + "seed: 8\n")
    other = refuses(folder, "test.roc_auc >= champion ± 0.5").document.gates[-1]
    rows = int(other.why.split(" on ")[1].split()[0])
    assert 10 <= rows <= 60  # about 15 % of the 180


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_champion_that_cannot_be_compared_stays(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = write_system(tmp_path, "binary", "linear", rows=300)
    first = headrace.run(headrace.load(folder))
    change(first.bundle / "model.onnx")
    gate = refuses(folder, "test.roc_auc >= champion").document.gates[-1]
    assert not gate.passed
    assert "cannot be compared" in gate.why
