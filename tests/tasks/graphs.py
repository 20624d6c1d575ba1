"""A task's part of a graph, run by ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace.arrays import Floats
from headrace.features.graph.graph import Graph
from headrace.features.graph.session import open_session

Outputs = dict[str, tuple[str, Any, int | None]]


def run_graph(values: Floats, dtype: Any, add: Callable[[Graph, str], Outputs]) -> dict[str, Any]:
    """The outputs of the nodes that a function adds behind an input `(N, K)` of a type."""
    graph = Graph()
    outputs = add(graph, graph.input("raw", dtype, values.shape[1]))
    model = graph.build(outputs, {"columns": {}, "bags": []})
    names = [name for name, *_ in outputs.values()]
    found = open_session(model.SerializeToString()).run(names, {"raw": values.astype(dtype)})
    return dict(zip(names, found, strict=True))


def apply_link(link: Callable[[Any, str], str], values: Floats, width: int) -> Floats:
    """What the nodes of a link, or of its inverse, make of values in float64."""
    found = run_graph(
        values, np.float64, lambda graph, raw: {link(graph, raw): ("out", np.float64, width)}
    )
    return np.asarray(found["out"], np.float64)
