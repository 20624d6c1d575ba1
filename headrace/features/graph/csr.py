"""Bags as sparse matrices: what trainers see of wide features, made by the graph itself."""

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.arrays import Integers
from headrace.features.graph.bag import Bag


def bag_outputs(bags: list[Bag]) -> dict[str, tuple[str, Any, int | None]]:
    """The graph outputs `ids_0`, `scale_0`, … that `to_csr` reads."""
    outputs: dict[str, tuple[str, Any, int | None]] = {}
    for number, bag in enumerate(bags):
        outputs[bag.ids] = (f"ids_{number}", np.int64, None)
        if bag.scale is not None:
            outputs[bag.scale] = (f"scale_{number}", np.float32, 1)
    return outputs


def describe_bags(bags: list[Bag]) -> list[dict[str, Any]]:
    """A graph's own account of its bags, for its metadata."""
    return [{"weights": bag.weights.tolist(), "scaled": bag.scale is not None} for bag in bags]


def bag_output_names(bags: list[dict[str, Any]]) -> list[str]:
    """The names of the outputs of described bags."""
    names = [
        [f"ids_{at}", f"scale_{at}"] if bag["scaled"] else [f"ids_{at}"]
        for at, bag in enumerate(bags)
    ]
    return [name for pair in names for name in pair]


def to_csr(
    ids: Integers, scale: npt.NDArray[np.float32] | None, weights: npt.NDArray[np.float32]
) -> Any:
    """The rows of one bag as CSR `(N, width)`; an entry that a row has several times counts as often."""
    from scipy.sparse import csr_matrix

    values = weights[ids] if scale is None else weights[ids] * scale
    there = ids > 0
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    rows = csr_matrix((values[there], ids[there] - 1, ends), shape=(len(ids), len(weights) - 1))
    rows.sum_duplicates()
    return rows
