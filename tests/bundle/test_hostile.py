"""Bundles by somebody who means harm: refused in one sentence, at once, without a file or a request
beyond.
"""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper

import headrace
from headrace.bundle import Manifest
from headrace.errors import BundleError, InputError
from headrace.features.graph.allowed import OPERATORS
from headrace.workspace import Workspace
from tests.conftest import Runs

_SECONDS = 5.0
"""A tenth of this suffices; a machine under load needs more."""


@pytest.fixture
def bundle(runs: Runs, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs("binary", "gbdt").bundle, tmp_path / "copy"))


def reseal(bundle: Path, **changes: Any) -> None:
    """As an attacker does, who knows how a manifest is made."""
    manifest = msgspec.json.decode((bundle / "manifest.json").read_bytes(), type=dict)
    sums = {
        name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in manifest["files"]
    }
    fields = manifest | {"files": sums, "seal": ""} | changes
    made = msgspec.defstruct("Any", [(name, Any) for name in fields])

    def encoded() -> bytes:
        return msgspec.json.format(msgspec.json.encode(made(**fields)), indent=2) + b"\n"

    fields["seal"] = hashlib.sha256(encoded()).hexdigest()
    (bundle / "manifest.json").write_bytes(encoded())


def refused(bundle: Path) -> str:
    """What `verify` says of a bundle that it must refuse; `open` refuses it too, or answers as if
    nothing was.
    """
    begin = time.perf_counter()
    result = headrace.verify(bundle)
    assert not result.passed
    failed = [one for one in result.findings if one.severity == "error"]
    try:
        headrace.open(bundle)
    except (BundleError, InputError) as error:
        assert "\n" not in str(error)
    assert time.perf_counter() - begin < _SECONDS
    return failed[0].message


def test_a_resealed_bundle_is_a_bundle(bundle: Path) -> None:
    reseal(bundle)
    assert headrace.verify(bundle).passed


NAMES = [
    "<script>alert(1)</script>", "a\r\nset-cookie: a=b", "../../evil", "x" * 65_536,
    "", "a\0b", "a\u2028😀", "-rf",
    "a b",
    "$(touch x)", "`id`", "a'b", 'a"b', "a;b", "1", ".", "..", "a/b", "a@b", 5, None, [], {},
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_a_name_is_a_name(bundle: Path, name: Any) -> None:
    reseal(bundle, name=name)
    assert "manifest.json" in refused(bundle)


@pytest.mark.parametrize("version", [-5, 0, 2**63 - 1, 10**9, "1", 1.5, None, True, 2**70])
def test_a_version_is_a_number(bundle: Path, version: Any) -> None:
    reseal(bundle, version=version)
    assert "manifest.json" in refused(bundle)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (file, content)
        for file in (
            "schema.json",
            "evaluation.json",
            "examples.json",
            "profile.json",
            "system.yaml",
            "MLmodel",
        )
        for content in (
            b"{}",
            b"[]",
            b"",
            b"[[[[",
            b"[" * 100_000,
            b'{"columns":[',
            b"null",
            b"\xff\xfe",
            b"5",
            b'"a"',
        )
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_forged_part_is_refused(bundle: Path, file: str, content: bytes) -> None:
    (bundle / file).write_bytes(content)
    reseal(bundle)
    assert file in refused(bundle) or "go together" in refused(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1PAR1", b"x" * 1000, "half", "rows", "columns", "target"]
)
def test_a_forged_holdout_is_refused(bundle: Path, content: bytes | str) -> None:
    path = bundle / "holdout.parquet"
    if content == "half":
        content = path.read_bytes()[:-200]
    if content == "rows":
        pl.DataFrame({"x": pl.repeat(0, 30_000_000, eager=True, dtype=pl.Int8)}).write_parquet(path)
    elif content == "columns":
        pl.read_parquet(path).drop("z").write_parquet(path)
    elif content == "target":
        pl.read_parquet(path).drop("label").write_parquet(path)
    else:
        assert isinstance(content, bytes)
        path.write_bytes(content)
    reseal(bundle)
    assert (
        "holdout" in refused(bundle)
        or "go together" in refused(bundle)
        or "no column" in refused(bundle)
    )


def test_a_bomb_of_yaml_is_refused(bundle: Path, tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 11)]
    bomb = "\n".join(lines).encode()
    for file in ("system.yaml", "MLmodel"):
        kept = (bundle / file).read_bytes()
        (bundle / file).write_bytes(bomb)
        reseal(bundle)
        assert "values, aliases counted" in refused(bundle)
        (bundle / file).write_bytes(kept)
    (tmp_path / "system.yaml").write_bytes(bomb)
    with pytest.raises(headrace.errors.HeadraceError, match="aliases counted"):
        headrace.load(tmp_path)
    for text, words in (
        (b"a: &a [*a]", "contains itself"),
        (b"a: !!python/object/apply:os.system ['touch pwned']", "is not YAML"),
        (b"[" * 50_000, "nested deeper"),
        (b"a: " + b"x" * (17 << 20), "bytes"),
    ):
        (tmp_path / "system.yaml").write_bytes(text)
        with pytest.raises(headrace.errors.HeadraceError, match=words):
            headrace.load(tmp_path)
    (tmp_path / "system.yaml").write_bytes(
        b"name: &n ads\ngoal: {target: *n}\ndata: {source: t.csv}\n"
    )
    assert headrace.load(tmp_path).goal.target == "ads"


def test_a_pipe_is_no_manifest(bundle: Path) -> None:
    for file in ("manifest.json", "model.onnx", "schema.json"):
        kept = (bundle / file).read_bytes()
        (bundle / file).unlink()
        os.mkfifo(bundle / file)
        assert "not a regular file" in refused(bundle)
        (bundle / file).unlink()
        (bundle / file).write_bytes(kept)
    (bundle / "manifest.json").unlink()
    (bundle / "manifest.json").symlink_to("/etc/passwd")
    assert "not a regular file" in refused(bundle)


@pytest.mark.parametrize(
    "file", ["evil.py", "conda.yaml", "code/evil.py", ".hidden", "python_env.yaml"]
)
def test_a_file_beyond_the_manifest_is_refused(bundle: Path, file: str) -> None:
    (bundle / file).parent.mkdir(exist_ok=True)
    (bundle / file).write_text("raise SystemExit")
    assert "does not list" in refused(bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"flavors": {"python_function": {"loader_module": "evil", "data": ".", "env": None}}},
        {"code": "."},
        {"flavors": {"onnx": {"onnx_version": "1; import os"}}},
        {"metadata": {"onnxruntime": "x" * 100}},
        {"model_uuid": "a"},
    ],
)
def test_mlflow_is_told_of_nothing_else(bundle: Path, change: dict[str, Any]) -> None:
    found = msgspec.yaml.decode((bundle / "MLmodel").read_bytes())
    for name, value in change.items():
        if isinstance(value, dict):
            for inner, values in value.items():
                found[name][inner] = (
                    found[name][inner] | values if isinstance(values, dict) else values
                )
        else:
            found[name] = value
    (bundle / "MLmodel").write_bytes(msgspec.yaml.encode(found))
    reseal(bundle)
    assert "MLmodel" in refused(bundle)


def later(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest | {"code_version": "9.0.0", "signature": "x"}


def test_a_bundle_of_a_later_version_is_told_as_such(bundle: Path) -> None:
    reseal(bundle, code_version="9.0.0", signature="x")
    assert "'signature', which this version does not know; expected Headrace 9.0.0" in refused(
        bundle
    )
    manifest = msgspec.json.decode((bundle / "manifest.json").read_bytes(), type=dict)
    del manifest["signature"]
    (bundle / "manifest.json").write_bytes(json.dumps(manifest).encode())
    text = (bundle / "system.yaml").read_bytes()
    (bundle / "system.yaml").write_bytes(text + b"\nmonitor2: {}\n")
    reseal(bundle, code_version="9.0.0")
    manifest = msgspec.json.decode((bundle / "manifest.json").read_bytes(), type=dict)
    manifest.pop("signature", None)
    said = refused(bundle)
    assert "monitor2" in said or "9.0.0" in said


def node(operator: str, inputs: list[str], outputs: list[str], **more: Any) -> Any:
    return helper.make_node(operator, inputs, outputs, **more)


def constant(graph: Any, name: str, values: Any) -> None:
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), name))


def with_nodes(*nodes: Any, **constants: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for name, values in constants.items():
            constant(model.graph, name, values)
        for at, one in enumerate(nodes):
            model.graph.node.insert(at, one)

    return change


def loop(model: Any) -> None:
    body = helper.make_graph(
        [node("Identity", ["c"], ["d"])], "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, [])],
    )  # fmt: skip
    with_nodes(node("Loop", ["n", "go"], [], body=body), n=2**62, go=True)(model)


def deep(model: Any) -> None:
    (tree,) = [one for one in model.graph.node if one.op_type == "TreeEnsemble"]
    for attribute in tree.attribute:
        if attribute.name in ("nodes_truenodeids", "nodes_falsenodeids"):
            attribute.ints[0] = 0
        if attribute.name in ("nodes_trueleafs", "nodes_falseleafs"):
            attribute.ints[0] = 0


def doubled(model: Any) -> None:
    before = "numbers"
    for at in range(40):
        model.graph.node.insert(at, node("Concat", [before, before], [f"twice{at}"], axis=1))
        before = f"twice{at}"


def domain(model: Any) -> None:
    model.opset_import.append(helper.make_opsetid("evil.example", 1))


def function(model: Any) -> None:
    model.functions.append(
        helper.make_function(
            "evil",
            "f",
            ["x"],
            ["y"],
            [node("Identity", ["x"], ["y"])],
            [helper.make_opsetid("", 21)],
        )
    )


def roots(model: Any) -> None:
    (tree,) = [one for one in model.graph.node if one.op_type == "TreeEnsemble"]
    (found,) = [one for one in tree.attribute if one.name == "tree_roots"]
    found.ints.extend([0] * 100_000)


def wide(model: Any) -> None:
    (strings,) = [one for one in model.graph.input if one.name == "strings"]
    strings.type.tensor_type.shape.dim[1].dim_value = 10**9


GRAPHS: dict[str, Callable[[Any], None]] = {
    "a loop": loop,
    "constants of a terabyte": with_nodes(node("ConstantOfShape", ["s"], ["big"]), s=[10**12]),
    "expanded constants": with_nodes(node("Expand", ["one", "s"], ["big"]), one=[1.0], s=[10**12]),
    "rows expanded": with_nodes(node("Expand", ["numbers", "s"], ["big"]), s=[10**9, 1, 1]),
    "a product of constants": with_nodes(
        node("MatMul", ["a", "b"], ["c"]), a=np.ones((9999, 1)), b=np.ones((1, 9999))
    ),
    "a range": with_nodes(node("Range", ["a", "b", "c"], ["d"]), a=0, b=10**12, c=1),
    "tiles": with_nodes(node("Tile", ["numbers", "s"], ["d"]), s=[10**6, 10**6]),
    "doubled without end": doubled,
    "a circle of trees": deep,
    "an operator of another domain": with_nodes(
        node("Evil", ["numbers"], ["d"], domain="evil.example")
    ),
    "another domain": domain,
    "a function": function,
    "python": with_nodes(node("PyOp", ["numbers"], ["d"], domain="com.microsoft")),
    "a node that names itself": with_nodes(node("Identity", ["strings"], ["strings"])),
    "nodes out of order": with_nodes(node("Identity", ["none"], ["d"])),
    "a shape that is worked out": with_nodes(
        node("Shape", ["numbers"], ["s"]),
        node("Mul", ["s", "m"], ["t"]),
        node("Reshape", ["numbers", "t"], ["d"]),
        m=[10**9, 1],
    ),
    "padding": with_nodes(node("Pad", ["numbers", "p"], ["d"]), p=[0, 0, 0, 10**12]),
    "random numbers": with_nodes(node("RandomUniform", [], ["d"], shape=[10**6, 10**6])),
    "roots again and again": roots,
    "an input of a billion columns": wide,
    "another optimizer": with_nodes(node("QuickGelu", ["numbers"], ["d"], domain="com.microsoft")),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_holds_what_headrace_writes(bundle: Path, name: str) -> None:
    model = onnx.load(bundle / "model.onnx")
    GRAPHS[name](model)
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    reseal(bundle)
    assert refused(bundle).startswith("model.onnx: holds")
    with pytest.raises(
        BundleError, match=r"model\.onnx: holds .*; expected a graph as Headrace writes it"
    ):
        headrace.open(bundle)


METADATA: dict[str, Any] = {
    "no columns": ("columns", {}),
    "columns of another kind": ("columns", {"numbers": 5, "strings": ["colour"]}),
    "columns elsewhere": ("columns", {"strings": ["x", "z"], "numbers": ["colour"]}),
    "no decision": ("decision", None),
    "another task": ("task", 5),
    "no classes": ("classes", {}),
}


@pytest.mark.parametrize("name", METADATA)
def test_a_graph_says_what_headrace_would(bundle: Path, name: str) -> None:
    model = onnx.load(bundle / "model.onnx")
    key, value = METADATA[name]
    kept = [(one.key, one.value) for one in model.metadata_props if one.key != key]
    del model.metadata_props[:]
    made = dict(kept) | ({} if value is None else {key: json.dumps(value)})
    helper.set_model_props(model, made)
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    reseal(bundle)
    assert refused(bundle)
    with pytest.raises(BundleError):
        headrace.open(bundle)


@pytest.mark.slow
def test_a_cell_that_fills_memory_is_not_read(bundle: Path) -> None:
    path = bundle / "holdout.parquet"
    huge = pl.DataFrame({"z": [pl.repeat(0, 500_000_000, eager=True, dtype=pl.Int8)]})
    whole = pl.read_parquet(path)
    rows = pl.concat([whole.head(1).drop("z"), huge], how="horizontal")
    rows.write_parquet(path)
    assert path.stat().st_size < 10_000_000
    reseal(bundle)
    assert "holdout.parquet" in refused(bundle) or "go together" in refused(bundle)


def test_every_operator_that_is_written_is_allowed() -> None:
    """What the rooms write stands in their sources, as the first argument of `node`."""
    found = set()
    for room in ("features", "models"):
        for file in (Path(headrace.__file__).parent / room).rglob("*.py"):
            found |= set(re.findall(r"\.node\(\s*\"(\w+)\"", file.read_text()))
    assert len(found) > 30
    assert found <= set.union(*OPERATORS.values())


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"not a graph", "metadata", "outputs", "columns"]
)
def test_a_broken_graph_is_refused(bundle: Path, content: bytes | str) -> None:
    if isinstance(content, str):
        model = onnx.load(bundle / "model.onnx")
        if content == "metadata":
            del model.metadata_props[:]
        elif content == "outputs":
            del model.graph.output[:]
            model.graph.output.append(
                helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 5])
            )
        else:
            (columns,) = [one for one in model.metadata_props if one.key == "columns"]
            columns.value = columns.value.replace('"z"', '"zz"')
        content = bytes(model.SerializeToString())
    (bundle / "model.onnx").write_bytes(content)
    reseal(bundle)
    assert refused(bundle)
    with pytest.raises(BundleError):
        headrace.open(bundle)


@pytest.fixture
def stranger(runs: Runs, tmp_path: Path) -> Path:
    """An archive that somebody sent: a workspace whose bundle names a query and an address."""
    home = tmp_path / "evil"
    shutil.copytree(runs("binary", "gbdt").bundle, home / ".headrace" / "bundles" / "binary-000001")
    (home / ".headrace" / "workspace.json").write_text('{"id":"00","mark":"11"}')
    return home


@pytest.mark.parametrize(
    "source",
    [
        "sqlite:///shop.db",
        "/etc/passwd",
        "http://127.0.0.1:PORT/latest/meta-data.csv",
        "../secret.csv",
    ],
)
def test_what_a_strangers_bundle_names_is_not_read(
    stranger: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace import tables

    bundle = stranger / ".headrace" / "bundles" / "binary-000001"
    with sqlite3.connect(stranger / "shop.db") as connection:
        connection.execute("create table t (at text)")
    spec = msgspec.yaml.decode((bundle / "system.yaml").read_bytes())
    event = {"source": source, "time": "at"} | (
        {"query": "select * from t"} if "sqlite" in source else {}
    )
    spec["data"]["events"] = {"e": event}
    spec["features"]["windows"] = [
        {"name": "n", "events": "e", "key": "owner", "aggregate": "count", "over": ["1h"]}
    ]
    (bundle / "system.yaml").write_bytes(msgspec.yaml.encode(spec))
    reseal(bundle)
    asked: list[Any] = []

    def read(system: Any) -> Any:
        asked.append(system)
        raise InputError("here", "read")

    monkeypatch.setattr(tables, "read_events", read)
    monkeypatch.chdir(stranger)
    for model in (bundle, "binary@1"):
        found = {one.check: one for one in headrace.verify(model, stranger).findings}
        assert "--sources" in found["verify.online"].message
        assert not asked
    headrace.open(bundle)
    assert not asked
    headrace.verify(bundle, sources=True)
    assert len(asked) == 1


def test_a_workspace_is_whose_who_ran_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    home = Workspace(tmp_path / "w")
    assert not home.is_own
    id = home.claim()
    assert home.is_own
    assert home.claim() == id == home.id
    assert (tmp_path / "mine" / "headrace" / "key").stat().st_mode & 0o777 == 0o600
    shutil.move(home.root, tmp_path / "moved")
    moved = Workspace(tmp_path / "moved")
    assert moved.is_own
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    assert not moved.is_own
    assert moved.claim() == id
    assert moved.is_own
    for content in (b"", b"{}", b"[]", b'{"id": 5}', b"\xff"):
        (moved.path / "workspace.json").write_bytes(content)
        assert not moved.is_own


def test_manifests_of_now_have_no_other_fields() -> None:
    assert set(Manifest.__struct_fields__) == {
        "name", "version", "created", "spec_hash", "data", "code_version", "parent", "files",
        "seal", "format", "scale",
    }  # fmt: skip
