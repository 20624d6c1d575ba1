"""Fitted encoders as ONNX nodes, from grouped inputs to a matrix and the bags of wide features.

    inputs                 sources                             encoders              model inputs

    numbers   [N, a] ────────────────────────────────────────▶ raw, log, …       ─┐
    doubles   [N, b] ────────────────────────────────────────▶ raw, log, …       ─┤
    times     [N, c] ────────────────────────────────────────▶ parts, cyclic     ─┼▶ matrix [N, F]
    vector_v  [N, D] ────────────────────────────────────────▶ pass, pca, …      ─┤
    strings   [N, s] ─▶ blanks stripped ─┬▶ codes [N, coded] ▶ ordinal, onehot, … ┤
                                         └▶ texts [N, s] ────▶ topics, hash      ─┘
                                                               tfidf, onehot, … ───▶ bags

Text takes two ways. One look-up turns the categories of all columns into codes, and crosses get
theirs from those. Encoders that read text itself get it with the words for missing emptied.

A block of the matrix is one encoder over all of its columns (see `Features.blocks`), so that
twenty standardized columns cost as many nodes as one.
"""

from typing import Any, NamedTuple

import numpy as np

from headrace.features import cross
from headrace.features.encoders.registry import ENCODERS
from headrace.features.fit import Features, FittedEncoder
from headrace.features.graph.bag import Bag
from headrace.features.graph.blanks import strip_blanks
from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels, add_codes

TYPES: dict[str, Any] = {
    "numbers": np.float32,
    "doubles": np.float64,
    "strings": str,
    "times": np.int64,
}
"""The type of each input; a vector, which is an input of its own, is float32."""


class ModelInputs(NamedTuple):
    """The tensors that a model computes with: `matrix` `[N, width]`, and bags."""

    matrix: str
    width: int
    bags: list[Bag]


class EncoderSources(NamedTuple):
    """The tensors from which encoders start.

    `inputs` are the inputs of the graph by group, `groups` their raw columns. `codes` `[N,
    len(coded)]` are the codes of the columns and crosses `coded`. `texts` `[N, len(written)]` are
    those of the columns and hashed crosses `written`; words that mean missing are empty in them.
    Without text, `codes` and `texts` are empty.
    """

    inputs: dict[str, str]
    groups: dict[str, list[str]]
    codes: str
    coded: list[str]
    texts: str
    written: list[str]


def add_features(graph: Graph, features: Features) -> ModelInputs:
    """Add the inputs and the nodes of every encoder.

    `features.names` names the columns of the matrix.
    """
    return add_encoders(graph, features, add_sources(graph, [features]))


def merge_groups(sets: list[Features]) -> dict[str, list[str]]:
    """List the raw columns of each graph input, for several sets of encoders together."""
    # Dicts in the place of sets, which have no order.
    merged: dict[str, dict[str, None]] = {}
    for features in sets:
        for group, columns in features.groups.items():
            merged.setdefault(group, {}).update(dict.fromkeys(columns))
    order = [*TYPES, *(group for group in merged if group not in TYPES)]
    return {group: list(merged[group]) for group in order if group in merged}


def add_sources(graph: Graph, sets: list[Features]) -> EncoderSources:
    """Add the inputs that several sets of encoders, fitted on the same rows, share."""
    groups = merge_groups(sets)
    encoded: list[FittedEncoder] = []
    for features in sets:
        encoded += features.encoded
    inputs = _add_inputs(graph, groups, encoded)
    if "strings" not in groups:
        return EncoderSources(inputs, groups, "", [], "", [])

    missing = sets[0].missing
    stripped = strip_blanks(graph, inputs["strings"], len(groups["strings"]))
    texts = stripped
    # The look-up of codes knows the words for missing itself.
    if any(fitted.group == "strings" and not fitted.is_coded for fitted in encoded):
        texts = _empty_words(graph, stripped, missing)
    texts, written = _add_joined(graph, texts, groups["strings"], encoded)

    levels = _collect_levels(sets, encoded)
    coded = [column for column in groups["strings"] if column in levels]
    if not coded:
        return EncoderSources(inputs, groups, "", [], texts, written)

    positions = [groups["strings"].index(column) for column in coded]
    strings = graph.select_columns(stripped, positions, len(groups["strings"]))
    codes = add_codes(graph, strings, [levels[column] for column in coded], missing)
    codes, coded = _add_crosses(graph, codes, coded, levels, encoded)
    return EncoderSources(inputs, groups, codes, coded, texts, written)


def _add_inputs(
    graph: Graph, groups: dict[str, list[str]], encoded: list[FittedEncoder]
) -> dict[str, str]:
    """Declare the input of each group."""
    vector_widths = {}
    for fitted in encoded:
        if fitted.group not in TYPES:
            vector_widths[fitted.group] = fitted.state.width

    inputs = {}
    for group, columns in groups.items():
        width = vector_widths.get(group, len(columns))
        inputs[group] = graph.input(group, TYPES.get(group, np.float32), width)
    return inputs


def _collect_levels(sets: list[Features], encoded: list[FittedEncoder]) -> dict[str, Levels]:
    """Collect the levels of each column that is coded, or is part of a cross."""
    levels: dict[str, Levels] = {}
    for features in sets:
        levels |= features.parts
    for fitted in encoded:
        if fitted.is_coded and not fitted.parts:
            levels[fitted.column] = levels_in(fitted.state)
    return levels


def levels_in(state: Any) -> Levels:
    """Return the levels that the state of an encoder of codes is, or holds."""
    return state if isinstance(state, Levels) else state.levels


def _add_crosses(
    graph: Graph,
    singles: str,
    columns: list[str],
    levels: dict[str, Levels],
    encoded: list[FittedEncoder],
) -> tuple[str, list[str]]:
    """Add the codes of each cross, once however many encoders have it.

    Parameters: `singles` `[N, len(columns)]`, the codes of `columns`; `levels`, those of each
    column. Returns the codes `[N, s]` of columns and crosses, and the names of both.
    """
    coded = list(columns)
    blocks = [singles]
    for fitted in encoded:
        if not fitted.parts or not fitted.is_coded or fitted.column in coded:
            continue
        positions = [columns.index(part) for part in fitted.parts]
        vocabularies = [levels[part].known() for part in fitted.parts]
        combinations = levels_in(fitted.state).known()
        blocks.append(cross.add_cross_codes(graph, singles, positions, vocabularies, combinations))
        coded.append(fitted.column)
    codes = singles if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)
    return codes, coded


def _add_joined(
    graph: Graph, texts: str, columns: list[str], encoded: list[FittedEncoder]
) -> tuple[str, list[str]]:
    """Add the texts of hashed crosses, those of their columns joined, behind the texts `[N, s]`.

    Returns the texts of both, and the names of both.
    """
    written = list(columns)
    blocks = [texts]
    for fitted in encoded:
        if not fitted.parts or fitted.is_coded or fitted.column in written:
            continue
        first, *others = (columns.index(part) for part in fitted.parts)
        joined = graph.select_columns(texts, [first], len(columns))
        for at in others:
            own = graph.select_columns(texts, [at], len(columns))
            begun = graph.node("StringConcat", joined, graph.constant(cross.BETWEEN, object))
            joined = graph.node("StringConcat", begun, own)
        blocks.append(joined)
        written.append(fitted.column)
    return texts if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1), written


def _empty_words(graph: Graph, strings: str, words: list[str]) -> str:
    """Replace the words that mean missing by empty strings."""
    patterns = [_escape(word) for word in words if word]
    if not patterns:
        return strings
    absent = graph.node("RegexFullMatch", strings, pattern=f"(?:{'|'.join(patterns)})")
    return graph.node("Where", absent, graph.constant("", object), strings)


def _escape(word: str) -> str:
    r"""Write a word as a pattern of RE2, each letter by its number.

    >>> _escape("n/a")
    '\\x{6e}\\x{2f}\\x{61}'
    """
    return "".join(f"\\x{{{ord(letter):x}}}" for letter in word)


def add_encoders(graph: Graph, features: Features, sources: EncoderSources) -> ModelInputs:
    """Add the nodes of one set of encoders behind shared inputs."""
    blocks = [_add_block(graph, sources, block) for block in features.blocks()]
    bags = []
    for fitted in features.wide:
        tensor, columns = _find_source(sources, fitted)
        text = graph.select_columns(tensor, [columns.index(fitted.column)], len(columns))
        bags += ENCODERS[fitted.encode].bags(graph, text, fitted.state)

    # A graph of bags alone still has the output `features`, with no columns.
    if not blocks:
        blocks = [_add_empty_matrix(graph, next(iter(sources.inputs.values())))]
    matrix = blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)
    return ModelInputs(matrix, len(features.names), bags)


def _add_empty_matrix(graph: Graph, source: str) -> str:
    """Add a float32 matrix `[N, 0]` with as many rows as an input has."""
    rows = graph.node("Shape", source, start=0, end=1)
    shape = graph.node("Concat", rows, graph.constant([0], np.int64), axis=0)
    return graph.node("Expand", graph.constant(np.empty((1, 0)), np.float32), shape)


def _find_source(sources: EncoderSources, fitted: FittedEncoder) -> tuple[str, list[str]]:
    """Find the tensor that an encoder reads, and the columns of that tensor."""
    if fitted.group != "strings":
        return sources.inputs[fitted.group], sources.groups[fitted.group]
    if fitted.is_coded:
        return sources.codes, sources.coded
    return sources.texts, sources.written


def _add_block(graph: Graph, sources: EncoderSources, block: list[FittedEncoder]) -> str:
    """Add the nodes of one encoder over all of its columns, which share a source."""
    first = block[0]
    encoder = ENCODERS[first.encode]
    tensor, columns = _find_source(sources, first)

    matrix: str
    # A vector is an input of its own, so its block has one column.
    if first.group not in TYPES:
        matrix = encoder.nodes(graph, tensor, first.state)
        return matrix

    positions = [columns.index(fitted.column) for fitted in block]
    states = [fitted.state for fitted in block]
    # Encoders of numbers take float32 or float64, and must know which.
    more = {}
    if first.group in ("numbers", "doubles"):
        more["double"] = first.group == "doubles"
    matrix = encoder.nodes(graph, tensor, positions, states, len(columns), **more)
    return matrix
