"""MLflow shows what is so: runs, metrics, parameters, versions, aliases; and catches up after a
kill.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import venv
from pathlib import Path
from urllib.request import urlopen

import msgspec
import polars as pl
import pytest

import headrace
from headrace.errors import WorkError
from headrace.registry import mlflow_sync
from tests.conftest import mlflow_agrees, mlflow_client, write_system

NAME = "regression"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_system(tmp_path / "system", NAME, "linear", rows=200)


def test_a_run_is_told_whole(folder: Path) -> None:
    run = headrace.run(headrace.load(folder))
    mlflow_agrees(folder, NAME)
    found = mlflow_client(folder)
    version = found.get_model_version_by_alias(NAME, "champion")
    assert Path(version.source) == run.bundle
    told = found.get_run(version.run_id)
    for split, values in run.document.metrics.items():
        for name, value in values.items():
            assert told.data.metrics[f"{split}.{name}"] == pytest.approx(value)
    tried = found.get_metric_history(version.run_id, "candidates.rmse")
    assert [one.value for one in tried] == pytest.approx(
        [one.value for one in run.document.candidates]
    )
    assert told.data.params["goal.target"] == "amount"
    assert told.data.params["split.test"] == "0.15"
    assert told.data.tags["headrace.data.source"] == run.document.fingerprints["source"]
    assert told.data.tags["mlflow.user"] == headrace.history(NAME, folder)[0].who
    assert told.info.status == "FINISHED"
    assert told.info.end_time > told.info.start_time
    assert {file.path for file in found.list_artifacts(version.run_id)} == {
        "card.html", "evaluation.json", "system.yaml",
    }  # fmt: skip
    headrace.run(headrace.load(folder), fresh=True)
    headrace.rollback(NAME, folder=folder)
    mlflow_agrees(folder, NAME)


@pytest.mark.parametrize("lost", ["registry/regression.mlflow.json", "mlflow.db"])
def test_what_was_lost_is_told_again_once(folder: Path, lost: str) -> None:
    headrace.run(headrace.load(folder))
    (folder / ".headrace" / lost).unlink()
    headrace.promote(f"{NAME}@1", folder=folder)
    mlflow_agrees(folder, NAME)


def test_a_run_that_was_cut_off_is_told_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    def killed(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    for step in (
        "log_batch",
        "log_artifact",
        "set_terminated",
        "create_model_version",
        "set_registered_model_alias",
    ):
        monkeypatch.setattr(MlflowClient, step, killed)
        with pytest.raises(KeyboardInterrupt):
            headrace.run(headrace.load(folder), fresh=True)
        monkeypatch.undo()
    headrace.promote(f"{NAME}@1", folder=folder)
    mlflow_agrees(folder, NAME)


def test_a_store_that_refuses_is_one_clear_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = headrace.run(headrace.load(folder))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/none/mlflow.db")
    with pytest.raises(WorkError, match="a store that takes runs"):
        headrace.promote(f"{NAME}@1", folder=folder)
    assert headrace.history(NAME, folder)[-1].action == "promote"
    assert run.bundle.is_dir()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    headrace.promote(f"{NAME}@1", folder=folder)
    mlflow_agrees(folder, NAME)


def test_without_mlflow_nothing_is_registered_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_system(tmp_path, "binary", "linear", rows=300)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_sync, "find_spec", lambda name: None)
        headrace.run(folder)
        assert not (folder / ".headrace" / "mlflow.db").exists()
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        with pytest.raises(WorkError, match=r"headrace\[tracking\]"):
            headrace.promote("binary@1", folder=folder)
    headrace.promote("binary@1", why="again", folder=folder)
    mlflow_agrees(folder, "binary")


def test_another_store_gets_the_bundles_uploaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headrace.run(headrace.load(folder))
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    headrace.promote(f"{NAME}@1", folder=folder)
    from mlflow import MlflowClient

    found = MlflowClient(uri, uri)
    version = found.get_model_version_by_alias(NAME, "champion")
    assert version.source == f"runs:/{version.run_id}/bundle"
    copy = Path(found.download_artifacts(version.run_id, "bundle"))
    assert copy != folder
    assert headrace.verify(copy).passed


LOAD = """
import sys, mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
rows = pandas.read_parquet(sys.argv[2])
model = mlflow.pyfunc.load_model("models:/regression@champion")
model.predict(rows).to_parquet(sys.argv[3])
graph = mlflow.onnx.load_model("models:/regression@champion")
print([entry.name for entry in graph.graph.input])
"""
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def mlflow_home() -> Path:
    """An environment of its own with the whole of MLflow."""
    home = ROOT / "build" / "peers" / "mlflow" / "bin"
    if not (home / "python").exists():
        venv.create(home.parent, with_pip=True)
        subprocess.run(
            [home / "python", "-m", "pip", "install", "--quiet", "mlflow==3.17.2", "-e", ROOT],
            check=True,
        )
    return home


def loads(home: Path, uri: str, run: headrace.Run, folder: Path) -> None:
    """MLflow's own loaders predict what the bundle says."""
    rows, answers, script = folder / "rows.parquet", folder / "answers.parquet", folder / "load.py"
    holdout = pl.read_parquet(run.bundle / "holdout.parquet")
    holdout.drop("prediction").write_parquet(rows)
    script.write_text(LOAD)
    done = subprocess.run(
        [home / "python", script, uri, rows, answers],
        capture_output=True,
        text=True,
        env=plain(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert pl.read_parquet(answers)["prediction"].to_list() == pytest.approx(
        holdout["prediction"].to_list()
    )
    assert "numbers" in done.stdout


def plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.slow
def test_mlflow_loads_the_champion(mlflow_home: Path, folder: Path, tmp_path: Path) -> None:
    run = headrace.run(headrace.load(folder))
    loads(mlflow_home, f"sqlite:///{folder / '.headrace' / 'mlflow.db'}", run, tmp_path)


@pytest.mark.slow
def test_a_server_gets_the_bundle_itself(
    mlflow_home: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real `mlflow server`: what it knows outlives the workspace, for no local path was
    registered.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    store = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination",
        str(tmp_path / "files"),
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [mlflow_home / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store],
            env=plain() | {"PATH": f"{mlflow_home}:{os.environ['PATH']}"},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and not answers(f"{uri}/health"):
                time.sleep(0.5)
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            run = headrace.run(headrace.load(folder))
            assert run.document.promoted
            assert not (folder / ".headrace" / "mlflow.db").exists()
            bundle = tmp_path / "bundle"
            run.bundle.rename(bundle)
            moved = msgspec.structs.replace(run, bundle=bundle)
            loads(mlflow_home, uri, moved, tmp_path)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_workspace_elsewhere_has_a_store_of_its_own(
    folder: Path, tmp_path: Path, how: str
) -> None:
    headrace.run(headrace.load(folder))
    mlflow_agrees(folder, NAME)
    there = tmp_path / "there"
    if how == "moved":
        folder.rename(there)
    else:
        shutil.copytree(folder, there)
    before = {path for path in folder.rglob("*") if path.is_file()}
    run = headrace.run(headrace.load(there), fresh=True)
    mlflow_agrees(there, NAME)
    found = mlflow_client(there)
    for version in found.search_model_versions(f"name = '{NAME}'"):
        assert Path(version.source).is_relative_to(there)
        assert str(there) in found.get_run(version.run_id).info.artifact_uri
        assert {file.path for file in found.list_artifacts(version.run_id)} >= {"card.html"}
    assert run.bundle.is_relative_to(there)
    assert {path for path in folder.rglob("*") if path.is_file()} == before


def test_an_empty_store_is_made_once_and_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow makes a store by about fifty migrations, which take seconds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    headrace.run(headrace.load(folder))
    (empty,) = (tmp_path / "cache" / "headrace").glob("mlflow-*.db")
    made = empty.stat().st_mtime_ns
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".headrace"))
    headrace.run(headrace.load(copy))
    assert (copy / ".headrace" / "mlflow.db").stat().st_size >= empty.stat().st_size
    assert empty.stat().st_mtime_ns == made
