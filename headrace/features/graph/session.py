"""Running a graph with ONNX Runtime."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from headrace.errors import BundleError
from headrace.features.graph.codes import Codes
from headrace.features.graph.csr import bag_output_names, to_csr
from headrace.features.graph.feeds import Feeds, make_coded_feeds, make_feeds

CHUNK_ROWS = 20_000
"""Rows a call: enough that the cost of the call is small, few enough to stay in the cache."""
_CACHED_CELLS = 1_000_000
"""The most cells of an output a call, so that it stays in the cache."""
_LEAST_CHUNK_ROWS = 500
_CHUNK_NUMBERS = 10_000_000
"""The most numbers that the texts of a chunk may become on their way through the graph."""
_ENTRIES_PER_CHARACTER = 5
"""Runs of four lengths and some words; see `states.vocabulary`."""
_MOST_CHARACTERS = 2_000
"""Of a longer text `states.vocabulary` reads the beginning alone."""


class Session:
    """A loaded graph.

    `inference` is the session of ONNX Runtime. `codes` holds one set for each text column where the
    graph takes codes in the place of text (see `text_lookup`), else nothing. `groups` names the raw
    columns of each input; `metadata` holds the entries that the graph was built with.
    """

    def __init__(self, inference: Any, codes: list[Codes]) -> None:
        self.inference = inference
        self.codes = codes
        entries = inference.get_modelmeta().custom_metadata_map
        self.metadata: dict[str, Any] = {key: json.loads(value) for key, value in entries.items()}
        self.groups: dict[str, list[str]] = self.metadata["columns"]

    def feeds(self, frame: pl.DataFrame) -> Feeds:
        """Make the arrays that the graph takes from typed rows."""
        if self.codes:
            return make_coded_feeds(frame, self.groups, self.codes)
        return make_feeds(frame, self.groups)

    def run(self, outputs: list[str], feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Run the graph on ready arrays, which must be those of its inputs."""
        # The inner session of ONNX Runtime is called as its own `run` calls it, without the checks
        # of names before: they cost more than a microsecond of some fifteen.
        results: list[npt.NDArray[Any]] = self.inference._sess.run(outputs, feeds, None)
        return results

    def column(self, output: str, frame: pl.DataFrame) -> npt.NDArray[Any]:
        """Compute one output `(N, width)` for typed rows.

        Chunks run on every core, so that the memory beyond the result stays small.
        """
        width = next(
            entry.shape[1] for entry in self.inference.get_outputs() if entry.name == output
        )
        cached_rows = max(_CACHED_CELLS // max(width, 1), _LEAST_CHUNK_ROWS)
        rows = min(self.chunk_rows(frame), cached_rows)
        first = self.run([output], self.feeds(frame[:rows]))[0]
        if frame.height <= rows:
            return first

        result = np.empty((frame.height, width), first.dtype)
        result[:rows] = first

        def fill_chunk(start: int) -> None:
            feeds = self.feeds(frame[start : start + rows])
            result[start : start + rows] = self.run([output], feeds)[0]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(fill_chunk, range(rows, frame.height, rows)))
        return result

    def chunk_rows(self, frame: pl.DataFrame) -> int:
        """Count the rows that may go through the graph in one call.

        Each entry of a text (a word, a pair of words, a run of characters) becomes numbers on its
        way through the graph, so long texts go in short chunks.
        """
        numbers = self.metadata.get("numbers_per_entry", 0)
        texts = self.groups.get("strings", [])
        if not numbers or not texts or not frame.height:
            return CHUNK_ROWS

        lengths = frame.select(cs.by_name(*texts).cast(pl.String).str.len_chars().max()).row(0)
        characters = sum(min(length or 0, _MOST_CHARACTERS) for length in lengths)
        entries = _ENTRIES_PER_CHARACTER * characters
        return int(np.clip(_CHUNK_NUMBERS // max(numbers * entries, 1), 1, CHUNK_ROWS))

    def rows(self, frame: pl.DataFrame) -> Any:
        """Compute the rows that a model gets, from typed rows.

        Returns the matrix `(N, F)`; where there are bags, a CSR matrix `(N, F + widths)` with the
        columns of the bags behind. The graph is one that `models.compile_features` made.
        """
        bags = self.metadata["bags"]
        if not bags:
            return self.column("features", frame)

        from scipy.sparse import csr_matrix, hstack, vstack

        size = self.chunk_rows(frame)
        weights = [np.array(bag["weights"], np.float32) for bag in bags]
        names = ["features", *bag_output_names(bags)]

        def compute_chunk(start: int) -> Any:
            arrays = self.run(names, self.feeds(frame[start : start + size]))
            outputs = dict(zip(names, arrays, strict=True))
            blocks = [csr_matrix(outputs["features"])]
            for number, weight in enumerate(weights):
                # Only a scaled bag has an output `scale_…`.
                scale = outputs.get(f"scale_{number}")
                blocks.append(to_csr(outputs[f"ids_{number}"], scale, weight))
            return hstack(blocks, format="csr")

        # A frame without rows is one chunk, which gives the matrix its width.
        starts = range(0, max(frame.height, 1), size)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return vstack(list(pool.map(compute_chunk, starts)), format="csr")


def open_session(model: bytes, codes: Sequence[Codes] = ()) -> Session:
    """Load a graph from its bytes, to run on one thread a call.

    No file is read and no code is run. Raises `BundleError` for a broken graph.

    >>> open_session(b"nonsense")
    Traceback (most recent call last):
    headrace.errors.BundleError: model.onnx: cannot be loaded (...); expected a Headrace graph
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # A thread that waits for work must not spin: others need its core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        inference = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return Session(inference, list(codes))
    # ONNX Runtime raises a dozen types without a common parent.
    except Exception as error:
        raise BundleError(
            "model.onnx",
            f"cannot be loaded ({str(error).splitlines()[0][:200]})",
            "a Headrace graph",
        ) from None
