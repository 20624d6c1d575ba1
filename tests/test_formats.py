"""Everything that lies on a disk says its format: another one is refused in a sentence, none is the
first.
"""

import json
from contextlib import closing
from pathlib import Path

import msgspec
import polars as pl
import pytest

from headrace.bundle.manifest import FILES, Manifest, read_manifest
from headrace.errors import BundleError, WorkError
from headrace.log import Log, Record
from headrace.registry.journal import Journal
from headrace.run import cache as run_cache
from headrace.spec import EventTable, Window
from headrace.store.backfill import BackfillPlan, backfill
from headrace.store.keys import layout_key
from headrace.store.layout import build_layout
from headrace.store.open import open_backend
from headrace.store.pusher import Pusher
from headrace.store.read import WindowReader, read_state
from headrace.store.store import Changes
from headrace.tables import Column
from headrace.workspace import Workspace

REFUSED = "written in format 2; expected format 1; "
NEWER = REFUSED + "use the version of Headrace that wrote it, or a later one"


def manifest(format: int | msgspec.UnsetType) -> bytes:
    return (
        Manifest(
            name="ads",
            version=1,
            created="2024-01-01T00:00:00",
            spec_hash="",
            data={},
            code_version="9.0.0",
            parent=None,
            files=dict.fromkeys(FILES, ""),
            format=format,
        )
        .with_seal()
        .encode()
    )


def test_a_bundle(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    for known in (1, msgspec.UNSET):
        path.write_bytes(manifest(known))
        assert read_manifest(tmp_path).name == "ads"
    path.write_bytes(manifest(2))
    with pytest.raises(BundleError) as error:
        read_manifest(tmp_path)
    assert str(error.value) == f"{path}: {NEWER}"


def test_a_journal(tmp_path: Path) -> None:
    line = {
        "action": "promote",
        "version": 1,
        "alias": "champion",
        "before": None,
        "at": "2024-01-01T00:00:00",
        "by": "gates",
        "who": "ann",
        "why": "3 gates passed",
    }
    workspace = Workspace(tmp_path)
    path = workspace.journal("ads")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(line) + "\n")
    assert Journal(workspace, "ads").last_version == 1
    # What another format calls its fields is not known, but for its number.
    path.write_text(json.dumps(line) + "\n" + json.dumps({"format": 3, "did": "promote"}) + "\n")
    with pytest.raises(WorkError) as error:
        Journal(workspace, "ads")
    newer = NEWER.replace("format 2", "format 3").replace("format 1", "format 2")
    assert str(error.value) == f"{path}: {newer}"


def test_a_log(tmp_path: Path) -> None:
    log = Log(tmp_path)
    with log.append_lock():
        log.append([Record("7", 0, 0, "clicks", b"{}")])
    path = tmp_path / "format.json"
    assert json.loads(path.read_text()) == {"format": 1}
    path.unlink()
    assert Log(tmp_path).read().height == 1
    path.write_text('{"format": 2}')
    with pytest.raises(WorkError) as error:
        Log(tmp_path).read()
    assert str(error.value) == f"{tmp_path}: {NEWER}"
    with pytest.raises(WorkError), Log(tmp_path).append_lock():
        pytest.fail("a log of another format was opened to append")


def test_a_store(tmp_path: Path) -> None:
    table = EventTable(source="", time="at")
    columns = [
        Column(name="at", dtype="datetime", kind="datetime"),
        Column(name="user", dtype="string", kind="categorical"),
    ]
    window = Window(name="clicks", events="e", key="user", over=["all"])
    layout = build_layout([window], {"e": table}, {"user": pl.String()}, {"e": columns})
    frame = pl.DataFrame(schema={"at": pl.Datetime("us"), "user": pl.String()})
    with closing(open_backend(None, tmp_path / "online", "test")) as store:
        log = Log(tmp_path / "log")
        backfill(store, log, BackfillPlan(layout, {"e": (frame, table)}, 0, "key"), 0)
        key = layout_key(read_state(store).prefix)
        (written,) = store.read([key])
        assert written is not None
        fields = json.loads(written)
        assert fields.pop("format") == 1
        store.write(Changes(puts={key: json.dumps(fields).encode()}))
        assert WindowReader(store).row({"user": "a"}, 0) == {"clicks_all": 0}

        store.write(Changes(puts={key: json.dumps({"format": 2}).encode()}))
        for use in (lambda: WindowReader(store), lambda: Pusher(store, log)):
            with pytest.raises(WorkError) as error:
                use()
            fills = f"the online store: {REFUSED}`headrace materialize DIR` refills it"
            assert str(error.value) == fills
        # And so it does.
        backfill(store, log, BackfillPlan(layout, {"e": (frame, table)}, 0, "key"), 0)
        assert WindowReader(store).row({"user": "a"}, 0) == {"clicks_all": 0}


def test_an_entry_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_cache.cache_key("made", "of")
    monkeypatch.setattr(run_cache, "FORMAT", 2)
    assert run_cache.cache_key("made", "of") != before
