"""Build the files of a bundle from plain values."""

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import BundleError, SpecError
from headrace.spec import System, dump, parse_yaml
from headrace.tables import Schema

_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,40}")
LOADER = "headrace.predict.pyfunc"
"""The module through which MLflow loads a bundle."""
FORMER_LOADER = "millrace.predict.pyfunc"
"""The module in bundles from before the product was called Headrace."""


class Parts(Struct, frozen=True):
    """The values that the files of a bundle are built from.

    `schema` describes the columns that the graph takes, `model` is the graph, `profile` the
    reference distributions, `examples` golden requests with their replies, `evaluation` any value
    that becomes JSON, `card` the page of the model card.
    """

    system: System
    schema: Schema
    model: bytes
    profile: dict[str, Any]
    examples: list[dict[str, Any]]
    evaluation: Any
    card: str


def build_files(parts: Parts) -> dict[str, bytes]:
    """Return every file of a bundle but the manifest and the holdout, by name."""
    return {
        "system.yaml": dump(parts.system),
        "schema.json": _pretty(parts.schema),
        "model.onnx": parts.model,
        "profile.json": _pretty(parts.profile),
        "examples.json": _pretty(parts.examples),
        "evaluation.json": _pretty(parts.evaluation),
        "card.html": parts.card.encode(),
        "MLmodel": msgspec.yaml.encode(_describe_model(*_read_versions())),
    }


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _read_versions() -> tuple[str, str]:
    import onnx
    import onnxruntime

    return onnx.__version__, onnxruntime.__version__


def _describe_model(onnx: str, runtime: str, loader: str = LOADER) -> dict[str, Any]:
    """Describe a model for MLflow: pyfunc takes rows of raw columns, onnx the grouped tensors."""
    return {
        "flavors": {
            "onnx": {
                "data": "model.onnx",
                "onnx_version": onnx,
                "providers": ["CPUExecutionProvider"],
            },
            "python_function": {"loader_module": loader, "data": ".", "env": None},
        },
        "metadata": {"onnxruntime": runtime},
    }


def check_mlmodel(path: Path, text: bytes) -> None:
    """Check that a description is the one that Headrace writes, because MLflow runs what it names.

    Raises `BundleError` for any other.
    """
    try:
        found = parse_yaml(text, str(path))
        onnx = str(found["flavors"]["onnx"]["onnx_version"])
        runtime = str(found["metadata"]["onnxruntime"])
    except SpecError as error:
        raise BundleError(str(path), error.found, error.expected) from None
    except (KeyError, TypeError):
        onnx = runtime = ""
    written = [_describe_model(onnx, runtime, loader) for loader in (LOADER, FORMER_LOADER)]
    has_versions = _VERSION.fullmatch(onnx) and _VERSION.fullmatch(runtime)
    if not has_versions or found not in written:
        problem = "describes a different model from the one that Headrace writes"
        raise BundleError(str(path), problem, "the file as it was written")
