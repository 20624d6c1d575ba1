"""A cross: a category made of several columns, for what no column says alone.

Its values are combinations of the codes of the columns (see `states.levels`), so all rare values
of a column are one part. The graph turns the codes of a row into one number and looks that up:

    site: a = 1, b = 2       codes -1 … 2, so 4 of them       stride 1
    hour: 07 = 1             codes -1 … 1, so 3 of them       stride 4

    number = (site + 1) * 1 + (hour + 1) * 4

    ["b", "07"]    (2 + 1) * 1 + (1 + 1) * 4 = 11
    [null, 0]      (-1 + 1) * 1 + (0 + 1) * 4 = 4       site missing, hour rare
"""

import json
from typing import Any

import numpy as np
import polars as pl

from headrace.features.graph.graph import Graph
from headrace.features.graph.reserved import MISSING, RARE
from headrace.features.states.levels import Levels

BETWEEN = "\x1f"
"""Stands between the texts of a hashed cross: the unit separator of ASCII, which no text has."""


def cross_name(columns: list[str]) -> str:
    """Return the name of a cross.

    >>> cross_name(["site", "hour"])
    'site × hour'
    """
    return " × ".join(columns)


def combine(parts: list[pl.Series], levels: list[Levels]) -> pl.Series:
    """Write the combination of each row as JSON.

    A known value is text, a rare one 0 and a missing one null.

    >>> sites = pl.Series(["a", "b", None])
    >>> hours = pl.Series(["07", "08", "07"])
    >>> levels = [Levels({"a": 9, "b": 5}, 3), Levels({"07": 4, "08": 1}, 0)]
    >>> combine([sites, hours], levels).to_list()
    ['["a","07"]', '["b",0]', '[null,"07"]']
    """
    pieces = []
    for position, (part, level) in enumerate(zip(parts, levels, strict=True)):
        words = {word: json.dumps(word, ensure_ascii=False) for word in level.known()}
        piece = part.fill_null("").replace_strict(
            ["", *words], ["null", *words.values()], default="0", return_dtype=pl.String
        )
        pieces.append(piece.alias(str(position)))

    frame = pl.DataFrame(pieces)
    places = ",".join(["{}"] * len(pieces))
    return frame.select(pl.format(f"[{places}]", *frame.columns)).to_series()


def add_cross_codes(
    graph: Graph, codes: str, columns: list[int], vocabularies: list[list[str]], known: list[str]
) -> str:
    """Add the code `[N, 1]` (float32) of each combination, from the codes `[N, s]` of columns.

    Parameters: `columns`, the positions of the parts in `codes`; `vocabularies`, the known values
    of each part; `known`, the combinations with a code of their own, as `combine` writes them.
    """
    # The known values, and rare and missing.
    sizes = [len(words) + 2 for words in vocabularies]
    strides = np.cumprod([1, *sizes[:-1]])
    table = _number_combinations(known, vocabularies, strides)

    selected = graph.node("Gather", codes, graph.constant(columns, np.int64), axis=1)
    whole = graph.node("Cast", selected, to=7)
    from_zero = graph.node("Sub", whole, graph.constant(MISSING, np.int64))
    weighed = graph.node("Mul", from_zero, graph.constant(strides, np.int64))
    number = graph.node("ReduceSum", weighed, graph.constant([1], np.int64), keepdims=1)
    # ONNX accepts no empty table. No number is -1, and its code would be that of unknown ones.
    return graph.node(
        "LabelEncoder",
        number,
        domain="ai.onnx.ml",
        keys_int64s=list(table) or [-1],
        values_floats=list(table.values()) or [float(RARE)],
        default_float=float(RARE),
    )


def _number_combinations(
    known: list[str], vocabularies: list[list[str]], strides: Any
) -> dict[int, float]:
    """Return the code of each known combination by its number.

    >>> _number_combinations(['["b","07"]', '[null,0]'], [["a", "b"], ["07"]], [1, 4])
    {11: 1.0, 4: 2.0}
    """
    code_of_values = []
    for words in vocabularies:
        code_of: dict[Any, int] = {word: code for code, word in enumerate(words, 1)}
        code_of_values.append(code_of | {0: RARE, None: MISSING})

    table = {}
    for code, combination in enumerate(known, 1):
        number = 0
        parts = zip(json.loads(combination), code_of_values, strides, strict=True)
        for value, code_of, stride in parts:
            number += (code_of[value] - MISSING) * stride
        table[int(number)] = float(code)
    return table
