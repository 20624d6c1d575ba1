"""The text front of a graph, run outside it.

In batches Polars codes text several times faster than text enters ONNX Runtime.

Nothing is learned twice: the table of codes is read out of the graph itself, whose look-up node is then replaced by an
input. Both ways give the same matrix, which a test holds them to.
"""

from millrace.features.feeds import CODES, Vocabulary
from millrace.features.session import Session, open_session


def without_front(model: bytes) -> tuple[bytes, list[Vocabulary]]:
    """The graph with codes in the place of text, and for each text column its codes by value.

    A graph without text comes back as it was, with no vocabulary.
    """
    import onnx
    from onnx import helper

    whole = onnx.load_model_from_string(model)
    graph = whole.graph
    lookups = [node for node in graph.node if node.op_type == "LabelEncoder"]
    if not lookups:
        return model, []
    lookup = next(node for node in lookups if any(one.name == "keys_strings" for one in node.attribute))
    front = [node for node in graph.node if node.output[0] in (lookup.input[0], lookup.output[0])]
    if sum("strings" in node.input for node in graph.node) > 1 or "strings" not in front[0].input:
        return model, []  # text enters otherwise too: as words, or by its hash
    if any(lookup.output[0] == output.name for output in graph.output):
        return model, []  # the codes themselves are the matrix
    attributes = {attribute.name: attribute for attribute in lookup.attribute}
    columns = next(entry.type.tensor_type.shape.dim[1].dim_value for entry in graph.input if entry.name == "strings")
    vocabularies: list[Vocabulary] = [{} for _ in range(columns)]
    for key, code in zip(attributes["keys_strings"].strings, attributes["values_floats"].floats, strict=True):
        position, value = key.decode().split("=", 1)
        vocabularies[int(position)][value] = code
    for node in [node for node in graph.node if node.output[0] in (lookup.input[0], lookup.output[0])]:
        graph.node.remove(node)
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name == lookup.output[0]:
                node.input[at] = CODES
    for entry in [entry for entry in graph.input if entry.name == "strings"]:
        graph.input.remove(entry)
    graph.input.append(helper.make_tensor_value_info(CODES, onnx.TensorProto.FLOAT, ["N", columns]))
    return whole.SerializeToString(), vocabularies


def open_batch(model: bytes) -> Session:
    """Loads a graph for tables: text is coded outside it."""
    return open_session(*without_front(model))
