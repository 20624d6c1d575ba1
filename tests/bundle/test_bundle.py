import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import headrace
from headrace.bundle import find_bundle, open_bundle
from headrace.bundle.manifest import FILES, Manifest
from headrace.errors import BundleError, InputError
from headrace.spec import load
from headrace.workspace import versions_in
from tests.conftest import Runs


@pytest.fixture
def bundle(runs: Runs, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs("binary", "gbdt").bundle, tmp_path / "copy"))


def test_a_bundle_holds_what_the_design_says(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == {*FILES, "manifest.json"}
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    assert manifest["name"] == "binary"
    assert manifest["version"] == 1
    assert set(manifest["data"]) == {"source"}
    assert len(manifest["data"]["source"]) == 64
    schema = json.loads((bundle / "schema.json").read_bytes())
    names = [column["name"] for column in schema["columns"]]
    assert names == ["x", "z", "big", "flag", "colour", "code", "at"]
    evaluation = json.loads((bundle / "evaluation.json").read_bytes())
    assert set(evaluation["metrics"]) == {"validation", "test", "baseline"}
    profile = json.loads((bundle / "profile.json").read_bytes())
    assert len(profile["columns"]["z"]["at"]) == 21
    assert sum(profile["columns"]["flag"]["shares"].values()) == 1
    assert "</html>" in (bundle / "card.html").read_text()
    assert load(bundle).models.candidates == ["gbdt"]


@pytest.mark.parametrize("file", [*FILES, "manifest.json"])
@pytest.mark.parametrize("where", [0.0, 0.5, 0.99])
def test_one_changed_byte_is_refused(bundle: Path, file: str, where: float) -> None:
    data = bytearray((bundle / file).read_bytes())
    data[int(where * len(data))] ^= 1
    (bundle / file).write_bytes(data)
    with pytest.raises(BundleError, match=r"changed|cannot be read"):
        headrace.open(bundle)
    assert not headrace.verify(bundle).passed


def reseal(bundle: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """What a stranger could do: change the manifest and seal it again."""
    manifest = msgspec.json.decode((bundle / "manifest.json").read_bytes(), type=Manifest)
    changed = msgspec.structs.replace(manifest, files=change(dict(manifest.files)))
    (bundle / "manifest.json").write_bytes(changed.with_seal().encode())


def test_a_path_that_climbs_out_is_refused(bundle: Path) -> None:
    reseal(bundle, lambda files: {**files, "../../etc/passwd": "0" * 64})
    with pytest.raises(BundleError, match="does not list exactly the files"):
        open_bundle(bundle)


def test_a_link_out_of_the_folder_is_refused(bundle: Path) -> None:
    (bundle / "card.html").rename(bundle.parent / "card.html")
    (bundle / "card.html").symlink_to(bundle.parent / "card.html")
    with pytest.raises(BundleError, match="is not a regular file"):
        open_bundle(bundle)


def test_a_missing_file_is_refused(bundle: Path) -> None:
    (bundle / "holdout.parquet").unlink()
    with pytest.raises(BundleError, match=r"holdout.parquet: is missing"):
        open_bundle(bundle)


def test_a_graph_that_points_to_a_file_outside_does_not_load(bundle: Path) -> None:
    import hashlib

    import onnx
    from onnx.external_data_helper import set_external_data

    model = onnx.load(bundle / "model.onnx")
    tensor = next(one for one in model.graph.initializer if one.raw_data)
    (bundle.parent / "secret").write_bytes(tensor.raw_data)
    set_external_data(tensor, "../secret")
    tensor.ClearField("raw_data")
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    digest = hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
    reseal(bundle, lambda files: {**files, "model.onnx": digest})
    with pytest.raises(BundleError, match="constants in another file"):
        headrace.open(bundle)


def test_versions_count_up_and_are_found_by_name(runs: Runs) -> None:
    run = runs("binary", "linear")
    folder = run.bundle.parent.parent.parent
    first = find_bundle("binary@1", folder)
    assert first == run.bundle
    assert versions_in(run.bundle.parent, "binary")[0] == 1
    with pytest.raises(InputError, match="versions 1"):
        find_bundle("binary@7", folder)
    with pytest.raises(InputError, match=r"did you mean|one of: binary-000001"):
        find_bundle("binry@1", folder)
    with pytest.raises(InputError, match="no such bundle"):
        find_bundle("nowhere", folder)
    assert find_bundle(folder, Path("elsewhere")) == find_bundle("binary@champion", folder)


def test_verify_finds_what_checksums_cannot(bundle: Path) -> None:
    """A bundle that was sealed with predictions that its graph does not give."""
    import hashlib

    import polars as pl

    holdout = pl.read_parquet(bundle / "holdout.parquet")
    holdout.with_columns(pl.col("prediction") + 0.001).write_parquet(bundle / "holdout.parquet")
    digest = hashlib.sha256((bundle / "holdout.parquet").read_bytes()).hexdigest()
    reseal(bundle, lambda files: {**files, "holdout.parquet": digest})
    result = headrace.verify(bundle)
    failed = [finding.check for finding in result.findings if finding.severity == "error"]
    assert failed == ["verify.parity"]
    assert not result.passed
