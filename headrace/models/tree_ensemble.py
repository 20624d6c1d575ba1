"""Trees as ONNX's operator `TreeEnsemble`, bit for bit, and LightGBM's text of them.

LightGBM's own text of a model has all digits of a double. Converters round thresholds to the
nearest float32, and numbers next to a threshold then go the other way.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats, Integers

_ZERO = float(np.float32(1e-35))
"""LightGBM reads numbers up to here, on both sides of zero, as zero."""
_INFINITE = 1e300
"""LightGBM writes an infinite threshold as this number."""
_NAN_IS_MISSING = 2
_NOT_ABOVE = 0
_IN_SET = 6
"""The questions of the operator: is a number at most the threshold, or a member of the set?"""


class Tree(NamedTuple):
    """A tree: arrays of its nodes, and the weights of its leaves.

    A child that is not negative is a node of the tree, and `~child` a leaf. Where a node's question
    (see `modes`) is answered by yes it goes `left`; `missing_left` says so for missing values.
    `target` is the score that the leaves add to. `sets` are the codes of each node that asks for a
    member.
    """

    features: Integers
    splits: Floats
    missing_left: Any
    left: Integers
    right: Integers
    weights: Floats
    target: int = 0
    modes: Any = None
    sets: Any = ()


class _FlatTrees(Struct):
    """The attributes of the operator, each as a list of arrays: one for each tree so far."""

    roots: list[int] = []
    splits: list[Floats] = []
    features: list[Any] = []
    modes: list[Any] = []
    sets: list[Floats] = []
    missing_true: list[Any] = []
    true_ids: list[Any] = []
    true_leaves: list[Any] = []
    false_ids: list[Any] = []
    false_leaves: list[Any] = []
    targets: list[Any] = []
    weights: list[Floats] = []
    node_count: int = 0
    leaf_count: int = 0


def join_trees(trees: Iterable[Tree]) -> dict[str, Any]:
    """Return the attributes of the operator for trees one behind the other.

    The operator numbers the nodes of all trees together, and the leaves of all trees:

        a tree                      the operator, if the tree is behind one of 4 nodes and 5 leaves
        left    -1 -2               nodes_truenodeids   …, 5, 6     leaf 0 + 5, leaf 1 + 5
        right    1 -3               nodes_trueleafs     …, 1, 1
                                    nodes_falsenodeids  …, 5, 7     node 1 + 4, leaf 2 + 5
                                    nodes_falseleafs    …, 0, 1
    """
    from onnx import numpy_helper

    flat = _FlatTrees()
    for tree in trees:
        _add_tree(flat, tree)

    attributes: dict[str, Any] = {}
    sets = _concatenate(flat.sets)
    if len(sets):
        attributes["membership_values"] = numpy_helper.from_array(sets, "sets")
    splits = _concatenate(flat.splits)
    modes = _concatenate(flat.modes).astype(np.uint8)
    weights = _concatenate(flat.weights)
    return attributes | {
        "tree_roots": flat.roots,
        "nodes_splits": numpy_helper.from_array(splits, "splits"),
        "nodes_featureids": _list_integers(flat.features),
        "nodes_modes": numpy_helper.from_array(modes, "modes"),
        "nodes_missing_value_tracks_true": _list_integers(flat.missing_true),
        "nodes_truenodeids": _list_integers(flat.true_ids),
        "nodes_trueleafs": _list_integers(flat.true_leaves),
        "nodes_falsenodeids": _list_integers(flat.false_ids),
        "nodes_falseleafs": _list_integers(flat.false_leaves),
        "leaf_targetids": _list_integers(flat.targets),
        "leaf_weights": numpy_helper.from_array(weights, "weights"),
    }


def translate_trees(text: str, centres: Floats, outputs: int) -> dict[str, Any]:
    """Translate LightGBM's text of its trees to the attributes of the operator.

    Parameters: `centres (F,)`, what a missing value in each column is taken for, NaN in columns
    where LightGBM has learned which way it goes; `outputs`, how many scores a row has.

    In LightGBM's text a child that is not negative is a node of its tree, and `~child` a leaf:

        LightGBM's text             its tree
        split_feature=0 2           node 0: column 0 <= 1.5?
        threshold=1.5 0.5               true:  leaf 0, 0.1           -1 = ~0
        left_child=-1 -2                false: node 1: column 2 <= 0.5?
        right_child=1 -3                    true:  leaf 1, 0.2       -2 = ~1
        leaf_value=0.1 0.2 0.3              false: leaf 2, 0.3       -3 = ~2
    """
    trees = enumerate(_read_trees(text))
    # The trees of a round are in the order of the classes.
    return join_trees(_read_tree(fields, centres, at % outputs) for at, fields in trees)


def _read_trees(text: str) -> Iterator[dict[str, str]]:
    """Read the fields of each tree from LightGBM's text."""
    for block in text.split("\nTree=")[1:]:
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        # A tree of one leaf has no node, but the operator needs one: its question has one answer.
        if len(fields["leaf_value"].split()) == 1:
            fields |= {
                "split_feature": "0",
                "threshold": "0",
                "decision_type": "0",
                "left_child": "-1",
                "right_child": "-1",
            }
        yield fields


def _read_tree(fields: dict[str, str], centres: Floats, target: int) -> Tree:
    """Read one tree.

    The bits of `decision_type`: bit 0 says that the codes of a set go left, and `threshold` is then
    the number of the set; bit 1 says that missing goes left. Bits 2 and 3 are 2 if NaN means
    missing, and 0 if it was not there in training: then it goes where the column's centre would.
    """
    thresholds = np.array(fields["threshold"].split(), np.float64)
    features = np.array(fields["split_feature"].split(), np.int64)
    decision = np.array(fields["decision_type"].split(), np.int64)
    is_set = decision & 1 == 1

    is_missing_left = np.where(
        (decision >> 2) & 3 == _NAN_IS_MISSING,
        (decision >> 1) & 1,
        np.nan_to_num(centres[features]) <= thresholds,
    )
    return Tree(
        features=features,
        splits=np.where(is_set, 0.0, _adjust_thresholds(thresholds)),
        missing_left=np.where(is_set, 0, is_missing_left),
        left=np.array(fields["left_child"].split(), np.int64),
        right=np.array(fields["right_child"].split(), np.int64),
        weights=np.array(fields["leaf_value"].split(), np.float64),
        target=target,
        modes=np.where(is_set, _IN_SET, _NOT_ABOVE),
        sets=[_read_set(fields, number) for number in thresholds[is_set].astype(np.int64)],
    )


def _add_tree(flat: _FlatTrees, tree: Tree) -> None:
    """Add one tree behind those before it."""
    modes = np.full(len(tree.features), _NOT_ABOVE) if tree.modes is None else tree.modes
    flat.features.append(tree.features)
    flat.splits.append(tree.splits)
    flat.modes.append(modes)
    flat.missing_true.append(tree.missing_left)
    flat.sets += tree.sets

    flat.true_ids.append(_number_children(flat, tree.left))
    flat.true_leaves.append(tree.left < 0)
    flat.false_ids.append(_number_children(flat, tree.right))
    flat.false_leaves.append(tree.right < 0)

    flat.targets.append(np.full(len(tree.weights), tree.target))
    flat.weights.append(tree.weights)
    flat.roots.append(flat.node_count)
    flat.node_count += len(tree.features)
    flat.leaf_count += len(tree.weights)


def _number_children(flat: _FlatTrees, children: Integers) -> Integers:
    """Translate children in a tree to their numbers among the nodes, or leaves, of all trees."""
    return np.where(children >= 0, children + flat.node_count, -1 - children + flat.leaf_count)


def _adjust_thresholds(thresholds: Floats) -> Floats:
    """Return the thresholds that give LightGBM's answer for every float32.

    LightGBM reads numbers within 1e-35 of zero as zero, and writes an infinite threshold as 1e300.

    >>> _adjust_thresholds(np.array([0.5, 0.0, 1e300])).tolist()
    [0.5, 1.0000000180025095e-35, inf]
    """
    # A threshold among the numbers that are read as zero sends all of them to one side.
    below_zero = float(np.nextafter(np.float32(-_ZERO), np.float32(-1)))
    adjusted = np.where(thresholds >= _INFINITE, np.inf, thresholds)
    adjusted = np.where((adjusted >= -_ZERO) & (adjusted < 0), below_zero, adjusted)
    return np.where((adjusted >= 0) & (adjusted < _ZERO), _ZERO, adjusted)


def _read_set(fields: dict[str, str], number: int) -> Floats:
    """Read the codes of one set of a tree, and end them with NaN, as the operator asks.

    LightGBM writes a set as words of 32 bits, in which the bits of its codes are set.

    >>> _read_set({"cat_boundaries": "0 1 2", "cat_threshold": "5 1"}, 0).tolist()
    [0.0, 2.0, nan]
    """
    starts = [int(start) for start in fields["cat_boundaries"].split()]
    words = fields["cat_threshold"].split()[starts[number] : starts[number + 1]]
    bits = np.unpackbits(np.array(words, np.uint32).view(np.uint8), bitorder="little")
    return np.append(np.flatnonzero(bits).astype(np.float64), np.nan)


def _concatenate(arrays: list[Any]) -> Any:
    return np.concatenate(arrays or [np.empty(0)])


def _list_integers(arrays: list[Any]) -> list[int]:
    numbers: list[int] = _concatenate(arrays).astype(np.int64).tolist()
    return numbers
