"""The first afternoon at the command line: from a table to a served model and its report."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import polars as pl
import pytest

import headrace
from headrace.cli import output
from headrace.cli.main import COMMANDS
from tests.command import run_command
from tests.conftest import Runs, make_table

TABLES = {
    "last column": (pl.DataFrame({"a": range(40), "b": [0, 1] * 20}), "b"),
    "by its name": (pl.DataFrame({"churned": ["no", "yes"] * 20, "age": range(40)}), "churned"),
    "a number": (pl.DataFrame({"rooms": [1, 2] * 20, "price": np.linspace(1, 9, 40)}), "price"),
    "classes": (pl.DataFrame({"x": range(40), "kind": list("abcd") * 10}), "kind"),
}


@pytest.mark.parametrize("name", list(TABLES))
def test_yes_takes_the_suggested_target(tmp_path: Path, name: str) -> None:
    table, target = TABLES[name]
    table.write_csv(tmp_path / "t.csv")
    done = run_command("init", "t.csv", "--yes", "--trials", 3, "--seconds", 2.5, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    system = headrace.load(tmp_path)
    assert system.goal.target == target
    assert (system.models.search.trials, system.models.search.seconds) == (3, 2.5)


def test_without_yes_the_error_names_the_suggestion(tmp_path: Path) -> None:
    make_table(50, 1).write_parquet(tmp_path / "t.parquet")
    done = run_command("init", "t.parquet", cwd=tmp_path)
    assert done.returncode == 2
    assert "--yes takes 'label', by its name" in done.stderr


def test_editors_find_the_schema_and_git_leaves_the_workspace_out(tmp_path: Path) -> None:
    make_table(50, 1).write_parquet(tmp_path / "t.parquet")
    assert run_command("init", "t.parquet", "--yes", cwd=tmp_path).returncode == 0
    first = (tmp_path / "system.yaml").read_text().splitlines()[0]
    schema = tmp_path / first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads(schema.read_text())["title"] == "Headrace system.yaml"
    assert (tmp_path / ".headrace" / ".gitignore").read_text().endswith("\n*\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    status = ["git", "status", "--short", "--untracked-files=all"]
    found = subprocess.run(status, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(found.stdout.split()) == ["??", "??", "system.yaml", "t.parquet"]


def test_the_version(tmp_path: Path) -> None:
    done = run_command("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"headrace {headrace.__version__}\n")


def test_help_lines_are_whole(tmp_path: Path) -> None:
    text = " ".join(run_command("--help", cwd=tmp_path).stdout.split())
    assert "..." not in text.replace("[ARGS]...", "")
    assert "--install-completion" in text
    for command in COMMANDS:
        first = (command.__doc__ or "").partition("\n\n")[0]
        assert " ".join(first.split()) in text, command.__name__


def test_a_run_takes_another_budget(tmp_path: Path) -> None:
    make_table(300, 1).select("x", "z", "label").write_csv(tmp_path / "t.csv")
    run_command("init", "t.csv", "--yes", cwd=tmp_path)
    done = run_command("run", "--trials", 1, "--seconds", 5, "--json", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    document = json.loads((Path(json.loads(done.stdout)["report"]).parent / "run.json").read_text())
    assert len(document["candidates"]) == 3  # the baseline, and both families as stated
    assert "search: {trials: 20, seconds: 60}" in (tmp_path / "system.yaml").read_text()


@pytest.fixture
def folder(runs: Runs) -> Path:
    """The folder of a system with a champion."""
    return runs("binary", "linear").bundle.parent.parent.parent


def test_a_folder_is_its_champion(folder: Path, tmp_path: Path) -> None:
    name = headrace.open(folder).name
    done = run_command("history", folder, cwd=tmp_path)
    assert "promote" in done.stdout
    assert run_command("history", cwd=folder).stdout == done.stdout
    assert run_command("verify", folder, cwd=tmp_path).returncode == 0
    page = Path(run_command("report", folder, cwd=tmp_path).stdout.strip())
    assert page.name == "report.html"
    assert page.is_file()
    again = run_command("report", f"{name}@champion", "--dir", folder, cwd=tmp_path)
    assert Path(again.stdout.strip()).is_file()


def test_columns_of_the_input_are_kept_beside_the_predictions(folder: Path, tmp_path: Path) -> None:
    rows = make_table(30, 5)
    rows.write_csv(tmp_path / "in.csv")
    keep = ["predict", folder, "in.csv", "out.csv", "--keep"]
    assert run_command(*keep, "colour, row", cwd=tmp_path).returncode == 0
    out = pl.read_csv(tmp_path / "out.csv")
    assert out.columns == ["colour", "row", "prediction", "probability_yes"]
    assert out["row"].to_list() == rows["row"].to_list()
    assert out["probability_yes"].to_list() == out["prediction"].to_list()

    assert run_command(*keep, "all", cwd=tmp_path).returncode == 0
    whole = pl.read_csv(tmp_path / "out.csv")
    assert whole.columns == [*rows.columns, "prediction", "probability_yes"]
    assert whole["at"].to_list() == pl.read_csv(tmp_path / "in.csv")["at"].to_list()

    done = run_command(*keep, "colou", cwd=tmp_path)
    assert done.returncode == 2
    assert "--keep: no column 'colou'; expected columns of the file, or all; did you" in done.stderr
    rows.rename({"colour": "prediction"}).write_csv(tmp_path / "in.csv")
    done = run_command(*keep[:-1], "--keep", "prediction", cwd=tmp_path)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [["history", "a"], ["verify", "a@1"], ["runs"], ["predict", "a@champion", "i", "o"], ["run"]],
)
def test_a_wrong_folder_is_named_as_such(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "deep" / "shop").mkdir(parents=True)
    (tmp_path / "deep" / "shop" / "system.yaml").write_text("name: shop\n")
    done = run_command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert f"found deep{os.sep}shop" in done.stderr
    assert "no workspace in" in done.stderr or "no such spec" in done.stderr


def test_a_system_without_a_run_says_so(tmp_path: Path) -> None:
    make_table(50, 1).write_parquet(tmp_path / "t.parquet")
    run_command("init", "t.parquet", "--yes", cwd=tmp_path)
    for command in ("verify", "report"):
        done = run_command(command, ".", cwd=tmp_path)
        assert done.returncode == 2
        assert "`headrace run .` makes one" in done.stderr or "`headrace run .`" in done.stderr


def test_colours_mark_verdicts_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    seen: list[str] = []
    monkeypatch.setattr(sys.stdout, "write", seen.append, raising=False)
    output.print_result({}, False, "passed: a\nFAILED: b\nplain")
    text = "".join(seen)
    assert "\x1b[1;32mpassed\x1b[0m" in text
    assert "\x1b[1;31mFAILED\x1b[0m" in text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_up_takes_a_table_to_a_served_model(tmp_path: Path) -> None:
    make_table(400, 1).select("x", "z", "colour", "label").write_csv(tmp_path / "My rows.csv")
    port = free_port()
    command = [sys.executable, "-m", "headrace", "up", "My rows.csv", "--yes"]
    command += ["--trials", "1", "--seconds", "5", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        printed = ""
        try:
            while "Serving at" not in printed:
                line = process.stdout.readline()
                assert line, printed  # it has ended
                printed += line
            with urlopen(f"http://127.0.0.1:{port}/v2/models/my-rows", timeout=30) as reply:
                assert json.loads(reply.read())["versions"] == ["1"]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    assert (tmp_path / "my-rows" / "system.yaml").is_file()
    assert "Promoted to champion." in printed
    assert f"Serving at http://127.0.0.1:{port}/ until Ctrl-C" in printed


def test_up_refuses_a_folder_with_a_spec_of_another_table_or_target(tmp_path: Path) -> None:
    make_table(60, 1).write_parquet(tmp_path / "a.parquet")
    make_table(60, 2).write_parquet(tmp_path / "b.parquet")
    run_command("init", "a.parquet", "--yes", "--dir", "s", cwd=tmp_path)
    done = run_command("up", "b.parquet", "--dir", "s", "--yes", cwd=tmp_path)
    assert done.returncode == 2
    assert "a spec of the table" in done.stderr
    done = run_command("up", "a.parquet", "--dir", "s", "--target", "kind", cwd=tmp_path)
    assert "a spec that predicts 'label'; expected one that predicts 'kind'" in done.stderr


def test_explore_writes_beside_the_spec_each_time(tmp_path: Path) -> None:
    make_table(200, 1).select("x", "label").write_parquet(tmp_path / "t.parquet")
    run_command("init", "t.parquet", "--yes", "--dir", "s", cwd=tmp_path)
    for _ in range(2):  # the second one takes its rows out of the cache
        done = run_command("explore", "s", "--json", cwd=tmp_path)
        assert json.loads(done.stdout)["path"] == str(tmp_path / "s" / ".headrace" / "explore.json")
    assert not (tmp_path / ".headrace").exists()


def test_predictions_never_replace_their_input_and_may_be_compressed(
    folder: Path, tmp_path: Path
) -> None:
    make_table(30, 5).write_csv(tmp_path / "in.csv")
    before = (tmp_path / "in.csv").read_bytes()
    done = run_command("predict", folder, "in.csv", "./in.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "the input itself" in done.stderr
    assert (tmp_path / "in.csv").read_bytes() == before
    assert run_command("predict", folder, "in.csv", "out.csv.gz", cwd=tmp_path).returncode == 0
    assert pl.read_csv(tmp_path / "out.csv.gz").height == 30
    assert (tmp_path / "out.csv.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_a_system_is_promoted_by_its_folder(folder: Path, tmp_path: Path) -> None:
    done = run_command("promote", folder, "--why", "by hand", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "by hand" in run_command("history", folder, cwd=tmp_path).stdout
