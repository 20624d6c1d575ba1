"""What stands in a bundle's files, made from plain values."""

from typing import Any

import msgspec

from millrace.spec import System, dump
from millrace.tables import Schema


def contents(
    system: System,
    schema: Schema,
    model: bytes,
    profile: dict[str, Any],
    examples: list[dict[str, Any]],
    evaluation: dict[str, Any],
    card: str,
) -> dict[str, bytes]:
    """Every file of a bundle but the manifest and the holdout, by name."""
    return {
        "system.yaml": dump(system),
        "schema.json": _pretty(schema),
        "model.onnx": model,
        "profile.json": _pretty(profile),
        "examples.json": _pretty(examples),
        "evaluation.json": _pretty(evaluation),
        "card.html": card.encode(),
        "MLmodel": msgspec.yaml.encode(_mlmodel()),
    }


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _mlmodel() -> dict[str, Any]:
    """MLflow's description of a model: rows of raw columns through pyfunc, the grouped tensors through onnx."""
    import onnx
    import onnxruntime

    return {
        "flavors": {
            "onnx": {"data": "model.onnx", "onnx_version": onnx.__version__, "providers": ["CPUExecutionProvider"]},
            "python_function": {"loader_module": "millrace.predict.pyfunc", "data": ".", "env": None},
        },
        "metadata": {"onnxruntime": onnxruntime.__version__},
    }
