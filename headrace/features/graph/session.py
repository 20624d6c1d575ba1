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
from headrace.features.graph.feeds import Feeds, feeds_from_frame, feeds_with_codes

CHUNK_ROWS = 20_000
"""Rows a call: large enough to forget the cost of the call, small enough to stay in the cache."""
_CACHED_CELLS = 1_000_000
_CHUNK_NUMBERS = 10_000_000
_ENTRIES_PER_CHARACTER, _MOST_CHARACTERS = 5, 2_000
"""Runs of four lengths and some words; see `vocabulary`, which reads the beginning of a longer text."""


class Session:
    """A loaded graph. `groups` names the raw columns of each input, `metadata` holds what the graph
    says of itself.

    With `codes`, one set for each column of text, the graph takes them in the place of text (see
    `front`).
    """

    def __init__(self, inference: Any, codes: list[Codes]) -> None:
        self.inference = inference
        self.codes = codes
        entries = inference.get_modelmeta().custom_metadata_map
        self.metadata: dict[str, Any] = {key: json.loads(value) for key, value in entries.items()}
        self.groups: dict[str, list[str]] = self.metadata["columns"]

    def feeds(self, frame: pl.DataFrame) -> Feeds:
        """The arrays that the graph takes, from typed rows."""
        if self.codes:
            return feeds_with_codes(frame, self.groups, self.codes)
        return feeds_from_frame(frame, self.groups)

    def run(self, outputs: list[str], feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Runs the graph on ready arrays, which must be those of its inputs.

        ONNX Runtime's inner session is called as its own `run` calls it, without the checks of
        names before: they cost more than a microsecond of some fifteen.
        """
        results: list[npt.NDArray[Any]] = self.inference._sess.run(outputs, feeds, None)
        return results

    def column(self, output: str, frame: pl.DataFrame) -> npt.NDArray[Any]:
        """One output for typed rows, in chunks on every core, so that memory beyond the result stays small."""
        width = next(one.shape[1] for one in self.inference.get_outputs() if one.name == output)
        rows = min(self.chunk_rows(frame), max(_CACHED_CELLS // max(width, 1), 500))
        first = self.run([output], self.feeds(frame[:rows]))[0]
        if frame.height <= rows:
            return first
        whole = np.empty((frame.height, width), first.dtype)
        whole[:rows] = first

        def fill(start: int) -> None:
            whole[start : start + rows] = self.run(
                [output], self.feeds(frame[start : start + rows])
            )[0]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(fill, range(rows, frame.height, rows)))
        return whole

    def chunk_rows(self, frame: pl.DataFrame) -> int:
        """How many rows may go through the graph in one call.

        Each entry of a text (a word, a pair of words, a run of characters) becomes numbers on the
        way, so long texts go in short chunks.
        """
        numbers = self.metadata.get("numbers_per_entry", 0)
        texts = self.groups.get("strings", [])
        if not numbers or not texts or not frame.height:
            return CHUNK_ROWS
        lengths = frame.select(cs.by_name(*texts).cast(pl.String).str.len_chars().max()).row(0)
        entries = sum(
            _ENTRIES_PER_CHARACTER * min(length or 0, _MOST_CHARACTERS) for length in lengths
        )
        return int(np.clip(_CHUNK_NUMBERS // max(numbers * entries, 1), 1, CHUNK_ROWS))

    def rows(self, frame: pl.DataFrame) -> Any:
        """What a model sees of typed rows: the matrix `(N, F)`, or, where there are bags, CSR with
        their columns behind.

        The graph is one that `models.compile_features` made.
        """
        bags = self.metadata["bags"]
        if not bags:
            return self.column("features", frame)
        from scipy.sparse import csr_matrix, hstack, vstack

        size = self.chunk_rows(frame)

        weights = [np.array(bag["weights"], np.float32) for bag in bags]
        outputs = ["features", *bag_output_names(bags)]

        def part(start: int) -> Any:
            found = dict(
                zip(
                    outputs, self.run(outputs, self.feeds(frame[start : start + size])), strict=True
                )
            )
            sparse = [
                to_csr(found[f"ids_{at}"], found.get(f"scale_{at}"), one)
                for at, one in enumerate(weights)
            ]
            return hstack([csr_matrix(found["features"]), *sparse], format="csr")

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return vstack(list(pool.map(part, range(0, max(frame.height, 1), size))), format="csr")


def open_session(model: bytes, codes: Sequence[Codes] = ()) -> Session:
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
        return Session(inference, list(codes))
    except Exception as error:  # ONNX Runtime raises a dozen types without a common parent
        raise BundleError(
            "model.onnx",
            f"cannot be loaded ({str(error).splitlines()[0][:200]})",
            "a Headrace graph",
        ) from None
