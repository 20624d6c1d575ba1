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
    _check_header(model)
    walk = _Walk(model.graph)
    for node in model.graph.node:
        walk.visit(node)


def _check_header(model: Any) -> None:
    """Checks what a graph says before its first node."""
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        raise _foreign("functions, training or sparse constants")
    if unknown := sorted({one.domain for one in model.opset_import} - set(OPSETS)):
        raise _foreign(f"operators of {unknown[0][:40]!r}")
    if any(one.data_location for one in graph.initializer):
        raise _foreign("constants in another file")
    if len(graph.node) > _MOST_NODES:
        raise _foreign(f"{len(graph.node):,} nodes")
    for one in graph.input:
        if any(dim.dim_value > _WIDEST for dim in one.type.tensor_type.shape.dim):
            raise _foreign(f"an input {one.name[:40]!r} of more than {_WIDEST:,} columns")


class _Walk:
    """Checks the nodes of a graph in their order, each by what the nodes before it have shown."""

    def __init__(self, graph: Any) -> None:
        self._constants = {one.name: one for one in graph.initializer}
        self._defined = {one.name for one in graph.input} | set(self._constants)
        self._copies: dict[str, int] = {}
        """How many times the rows of an input stand in each value."""
        self._shapes: set[str] = set()
        """Values that are the shape of another value, or put together of such shapes."""
        for node in graph.node:
            if node.op_type == "Shape":
                self._shapes.update(node.output)

    def visit(self, node: Any) -> None:
        """Checks one node; raises `BundleError` for what Headrace never writes."""
        _check_operator(node)
        self._check_order(node)
        self._check_stated(node)
        self._check_expand(node)
        self._count_copies(node)
        if node.op_type == "TreeEnsemble":
            _check_trees({attribute.name: attribute for attribute in node.attribute})

    def _check_order(self, node: Any) -> None:
        """Checks that each input stands before its use, and that the node has an input at all.

        ONNX Runtime works a node of constants alone out while it loads the graph, however large.
        """
        inputs = set(filter(None, node.input))
        if not inputs <= self._defined or not self._defined.isdisjoint(node.output):
            raise _foreign(f"{node.op_type} out of order")
        self._defined.update(node.output)
        if all(name in self._constants for name in node.input):
            raise _foreign(f"{node.op_type} of constants alone")

    def _check_stated(self, node: Any) -> None:
        """Checks that shapes and axes are constants, and no padding is beyond all measure."""
        start = _STATED.get(node.op_type)
        if start is None:
            return
        if any(name and name not in self._constants for name in node.input[start:]):
            raise _foreign(f"{node.op_type} by a shape that is worked out")
        if node.op_type == "Pad" and self._largest(node.input[1]) > _MOST_CELLS:
            raise _foreign("Pad beyond all measure")

    def _check_expand(self, node: Any) -> None:
        """Checks that values are expanded to the shape of other values alone."""
        if node.op_type == "Concat" and self._shapes_or_constants(node.input):
            constants = [name for name in node.input if name in self._constants]
            if max(map(self._largest, constants), default=0) <= _MOST_CELLS:
                self._shapes.update(node.output)
        if node.op_type == "Expand" and node.input[1] not in self._shapes:
            raise _foreign("Expand by a shape that is not that of its rows")

    def _count_copies(self, node: Any) -> None:
        """Checks that no row is repeated without end: a node may double what another doubled."""
        counts = [self._copies.get(name, 1) for name in node.input]
        if node.op_type in ("Concat", "StringConcat"):
            copies = sum(counts)
        else:
            copies = max(counts, default=1)
        if copies > _MOST_COPIES:
            raise _foreign("rows that are put together without end")
        self._copies.update(dict.fromkeys(node.output, copies))

    def _shapes_or_constants(self, names: Any) -> bool:
        return all(name in self._shapes or name in self._constants for name in names)

    def _largest(self, constant: str) -> float:
        return float(np.abs(_array(self._constants[constant])).max(initial=0))


def _check_operator(node: Any) -> None:
    """Checks that Headrace writes such an operator, and that no graph stands within it."""
    if node.op_type not in OPERATORS.get(node.domain, ()):
        raise _foreign(f"the operator {node.domain and node.domain + '.'}{node.op_type}"[:80])
    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name:
            raise _foreign(f"a graph within {node.op_type}")


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
        raise _foreign(f"trees without {error}") from None
    count = len(sides[0][0])
    if len(np.unique(roots)) < len(roots) or (
        len(roots) and (roots.min() < 0 or roots.max() >= count)
    ):
        raise _foreign("trees with roots that are none, or stand there twice")
    depth = np.zeros(count, np.int64)
    for children, leaves in sides:
        if not len(children) == len(leaves) == count:
            raise _foreign("trees whose nodes are not of one number")
        inner = np.flatnonzero(leaves == 0)
        if (children[inner] <= inner).any() or (children[inner] >= count).any():
            raise _foreign("trees that lead back to a node before")
    for at in range(count):
        for children, leaves in sides:
            if leaves[at] == 0:
                depth[children[at]] = max(depth[children[at]], depth[at] + 1)
    if count and depth.max() > _DEEPEST:
        raise _foreign(f"a tree of depth {depth.max():,}")


def _array(tensor: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def _foreign(found: str) -> BundleError:
    return BundleError("model.onnx", f"holds {found}", "a graph as Headrace writes it")
