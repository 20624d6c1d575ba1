"""The text front of a graph, run outside it.

A look-up here takes about half of what it takes text to enter ONNX Runtime and be looked up there,
and less in a table.

Nothing is learned twice: the table of codes is read out of the graph itself, whose look-up node is
then replaced by an input. Both ways give the same matrix, which a test holds them to.
"""

from typing import Any

from headrace.errors import BundleError
from headrace.features.graph.allowed import check_graph
from headrace.features.graph.codes import Codes
from headrace.features.graph.feeds import CODES
from headrace.features.graph.session import Session, open_session

_CHAINS = (
    ["StringConcat", "LabelEncoder"],
    ["Reshape", "Concat", "Tokenizer", "Slice", "Reshape", "StringConcat", "LabelEncoder"],
)
"""From text to codes: as it is, in older bundles, and without the blanks around it."""


def _parse(model: bytes) -> Any:
    """A graph as its parts; raises `BundleError` where it is broken."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_model_from_string(model)
    except DecodeError:
        raise BundleError(
            "model.onnx", "cannot be loaded (it is no ONNX graph)", "a Headrace graph"
        ) from None


def _take_text_lookup(model: bytes, whole: Any) -> tuple[bytes, list[Codes]]:
    """The graph with codes in the place of text, and the codes of each text column.

    A graph without text comes back as it was, without codes; so does one into which text enters
    otherwise too: as words, or by its hash.
    """
    import onnx

    graph = whole.graph
    front = _find_text_lookup(graph)
    if not front:
        return (
            model,
            [],
        )  # no look-up of ours, or text enters otherwise too: as words, or by its hash
    lookup = front[-1].output[0]
    if any(lookup == output.name for output in graph.output):
        return model, []  # the codes themselves are the matrix
    table = {attribute.name: attribute for attribute in front[-1].attribute}
    try:
        (strings,) = [entry for entry in graph.input if entry.name == "strings"]
        columns = strings.type.tensor_type.shape.dim[1].dim_value
        known: list[dict[str, float]] = [{} for _ in range(columns)]
        for key, code in zip(
            table["keys_strings"].strings, table["values_floats"].floats, strict=True
        ):
            position, value = key.decode().split("=", 1)
            known[int(position)][value] = code
        codes = [Codes(one) for one in known]
    except (KeyError, ValueError, IndexError):
        return model, []  # a look-up that is none of ours
    for node in front:
        graph.node.remove(node)
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name == lookup:
                node.input[at] = CODES
    graph.input.remove(strings)
    graph.input.append(
        onnx.helper.make_tensor_value_info(CODES, onnx.TensorProto.FLOAT, ["N", columns])
    )
    return whole.SerializeToString(), codes


def _find_text_lookup(graph: Any) -> list[Any]:
    """The nodes from the text to its codes, in order; none where there is no such chain, or it has another way out."""
    chain, tensor = [], "strings"
    while True:
        takers = [node for node in graph.node if tensor in node.input]
        if len(takers) != 1 or len(takers[0].output) != 1:
            return []
        chain.append(takers[0])
        if takers[0].op_type == "LabelEncoder":
            break
        tensor = takers[0].output[0]
    return chain if [node.op_type for node in chain] in _CHAINS else []


def open_coded_session(model: bytes) -> Session:
    """Loads a graph to feed it codes in the place of text, where that is possible.

    Raises `BundleError` for one that is broken, or holds what Headrace never writes (see
    `allowed`).
    """
    whole = _parse(model)
    check_graph(whole)
    return open_session(*_take_text_lookup(model, whole))
