"""Blanks around a value mean nothing, wherever it comes from: the graph itself cuts them off."""

import numpy as np

from headrace.features.graph.graph import Graph

BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""The white space of Unicode, which Polars strips."""
BLANK = "[" + "".join(f"\\x{{{ord(sign):x}}}" for sign in BLANKS) + "]"
"""The same as a pattern of RE2."""
_VALUE = BLANK.replace("[", "[^", 1)


def strip_blanks(graph: Graph, strings: str, width: int) -> str:
    """The text `[N, width]` without the blanks around each value.

    ONNX has no such operator. Its tokenizer finds what lies between the first and the last sign
    that is no blank.
    """
    flat = graph.node("Reshape", strings, graph.constant([-1], np.int64))
    # The tokenizer makes no second axis where no text has a token, so one that has goes with the
    # others.
    padded = graph.node("Concat", flat, graph.constant(["x"], object), axis=0)
    tokens = graph.node(
        "Tokenizer", padded, domain="com.microsoft", mark=0, pad_value="", mincharnum=1,
        tokenexp=f"{_VALUE}(?s:.*{_VALUE})?",
    )  # fmt: skip
    bounds = [graph.constant(values, np.int64) for values in ([0], [-1], [0])]  # start, end, axis
    values = graph.node("Slice", tokens, *bounds)
    return graph.node("Reshape", values, graph.constant([-1, width], np.int64))
