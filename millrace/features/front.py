"""The text front of a graph, run outside it.

A look-up here takes about half of what it takes text to enter ONNX Runtime and be looked up there, and less in a table.

Nothing is learned twice: the table of codes is read out of the graph itself, whose look-up node is then replaced by an
input. Both ways give the same matrix, which a test holds them to.
"""

from millrace.features.codes import Codes
from millrace.features.feeds import CODES
from millrace.features.session import Session, open_session


def without_front(model: bytes) -> tuple[bytes, list[Codes]]:
    """The graph with codes in the place of text, and the codes of each text column.

    A graph without text comes back as it was, without codes; so does one into which text enters otherwise too: as
    words, or by its hash.
    """
    if b"keys_strings" not in model:
        return model, []
    import onnx
    from google.protobuf.message import DecodeError

    try:
        whole = onnx.load_model_from_string(model)
    except DecodeError:
        return model, []  # whoever loads it says so
    graph = whole.graph
    takers = [node for node in graph.node if "strings" in node.input]
    found = [node for node in graph.node if takers and takers[0].output[0] in node.input]
    if [node.op_type for node in takers + found] != ["StringConcat", "LabelEncoder"]:
        return model, []
    lookup = found[0].output[0]
    if any(lookup == output.name for output in graph.output):
        return model, []  # the codes themselves are the matrix
    table = {attribute.name: attribute for attribute in found[0].attribute}
    try:
        (strings,) = [entry for entry in graph.input if entry.name == "strings"]
        columns = strings.type.tensor_type.shape.dim[1].dim_value
        known: list[dict[str, float]] = [{} for _ in range(columns)]
        for key, code in zip(table["keys_strings"].strings, table["values_floats"].floats, strict=True):
            position, value = key.decode().split("=", 1)
            known[int(position)][value] = code
        codes = [Codes(one) for one in known]
    except (KeyError, ValueError, IndexError):
        return model, []  # a look-up that is none of ours
    for node in takers + found:
        graph.node.remove(node)
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name == lookup:
                node.input[at] = CODES
    graph.input.remove(strings)
    graph.input.append(onnx.helper.make_tensor_value_info(CODES, onnx.TensorProto.FLOAT, ["N", columns]))
    return whole.SerializeToString(), codes


def open_coded(model: bytes) -> Session:
    """Loads a graph to feed it codes in the place of text, where that is possible."""
    return open_session(*without_front(model))
