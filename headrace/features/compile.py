"""Fitted encoders as ONNX nodes: grouped inputs in, one float32 matrix and the bags of wide features out."""

from typing import Any, NamedTuple

import numpy as np

from headrace.features import cross
from headrace.features.encoders.registry import ENCODERS
from headrace.features.fit import Features, FittedEncoder
from headrace.features.graph.bag import Bag
from headrace.features.graph.blanks import strip_blanks
from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels, codes

TYPES: dict[str, Any] = {
    "numbers": np.float32,
    "doubles": np.float64,
    "strings": str,
    "times": np.int64,
}


class ModelInputs(NamedTuple):
    """What a model sees: the tensor `matrix` `[N, width]`, and bags."""

    matrix: str
    width: int
    bags: list[Bag]


class EncoderSources(NamedTuple):
    """Where encoders start: the graph's inputs and their raw columns by group; the codes `[N,
    len(coded)]` of the columns and crosses `coded`; and the text in which words that mean missing
    are empty.
    """

    inputs: dict[str, str]
    groups: dict[str, list[str]]
    codes: str
    coded: list[str]
    texts: str


def add_features(graph: Graph, features: Features) -> ModelInputs:
    """Adds the inputs and every encoder's nodes; the matrix's columns are named by `features.names`."""
    return add_encoders(graph, features, add_sources(graph, [features]))


def merge_groups(sets: list[Features]) -> dict[str, list[str]]:
    """The raw columns of each graph input, for several sets of encoders together."""
    merged: dict[str, dict[str, None]] = {}
    for features in sets:
        for group, columns in features.groups.items():
            merged.setdefault(group, {}).update(dict.fromkeys(columns))
    order = [*TYPES, *(group for group in merged if group not in TYPES)]
    return {group: list(merged[group]) for group in order if group in merged}


def add_sources(graph: Graph, sets: list[Features]) -> EncoderSources:
    """Adds the inputs that sets of encoders, fitted on the same rows, share."""
    groups = merge_groups(sets)
    encoded = [one for features in sets for one in features.encoded]
    vector_widths = {one.group: one.state.width for one in encoded if one.group not in TYPES}
    inputs = {
        group: graph.input(
            group, TYPES.get(group, np.float32), vector_widths.get(group, len(columns))
        )
        for group, columns in groups.items()
    }
    if "strings" not in groups:
        return EncoderSources(inputs, groups, "", [], "")
    words = sets[0].missing
    bare = texts = strip_blanks(graph, inputs["strings"], len(groups["strings"]))
    if any(one.group == "strings" and not one.is_coded for one in encoded):
        texts = _without_words(graph, bare, words)
    known = {name: levels for features in sets for name, levels in features.parts.items()}
    known |= {one.column: levels_in(one.state) for one in encoded if one.is_coded and not one.parts}
    coded = [column for column in groups["strings"] if column in known]
    if not coded:
        return EncoderSources(inputs, groups, "", [], texts)
    positions = [groups["strings"].index(column) for column in coded]
    strings = graph.columns(bare, positions, len(groups["strings"]))
    singles = codes(graph, strings, [known[column] for column in coded], words)
    blocks, parts = [singles], list(coded)
    for one in encoded:
        if one.parts and one.column not in coded:
            vocabularies = [known[part].known() for part in one.parts]
            at = [parts.index(part) for part in one.parts]
            blocks.append(
                cross.codes(graph, singles, at, vocabularies, levels_in(one.state).known())
            )
            coded.append(one.column)
    joined = singles if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)
    return EncoderSources(inputs, groups, joined, coded, texts)


def levels_in(state: Any) -> Levels:
    """The levels that the state of an encoder of codes is or holds."""
    return state if isinstance(state, Levels) else state.levels


def _without_words(graph: Graph, strings: str, words: list[str]) -> str:
    """The text with empty strings for the words that mean missing."""
    escaped = "|".join(
        "".join(f"\\x{{{ord(letter):x}}}" for letter in word) for word in words if word
    )
    if not escaped:
        return strings
    absent = graph.node("RegexFullMatch", strings, pattern=f"(?:{escaped})")
    return graph.node("Where", absent, graph.constant("", object), strings)


def add_encoders(graph: Graph, features: Features, sources: EncoderSources) -> ModelInputs:
    """Adds the nodes of one set of encoders behind shared inputs."""
    blocks = [_block(graph, sources, block) for block in features.blocks()]
    bags = []
    for one in features.wide:
        tensor, columns = _tensor(sources, one)
        text = graph.columns(tensor, [columns.index(one.column)], len(columns))
        bags += ENCODERS[one.encode].bags(graph, text, one.state)
    if not blocks:
        rows = graph.node("Shape", next(iter(sources.inputs.values())), start=0, end=1)
        shape = graph.node("Concat", rows, graph.constant([0], np.int64), axis=0)
        blocks = [graph.node("Expand", graph.constant(np.empty((1, 0)), np.float32), shape)]
    matrix = blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)
    return ModelInputs(matrix, len(features.names), bags)


def _tensor(sources: EncoderSources, one: FittedEncoder) -> tuple[str, list[str]]:
    """What an encoder reads, and the columns that stand in it."""
    if one.group != "strings":
        return sources.inputs[one.group], sources.groups[one.group]
    return (
        (sources.codes, sources.coded)
        if one.is_coded
        else (sources.texts, sources.groups["strings"])
    )


def _block(graph: Graph, sources: EncoderSources, block: list[FittedEncoder]) -> str:
    first, encoder = block[0], ENCODERS[block[0].encode]
    tensor, columns = _tensor(sources, first)
    made: str
    if first.group not in TYPES:
        made = encoder.nodes(graph, tensor, first.state)
        return made
    positions = [columns.index(one.column) for one in block]
    more = {"double": first.group == "doubles"} if first.group in ("numbers", "doubles") else {}
    made = encoder.nodes(
        graph, tensor, positions, [one.state for one in block], len(columns), **more
    )
    return made
