"""Nothing is done twice, nothing damaged is believed, and nothing grows without bound."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from msgspec import Struct, structs

import headrace
import headrace.spec
from headrace import evaluate, flow, registry, train
from headrace.models import FAMILIES, TrialPruned
from headrace.report import Steps, quiet
from headrace.report.text import describe_run as text_of_run
from headrace.run import resume
from headrace.run.cache import Cache, cache_key, checksums
from headrace.run.prepare import prepare
from headrace.train.select import _plan
from headrace.train.trial import Trials
from headrace.workspace import Workspace
from tests.conftest import make_table, mlflow_agrees, write_system


class Kept(Struct, frozen=True):
    frame: pl.DataFrame
    numbers: list[npt.NDArray[np.int64]]
    words: dict[str, str]
    nothing: npt.NDArray[np.float64] | None = None


def kept(rows: int = 50) -> Kept:
    frame = make_table(rows, 1).with_columns(
        v=pl.Series([[1.0, 2.0]] * rows, dtype=pl.Array(pl.Float32, 2))
    )
    return Kept(frame, [np.arange(3), np.empty(0, np.int64)], {"a": "é"})


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    cache, value = Cache(tmp_path), kept()
    assert cache.get(Kept, "a") is None
    cache.put(value, "a")
    found = cache.get(Kept, "a")
    assert found is not None
    assert found.frame.equals(value.frame)
    assert found.frame.schema == value.frame.schema
    assert [one.tolist() for one in found.numbers] == [[0, 1, 2], []]
    assert found.words == value.words
    assert cache.make(Kept, "a", lambda: pytest.fail("made again"), False) is not None
    assert cache.make(str, "a", lambda: "new", True) == "new"
    assert cache.get(str, "a") == "new"


@pytest.mark.parametrize("file", ["value.json", "1.arrow", "2.npy", "sums.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, file: str, damage: str) -> None:
    cache = Cache(tmp_path)
    cache.put(kept(), "a")
    path = tmp_path / "a" / file
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            data[: len(data) // 2] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1])
        )
    assert cache.get(Kept, "a") is None
    assert cache.make(Kept, "a", kept, False).words == {"a": "é"}
    assert cache.get(Kept, "a") is not None


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for name in "abc":
        cache.put(name * 1000, name)
        time.sleep(0.01)
    assert cache.get(str, "a") is not None
    size = cache.trim(10**9) // 3
    cache.trim(2 * size)
    assert [cache.get(str, name) is not None for name in "abc"] == [True, False, True]
    assert cache.trim(0) == 0


def test_files_are_read_again_only_where_they_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, memory = tmp_path / "f", tmp_path / "memory.json"
    file.write_bytes(b"one")
    first = checksums({"f": file, "none": tmp_path / "none"}, memory)
    assert first["none"] == "absent"
    monkeypatch.setattr(
        sys.modules["headrace.run.cache"], "_sum", lambda path: pytest.fail("read again")
    )
    assert checksums({"f": file, "none": tmp_path / "none"}, memory) == first
    monkeypatch.undo()
    file.write_bytes(b"two")
    assert checksums({"f": file}, memory)["f"] != first["f"]


def test_names_tell_what_differs() -> None:
    assert cache_key("a", 1) != cache_key("a", 2) != cache_key("b", 2)


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return write_system(tmp_path, "binary", "linear", rows=300)


def bundles(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".headrace" / "bundles").iterdir())


def test_an_unchanged_run_does_nothing(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = headrace.run(headrace.load(system))
    assert first.document.cached is False
    monkeypatch.setattr(flow, "prepare", lambda *given: pytest.fail("prepared again"))
    monkeypatch.setattr(train, "select_model", lambda *given: pytest.fail("chosen again"))
    again = headrace.run(headrace.load(system))
    before, after = (msgspec.to_builtins(run.document) for run in (first, again))
    differ = {name for name in before if before[name] != after[name]}
    assert differ <= {"cached", "seconds", "champion"}
    assert again.document.cached is True
    assert again.bundle == first.bundle
    assert again.report == first.report
    assert bundles(system) == ["binary-000001"]
    monkeypatch.undo()
    assert headrace.run(headrace.load(system), fresh=True).bundle.name == "binary-000002"
    assert (system / ".headrace/bundles/binary-000002/model.onnx").read_bytes() == (
        first.bundle / "model.onnx"
    ).read_bytes()


def test_a_change_of_models_reads_nothing_again(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = headrace.run(headrace.load(system))
    monkeypatch.setattr(flow, "prepare", lambda *given: pytest.fail("prepared again"))
    spec = system / "system.yaml"
    spec.write_text(spec.read_text() + "  linear: {l2: 0.01}\n")
    second = headrace.run(headrace.load(system))
    linear = second.document.winner.members[0].linear
    assert linear is not None
    assert linear.l2 == 0.01
    assert second.document.columns == first.document.columns
    spec.write_text(spec.read_text() + 'gates: ["test.roc_auc > 0.5"]\n')
    monkeypatch.setattr(train, "select_model", lambda *given: pytest.fail("chosen again"))
    assert len(headrace.run(headrace.load(system)).document.gates) == 3


def test_another_table_another_run(system: Path) -> None:
    first = headrace.run(headrace.load(system))
    make_table(310, 3).write_parquet(system / "rows.parquet")
    second = headrace.run(headrace.load(system))
    assert second.document.cached is False
    assert second.document.fingerprints != first.document.fingerprints


def searching(folder: Path, more: str = "") -> Path:
    spec = folder / "system.yaml"
    spec.write_text(spec.read_text().replace("trials: 0", "trials: 4, seconds: 300") + more)
    return folder


def test_a_killed_search_goes_on_where_it_was(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = FAMILIES["linear"].fit
    fits, most = 0, 10**6

    def counted(*given: Any) -> Any:
        nonlocal fits
        fits += 1
        if fits > most:
            raise KeyboardInterrupt
        return fit(*given)

    monkeypatch.setattr(FAMILIES["linear"], "fit", counted)
    whole = headrace.run(headrace.load(searching(system)))
    needed = fits
    again = searching(write_system(system / "again", "binary", "linear", rows=300))
    fits, most = 0, needed - 3
    with pytest.raises(KeyboardInterrupt):
        headrace.run(headrace.load(again))
    fits, most = 0, 10**6
    resumed = headrace.run(headrace.load(again))
    assert needed - 3 + fits <= needed + 5, "no more is done twice than the five folds of one trial"
    found = [
        [structs.replace(one, seconds=0) for one in run.document.candidates]
        for run in (whole, resumed)
    ]
    assert found[0] == found[1]
    assert resumed.document.metrics == whole.document.metrics
    assert (resumed.bundle / "model.onnx").read_bytes() == (
        whole.bundle / "model.onnx"
    ).read_bytes()


def test_more_trials_are_more_of_the_same(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = headrace.run(headrace.load(searching(system)))
    spec = system / "system.yaml"
    spec.write_text(spec.read_text().replace("trials: 4", "trials: 6"))
    fit = FAMILIES["linear"].fit
    fits = 0

    def counted(*given: Any) -> Any:
        nonlocal fits
        fits += 1
        return fit(*given)

    monkeypatch.setattr(FAMILIES["linear"], "fit", counted)
    second = headrace.run(headrace.load(system))
    before, after = first.document.candidates, second.document.candidates
    assert after[: len(before)] == before
    assert 2 < fits <= 2 * 5 + 1, "two more trials of up to five folds, and the refit"


@pytest.mark.parametrize("moment", ["decided", "not decided"])
def test_a_run_that_was_killed_as_it_was_judged(
    system: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def killed(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "sync_mlflow" if moment == "decided" else "decide", killed)
    with pytest.raises(KeyboardInterrupt):
        headrace.run(headrace.load(system))
    listed = headrace.runs(system)
    assert [one.promoted for one in listed] == [None]
    monkeypatch.undo()
    run = headrace.run(headrace.load(system))
    assert run.document.promoted
    assert run.report.exists()
    assert run.document.cached is (moment == "decided")
    assert [one.promoted for one in headrace.runs(system)] == (
        [True] if moment == "decided" else [True, None]
    )
    assert Workspace(system).read_aliases("binary") == {"champion": 1 if moment == "decided" else 2}
    told = (system / ".headrace/registry").glob("*mlflow*.json")
    assert run.report.read_text().count("Promoted to champion") == 1
    assert list(told)


@pytest.mark.parametrize("lost", ["bundles", "runs", "cache"])
def test_what_was_lost_is_made_again(system: Path, lost: str) -> None:
    headrace.run(headrace.load(system))
    shutil.rmtree(system / ".headrace" / lost)
    again = headrace.run(headrace.load(system))
    assert again.document.cached is False
    assert again.bundle.is_dir()
    assert headrace.verify(again.bundle).passed


def command(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "headrace", "run", str(folder), "--fresh"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def killed_runs(folder: Path, times: int) -> None:
    """Kills a run at any point; after the next command bundles are whole, and pointer and record
    agree.
    """
    chance = random.Random(3)
    begin = time.perf_counter()
    assert command(folder).wait() == 0
    whole = time.perf_counter() - begin
    for _ in range(times):
        process = command(folder)
        time.sleep(chance.uniform(0.3, 1.05) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for bundle in bundles(folder):
            assert (
                bundle.startswith(".")
                or headrace.verify(folder / ".headrace" / "bundles" / bundle).passed
            )
        live = [
            one.version for one in headrace.history("binary", folder) if one.action != "refuse"
        ][-1]
        assert Workspace(folder).read_aliases("binary") == {"champion": live}
        assert headrace.open("binary@champion", folder).version == live
        mlflow_agrees(folder, "binary")
    run = headrace.run(headrace.load(folder))
    assert run.document.promoted
    assert json.loads((run.report.parent / "run.json").read_text())["model"]


def test_a_killed_run_leaves_nothing_half(system: Path) -> None:
    killed_runs(system, 3)


@pytest.mark.slow
def test_thirty_killed_runs_leave_nothing_half(system: Path) -> None:
    killed_runs(system, 30)


def test_a_change_in_any_file_of_one_name_is_seen(system: Path) -> None:
    for at in range(2):
        (system / f"day={at}").mkdir()
        make_table(300, 3)[150 * at : 150 * at + 150].write_parquet(
            system / f"day={at}" / "part.parquet"
        )
    spec = system / "system.yaml"
    spec.write_text(spec.read_text().replace("rows.parquet", "day=*/part.parquet"))
    headrace.run(headrace.load(system))
    assert headrace.run(headrace.load(system)).document.cached
    for at in range(2):
        make_table(150, 8 + at).write_parquet(system / f"day={at}" / "part.parquet")
        assert not headrace.run(headrace.load(system)).document.cached


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    """Entries that another process replaces or removes at the same moment are as good as absent."""
    script = """
import sys
from pathlib import Path
import numpy as np
from headrace.run.cache import Cache
cache = Cache(Path(sys.argv[1]), 20_000)
for turn in range(150):
    cache.put(["x" * 2000, turn], f"e{turn % 7}")
    cache.get(list, f"e{(turn + 3) % 7}")
"""
    started = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()[-1500:]


def test_two_runs_at_once_in_one_folder(system: Path) -> None:
    started = [command(searching(system)), command(system)]
    assert [process.wait(120) for process in started] == [0, 0]
    assert len(bundles(system)) == 2
    assert len(headrace.history("binary", system)) == 2
    mlflow_agrees(system, "binary")


def test_settings_of_a_trial_that_was_given_up_can_be_stated(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever states them wants them fitted, whatever became of them beside others."""
    rows = headrace.load(system)
    given_up: list[int] = []
    member = headrace.spec.Member(family="linear", linear=headrace.spec.LinearParams(l2=0.3))
    prepared = prepare(rows, 0, Steps(quiet)).data
    cache = Cache(rows.workspace.cache)
    keep = resume.trial_memo(cache, "prepared", False)
    trials = Trials(
        prepared,
        _plan(prepared),
        evaluate.make_objective(prepared.system.goal),
        lambda text: None,
        keep,
    )

    def should_prune(step: int, cost: float) -> bool:
        given_up.append(step)
        return True

    for _ in range(2):
        with pytest.raises(TrialPruned):
            trials(member, "searched", should_prune=should_prune)
    assert given_up == [1, 1], "the second was remembered, and told of all the same"
    assert trials(member, "stated").value > 0.5


def test_what_is_live_now_is_told_with_a_kept_run(system: Path) -> None:
    first = headrace.run(headrace.load(system))
    spec = system / "system.yaml"
    text = spec.read_text()
    spec.write_text(text + "seed: 8\n")
    headrace.run(headrace.load(system))
    spec.write_text(text)
    again = headrace.run(headrace.load(system)).document
    assert again.cached
    assert again.model == first.document.model
    assert again.alias is None
    assert "version 2 is now" in text_of_run(again)
    copy = shutil.copytree(system, system.parent / "copy")
    told = headrace.run(headrace.load(copy)).document
    assert Path(told.bundle).is_relative_to(copy)
    assert Path(told.report).is_relative_to(copy)


def test_how_it_is_served_makes_no_new_run(system: Path) -> None:
    first = headrace.run(headrace.load(system))
    spec = system / "system.yaml"
    spec.write_text(
        spec.read_text()
        + "serve: {port: 9000, max_rows: 7}\nstore: redis://127.0.0.1:1/0\nlog: {fsync: true}\n"
    )
    again = headrace.run(headrace.load(system))
    assert again.document.cached
    assert again.bundle == first.bundle
    spec.write_text(spec.read_text() + "seed: 11\n")
    assert not headrace.run(headrace.load(system)).document.cached


def test_code_is_named_by_what_it_says(tmp_path: Path) -> None:
    """Two machines with the same wheel, whose files have other times, share results."""
    ask = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from headrace.run.cache import cache_key; print(cache_key(1))"
    )
    names = []
    for place, change in (("a", ""), ("b", ""), ("c", "\n# changed\n")):
        copy = Path(shutil.copytree(Path(headrace.__file__).parent, tmp_path / place / "headrace"))
        (copy / "errors.py").write_text((copy / "errors.py").read_text() + change)
        done = subprocess.run(
            [sys.executable, "-c", ask, str(copy.parent)],
            capture_output=True,
            text=True,
            check=True,
        )
        names.append(done.stdout.strip())
    assert names[0] == names[1] != names[2]
