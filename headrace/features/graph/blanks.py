"""Blanks around a value mean nothing: the graph cuts them off, wherever a value comes from."""

import numpy as np

from headrace.features.graph.graph import Graph

BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""The white space of Unicode, which Polars strips."""
BLANK = "[" + "".join(f"\\x{{{ord(sign):x}}}" for sign in BLANKS) + "]"
"""The same signs as a pattern of RE2."""
_NO_BLANK = BLANK.replace("[", "[^", 1)


def strip_blanks(graph: Graph, strings: str, width: int) -> str:
    """Add nodes that strip the blanks around each value of the text `[N, width]`.

    ONNX has no such operator. Its tokenizer can find one token in each value: all that lies between
    the first and the last sign that is no blank.

        "  my card "  ->  token "my card"
        "   "         ->  no token, padded with ""
    """
    flat = graph.node("Reshape", strings, graph.constant([-1], np.int64))

    # Where no value has a token, the tokenizer's answer has no second axis. So one value that has
    # a token goes with the others, and is cut off again.
    padded = graph.node("Concat", flat, graph.constant(["x"], object), axis=0)
    tokens = graph.node(
        "Tokenizer", padded, domain="com.microsoft", mark=0, pad_value="", mincharnum=1,
        tokenexp=f"{_NO_BLANK}(?s:.*{_NO_BLANK})?",
    )  # fmt: skip
    start = graph.constant([0], np.int64)
    end = graph.constant([-1], np.int64)
    axis = graph.constant([0], np.int64)
    values = graph.node("Slice", tokens, start, end, axis)

    return graph.node("Reshape", values, graph.constant([-1, width], np.int64))
