"""The command line as a person and a script meet it: output, status, one clear error a fault."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.command import run_command
from tests.conftest import Runs, make_table

ROWS = "\n".join(
    f"{number},{number % 7},{'ab'[number % 2]},{number % 3 == 0}" for number in range(200)
)
TABLE = "id,x,c,y\n" + ROWS + "\n"
MODELS = "models: {search: {trials: 0}, gbdt: {max_rounds: 40}}\n"
SPEC = "name: a\ngoal: {target: y}\ndata: {source: t.csv, id: id}\n" + MODELS


def headrace(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, cwd=cwd, env=environment())


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "COLUMNS"}


ENTRIES = {
    "module": [sys.executable, "-m", "headrace"],
    "script": [str(Path(sys.executable).with_name("headrace"))],
}


@pytest.mark.parametrize("entry", list(ENTRIES))
def test_a_process_answers_what_the_other_tests_see(tmp_path: Path, entry: str) -> None:
    """The other tests run their commands within this process."""
    write(tmp_path)
    init = ["init", "t.csv", "--target", "y", "--yes", "--dir", "made", "--json"]
    for arguments in (["schema"], ["runs", "."], ["verify", "a@1"], ["nope"], init):
        done = subprocess.run(
            [*ENTRIES[entry], *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(),
            timeout=120,
            check=False,
        )
        shutil.rmtree(tmp_path / "made", ignore_errors=True)
        within = headrace(*arguments, cwd=tmp_path)
        assert within.returncode == done.returncode
        assert within.stdout == done.stdout
        assert within.stderr == done.stderr.replace("python -m headrace", "headrace")


def test_what_nobody_catches_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault within this process shows in a test as the end of an interpreter would."""
    before = Path.cwd(), dict(os.environ), signal.getsignal(signal.SIGTERM), sys.stdout

    def broken(folder: Path) -> None:
        os.write(1, b"from C\n")
        os.environ["LEFT"] = str(Path.cwd())
        raise RuntimeError("a fault")

    monkeypatch.setattr("headrace.runs", broken)
    done = headrace("runs", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "from C\n"
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("RuntimeError: a fault\n")
    after = Path.cwd(), dict(os.environ), signal.getsignal(signal.SIGTERM), sys.stdout
    assert after == before


def write(folder: Path, table: str | bytes = TABLE, spec: str = SPEC, **files: str) -> None:
    (folder / "t.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    (folder / "system.yaml").write_text(spec)
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content)


def goal(**fields: str) -> str:
    inner = ", ".join(f"{name}: {value}" for name, value in ({"target": "y"} | fields).items())
    return f"name: a\ngoal: {{{inner}}}\ndata: {{source: t.csv, id: id}}\n"


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no spec": (lambda folder: None, "no such spec"),
    "not yaml": (lambda folder: write(folder, spec="a: [b"), "is not YAML"),
    "an empty spec": (lambda folder: write(folder, spec=""), "expected fields"),
    "an unknown field": (
        lambda folder: write(folder, spec=SPEC + "modles: {}\n"),
        "did you mean 'models'?",
    ),
    "no table": (
        lambda folder: write(folder, spec=SPEC.replace("t.csv", "no.csv")),
        "no such file",
    ),
    "an empty table": (lambda folder: write(folder, ""), "is empty"),
    "a header alone": (lambda folder: write(folder, "id,x,c,y\n"), "no rows"),
    "one row": (lambda folder: write(folder, "id,x,c,y\n1,2,a,0\n"), "the same value in every row"),
    "two rows": (
        lambda folder: write(folder, "id,x,c,y\n1,2,a,0\n2,3,b,1\n"),
        "2 rows with a target",
    ),
    "ragged lines": (
        lambda folder: write(folder, TABLE + "1,2\n"),
        "line 202: 2 fields; expected 4",
    ),
    "no target column": (lambda folder: write(folder, spec=goal(target="yy")), "no column 'yy'"),
    "a constant target": (
        lambda folder: write(folder, "id,x,y\n" + "1,2,3\n" * 50),
        "the same value in every row",
    ),
    "an empty target": (
        lambda folder: write(folder, "id,x,y\n" + "1,2,\n" * 50),
        "no value in any row",
    ),
    "a target of the wrong type": (
        lambda folder: write(folder, spec=goal(target="c", task="regression")),
        "numbers for",
    ),
    "too many classes": (
        lambda folder: write(folder, spec=goal(target="x", task="binary")),
        "7 different values",
    ),
    "no positive class": (
        lambda folder: write(folder, spec=goal(positive="maybe")),
        "'maybe' is not a value",
    ),
    "a metric of another task": (
        lambda folder: write(folder, spec=goal(metric="rmse")),
        "'rmse' with task binary",
    ),
    "a missing id column": (
        lambda folder: write(folder, spec=SPEC.replace("id: id", "id: idd")),
        "did you mean 'id'?",
    ),
    "a group that is not there": (
        lambda folder: write(folder, spec=SPEC + "split: {by: group}\n"),
        "data.group is not set",
    ),
    "one class in a split": (
        lambda folder: write(
            folder,
            "id,x,c,y\n" + "\n".join(f"{n},{n},a,{int(n < 100)}" for n in range(200)) + "\n",
            "name: a\ngoal: {target: y}\ndata: {source: t.csv, time: id}\nsplit: {by: time}\n",
        ),
        "only one class",
    ),
    "times that do not parse": (
        lambda folder: write(folder, spec=SPEC.replace("id: id", "time: c")),
        "ISO 8601",
    ),
    "times of mixed zones": (
        lambda folder: write(
            folder,
            "at,x,y\n" + "2024-01-01T00:00:00Z,1,0\n2024-01-02 00:00:00,2,1\n" * 50,
            "name: a\ngoal: {target: y}\ndata: {source: t.csv, time: at}\n",
        ),
        "all with a zone or all without",
    ),
    "an override of no column": (
        lambda folder: write(folder, spec=SPEC + "features: {columns: {xx: {kind: numeric}}}\n"),
        "did you mean 'x'?",
    ),
    "an override that does not fit": (
        lambda folder: write(folder, spec=SPEC + "features: {columns: {c: {kind: numeric}}}\n"),
        "'numeric' for a column of string values",
    ),
    "an encoder that does not fit": (
        lambda folder: write(folder, spec=SPEC + "features: {columns: {x: {encode: onehot}}}\n"),
        "'onehot' for a numeric column",
    ),
    "nothing to learn from": (
        lambda folder: write(folder, spec=SPEC + "features: {exclude: [x, c]}\n"),
        "no column to learn from",
    ),
    "a holdout without a column": (
        lambda folder: write(
            folder, spec=SPEC.replace("id: id", "holdout: h.csv"), h="id,x,y\n1,2,True\n"
        ),
        "no column 'c'",
    ),
    "a holdout of another type": (
        lambda folder: write(
            folder, spec=SPEC.replace("id: id", "holdout: h.csv"), h="id,x,c,y\n1,abc,a,True\n"
        ),
        "column 'x': the value 'abc'",
    ),
    "a window of no events": (
        lambda folder: write(
            folder, spec=SPEC + "features: {windows: [{name: w, events: e, key: c}]}\n"
        ),
        "no events 'e'",
    ),
    "a class without rows": (
        lambda folder: write(
            folder, spec=SPEC.replace("trials: 0}", "trials: 0}, class_weight: {maybe: 2}")
        ),
        "no class 'maybe'",
    ),
    "a decision about a number": (
        lambda folder: write(folder, spec=goal(target="x", task="regression", decision="{by: f1}")),
        "only a binary task has one",
    ),
    "a secondary metric of another task": (
        lambda folder: write(folder, spec=goal(secondary="[rmse]")),
        "goal.secondary: 'rmse' with task binary",
    ),
    "a weight that is text": (
        lambda folder: write(folder, spec=SPEC.replace("id: id", "weight: c")),
        "data.weight: 'c' holds String values",
    ),
    "a weight that is not there": (
        lambda folder: write(folder, spec=SPEC.replace("id: id", "weight: w")),
        "data.weight: no column 'w'",
    ),
    "a cross of numbers": (
        lambda folder: write(folder, spec=SPEC + "features: {crosses: [[x, c]]}\n"),
        "'x' is numeric; expected categorical columns",
    ),
    "text that is numbers": (
        lambda folder: write(folder, spec=SPEC + "features: {columns: {x: {kind: text}}}\n"),
        "'text' for a column of",
    ),
    "a reserved name": (
        lambda folder: write(
            folder, TABLE.replace("id,", "prediction,", 1), SPEC.replace("id: id", "id: prediction")
        ),
        "data.id: 'prediction'",
    ),
    "a latin-1 file called utf-8": (
        lambda folder: write(
            folder,
            TABLE.encode() + "1,2,caf\xe9,0\n".encode("latin-1"),
            SPEC.replace("id: id", "read: {encoding: utf-8}"),
        ),
        "is not utf-8: line",
    ),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_gets_one_clear_error(tmp_path: Path, case: str) -> None:
    prepare, words = BAD[case]
    prepare(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = headrace("run", tmp_path, "--json")
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("error:") == 1
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != ".headrace")
    assert left == before, "nothing half-written"
    assert not (tmp_path / ".headrace" / "bundles").exists(), "nothing half-written"


FINE = {
    "a byte-order mark": b"\xef\xbb\xbf" + TABLE.encode(),
    "semicolons": TABLE.replace(",", ";").encode(),
    "quoted newlines": TABLE.replace(",a,", ',"a\nz",').encode(),
    "latin-1 bytes": TABLE.replace(",a,", ",caf\xe9,").encode("latin-1"),
    "a duplicate column": TABLE.replace("id,x,c,y", "id,x,x,y").encode(),
    "an empty column": TABLE.replace(",a,", ",,").replace(",b,", ",,").encode(),
    "infinities": TABLE.replace(",6,", ",inf,").encode(),
    "a mixed column": TABLE.replace(",6,a", ",six,a", 1).encode(),
}


@pytest.mark.parametrize("case", list(FINE))
def test_odd_input_is_fine(tmp_path: Path, case: str) -> None:
    write(tmp_path, FINE[case])
    done = headrace("run", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    checks = {finding["check"] for finding in json.loads(done.stdout)["findings"]}
    expected = {
        "a duplicate column": "schema.duplicate_column",
        "a mixed column": "schema.mixed_type",
    }
    assert case not in expected or expected[case] in checks


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nope"], "No such option"),
        (["nope"], "No such command"),
        (["predict", "nowhere", "in.csv", "out.csv"], "no such bundle"),
        (["verify", "name@1"], "no workspace in"),
        (["init", "no.csv", "--target", "y", "--yes"], "no such file"),
        (["init", "t.csv", "--target", "yy", "--yes"], "--target: no column 'yy'"),
        (["demo", "nope"], "one of: bikes, flights, income, intents"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    done = headrace(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_from_a_table_to_predictions(tmp_path: Path) -> None:
    rows = [
        f"{number},{number % 7},{'ab'[number % 2]},{number % 7 + number % 2 > 4}"
        for number in range(200)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["id,x,c,y", *rows]) + "\n")
    done = headrace("init", "t.csv", "--target", "y", "--yes", cwd=tmp_path)
    assert done.returncode == 0
    assert "Next: headrace run" in done.stdout
    assert headrace("init", "t.csv", "--target", "y", "--yes", cwd=tmp_path).returncode == 2
    spec = tmp_path / "system.yaml"
    search = "  search: {trials: 20, seconds: 60}"
    assert search in spec.read_text()
    quick = "  gbdt: {max_rounds: 40}\n  search: {trials: 2, seconds: 60}"
    spec.write_text(spec.read_text().replace(search, quick))
    done = headrace("run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["model"] == "t@1"
    assert Path(document["bundle"]).is_absolute()
    assert set(document["metric"]) >= {"name", "validation", "test"}
    assert set(document["metrics"]) == {"validation", "test", "baseline"}
    assert [(gate["gate"].split()[0], gate["passed"]) for gate in document["gates"]] == [
        ("parity", True), ("test.roc_auc", True), ("test.roc_auc", True),
    ]  # fmt: skip
    assert (document["promoted"], document["alias"], document["cached"]) == (
        True,
        "champion",
        False,
    )
    assert set(document["seconds"]) >= {"tables", "split", "train", "bundle"}
    saved = json.loads((Path(document["report"]).parent / "run.json").read_text())
    assert saved["findings"] == document["findings"]
    assert saved["run"] == document["run"]
    done = headrace("run", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout) == document | {"cached": True, "seconds": saved["seconds"]}
    done = headrace("predict", "t@champion", "t.csv", "out.ndjson", "--json", cwd=tmp_path)
    told = {
        "model": "t@1",
        "rows": 200,
        "output": str(tmp_path / "out.ndjson"),
        "imputed": {},
        "unseen": {},
    }
    assert json.loads(done.stdout) == told
    assert pl.read_ndjson(tmp_path / "out.ndjson").columns == [
        "id",
        "prediction",
        "probability_true",
    ]
    done = headrace("verify", "t@1", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["passed"] is True


def test_a_changed_bundle_is_refused(runs: Runs, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(runs("binary", "gbdt").bundle, tmp_path / "bundle"))
    make_table(10, 1).write_parquet(tmp_path / "rows.parquet")
    data = bytearray((bundle / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "model.onnx").write_bytes(data)
    done = headrace("predict", bundle, tmp_path / "rows.parquet", tmp_path / "out.csv")
    assert done.returncode == 2
    assert "has been changed since it was written" in done.stderr
    assert not (tmp_path / "out.csv").exists()
    done = headrace("verify", bundle)
    assert done.returncode == 1
    assert "FAILED  verify.sums" in done.stdout


def test_a_required_latency_is_measured(runs: Runs, tmp_path: Path) -> None:
    for bound, status in ((1000, 0), (0.0001, 1)):
        folder = tmp_path / str(status)
        folder.mkdir()
        write(folder, spec=SPEC + f"requirements: {{latency_p99_ms: {bound}}}\n")
        done = headrace("run", folder)
        assert done.returncode == status
        assert f"{'FAILED' if status else 'passed'}: latency_p99_ms" in done.stdout
        done = headrace("verify", "a@1", "--dir", folder)
        assert done.returncode == status
        assert "verify.latency" in done.stdout


def test_the_schema_is_json() -> None:
    assert json.loads(headrace("schema").stdout)["$defs"]["System"]


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".headrace").write_text("a file where a folder should be")
    done = headrace("run", tmp_path)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_explore_tells_of_columns_and_leaks(tmp_path: Path) -> None:
    rows = "".join(
        f"{n},{n % 7},{'ab'[n % 2]},{n % 3 == 0},{int(n % 3 == 0)}\n" for n in range(300)
    )
    (tmp_path / "t.csv").write_text("id,x,c,y,told\n" + rows)
    (tmp_path / "system.yaml").write_text(SPEC)
    told = headrace("explore", tmp_path)
    assert told.returncode == 0, told.stderr
    assert "leak.copy" in told.stdout
    assert "y: binary, false 66.7%, true 33.3%" in told.stdout
    done = headrace("explore", tmp_path, "--json")
    document = json.loads(done.stdout)
    assert [one["check"] for one in document["findings"]] == ["leak.copy"]
    assert document["relations"]["told"] > 0.9 > document["relations"]["x"]
    assert "id" not in document["relations"]
    assert json.loads(Path(document["path"]).read_text())["rows"] == document["rows"]
    run = json.loads(headrace("run", tmp_path, "--json").stdout)
    assert "leak.copy" in [one["check"] for one in run["findings"]]


def test_promote_roll_back_and_tell(tmp_path: Path) -> None:
    write(tmp_path, spec=SPEC)
    assert headrace("run", tmp_path).returncode == 0
    assert headrace("run", tmp_path, "--fresh").returncode == 0
    done = headrace("rollback", "a", "--why", "a complaint", "--dir", tmp_path)
    assert done.returncode == 0
    assert "champion is now version 1 (before: version 2)" in done.stdout
    assert headrace("rollback", "a", "--dir", tmp_path).returncode == 2
    done = headrace("promote", "a@2", "--alias", "shadow", "--dir", tmp_path, "--json")
    assert json.loads(done.stdout)["alias"] == "shadow"
    lines = headrace("history", "a", "--dir", tmp_path).stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["promote", "promote", "rollback", "promote"]
    assert lines[2].endswith("a complaint")
    listed = headrace("runs", tmp_path).stdout.splitlines()
    assert len(listed) == 3
    assert listed[1].endswith("shadow")
    assert listed[2].endswith("champion")
    done = headrace("runs", tmp_path, "a@1", "a@2")
    assert done.returncode == 0
    assert "not clearly better or worse" in done.stdout
    assert "the specs are the same" in done.stdout
    assert json.loads(headrace("clean", tmp_path, "--json").stdout) == {"bytes": 0}
    done = headrace("promote", "a@7", "--dir", tmp_path)
    assert done.returncode == 2
    assert "versions 1, 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_run_says_so_and_exits_1(tmp_path: Path) -> None:
    write(tmp_path, spec=SPEC + 'gates: ["test.roc_auc >= 0.99"]\n')
    done = headrace("run", tmp_path)
    assert done.returncode == 1
    assert "FAILED: test.roc_auc >= 0.99" in done.stdout
    assert "Traceback" not in done.stderr
    assert "Refused: test.roc_auc >= 0.99" in done.stdout
    done = headrace(
        "predict", "a@champion", tmp_path / "t.csv", tmp_path / "out.csv", "--dir", tmp_path
    )
    assert done.returncode == 2
    assert "a has no champion" in done.stderr
    write(tmp_path, spec=SPEC + 'gates: ["test.roc_auc => 0.99"]\n')
    done = headrace("run", tmp_path)
    assert done.returncode == 2
    assert "gates[0]: 'test.roc_auc => 0.99'; expected SPLIT.METRIC OP" in done.stderr
