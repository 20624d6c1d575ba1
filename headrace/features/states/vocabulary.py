r"""The words and runs of characters of a text column, and how a graph finds them.

Markup (`<tag>`, `&entity;`) and all signs but letters, digits and `_` separate words. Case and
accents do not matter: the dictionary has an entry for each way in which a word was written, so that
the graph needs no locale. Words count alone and in pairs. Characters count in runs of 2 to 5 within
a word and its borders, so that a word with a slip of the keyboard still shares most of its runs:

    text    "Lost my <b>card</b>!"
    words   lost  my  card
    pairs   "lost my"  "my card"
    runs    ·l  lo  os  st  t·  ·lo  los  …  card  ard·      (· is the border of a word)

In the graph each text is a row of numbers, 0 for a word that is not known:

    words   ids 1 … W                  lost = 7, my = 2, card = 1    ->  [7, 2, 1]
    pairs   key = first * (W + 1) + second                           ->  [7 * (W + 1) + 2, …]
    runs    key = a leading 1, then a digit in base 256 for each letter, 0 for a border
            "·lo"  with l = 12 and o = 4   ->  ((1 * 256 + 0) * 256 + 12) * 256 + 4
            The leading 1 keeps "lo" and "·lo" apart, whose numbers would otherwise be equal.

Tables turn the keys of pairs and runs into ids again. The ids of a row are a bag (see `graph.bag`).
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
"""The most words, pairs and runs, each, that become columns."""
MOST_WORDS = 400
"""Of a longer text the first words are read."""
MOST_CHARS = 2_000
"""Of a longer text the first characters are read."""
_RUNS = (2, 3, 4, 5)
"""The lengths of runs of characters."""
_GAP = r"(?:<[^<>]*>|&[a-zA-Z0-9#]+;|[^\pL\pN\pM_])+"
_CHARS = _GAP + r"|[\pL\pN\pM_]"
_BASE = 256
_EDGE = "\0"
"""The border of a word in a run of characters."""
_ACCENTED = range(0xC0, 0x250)
"""The code points of Latin letters with accents."""


class Vocabulary(Struct, frozen=True):
    """The number of texts with each (folded) word, pair of words and run of characters.

    `rows` counts all texts, `missing` those that are null or empty. `written` maps each way in
    which a word was written to the folded word.
    """

    rows: int
    missing: int
    words: dict[str, int]
    pairs: dict[str, int]
    runs: dict[str, int]
    written: dict[str, str]

    @property
    def least(self) -> int:
        """The number of texts that an entry must be in."""
        return min(10, 2 + self.rows // 20_000)

    def known(self, counts: dict[str, int], most: int = MOST_GRAMS) -> list[str]:
        """List the entries that are in enough texts, the most frequent first."""
        least = self.least
        frequent = [(-count, text) for text, count in counts.items() if count >= least]
        return [text for _, text in sorted(frequent)[:most]]


class Entries(Struct, frozen=True):
    """The entries of a vocabulary that become columns, each list in the order of its ids.

    Ids begin with 1; those of `pairs` go on where `words` end. `alphabet` lists the letters of
    `runs`.
    """

    words: list[str]
    pairs: list[str]
    runs: list[str]
    alphabet: list[str]


def fit(column: pl.Series) -> Vocabulary:
    """Count the words, pairs and runs of a text column; null and empty text are missing.

    >>> state = fit(pl.Series(["My card", "my CARD!", None]))
    >>> state.words["card"], state.pairs, state.missing
    (2, {'my card': 2}, 1)
    >>> sorted(state.written.items())
    [('CARD', 'card'), ('My', 'my'), ('card', 'card'), ('my', 'my')]
    """
    texts = column.fill_null("").cast(pl.String)
    words = _split_words(texts)
    written = {word: fold_case(word) for word in words["word"].unique().sort().to_list()}
    folded = words.with_columns(pl.col("word").replace_strict(written, return_dtype=pl.String))

    pairs = _pair_words(folded)
    word_counts = _count_texts(folded, "word")

    # Each word is cut into runs once, however many texts have it.
    runs_by_word = {word: sorted(_list_runs(word)) for word in word_counts}
    runs = folded.unique().select(
        "row",
        pl.col("word").replace_strict(runs_by_word, return_dtype=pl.List(pl.String)).alias("run"),
    )
    run_counts = _count_texts(runs.explode("run"), "run")

    return Vocabulary(
        rows=len(texts),
        missing=int((texts == "").sum()),
        words=word_counts,
        pairs=_count_texts(pairs, "pair"),
        runs=run_counts,
        written=written,
    )


def _split_words(texts: pl.Series) -> pl.DataFrame:
    """Split texts into words; return the columns `row` and `word`, in the order of the texts."""
    frame = pl.DataFrame({"row": np.arange(len(texts)), "text": texts.str.replace_all(_GAP, " ")})
    words = pl.col("text").str.strip_chars(" ").str.split(" ").list.head(MOST_WORDS)
    return frame.select("row", words.alias("word")).explode("word").filter(pl.col("word") != "")


def _pair_words(words: pl.DataFrame) -> pl.DataFrame:
    """Join each word with the next one of its row; return the columns `row` and `pair`."""
    is_followed = pl.col("row") == pl.col("row").shift(-1)
    next_word = pl.when(is_followed).then(pl.col("word").shift(-1))
    followed = words.with_columns(next_word.alias("next")).drop_nulls("next")
    return followed.select("row", (pl.col("word") + " " + pl.col("next")).alias("pair"))


def _count_texts(frame: pl.DataFrame, name: str) -> dict[str, int]:
    """Count the rows with each value of a column; a row that repeats a value counts once."""
    counts = frame.unique().group_by(name).len()
    return dict(zip(counts[name].to_list(), counts["len"].to_list(), strict=True))


def _list_runs(word: str) -> set[str]:
    r"""List the runs of characters of a folded word and its borders.

    >>> sorted(_list_runs("ab"))
    ['\x00a', '\x00ab', '\x00ab\x00', 'ab', 'ab\x00', 'b\x00']
    """
    # A comprehension, for speed: this runs for every word of the training texts.
    text = _EDGE + word + _EDGE
    return {text[at : at + size] for size in _RUNS for at in range(len(text) - size + 1)}


def merge(a: Vocabulary, b: Vocabulary) -> Vocabulary:
    """Merge the states of two partitions."""

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


def entries(state: Vocabulary) -> Entries:
    """Choose the entries of a vocabulary that become columns: the frequent ones."""
    words = state.known(state.words)
    known = set(words)
    pairs = [pair for pair in state.known(state.pairs) if known.issuperset(pair.split(" "))]

    # Each letter is one digit in base 256. Digit 0 is the border of a word, or an unknown letter.
    runs = state.known(state.runs)
    letters = Counter("".join(runs).replace(_EDGE, ""))
    frequent = sorted((-count, letter) for letter, count in letters.items())
    alphabet = [letter for _, letter in frequent[: _BASE - 2]]
    spelled = {*alphabet, _EDGE}
    return Entries(words, pairs, [run for run in runs if spelled.issuperset(run)], alphabet)


def bags(graph: Graph, text: str, state: Vocabulary) -> list[Bag]:
    """Add two bags of tf-idf weights of the text `[N, 1]`, of words and of runs of characters.

    Each row of a bag has the length 1. A bag without entries is left out.

        idf = ln((1 + texts) / (1 + texts with the entry)) + 1        (as scikit-learn smooths it)
    """
    known = entries(state)
    graph.numbers_per_entry = max(graph.numbers_per_entry, 1)

    found = []
    if known.words:
        counts = [state.words[word] for word in known.words]
        counts += [state.pairs[pair] for pair in known.pairs]
        ids = _add_word_ids(graph, text, known, state.written)
        found.append(make_bag(graph, ids, _weigh_entries(counts, state.rows), scaled=True))
    if known.runs:
        weights = _weigh_entries([state.runs[run] for run in known.runs], state.rows)
        ids = _add_run_ids(graph, text, known)
        found.append(make_bag(graph, ids, weights, scaled=True))
    return found


def _weigh_entries(counts: list[int], rows: int) -> npt.NDArray[np.float32]:
    """Compute the idf of entries that are in `counts` of `rows` texts, and 0 for entry 0."""
    idf = np.log((1 + rows) / (1 + np.array(counts, np.float64))) + 1
    return np.concatenate([[0.0], idf]).astype(np.float32)


def _add_word_ids(graph: Graph, text: str, known: Entries, written: dict[str, str]) -> str:
    """Add the ids of the words and pairs of the text `[N, 1]`: int64 `[N, L]`."""
    ids = {word: number for number, word in enumerate(known.words, 1)}
    table = {form: ids[word] for form, word in _list_forms(written).items() if word in ids}
    tokens = _add_tokens(graph, text, MOST_WORDS, separators=[_GAP])
    words = _look_up(graph, tokens, table)
    if not known.pairs:
        return words

    width = len(known.words) + 1
    first = _cut(graph, words, 0, -1)
    second = _cut(graph, words, 1, MOST_WORDS)
    shifted = graph.node("Mul", first, graph.constant(width, np.int64))
    keys = graph.node("Add", shifted, second)

    # The ids of pairs go on where those of words end.
    pair_ids = {}
    for number, pair in enumerate(known.pairs, width):
        a, b = pair.split(" ")
        pair_ids[ids[a] * width + ids[b]] = number
    return graph.node("Concat", words, _look_up(graph, keys, pair_ids), axis=1)


def _list_forms(written: dict[str, str]) -> dict[str, str]:
    """List every way to write each folded word.

    These are the ways in the training texts, and each of them in lower, upper and title case.

    >>> _list_forms({"McCoy": "mccoy"})
    {'mccoy': 'mccoy', 'MCCOY': 'mccoy', 'Mccoy': 'mccoy', 'McCoy': 'mccoy'}
    """
    forms = {word: word for word in written.values()}
    for form, word in written.items():
        ways = (form.lower(), form.upper(), form.capitalize(), form)
        for way in (*ways, word.upper(), word.capitalize()):
            # Upper case may make another word: "ı" becomes "I", which folds to "i".
            if fold_case(way) == word:
                forms[way] = word
    return forms


def _add_run_ids(graph: Graph, text: str, known: Entries) -> str:
    """Add the ids of the runs of characters of the text `[N, 1]`: int64 `[N, L]`.

    The keys of all runs of one length come from those of the length before (see the module for the
    numbers). With the letters of "ab" as digits, and 0 for the borders of its word:

        digits       0  a  b  0
        length 1     1·0   1·a   1·b   1·0
        length 2     1·0·a   1·a·b   1·b·0
        length 3     1·0·a·b   1·a·b·0
    """
    codes = {letter: code for code, letter in enumerate(known.alphabet, 1)}
    tokens = _add_tokens(graph, text, MOST_CHARS, tokenexp=_CHARS)
    digits = _look_up(graph, tokens, _list_letters(codes))
    padding = graph.constant([0, 1, 0, 1], np.int64)
    padded = graph.node("Pad", digits, padding, graph.constant(0, np.int64))

    base = graph.constant(_BASE, np.int64)
    keys = graph.node("Add", padded, base)
    blocks = []
    for size in range(2, max(_RUNS) + 1):
        shifted = graph.node("Mul", _cut(graph, keys, 0, -1), base)
        keys = graph.node("Add", shifted, _cut(graph, padded, size - 1, MOST_CHARS + 2))
        if size in _RUNS:
            blocks.append(keys)

    digit_of = codes | {_EDGE: 0}
    ids = {}
    for number, run in enumerate(known.runs, 1):
        key = 1
        for letter in run:
            key = key * _BASE + digit_of[letter]
        ids[key] = number
    return _look_up(graph, graph.node("Concat", *blocks, axis=1), ids)


def _list_letters(codes: dict[str, int]) -> dict[str, int]:
    """List the ways to write each letter, in upper case and with accents, with its code.

    >>> letters = _list_letters({"e": 1})
    >>> letters["e"], letters["E"], letters["é"], letters["Ê"]
    (1, 1, 1, 1)
    """
    ways = {}
    for letter, code in codes.items():
        for way in (letter, letter.upper()):
            # The upper case of some letters is two letters.
            if len(way) == 1:
                ways[way] = code
    for point in _ACCENTED:
        folded = fold_case(chr(point))
        if folded in codes:
            ways[chr(point)] = codes[folded]
    return ways


def _add_tokens(graph: Graph, text: str, most: int, **pattern: object) -> str:
    """Add the tokens of the text `[N, 1]`, `most` of each at most: strings `[N, L]`.

    `pattern` is the tokenizer's own argument: `separators` between words, or `tokenexp`.
    """
    flat = graph.node("Squeeze", text, graph.constant([1], np.int64))

    # The tokenizer's answer to no rows has no second axis. So one empty row goes with the others,
    # and is cut off again.
    padded = graph.node("Concat", flat, graph.constant([""], object), axis=0)
    tokens = graph.node(
        "Tokenizer", padded, domain="com.microsoft", mark=0, pad_value="", mincharnum=1, **pattern
    )
    starts = graph.constant([0, 0], np.int64)
    ends = graph.constant([-1, most], np.int64)
    axes = graph.constant([0, 1], np.int64)
    return graph.node("Slice", tokens, starts, ends, axes)


def _cut(graph: Graph, tensor: str, start: int, end: int) -> str:
    """Cut columns `start` up to `end` out of a tensor `[N, L]`; fewer where it has fewer."""
    starts = graph.constant([start], np.int64)
    ends = graph.constant([end], np.int64)
    axes = graph.constant([1], np.int64)
    return graph.node("Slice", tensor, starts, ends, axes)


def _look_up(graph: Graph, tensor: str, table: dict[str, int] | dict[int, int]) -> str:
    """Add a look-up of the ids of keys; a key that is not in the table has id 0."""
    keys = "keys_strings" if isinstance(next(iter(table), ""), str) else "keys_int64s"
    arguments = {keys: list(table), "values_int64s": list(table.values()), "default_int64": 0}
    return graph.node("LabelEncoder", tensor, domain="ai.onnx.ml", **arguments)


__all__ = ["Vocabulary", "bags", "entries", "fit", "merge"]
