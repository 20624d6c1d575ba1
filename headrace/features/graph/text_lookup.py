"""The text look-up of a graph, moved out of it, because Python does it faster.

A look-up in Python takes about half as long as passing text into ONNX Runtime and looking it up
there; for a table it takes less still. So the nodes from text to codes are cut off, and the graph
gets an input of codes in the place of its input of text:

    before   strings -> Reshape -> Concat -> Tokenizer -> Slice -> Reshape     (strip blanks)
                     -> StringConcat -> LabelEncoder -> encoders               (look up)

    after    codes   --------------------------------> encoders

Nothing is learned twice: the table of codes is read out of the look-up node itself. Its keys hold
the position of the column before the value, so that one node serves all columns:

    keys    0=   0=red   0=blue   1=   1=north
    values  -1   1       2        -1   1

    column 0: {"": -1, "red": 1, "blue": 2}        column 1: {"": -1, "north": 1}

Both ways give the same matrix; a test checks that.
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
"""The operators from text to codes: in older bundles, and with blanks stripped before."""


def open_coded_session(model: bytes) -> Session:
    """Load a graph that takes codes in the place of text, where that is possible.

    Raises `BundleError` for a graph that is broken, or that holds what Headrace never writes (see
    `allowed`).

    >>> open_coded_session(b"nonsense")
    Traceback (most recent call last):
    headrace.errors.BundleError: model.onnx: cannot be loaded (...); expected a Headrace graph
    """
    parsed = _parse(model)
    check_graph(parsed)
    return open_session(*_take_text_lookup(model, parsed))


def _parse(model: bytes) -> Any:
    """Parse a graph; raise `BundleError` where it is broken."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_model_from_string(model)
    except DecodeError:
        raise BundleError(
            "model.onnx", "cannot be loaded (it is not an ONNX graph)", "a Headrace graph"
        ) from None


def _take_text_lookup(model: bytes, parsed: Any) -> tuple[bytes, list[Codes]]:
    """Return the graph with codes in the place of text, and the codes of each text column.

    A graph without text comes back as it was, with no codes. So does a graph in which text has
    another way in as well: as words, or by its hash.
    """
    import onnx

    graph = parsed.graph
    chain = _find_text_lookup(graph)
    if not chain:
        return model, []
    lookup = chain[-1].output[0]
    # Here the codes themselves are an output, so the look-up stays in the graph.
    if any(lookup == output.name for output in graph.output):
        return model, []

    try:
        (strings,) = [entry for entry in graph.input if entry.name == "strings"]
        columns = strings.type.tensor_type.shape.dim[1].dim_value
        codes = _read_codes(chain[-1], columns)
    # The look-up was not written by Headrace.
    except (KeyError, ValueError, IndexError):
        return model, []

    for node in chain:
        graph.node.remove(node)
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == lookup:
                node.input[position] = CODES
    graph.input.remove(strings)
    graph.input.append(
        onnx.helper.make_tensor_value_info(CODES, onnx.TensorProto.FLOAT, ["N", columns])
    )
    return parsed.SerializeToString(), codes


def _find_text_lookup(graph: Any) -> list[Any]:
    """Find the nodes from the text to its codes, in order.

    Returns none where there is no such chain, or where another node reads from inside it.
    """
    chain = []
    tensor = "strings"
    while True:
        readers = [node for node in graph.node if tensor in node.input]
        if len(readers) != 1 or len(readers[0].output) != 1:
            return []
        chain.append(readers[0])
        if readers[0].op_type == "LabelEncoder":
            break
        tensor = readers[0].output[0]

    if [node.op_type for node in chain] not in _CHAINS:
        return []
    return chain


def _read_codes(lookup: Any, columns: int) -> list[Codes]:
    """Read the codes of each column out of the look-up node.

    Raises `KeyError`, `ValueError` or `IndexError` for a node that Headrace did not write.
    """
    table = {attribute.name: attribute for attribute in lookup.attribute}
    keys = table["keys_strings"].strings
    values = table["values_floats"].floats

    known: list[dict[str, float]] = [{} for _ in range(columns)]
    for key, code in zip(keys, values, strict=True):
        position, value = key.decode().split("=", 1)
        known[int(position)][value] = code
    return [Codes(codes) for codes in known]
