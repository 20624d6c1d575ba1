"""What a graph may hold: what Headrace itself writes, and nothing that runs without end or grows
without bound.

A bundle may come from anybody. ONNX Runtime runs whatever a graph says: loops, operators of other
libraries, constants of terabytes that are worked out when the graph is loaded. So a graph is looked
at before it is loaded.
"""

from typing import Any

import numpy as np

from headrace.errors import BundleError
from headrace.features.graph.graph import OPSETS

OPERATORS = {
    "": {
        "Abs", "Add", "ArgMax", "BitwiseAnd", "Cast", "Concat", "Div", "Equal", "Expand", "Gather", "Gemm", "Greater",
        "GreaterOrEqual", "Identity", "IsNaN", "Log", "MatMul", "Max", "Min", "Mod", "Mul", "Pad", "Reciprocal",
        "ReduceL2", "ReduceSum", "RegexFullMatch", "Reshape", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Sqrt",
        "Squeeze", "StringConcat", "StringNormalizer", "Sub", "Sum", "Unsqueeze", "Where",
    },
    "ai.onnx.ml": {"LabelEncoder", "TreeEnsemble"},
    "com.microsoft": {"MurmurHash3", "Tokenizer"},
}  # fmt: skip
"""Every operator that Headrace writes, by its domain."""
_STATED = {"Reshape": 1, "Slice": 1, "Pad": 1, "Squeeze": 1, "Unsqueeze": 1, "ReduceSum": 1}
"""From which input on an operator's shapes and axes stand, which must be constants."""
_WIDEST = 200_000
_MOST_NODES, _MOST_COPIES, _MOST_CELLS, _DEEPEST = 100_000, 100_000, 1 << 24, 5_000


def check_graph(model: Any) -> None:
    """Raises `BundleError` for a parsed graph with what Headrace never writes."""
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        raise _odd("functions, training or sparse constants")
    if unknown := sorted({one.domain for one in model.opset_import} - set(OPSETS)):
        raise _odd(f"operators of {unknown[0][:40]!r}")
    if any(one.data_location for one in graph.initializer):
        raise _odd("constants in another file")
    if len(graph.node) > _MOST_NODES:
        raise _odd(f"{len(graph.node):,} nodes")
    for one in graph.input:
        if any(dim.dim_value > _WIDEST for dim in one.type.tensor_type.shape.dim):
            raise _odd(f"an input {one.name[:40]!r} of more than {_WIDEST:,} columns")
    constants = {one.name: one for one in graph.initializer}
    defined = {one.name for one in graph.input} | set(constants)
    copies: dict[str, int] = {}
    shapes = {name for node in graph.node if node.op_type == "Shape" for name in node.output}
    for node in graph.node:
        if node.op_type not in OPERATORS.get(node.domain, ()):
            raise _odd(f"the operator {node.domain and node.domain + '.'}{node.op_type}"[:80])
        if any(
            attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name
            for attribute in node.attribute
        ):
            raise _odd(f"a graph within {node.op_type}")
        if not defined.issuperset(filter(None, node.input)) or not defined.isdisjoint(node.output):
            raise _odd(f"{node.op_type} out of order")
        defined.update(node.output)
        if all(name in constants for name in node.input):
            raise _odd(f"{node.op_type} of constants alone")  # worked out at loading, however large
        start = _STATED.get(node.op_type)
        if start is not None and any(name and name not in constants for name in node.input[start:]):
            raise _odd(f"{node.op_type} by a shape that is worked out")
        if (
            node.op_type == "Pad"
            and np.abs(_array(constants[node.input[1]])).max(initial=0) > _MOST_CELLS
        ):
            raise _odd("Pad beyond all measure")
        if node.op_type == "Concat" and all(
            name in shapes or name in constants for name in node.input
        ):
            sizes = [
                np.abs(_array(constants[name])).max(initial=0)
                for name in node.input
                if name in constants
            ]
            if max(sizes, default=0) <= _MOST_CELLS:
                shapes.update(node.output)
        if node.op_type == "Expand" and node.input[1] not in shapes:
            raise _odd("Expand by a shape that is not that of its rows")
        counts = [copies.get(name, 1) for name in node.input]
        made = sum(counts) if node.op_type in ("Concat", "StringConcat") else max(counts, default=1)
        if made > _MOST_COPIES:
            raise _odd("rows that are put together without end")
        copies.update(dict.fromkeys(node.output, made))
        if node.op_type == "TreeEnsemble":
            _check_trees({attribute.name: attribute for attribute in node.attribute})


def _check_trees(attributes: dict[str, Any]) -> None:
    """Each child stands behind its parent, so that no walk through a tree comes back, and no tree is too deep."""
    try:
        sides = [
            (
                np.array(attributes[f"nodes_{side}nodeids"].ints),
                np.array(attributes[f"nodes_{side}leafs"].ints),
            )
            for side in ("true", "false")
        ]
        roots = np.array(attributes["tree_roots"].ints)
    except KeyError as error:
        raise _odd(f"trees without {error}") from None
    count = len(sides[0][0])
    if len(np.unique(roots)) < len(roots) or (
        len(roots) and (roots.min() < 0 or roots.max() >= count)
    ):
        raise _odd("trees with roots that are none, or stand there twice")
    depth = np.zeros(count, np.int64)
    for children, leaves in sides:
        if not len(children) == len(leaves) == count:
            raise _odd("trees whose nodes are not of one number")
        inner = np.flatnonzero(leaves == 0)
        if (children[inner] <= inner).any() or (children[inner] >= count).any():
            raise _odd("trees that lead back to a node before")
    for at in range(count):
        for children, leaves in sides:
            if leaves[at] == 0:
                depth[children[at]] = max(depth[children[at]], depth[at] + 1)
    if count and depth.max() > _DEEPEST:
        raise _odd(f"a tree of depth {depth.max():,}")


def _array(tensor: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def _odd(found: str) -> BundleError:
    return BundleError("model.onnx", f"holds {found}", "a graph as Headrace writes it")
