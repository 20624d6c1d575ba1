"""An ejected script predicts what the bundle predicts, and imports nothing of ours."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import headrace
from headrace.errors import InputError, WorkError
from headrace.plain import write
from headrace.plain.script import write_script
from tests.command import run_command
from tests.conftest import EXAMPLES, make_table

TREES = """
    - family: gbdt
      encode:
        numeric: [raw]
        categorical: [ordinal, target, frequency, number, hash, onehot]
        datetime: [parts]
        text: [topics]
      gbdt: {rounds: 20, leaves: 7, row_fraction: 0.8, categories: sets}
"""
LINES = """
    - family: linear
      encode:
        numeric: [standardize, quantile, log]
        categorical: [onehot, target, hash]
        datetime: [cyclic]
        text: [tfidf]
      linear: {l2: 0.001}
"""
CASES = {
    "binary": ("label", TREES + LINES, "class_weight: balanced", "negatives: 0.7"),
    "multiclass": ("kind", LINES, "class_weight: balanced", ""),
    "regression": ("amount", TREES, "", ""),
}


def write_case(folder: Path, task: str, by: str = "random") -> None:
    target, members, *options = CASES[task]
    chance = np.random.default_rng(5)
    words = [
        "lost",
        "card",
        "Café",
        "<b>late</b>",
        "HELLO",
        "x17",
        "money",
        "I'm",
        "naïve",
        "can't",
    ]
    words += ["".join(chance.choice(list("abcdeinorst"), 5)) for _ in range(60)]
    bodies = [" ".join(chance.choice(words, 8)) for _ in range(700)]
    table = make_table(700, 3).with_columns(
        body=pl.Series(bodies), weight=pl.Series([1.0 + at % 3 for at in range(700)])
    )
    table.write_csv(folder / "rows.csv", datetime_format="%Y-%m-%dT%H:%M:%S")
    time = "at" if by == "time" else "null"
    left_out = [name for name in ("label", "kind", "amount", "owner", "big") if name != target]
    lines = "\n".join(f"  {option}" for option in options if option)
    (folder / "system.yaml").write_text(
        f"name: {task}\ngoal: {{target: {target}}}\n"
        f"data: {{source: rows.csv, id: row, weight: weight, time: {time}}}\n"
        f"features:\n  exclude: [{', '.join(left_out)}]\n"
        "  columns: {body: {kind: text}, code: {kind: categorical}}\n"
        f"split: {{by: {by}}}\nmodels:\n{lines}\n  members:{members}"
    )


@pytest.mark.parametrize(
    ("task", "by"), [("binary", "random"), ("multiclass", "random"), ("regression", "time")]
)
def test_every_family_and_encoder_is_refitted_to_the_digit(
    tmp_path: Path, task: str, by: str
) -> None:
    write_case(tmp_path, task, by)
    headrace.run(tmp_path)
    name = f"{task}@1"
    done = run_command("eject", name, "--to", "out", "--dir", tmp_path, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "largest difference" in json.loads(done.stdout)["checked"]

    out = tmp_path / "out"
    script = (out / "train.py").read_text()
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(script))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert not any("headrace" in module for module in imported)
    assert headrace.verify(out / "bundle").passed

    # beside the script lies no table yet: its name is an argument, or it is put there
    command = [sys.executable, "-P", "train.py"]
    (out / "rows.csv").write_bytes((tmp_path / "rows.csv").read_bytes())
    again = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr

    # the check can fail: another table gives another model
    rows = pl.read_csv(out / "rows.csv")
    rows.with_columns(z=pl.col("z") * pl.col("z")).write_csv(out / "rows.csv")
    other = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "largest difference" in other.stdout


def test_columns_that_are_named_like_answers(tmp_path: Path) -> None:
    rows = make_table(300, 2).select("x", "z", "label")
    rows.rename({"x": "prediction", "z": "probability_yes"}).write_csv(tmp_path / "t.csv")
    (tmp_path / "system.yaml").write_text(
        "name: a\ngoal: {target: label}\ndata: {source: t.csv}\n"
        "models: {candidates: [linear], search: {trials: 0}}\n"
    )
    headrace.run(tmp_path)
    assert "largest difference" in headrace.eject("a@1", tmp_path / "out", tmp_path).checked


def test_a_script_holds_only_what_its_model_needs() -> None:
    member = {"family": "linear", "columns": [("standardize", "x", False)], "bags": []}
    settings = {"members": [member]}
    script = write_script("m@1", settings)
    compile(script, "train.py", "exec")
    assert "def encode_standardize" in script
    assert "LogisticRegression" in script
    for absent in ("lightgbm", "encode_ordinal", "fit_text", "unicodedata", "fit_means"):
        assert absent not in script, absent


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("features: {crosses: [[colour, code]]}\n", "crosses of columns"),
        ("", "the table has changed"),
        ("", "exists"),
    ],
)
def test_what_it_cannot_write_is_said(tmp_path: Path, change: str, words: str) -> None:
    make_table(300, 2).select("x", "colour", "code", "label").write_csv(tmp_path / "t.csv")
    (tmp_path / "system.yaml").write_text(
        "name: a\ngoal: {target: label}\ndata: {source: t.csv}\n"
        f"models: {{candidates: [linear], search: {{trials: 0}}}}\n{change}"
    )
    headrace.run(tmp_path)
    out = tmp_path / "out"
    if words == "the table has changed":
        (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text() + "1,red,2,no\n")
    if words == "exists":
        out.mkdir()
    with pytest.raises(InputError, match=words):
        headrace.eject("a@1", out, tmp_path)
    assert not (out / "train.py").exists()


def test_a_script_that_predicts_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(300, 2).select("x", "label").write_csv(tmp_path / "t.csv")
    (tmp_path / "system.yaml").write_text(
        "name: a\ngoal: {target: label}\ndata: {source: t.csv}\n"
        "models: {candidates: [linear], search: {trials: 0}}\n"
    )
    headrace.run(tmp_path)

    def write_worse(title: str, settings: dict[str, Any]) -> str:
        return write_script(title, settings).replace("max_iter=500", "max_iter=1")

    monkeypatch.setattr(write, "write_script", write_worse)
    with pytest.raises(WorkError, match="largest difference"):
        headrace.eject("a@1", tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["income", "bikes", "intents"])
def test_the_models_of_the_examples_are_refitted(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for file in (EXAMPLES / name).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    headrace.run(folder)
    assert "largest difference" in headrace.eject(folder, tmp_path / "out").checked


def test_windows_over_events_are_refused(tmp_path: Path) -> None:
    system = headrace.load(EXAMPLES / "flights")
    with pytest.raises(InputError, match="windows over events"):
        write._refuse_system(system)
