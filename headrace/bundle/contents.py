"""What stands in a bundle's files, made from plain values."""

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import BundleError, SpecError
from headrace.spec import System, dump, parse_yaml
from headrace.tables import Schema

_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,40}")
LOADER, FORMER_LOADER = "headrace.predict.pyfunc", "millrace.predict.pyfunc"
"""The module through which MLflow loads a bundle, and the one in bundles from before the product was called Headrace."""


class Parts(Struct, frozen=True):
    """What a bundle says: the resolved spec, the columns that the graph takes, the graph, the
    reference distributions, golden requests with their replies, the evaluation (any value that
    becomes JSON) and the page of the card.
    """

    system: System
    schema: Schema
    model: bytes
    profile: dict[str, Any]
    examples: list[dict[str, Any]]
    evaluation: Any
    card: str


def build_files(parts: Parts) -> dict[str, bytes]:
    """Every file of a bundle but the manifest and the holdout, by name."""
    return {
        "system.yaml": dump(parts.system),
        "schema.json": _pretty(parts.schema),
        "model.onnx": parts.model,
        "profile.json": _pretty(parts.profile),
        "examples.json": _pretty(parts.examples),
        "evaluation.json": _pretty(parts.evaluation),
        "card.html": parts.card.encode(),
        "MLmodel": msgspec.yaml.encode(_mlmodel(*_versions())),
    }


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _versions() -> tuple[str, str]:
    import onnx
    import onnxruntime

    return onnx.__version__, onnxruntime.__version__


def _mlmodel(onnx: str, runtime: str, loader: str = LOADER) -> dict[str, Any]:
    """MLflow's description of a model: rows of raw columns through pyfunc, the grouped tensors through onnx."""
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
    """Raises `BundleError` where a description is not the one that Headrace writes: MLflow runs what it names."""
    try:
        found = parse_yaml(text, str(path))
        versions = (
            str(found["flavors"]["onnx"]["onnx_version"]),
            str(found["metadata"]["onnxruntime"]),
        )
    except SpecError as error:
        raise BundleError(str(path), error.found, error.expected) from None
    except (KeyError, TypeError):
        versions = "", ""
    written = [_mlmodel(*versions, loader) for loader in (LOADER, FORMER_LOADER)]
    if not all(_VERSION.fullmatch(one) for one in versions) or found not in written:
        raise BundleError(
            str(path), "describes another model than Headrace writes", "the file as it was written"
        )
