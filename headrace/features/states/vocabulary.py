"""The words and character n-grams of a text column, and how a graph finds them.

Markup (`<tag>`, `&entity;`) and everything that is neither letter nor digit separates words. Case
and accents are folded by the dictionary: each way in which a word was written is an entry of its
own, so that the graph needs no locale. Words stand alone and in pairs; characters in runs of 2 to 5
within a word, its borders included, so that a word with a slip of the keyboard still shares most of
them.
"""

from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.features.graph.bag import Bag, make_bag
from headrace.features.graph.graph import Graph
from headrace.features.states.casefold import fold_case

MOST_GRAMS = 20_000
MOST_WORDS, MOST_CHARS = 400, 2_000
"""Of a longer text the beginning is read."""
_RUNS = (2, 3, 4, 5)
_GAP = r"(?:<[^<>]*>|&[a-zA-Z0-9#]+;|[^\pL\pN\pM_])+"
_CHARS = _GAP + r"|[\pL\pN\pM_]"
_BASE = 256
_EDGE = "\0"
"""Stands for the border of a word in a run of characters."""


class Vocabulary(Struct, frozen=True):
    """In how many texts each (folded) word, pair of words and run of characters was, and the ways to write a word."""

    rows: int
    missing: int
    words: dict[str, int]
    pairs: dict[str, int]
    runs: dict[str, int]
    written: dict[str, str]

    @property
    def least(self) -> int:
        """How many texts an entry must have been in."""
        return min(10, 2 + self.rows // 20_000)

    def known(self, counts: dict[str, int], most: int = MOST_GRAMS) -> list[str]:
        """The entries that are frequent enough, the most frequent first."""
        least = self.least
        return [
            text
            for _, text in sorted((-n, text) for text, n in counts.items() if n >= least)[:most]
        ]


def fit(column: pl.Series) -> Vocabulary:
    """Counts a text column; null and empty text are missing."""
    texts = column.fill_null("").cast(pl.String)
    tokens = pl.DataFrame({"row": np.arange(len(texts)), "text": texts.str.replace_all(_GAP, " ")})
    words = (
        tokens.select(
            "row",
            pl.col("text").str.strip_chars(" ").str.split(" ").list.head(MOST_WORDS).alias("word"),
        )
        .explode("word")
        .filter(pl.col("word") != "")
    )
    surface = words["word"].unique().to_list()
    written = {word: fold_case(word) for word in surface}
    folded = words.with_columns(pl.col("word").replace_strict(written, return_dtype=pl.String))
    beside = folded.with_columns(
        pl.when(pl.col("row") == pl.col("row").shift(-1))
        .then(pl.col("word").shift(-1))
        .alias("next")
    ).drop_nulls("next")
    pairs = beside.select("row", (pl.col("word") + " " + pl.col("next")).alias("pair"))
    counts = _texts_with(folded, "word")
    in_word = {word: sorted(_runs_of(word)) for word in counts}
    exploded = folded.unique().with_columns(
        pl.col("word").replace_strict(in_word, return_dtype=pl.List(pl.String)).alias("run")
    )
    runs = _texts_with(exploded.select("row", "run").explode("run"), "run")
    return Vocabulary(
        len(texts), int((texts == "").sum()), counts, _texts_with(pairs, "pair"), runs, written
    )


def _texts_with(frame: pl.DataFrame, name: str) -> dict[str, int]:
    counted = frame.unique().group_by(name).len()
    return dict(zip(counted[name].to_list(), counted["len"].to_list(), strict=True))


def _runs_of(word: str) -> set[str]:
    """The runs of characters of a folded word with its borders."""
    text = _EDGE + word + _EDGE
    return {text[at : at + size] for size in _RUNS for at in range(len(text) - size + 1)}


def merge(a: Vocabulary, b: Vocabulary) -> Vocabulary:
    """The counts of two partitions together."""

    def add(x: dict[str, int], y: dict[str, int]) -> dict[str, int]:
        return dict(Counter(x) + Counter(y))

    return Vocabulary(
        a.rows + b.rows,
        a.missing + b.missing,
        add(a.words, b.words),
        add(a.pairs, b.pairs),
        add(a.runs, b.runs),
        a.written | b.written,
    )


class Entries(Struct, frozen=True):
    """The entries of a vocabulary in the order of their ids (from 1 on): words then pairs, and runs."""

    words: list[str]
    pairs: list[str]
    runs: list[str]
    alphabet: list[str]


def entries(state: Vocabulary) -> Entries:
    """What of a vocabulary becomes columns."""
    words = state.known(state.words)
    numbers = set(words)
    pairs = [
        pair
        for pair in state.known(state.pairs)
        if all(word in numbers for word in pair.split(" "))
    ]
    runs = state.known(state.runs)
    letters = Counter(letter for run in runs for letter in run if letter != _EDGE)
    alphabet = [
        letter for _, letter in sorted((-n, letter) for letter, n in letters.items())[: _BASE - 2]
    ]
    spelled = {*alphabet, _EDGE}
    return Entries(words, pairs, [run for run in runs if spelled.issuperset(run)], alphabet)


def bags(graph: Graph, text: str, state: Vocabulary) -> list[Bag]:
    """The text `[N, 1]` as two bags of tf-idf weights, of words and of runs of characters, each row
    of length 1.

    `idf = ln((1 + texts) / (1 + texts with it)) + 1`, as scikit-learn smooths it.
    """
    known = entries(state)
    graph.numbers_per_entry = max(graph.numbers_per_entry, 1)

    def idf(counts: list[int]) -> npt.NDArray[np.float32]:
        weights = np.log((1 + state.rows) / (1 + np.array(counts, np.float64))) + 1
        return np.concatenate([[0.0], weights]).astype(np.float32)

    found = []
    if known.words:
        counts = [state.words[word] for word in known.words] + [
            state.pairs[pair] for pair in known.pairs
        ]
        found.append(
            make_bag(graph, _word_ids(graph, text, known, state.written), idf(counts), scaled=True)
        )
    if known.runs:
        runs = idf([state.runs[run] for run in known.runs])
        found.append(make_bag(graph, _run_ids(graph, text, known), runs, scaled=True))
    return found


def _word_ids(graph: Graph, text: str, known: Entries, written: dict[str, str]) -> str:
    ids = {word: number for number, word in enumerate(known.words, 1)}
    table = {form: ids[word] for form, word in _forms(written).items() if word in ids}
    words = _lookup(graph, _tokens(graph, text, MOST_WORDS, separators=[_GAP]), table)
    if not known.pairs:
        return words
    width = len(known.words) + 1
    first, second = _cut(graph, words, 0, -1), _cut(graph, words, 1, MOST_WORDS)
    keys = graph.node("Add", graph.node("Mul", first, graph.constant(width, np.int64)), second)
    codes = {}
    for number, pair in enumerate(known.pairs, width):
        a, b = pair.split(" ")
        codes[ids[a] * width + ids[b]] = number
    return graph.node("Concat", words, _lookup(graph, keys, codes), axis=1)


def _forms(written: dict[str, str]) -> dict[str, str]:
    """Every way to write each folded word: those seen, and each of them in lower, upper and title case."""
    forms = {word: word for word in written.values()}
    for form, word in written.items():
        forms |= {
            way: word
            for way in (form.lower(), form.upper(), form.capitalize(), form)
            if fold_case(way) == word
        }
        forms |= {way: word for way in (word.upper(), word.capitalize()) if fold_case(way) == word}
    return forms


def _run_ids(graph: Graph, text: str, known: Entries) -> str:
    """Each run of letters as a number in base 256 behind a leading 1, so that runs of different length differ."""
    codes = {letter: code for code, letter in enumerate(known.alphabet, 1)}
    ways = {
        way: code
        for letter, code in codes.items()
        for way in (letter, letter.upper())
        if len(way) == 1
    }
    ways |= {
        chr(point): codes[fold_case(chr(point))]
        for point in range(0xC0, 0x250)
        if fold_case(chr(point)) in codes
    }
    letters = _lookup(graph, _tokens(graph, text, MOST_CHARS, tokenexp=_CHARS), ways)
    padded = graph.node(
        "Pad", letters, graph.constant([0, 1, 0, 1], np.int64), graph.constant(0, np.int64)
    )
    base = graph.constant(_BASE, np.int64)
    keys, parts = graph.node("Add", padded, base), []
    for size in range(2, max(_RUNS) + 1):
        shifted = graph.node("Mul", _cut(graph, keys, 0, -1), base)
        keys = graph.node("Add", shifted, _cut(graph, padded, size - 1, MOST_CHARS + 2))
        if size in _RUNS:
            parts.append(keys)
    spelled = codes | {_EDGE: 0}
    numbers = {}
    for number, run in enumerate(known.runs, 1):
        key = 1
        for letter in run:
            key = key * _BASE + spelled[letter]
        numbers[key] = number
    return _lookup(graph, graph.node("Concat", *parts, axis=1), numbers)


def _tokens(graph: Graph, text: str, most: int, **how: object) -> str:
    flat = graph.node("Squeeze", text, graph.constant([1], np.int64))
    # The tokenizer makes no second axis of no rows, so one empty row goes with the others and is
    # cut off again.
    padded = graph.node("Concat", flat, graph.constant([""], object), axis=0)
    tokens = graph.node(
        "Tokenizer", padded, domain="com.microsoft", mark=0, pad_value="", mincharnum=1, **how
    )
    bounds = [
        graph.constant(values, np.int64) for values in ([0, 0], [-1, most], [0, 1])
    ]  # starts, ends, axes
    return graph.node("Slice", tokens, *bounds)


def _cut(graph: Graph, tensor: str, start: int, end: int) -> str:
    """Columns `start` up to `end` of a tensor `[N, L]`; fewer where it has fewer."""
    bounds = [graph.constant([value], np.int64) for value in (start, end, 1)]  # start, end, axis
    return graph.node("Slice", tensor, *bounds)


def _lookup(graph: Graph, tensor: str, table: dict[str, int] | dict[int, int]) -> str:
    """Ids of keys; 0 for what is not in the table."""
    keys = "keys_strings" if isinstance(next(iter(table), ""), str) else "keys_int64s"
    more = {keys: list(table), "values_int64s": list(table.values()), "default_int64": 0}
    return graph.node("LabelEncoder", tensor, domain="ai.onnx.ml", **more)


__all__ = ["Vocabulary", "bags", "entries", "fit", "merge"]
