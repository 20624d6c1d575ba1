"""Running a graph with ONNX Runtime."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from millrace.errors import BundleError
from millrace.features.feeds import Feeds, feeds_from_frame

CHUNK_ROWS = 20_000
"""Rows a call: large enough to forget the cost of the call, small enough to stay in the cache."""
_CACHED_CELLS = 1_000_000


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
        """One output for typed rows, in chunks on every core, so that memory beyond the result stays small."""
        width = next(one.shape[1] for one in self.inference.get_outputs() if one.name == output)
        rows = min(CHUNK_ROWS, max(_CACHED_CELLS // width, 500))
        first = self.run([output], feeds_from_frame(frame[:rows], self.groups))[0]
        if frame.height <= rows:
            return first
        whole = np.empty((frame.height, width), first.dtype)
        whole[:rows] = first

        def fill(start: int) -> None:
            feeds = feeds_from_frame(frame[start : start + rows], self.groups)
            whole[start : start + rows] = self.run([output], feeds)[0]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(fill, range(rows, frame.height, rows)))
        return whole


def open_session(model: bytes) -> Session:
    """Loads a graph from its bytes, one thread a call; no file is read and no code is run.

    Raises `BundleError` for a broken graph.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        inference = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return Session(inference)
    except Exception as error:  # ONNX Runtime raises a dozen types without a common parent
        raise BundleError(
            "model.onnx", f"cannot be loaded ({str(error).splitlines()[0][:200]})", "a Millrace graph"
        ) from None
