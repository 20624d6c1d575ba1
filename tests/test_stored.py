"""What earlier versions left behind opens as it did, or says in one sentence what to do."""

import hashlib
import hmac
import json
import shutil
import tarfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import headrace
from headrace.errors import BundleError, InputError
from headrace.log import open_log
from headrace.workspace import Workspace

STORED = Path(__file__).parent / "stored" / "visits.tar.xz"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system as it was left, on a machine whose user made it."""
    folder = tmp_path / "visits"
    with tarfile.open(STORED) as archive:
        archive.extractall(folder, filter="data")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "millrace").mkdir(parents=True)
    (tmp_path / "config" / "millrace" / "key").write_bytes(b"0123456789abcdef")
    identity = folder / ".millrace" / "workspace.json"
    id = json.loads(identity.read_text())["id"]
    identity.write_text(
        json.dumps(
            {"id": id, "mark": hmac.new(b"0123456789abcdef", id.encode(), "sha256").hexdigest()}
        )
    )
    return folder


@pytest.fixture
def migrated(stored: Path) -> Path:
    assert len(headrace.migrate(stored)) == 2
    return stored


def test_a_workspace_of_the_former_name_says_what_to_do(stored: Path) -> None:
    for use in (
        lambda: headrace.run(headrace.load(stored)),
        lambda: headrace.runs(stored),
        lambda: headrace.open("visits@1", stored),
        lambda: headrace.history("visits", stored),
        lambda: headrace.push("buys", {}, stored),
    ):
        with pytest.raises(InputError, match=r"`headrace migrate .*` migrates it"):
            use()
    assert not (stored / ".headrace").exists()


def test_a_bundle_of_the_former_name_opens_as_it_is(stored: Path) -> None:
    model = headrace.open(stored / ".millrace" / "bundles" / "visits-000001")
    assert_frame_equal(
        answers(model, stored), pl.read_csv(stored / "predictions.csv"), check_dtypes=False
    )


def answers(model: headrace.Predictor, folder: Path) -> pl.DataFrame:
    """The answers that the version which stored them gave too."""
    return model.predict(pl.read_csv(folder / "rows.csv")).drop("probability_yes")


def test_a_workspace_goes_on_where_it_was_left(migrated: Path) -> None:
    system = headrace.load(migrated)
    assert [one.model for one in headrace.runs(migrated)] == ["visits@3", "visits@2", "visits@1"]
    assert [one.version for one in headrace.history("visits", migrated)] == [1, 2, 3]
    model = headrace.open("visits@champion", migrated)
    assert_frame_equal(
        answers(model, migrated), pl.read_csv(migrated / "predictions.csv"), check_dtypes=False
    )

    assert open_log(system).read("buys")["id"].to_list() == ["p4", "p1", "p2", "p3", "p9"]
    assert len(list(system.workspace.predictions.glob("*.open"))) == 1
    rows = pl.read_csv(migrated / "visits.csv", try_parse_dates=True)
    for online in (False, True):
        expected = pl.read_csv(migrated / f"features_{'online' if online else 'offline'}.csv")
        found = headrace.window_features(system, rows, online)
        assert_frame_equal(
            found.select("spend_7d", "buys_7d"),
            expected.select("spend_7d", "buys_7d"),
            check_dtypes=False,
        )

    event = {"buy": "p10", "at": "2025-03-02T16:00:00", "user": "u5", "price": 2.0}
    assert headrace.push("buys", event, migrated) == 1
    assert headrace.run(system).model == "visits@4"
    headrace.rollback("visits", folder=migrated)
    assert headrace.history("visits", migrated)[-1].version == 3


def test_what_was_this_users_stays_so_and_is_replayed(migrated: Path) -> None:
    assert Workspace(migrated).is_own
    found = {one.check: one for one in headrace.verify("visits@champion", migrated).findings}
    assert "all windows agree (2)" in found["verify.online"].message
    assert headrace.verify("visits@champion", migrated).passed


def test_a_strangers_workspace_stays_a_strangers(stored: Path) -> None:
    identity = stored / ".millrace" / "workspace.json"
    identity.write_text('{"id": "00", "mark": "11"}')
    headrace.migrate(stored)
    assert not Workspace(stored).is_own


def test_a_call_that_was_killed_is_finished_by_the_next(stored: Path) -> None:
    (stored / ".millrace").rename(stored / ".headrace")
    bundle = stored / ".headrace" / "bundles" / "visits-000001"
    text = (bundle / "MLmodel").read_bytes().replace(b"millrace", b"headrace")
    (bundle / "MLmodel").write_bytes(text)
    assert headrace.migrate(stored) == [
        "MLflow loads visits-000001, visits-000003 through headrace.predict.pyfunc"
    ]
    assert headrace.migrate(stored) == []
    assert (
        json.loads((bundle / "manifest.json").read_text())["files"]["MLmodel"]
        == hashlib.sha256(text).hexdigest()
    )
    assert headrace.verify(bundle).passed


def test_a_changed_bundle_stays_refused(stored: Path) -> None:
    bundles = stored / ".millrace" / "bundles"
    (bundles / "visits-000001" / "card.html").write_text("changed")
    model = bundles / "visits-000003" / "MLmodel"
    model.write_text(model.read_text().replace("millrace.predict.pyfunc", "headrace.predict.evil"))
    headrace.migrate(stored)
    for version in (1, 3):
        with pytest.raises(BundleError, match="has been changed since it was written"):
            headrace.open(f"visits@{version}", stored)


def test_two_workspaces_are_not_mixed(stored: Path, tmp_path: Path) -> None:
    shutil.copytree(stored / ".millrace", stored / ".headrace")
    with pytest.raises(InputError, match=r"both \.millrace and \.headrace"):
        headrace.migrate(stored)
    with pytest.raises(InputError, match="no workspace here"):
        headrace.migrate(tmp_path)
