"""Running a graph with ONNX Runtime."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from millrace.errors import BundleError
from millrace.features.feeds import Feeds, feeds_from_frame

CHUNK_ROWS = 20_000
"""Rows a call: large enough to forget the cost of the call, small enough to stay in the cache."""


class Session:
    """A loaded graph. `groups` names the raw columns of each input, `metadata` holds what the graph says of itself."""

    def __init__(self, inference: Any) -> None:
        self.inference = inference
        entries = inference.get_modelmeta().custom_metadata_map
        self.metadata: dict[str, Any] = {key: json.loads(value) for key, value in entries.items()}
        self.groups: dict[str, list[str]] = self.metadata["columns"]

    def run(self, outputs: list[str], feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Runs the graph on ready arrays, which must be those of its inputs.

        ONNX Runtime's inner session is called as its own `run` calls it, without the checks of names before: they
        cost more than a microsecond of some fifteen.
        """
        results: list[npt.NDArray[Any]] = self.inference._sess.run(outputs, feeds, None)
        return results

    def column(self, output: str, frame: pl.DataFrame) -> npt.NDArray[Any]:
        """One output for typed rows, in chunks, so that memory beyond the result stays small."""
        parts = [
            self.run([output], feeds_from_frame(frame[start : start + CHUNK_ROWS], self.groups))[0]
            for start in range(0, max(frame.height, 1), CHUNK_ROWS)
        ]
        return np.concatenate(parts)


def open_session(model: bytes, threads: int = 1) -> Session:
    """Loads a graph from its bytes; no file is read and no code is run. Raises `BundleError` for a broken graph."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        inference = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return Session(inference)
    except Exception as error:  # ONNX Runtime raises a dozen types without a common parent
        raise BundleError(
            "model.onnx", f"cannot be loaded ({str(error).splitlines()[0][:200]})", "a Millrace graph"
        ) from None
