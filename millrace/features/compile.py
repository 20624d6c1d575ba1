"""Fitted encoders as ONNX nodes: grouped inputs in, one float32 matrix out."""

from typing import Any

import numpy as np

from millrace.features.encoders import ENCODERS
from millrace.features.fit import Encoded, Features
from millrace.features.graph import Graph
from millrace.features.levels import codes

TYPES: dict[str, Any] = {"numbers": np.float32, "doubles": np.float64, "strings": str, "times": np.int64}


def add_features(graph: Graph, features: Features) -> str:
    """Adds the inputs and every encoder's nodes; returns the matrix `[N, F]`, its columns named by `features.names`."""
    sources = {group: graph.input(group, TYPES[group], len(columns)) for group, columns in features.groups.items()}
    if "strings" in sources:
        texts = [one for one in features.encoded if one.group == "strings"]
        vocabularies = [ENCODERS[one.encode].known(one.state) for one in texts]
        sources["strings"] = codes(graph, sources["strings"], vocabularies, features.missing)
    blocks = [_block(graph, features, sources[block[0].group], block) for block in features.blocks()]
    return blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)


def _block(graph: Graph, features: Features, source: str, block: list[Encoded]) -> str:
    group = block[0].group
    columns = features.groups[group]
    positions = [columns.index(one.column) for one in block]
    more = {"double": group == "doubles"} if group in ("numbers", "doubles") else {}
    encoder = ENCODERS[block[0].encode]
    tensor: str = encoder.nodes(graph, source, positions, [one.state for one in block], len(columns), **more)
    return tensor
