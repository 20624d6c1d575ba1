"""The graphs that may be loaded: those that Headrace itself could have written.

A bundle may come from anybody. ONNX Runtime runs whatever a graph asks for: loops, operators of
other libraries, constants of terabytes that are computed while the graph is loaded. So each graph
is checked before it is loaded. A graph that passes always ends, and its memory grows with its rows
alone:

    header       no functions, no constants in files, known sets of operators, not too many nodes
    each node    a known operator, behind its inputs, with at least one input that is no constant
    sizes        shapes and axes are constants; values expand to the shape of other values alone
    copies       how often the rows of the input are in a value is bounded (see `_check_copies`)
    trees        each child has a higher number than its parent, so that no walk comes back
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.errors import BundleError
from headrace.features.graph.graph import OPSETS

OPERATORS = {
    "": {
        "Abs", "Add", "ArgMax", "BitwiseAnd", "Cast", "Concat", "Div", "Equal", "Expand", "Gather",
        "Gemm", "Greater", "GreaterOrEqual", "Identity", "IsNaN", "Log", "MatMul", "Max", "Min",
        "Mod", "Mul", "Pad", "Reciprocal", "ReduceL2", "ReduceSum", "RegexFullMatch", "Reshape",
        "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Sqrt", "Squeeze", "StringConcat",
        "StringNormalizer", "Sub", "Sum", "Unsqueeze", "Where",
    },
    "ai.onnx.ml": {"LabelEncoder", "TreeEnsemble"},
    "com.microsoft": {"MurmurHash3", "Tokenizer"},
}  # fmt: skip
"""Every operator that Headrace writes, by its domain."""
_SHAPES_FROM = {"Reshape": 1, "Slice": 1, "Pad": 1, "Squeeze": 1, "Unsqueeze": 1, "ReduceSum": 1}
"""By operator, the first of its inputs that hold shapes or axes; these must be constants."""
_MOST_INPUT_COLUMNS = 200_000
_MOST_NODES = 100_000
_MOST_COPIES = 100_000
"""The most times that the rows of an input may be in one value."""
_MOST_CELLS = 1 << 24
"""The largest number in the shape of a padding or an expansion."""
_DEEPEST = 5_000
"""The most levels of a tree."""


def check_graph(model: Any) -> None:
    """Check a parsed graph; raise `BundleError` where it holds what Headrace never writes.

    >>> from headrace.features.graph.graph import Graph
    >>> graph = Graph()
    >>> x = graph.input("numbers", np.float32, 2)
    >>> check_graph(graph.build({graph.node("Abs", x): ("size", np.float32, 2)}, {}))
    >>> foreign = "Erf"
    >>> check_graph(graph.build({graph.node(foreign, x): ("error", np.float32, 2)}, {}))
    Traceback (most recent call last):
    headrace.errors.BundleError: model.onnx: holds the operator Erf; expected a graph ...
    """
    _check_header(model)
    walk = _Walk(model.graph)
    for node in model.graph.node:
        walk.visit(node)


def _check_header(model: Any) -> None:
    """Check the declarations of a graph, which come before its first node."""
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        raise _make_error("functions, training or sparse constants")

    unknown = {opset.domain for opset in model.opset_import} - set(OPSETS)
    if unknown:
        raise _make_error(f"operators of {min(unknown)[:40]!r}")

    if any(constant.data_location for constant in graph.initializer):
        raise _make_error("constants in another file")
    if len(graph.node) > _MOST_NODES:
        raise _make_error(f"{len(graph.node):,} nodes")
    for entry in graph.input:
        if any(dim.dim_value > _MOST_INPUT_COLUMNS for dim in entry.type.tensor_type.shape.dim):
            name = entry.name[:40]
            raise _make_error(f"an input {name!r} of more than {_MOST_INPUT_COLUMNS:,} columns")


class _Walk:
    """A walk along the nodes of a graph, which checks each by the nodes before it."""

    def __init__(self, graph: Any) -> None:
        self._constants = {constant.name: constant for constant in graph.initializer}
        self._defined = {entry.name for entry in graph.input} | set(self._constants)
        self._copies: dict[str, int] = {}
        """How many times the rows of an input are in each value."""
        self._shapes: set[str] = set()
        """Values that are the shape of another value, or are put together of such shapes."""
        for node in graph.node:
            if node.op_type == "Shape":
                self._shapes.update(node.output)

    def visit(self, node: Any) -> None:
        """Check one node; raise `BundleError` where it is one that Headrace never writes."""
        _check_operator(node)
        self._check_order(node)
        self._check_shapes(node)
        self._check_expand(node)
        self._check_copies(node)
        if node.op_type == "TreeEnsemble":
            _check_trees({attribute.name: attribute for attribute in node.attribute})

    def _check_order(self, node: Any) -> None:
        """Check that a node comes behind its inputs, and that one of them is no constant."""
        inputs = set(filter(None, node.input))
        if not inputs <= self._defined or not self._defined.isdisjoint(node.output):
            raise _make_error(f"{node.op_type} out of order")
        self._defined.update(node.output)

        # ONNX Runtime computes a node of constants while it loads the graph, however large.
        if all(name in self._constants for name in node.input):
            raise _make_error(f"{node.op_type} of constants alone")

    def _check_shapes(self, node: Any) -> None:
        """Check that shapes and axes are constants, and that a padding is not too large."""
        start = _SHAPES_FROM.get(node.op_type)
        if start is None:
            return
        if any(name and name not in self._constants for name in node.input[start:]):
            raise _make_error(f"{node.op_type} by a computed shape")
        if node.op_type == "Pad" and self._find_largest(node.input[1]) > _MOST_CELLS:
            raise _make_error("Pad beyond the limit")

    def _check_expand(self, node: Any) -> None:
        """Check that values expand to the shape of other values alone."""
        if node.op_type == "Concat" and self._are_shapes_or_constants(node.input):
            constants = [name for name in node.input if name in self._constants]
            if max(map(self._find_largest, constants), default=0) <= _MOST_CELLS:
                self._shapes.update(node.output)
        if node.op_type == "Expand" and node.input[1] not in self._shapes:
            raise _make_error("Expand by a shape that is not that of its rows")

    def _check_copies(self, node: Any) -> None:
        """Check that no row is repeated too often.

        A node may double a value that another node doubled before, and so on:

            Concat(x, x) -> a     2 copies of x
            Concat(a, a) -> b     4 copies
            Concat(b, b) -> c     8 copies, and after 40 nodes more than the memory holds
        """
        counts = [self._copies.get(name, 1) for name in node.input]
        if node.op_type in ("Concat", "StringConcat"):
            copies = sum(counts)
        else:
            copies = max(counts, default=1)
        if copies > _MOST_COPIES:
            raise _make_error("rows that are repeated too often")
        self._copies.update(dict.fromkeys(node.output, copies))

    def _are_shapes_or_constants(self, names: Any) -> bool:
        return all(name in self._shapes or name in self._constants for name in names)

    def _find_largest(self, constant: str) -> float:
        """Find the largest magnitude in a constant."""
        from onnx import numpy_helper

        array = numpy_helper.to_array(self._constants[constant])
        return float(np.abs(array).max(initial=0))


def _check_operator(node: Any) -> None:
    """Check that Headrace writes such an operator, and that it holds no graph of its own."""
    if node.op_type not in OPERATORS.get(node.domain, ()):
        raise _make_error(f"the operator {node.domain and node.domain + '.'}{node.op_type}"[:80])
    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name:
            raise _make_error(f"a graph within {node.op_type}")


class _Branch(NamedTuple):
    """The children of all inner nodes on one side (true or false), and which of them are leaves."""

    children: npt.NDArray[Any]
    leaves: npt.NDArray[Any]


def _check_trees(attributes: dict[str, Any]) -> None:
    r"""Check that each walk through the trees ends, and that no tree is too deep.

    The nodes of all trees are numbered through. A child is a leaf, or a node with a higher number:

              0                 tree_roots           [0]
            /   \               nodes_truenodeids    [1, 0, 1]    of the nodes 0, 1 and 2
          1       2             nodes_trueleafs      [0, 1, 1]
         / \     / \            nodes_falsenodeids   [2, 2, 3]
        L0 L2   L1 L3           nodes_falseleafs     [0, 1, 1]
    """
    try:
        branches = [_read_branch(attributes, side) for side in ("true", "false")]
        roots = np.array(attributes["tree_roots"].ints)
    except KeyError as error:
        raise _make_error(f"trees without {error}") from None

    count = len(branches[0].children)
    _check_roots(roots, count)
    for branch in branches:
        _check_branch(branch, count)

    depth = _measure_depth(branches, count)
    if depth > _DEEPEST:
        raise _make_error(f"a tree of depth {depth:,}")


def _read_branch(attributes: dict[str, Any], side: str) -> _Branch:
    """Read one side of all inner nodes; raise `KeyError` where an attribute is missing."""
    return _Branch(
        np.array(attributes[f"nodes_{side}nodeids"].ints),
        np.array(attributes[f"nodes_{side}leafs"].ints),
    )


def _check_roots(roots: npt.NDArray[Any], count: int) -> None:
    """Check that the roots are different nodes of the `count` that there are."""
    is_repeated = len(np.unique(roots)) < len(roots)
    is_outside = len(roots) > 0 and (roots.min() < 0 or roots.max() >= count)
    if is_repeated or is_outside:
        raise _make_error("trees whose roots are invalid or repeated")


def _check_branch(branch: _Branch, count: int) -> None:
    """Check that each child that is no leaf has a higher number than its parent."""
    if not len(branch.children) == len(branch.leaves) == count:
        raise _make_error("trees whose lists of nodes differ in length")
    inner = np.flatnonzero(branch.leaves == 0)
    children = branch.children[inner]
    if (children <= inner).any() or (children >= count).any():
        raise _make_error("trees whose nodes lead back to an earlier node")


def _measure_depth(branches: list[_Branch], count: int) -> int:
    """Measure the depth of the deepest node."""
    depth = np.zeros(count, np.int64)
    # Children have higher numbers than their parents: one pass in order is enough.
    for node in range(count):
        for children, leaves in branches:
            if leaves[node] == 0:
                depth[children[node]] = max(depth[children[node]], depth[node] + 1)
    return int(depth.max(initial=0))


def _make_error(content: str) -> BundleError:
    return BundleError("model.onnx", f"holds {content}", "a graph as Headrace writes it")
