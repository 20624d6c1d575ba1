"""Bags as sparse matrices: the form in which trainers get wide features from the graph itself."""

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.arrays import Integers
from headrace.features.graph.bag import Bag


def list_bag_outputs(bags: list[Bag]) -> dict[str, tuple[str, Any, int | None]]:
    """Return the outputs `ids_0`, `scale_0`, … that `to_csr` reads, as `Graph.build` takes them."""
    outputs: dict[str, tuple[str, Any, int | None]] = {}
    for number, bag in enumerate(bags):
        outputs[bag.ids] = (f"ids_{number}", np.int64, None)
        if bag.scale is not None:
            outputs[bag.scale] = (f"scale_{number}", np.float32, 1)
    return outputs


def describe_bags(bags: list[Bag]) -> list[dict[str, Any]]:
    """Describe bags as plain data for the metadata of their graph."""
    return [{"weights": bag.weights.tolist(), "scaled": bag.scale is not None} for bag in bags]


def bag_output_names(bags: list[dict[str, Any]]) -> list[str]:
    """Return the output names of bags that `describe_bags` described.

    >>> bag_output_names([{"scaled": False}, {"scaled": True}])
    ['ids_0', 'ids_1', 'scale_1']
    """
    names = []
    for number, bag in enumerate(bags):
        names.append(f"ids_{number}")
        if bag["scaled"]:
            names.append(f"scale_{number}")
    return names


def to_csr(
    ids: Integers, scale: npt.NDArray[np.float32] | None, weights: npt.NDArray[np.float32]
) -> Any:
    """Turn the rows of one bag into a CSR matrix `(N, width)`.

    Parameters: `ids (N, L)`, `scale (N, 1)` and `weights (width + 1,)` as in `Bag`. An entry that a
    row has several times counts as often.

    >>> ids = np.array([[3, 1, 0], [2, 2, 0]])
    >>> to_csr(ids, None, np.float32([0, 0.5, 10, 100])).toarray().tolist()
    [[0.5, 0.0, 100.0], [0.0, 20.0, 0.0]]
    """
    from scipy.sparse import csr_matrix

    values = weights[ids]
    if scale is not None:
        values = values * scale

    present = ids > 0
    ends = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    shape = (len(ids), len(weights) - 1)
    rows = csr_matrix((values[present], ids[present] - 1, ends), shape=shape)
    rows.sum_duplicates()
    return rows
