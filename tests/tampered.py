"""Versions that went bad in ways that no gate sees: their graphs are edited, and sealed again."""

import shutil
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from headrace.bundle.manifest import read_manifest, sha256
from headrace.spec import System

Edit = Callable[[Any], None]
LIMIT = 50.0
"""A row with a larger number is one that no golden request resembles."""


def add_version(system: System, source: int, version: int, edit: Edit) -> None:
    """Copy a version under a new number, with its graph edited."""
    folder = system.workspace.bundle(system.name, version)
    shutil.copytree(system.workspace.bundle(system.name, source), folder)
    model = onnx.load(folder / "model.onnx")
    edit(model.graph)
    onnx.save(model, folder / "model.onnx")
    manifest = read_manifest(folder)
    changed = msgspec.structs.replace(
        manifest,
        version=version,
        files={name: sha256(folder / name) for name in manifest.files},
    )
    (folder / "manifest.json").write_bytes(changed.with_seal().encode())


def raise_beyond_limit(graph: Any) -> None:
    """Let the graph raise for a row with a number beyond the limit."""
    _add(
        graph,
        constants={"limit": np.float32(LIMIT), "one": np.zeros(1, np.float32)},
        nodes=[
            helper.make_node("ReduceMax", ["numbers"], ["largest"], keepdims=0),
            helper.make_node("Greater", ["largest", "limit"], ["beyond"]),
            helper.make_node("Cast", ["beyond"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["one", "index"], ["further"]),
        ],
    )


def be_slow(graph: Any) -> None:
    """Let the graph take many times as long."""
    nodes = [
        helper.make_node("ReduceSum", ["numbers"], ["total"], keepdims=0),
        helper.make_node("Mul", ["total", "zero"], ["nothing"]),
        helper.make_node("Add", ["matrix", "nothing"], ["m0"]),
    ]
    nodes += [helper.make_node("MatMul", [f"m{at}", "matrix"], [f"m{at + 1}"]) for at in range(4)]
    nodes += [
        helper.make_node("ReduceSum", ["m4"], ["product"], keepdims=0),
        helper.make_node("Mul", ["product", "zero"], ["further"]),
    ]
    matrix = np.full((256, 256), 1e-4, np.float32)
    _add(graph, {"zero": np.float32(0), "matrix": matrix}, nodes)


def _add(graph: Any, constants: dict[str, Any], nodes: list[Any]) -> None:
    """Add nodes that compute `further`, and add that to the prediction."""
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"bad_{name}"))
    known = {name: f"bad_{name}" for name in constants}
    for node in graph.node:
        for at, name in enumerate(node.output):
            if name == "prediction":
                node.output[at] = "good_prediction"
        for at, name in enumerate(node.input):
            if name == "prediction":
                node.input[at] = "good_prediction"
    for node in nodes:
        for at, name in enumerate(node.input):
            node.input[at] = known.get(name, name if name == "numbers" else f"bad_{name}")
        for at, name in enumerate(node.output):
            node.output[at] = f"bad_{name}"
    graph.node.extend(nodes)
    graph.node.append(helper.make_node("Add", ["good_prediction", "bad_further"], ["prediction"]))
