"""A signal ends a command within two seconds, without a traceback, and leaves nothing half."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import headrace
from tests.conftest import make_table, write_system
from tests.store.test_live import spec as shop_spec

MOMENTS = [0.1, 0.3, 0.7, 1.2, 2.0, 3.5]
"""Seconds after the start: while libraries load, while tables are read, while a model is fitted."""
COMMANDS: dict[str, list[str]] = {
    "--help": ["--help"],
    "init": ["init", "table.parquet", "--target", "label", "--yes", "--dir", "made"],
    "explore": ["explore", "."],
    "run": ["run", ".", "--fresh"],
    "predict": ["predict", "binary@champion", "table.parquet", "out.csv"],
    "runs": ["runs", "."],
    "history": ["history", "binary"],
    "promote": ["promote", "binary@1"],
    "verify": ["verify", "binary@champion"],
    "serve": ["serve", ".", "--port", "0"],
    "serve, two": ["serve", ".", "--port", "0", "--workers", "2"],
    "clean": ["clean", "."],
    "schema": ["schema"],
    "token": ["token", "me"],
    "log repair": ["log", "repair", "."],
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_system(tmp_path_factory.mktemp("signals"), "binary", "gbdt", rows=2_000)
    headrace.run(headrace.load(folder))
    make_table(2_000, seed=1).write_parquet(folder / "table.parquet")
    return folder


def ended(command: list[str], folder: Path, number: int, moment: float) -> None:
    """Starts a command, sends it a signal, and looks at how it ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace", *command],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    time.sleep(moment)
    process.send_signal(number)
    begin = time.monotonic()
    try:
        told, said = process.communicate(timeout=20)
    finally:
        process.kill()
    took, name = (
        time.monotonic() - begin,
        f"{command} {signal.Signals(number).name} after {moment} s",
    )
    assert took < 4, f"{name}: {took:.1f} s"  # two on a machine with nothing else to do
    assert "Traceback" not in said, f"{name}: {said[-500:]}"
    assert "Traceback" not in told, f"{name}: {said[-500:]}"
    # Before the interpreter has come to our first line the system itself ends it.
    allowed = {0, 128 + number, -number} | ({1} if moment < 0.2 else set())
    assert process.returncode in allowed, f"{name}: {process.returncode}: {said[-300:]}"


def check_whole(folder: Path) -> None:
    left = [
        path
        for path in folder.rglob(".*-*")
        if path.is_file() and ".headrace/cache" not in str(path)
    ]
    assert not [path for path in left if path.suffix in (".csv", ".json", ".jsonl", ".yaml")], left
    for bundle in (folder / ".headrace" / "bundles").glob("binary-*"):
        headrace.open(bundle)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [1.2])
def test_a_run_ends_when_it_is_told_to(
    system: Path, tmp_path: Path, number: int, moment: float
) -> None:
    folder = Path(shutil.copytree(system, tmp_path / "system"))
    ended(COMMANDS["run"], folder, number, moment)
    check_whole(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_when_it_is_told_to(system: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(system, tmp_path / "system"))
    for number in (signal.SIGINT, signal.SIGTERM):
        for moment in MOMENTS:
            shutil.rmtree(folder / "made", ignore_errors=True)
            ended(COMMANDS[name], folder, number, moment)
    check_whole(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["materialize", "."], ["push", "more.parquet"], ["features", "."]]
)
def test_the_commands_of_windows_too(tmp_path: Path, command: list[str]) -> None:
    folder = shop_spec(tmp_path)
    headrace.materialize(headrace.load(folder))
    shutil.copy(folder / "clicks.parquet", folder / "more.parquet")
    for number in (signal.SIGINT, signal.SIGTERM):
        for moment in MOMENTS[:5]:
            ended(command, folder, number, moment)
    headrace.materialize(headrace.load(folder))


def test_a_signal_that_finds_a_library_at_work_ends_it_all_the_same(tmp_path: Path) -> None:
    """Python's own handlers wait until C returns: here, for an hour."""
    script = tmp_path / "stuck.py"
    script.write_text(
        "import ctypes, threading, os, signal\n"
        "from headrace.cli import signals\n"
        "signals.end_in_time()\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "ctypes.CDLL(None).sleep(30)\n"
    )
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(script)], check=False, env=dict(os.environ), timeout=25
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 10
