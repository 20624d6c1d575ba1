"""Encodes text: tf-idf of words, pairs and runs of characters, and topics."""

# mypy: ignore-errors

import unicodedata
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.linalg import svds

GAP = r"(?:<[^<>]*>|&[a-zA-Z0-9#]+;|[^\pL\pN\pM_])+"


GRAMS = 20_000


RUNS = (2, 3, 4, 5)


def fold(text: str) -> str:
    """Return a text in lower case and without accents."""
    signs = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in signs if not unicodedata.combining(sign))


def split_words(column: pl.Series) -> list[list[str]]:
    """Split texts into words: markup and signs separate them; 400 words are read."""
    texts = column.fill_null("").cast(pl.String).str.replace_all(GAP, " ").str.strip_chars(" ")
    return [[word for word in text.split(" ") if word][:400] for text in texts.to_list()]


def list_runs(word: str) -> set[str]:
    """List the runs of 2 to 5 characters of a word and its borders."""
    text = "\0" + word + "\0"
    return {text[at : at + size] for size in RUNS for at in range(len(text) - size + 1)}


def list_forms(words: set[str]) -> dict[str, str]:
    """List the ways to write each word: as in the texts, and in lower, upper and title case."""
    forms = {fold(word): fold(word) for word in words}
    for form in sorted(words):
        word = fold(form)
        ways = (form.lower(), form.upper(), form.capitalize(), form)
        for way in (*ways, word.upper(), word.capitalize()):
            if fold(way) == word:
                forms[way] = word
    return forms


def list_letters(alphabet: set[str]) -> dict[str, str]:
    """List the ways to write each letter, in upper case and with accents."""
    letters = {way: letter for letter in alphabet for way in (letter, letter.upper())}
    for point in range(0xC0, 0x250):
        if fold(chr(point)) in alphabet:
            letters[chr(point)] = fold(chr(point))
    return {way: letter for way, letter in letters.items() if len(way) == 1}


def fit_text(column: pl.Series) -> dict[str, Any]:
    """Count words, pairs of words and runs of characters, and choose the frequent ones."""
    written = split_words(column)
    texts = [[fold(word) for word in words] for words in written]
    counts: list[Counter[str]] = [Counter(), Counter(), Counter()]
    for words in texts:
        counts[0].update(set(words))
        counts[1].update({f"{a} {b}" for a, b in pairwise(words)})
        runs: set[str] = set()
        for word in set(words):
            runs |= list_runs(word)
        counts[2].update(runs)

    least = min(10, 2 + len(texts) // 20_000)
    chosen = []
    for count in counts:
        frequent = sorted((-rows, text) for text, rows in count.items() if rows >= least)
        chosen.append([text for _, text in frequent[:GRAMS]])
    words, pairs, runs_known = chosen
    known = set(words)
    pairs = [pair for pair in pairs if known.issuperset(pair.split(" "))]
    letters = Counter("".join(runs_known).replace("\0", ""))
    alphabet = {letter for _, letter in sorted((-n, letter) for letter, n in letters.items())[:254]}
    runs_known = [run for run in runs_known if {*alphabet, "\0"}.issuperset(run)]

    def weigh(entries: list[str], count: Counter[str]) -> list[float]:
        rows = np.array([count[entry] for entry in entries], np.float64)
        return (np.log((1 + len(texts)) / (1 + rows)) + 1).tolist()

    ids = {word: at for at, word in enumerate(words, 1)}
    return {
        "forms": list_forms({word for words in written for word in words}),
        "letters": list_letters(alphabet),
        "words": ids,
        "pairs": {pair: at for at, pair in enumerate(pairs, len(words) + 1)},
        "runs": {run: at for at, run in enumerate(runs_known, 1)},
        "word_weights": np.array([0.0, *weigh(words, counts[0]), *weigh(pairs, counts[1])], "f4"),
        "run_weights": np.array([0.0, *weigh(runs_known, counts[2])], "f4"),
    }


def list_word_ids(state: dict[str, Any], column: pl.Series) -> list[list[int]]:
    """Return the numbers of the words, then of the pairs, of each text."""
    found = []
    for text in split_words(column):
        words = [state["forms"].get(word, "") for word in text]
        pairs = [f"{a} {b}" for a, b in pairwise(words)]
        ids = [state["words"].get(word, 0) for word in words]
        found.append(ids + [state["pairs"].get(pair, 0) for pair in pairs])
    return found


def list_run_ids(state: dict[str, Any], column: pl.Series) -> list[list[int]]:
    """Return the numbers of the runs of each text, the short ones first; 2,000 signs are read."""
    texts = column.fill_null("").cast(pl.String).str.replace_all(GAP, "\0").to_list()
    found = []
    for text in texts:
        # a letter that no frequent run has counts as the border of a word
        letters = "".join(state["letters"].get(sign, "\0") for sign in text[:2_000])
        padded = f"\0{letters}\0"
        runs = [padded[at : at + n] for n in RUNS for at in range(len(padded) - n + 1)]
        found.append([state["runs"].get(run, 0) for run in runs])
    return found


def weigh_bag(ids: list[list[int]], weights: np.ndarray) -> sp.csr_matrix:
    """Return rows of tf-idf weights, each of length 1, from the numbers of their entries."""
    squares = np.square(weights)
    values, columns, ends = [], [], [0]
    for row in ids:
        entries = np.array([entry for entry in row if entry], np.int64)
        total = max(float(squares[entries].astype(np.float64).sum()), 1e-12)
        values.append(weights[entries] * np.float32(1 / total**0.5))
        columns.append(entries - 1)
        ends.append(ends[-1] + len(entries))
    shape = (len(ids), len(weights) - 1)
    parts = (np.concatenate(values), np.concatenate(columns), ends)
    matrix = sp.csr_matrix(parts, shape=shape, dtype=np.float32)
    matrix.sum_duplicates()
    return matrix


def bag_tfidf(state: dict[str, Any], column: pl.Series) -> sp.csr_matrix:
    """A text as its words, pairs of words and runs of characters."""
    bags = []
    if state["words"]:
        bags.append(weigh_bag(list_word_ids(state, column), state["word_weights"]))
    if state["runs"]:
        bags.append(weigh_bag(list_run_ids(state, column), state["run_weights"]))
    return sp.hstack(bags, format="csr")


def fit_topics(column: pl.Series) -> tuple[dict[str, Any], np.ndarray]:
    """Find the 64 first singular vectors of the tf-idf matrix of 50,000 texts at most."""
    state = fit_text(column)
    matrix = bag_tfidf(state, column.gather_every(max(-(-len(column) // 50_000), 1)))
    topics = min(64, matrix.shape[1] - 1, matrix.shape[0] - 1)
    start = np.ones(min(matrix.shape))
    _, _, vectors = svds(matrix.astype(np.float64), topics, v0=start)
    return state, np.ascontiguousarray(vectors[::-1].T, "<f4")


def encode_topics(
    state: tuple[dict[str, Any], np.ndarray], column: pl.Series, double: bool
) -> np.ndarray:
    """A text as a few topics."""
    words, vectors = state
    return bag_tfidf(words, column).astype(np.float64) @ vectors.astype(np.float64)
