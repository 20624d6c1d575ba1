"""A category of several columns at once, for what one of them alone does not say.

Its values are combinations of the columns' own codes, so rare parts are one part, and a graph finds
a combination by one number.
"""

import json

import numpy as np
import polars as pl

from headrace.features.graph.graph import Graph
from headrace.features.graph.reserved import MISSING, RARE
from headrace.features.states.levels import Levels


def cross_name(columns: list[str]) -> str:
    """The name of a cross.

    >>> cross_name(["site", "hour"])
    'site × hour'
    """
    return " × ".join(columns)


def combine(parts: list[pl.Series], levels: list[Levels]) -> pl.Series:
    """The combination of each row as JSON: a known value as text, 0 for a rare one, null for a missing one."""
    pieces = []
    for part, level in zip(parts, levels, strict=True):
        words = {word: json.dumps(word, ensure_ascii=False) for word in level.known()}
        coded = part.fill_null("").replace_strict(
            ["", *words], ["null", *words.values()], default="0", return_dtype=pl.String
        )
        pieces.append(coded)
    frame = pl.DataFrame([piece.alias(str(at)) for at, piece in enumerate(pieces)])
    return frame.select(
        pl.format("[" + ",".join("{}" for _ in pieces) + "]", *frame.columns)
    ).to_series()


def codes(
    graph: Graph, codes: str, columns: list[int], vocabularies: list[list[str]], known: list[str]
) -> str:
    """The code `[N, 1]` (float32) of each combination, from the codes `[N, s]` of single columns.

    Parameters: `columns`, where the parts stand in `codes`; `vocabularies`, the parts' known
    values; `known`, the combinations that have a code of their own, as `combine` writes them.
    """
    sizes = [len(words) + 2 for words in vocabularies]  # the known values, rare and missing
    strides = np.cumprod([1, *sizes[:-1]])
    numbers = [
        {**{word: code for code, word in enumerate(words, 1)}, 0: RARE, None: MISSING}
        for words in vocabularies
    ]
    table = {}
    for code, combination in enumerate(known, 1):
        values = zip(json.loads(combination), numbers, strides, strict=True)
        table[
            int(sum((codes_of[value] - MISSING) * stride for value, codes_of, stride in values))
        ] = float(code)
    picked = graph.node("Gather", codes, graph.constant(columns, np.int64), axis=1)
    whole = graph.node("Sub", graph.node("Cast", picked, to=7), graph.constant(MISSING, np.int64))
    weighed = graph.node("Mul", whole, graph.constant(strides, np.int64))
    key = graph.node("ReduceSum", weighed, graph.constant([1], np.int64), keepdims=1)
    return graph.node(
        "LabelEncoder",
        key,
        domain="ai.onnx.ml",
        keys_int64s=list(table) or [-1],
        values_floats=list(table.values()) or [float(RARE)],
        default_float=float(RARE),
    )
