"""The parts of an ejected script: scikit-learn, LightGBM and Polars, nothing of Headrace.

`script.py` copies the functions that a model needs, in the order of this file. What a function
computes is what the encoder or the family of the same name computes, digit by digit: the fits of
both see the same numbers.
"""

# mypy: ignore-errors

import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.linalg import svds
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import murmurhash3_32

SETTINGS: dict[str, Any] = {}

DAY_US = 86_400_000_000
GAP = r"(?:<[^<>]*>|&[a-zA-Z0-9#]+;|[^\pL\pN\pM_])+"
GRAMS = 20_000
RUNS = (2, 3, 4, 5)


def read_table(path: str) -> pl.DataFrame:
    """Read the table that the model is fitted on, each column in its type."""
    file = Path(__file__).parent / path
    if not file.exists():
        sys.exit(f"{file}: no such table; put it there, or give its path: python train.py TABLE")
    if file.suffix in (".parquet", ".pq"):
        raw = pl.read_parquet(file)
    elif file.suffix in (".arrow", ".ipc", ".feather"):
        raw = pl.read_ipc(file)
    elif file.suffix in (".ndjson", ".jsonl"):
        raw = pl.read_ndjson(file, infer_schema_length=None)
    else:
        raw = pl.read_csv(file, separator=SETTINGS["separator"], infer_schema=False)
    raw = raw.rename({name: name.strip() for name in raw.columns})
    return pl.DataFrame([convert(raw[name], dtype) for name, dtype in SETTINGS["types"].items()])


def convert(column: pl.Series, dtype: str) -> pl.Series:
    """Convert a column; words that mean missing become null."""
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        column = text.set(text.is_in(["", *SETTINGS["missing"]]), None)
    if dtype == "string":
        return as_text(column)
    if dtype == "boolean":
        return as_text(column).str.to_lowercase().replace_strict({"true": True, "false": False})
    if dtype == "datetime":
        if column.dtype == pl.String:
            column = column.str.to_datetime(time_unit="us", strict=True)
        return column.cast(pl.Datetime("us"))
    if dtype == "integer":
        return column.cast(pl.Float64).cast(pl.Int64) if column.dtype == pl.String else column
    return column.cast(pl.Float64)


def as_text(column: pl.Series) -> pl.Series:
    """Write values as text: 5 and 5.0 are one value, true and false are lower case."""
    if not column.dtype.is_float():
        return column.cast(pl.String)
    texts = []
    for value in column.to_list():
        is_whole = value is not None and value.is_integer()
        texts.append(None if value is None else str(int(value) if is_whole else value))
    return pl.Series(column.name, texts, pl.String)


def encode_target(column: pl.Series) -> np.ndarray:
    """Return the target as numbers: the number of its class, or its value."""
    if not SETTINGS["classes"]:
        return column.cast(pl.Float64).to_numpy().copy()
    numbers = {label: float(at) for at, label in enumerate(SETTINGS["classes"])}
    return as_text(column).replace_strict(numbers, return_dtype=pl.Float64).to_numpy().copy()


def to_numbers(column: pl.Series, double: bool) -> np.ndarray:
    """Return a column as float64 with NaN; rounded to float32 where that loses nothing."""
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values if double else values.astype(np.float32).astype(np.float64)


def fit_moments(column: pl.Series) -> dict[str, float]:
    """Compute mean, deviation and range of the finite values, and count the missing ones."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    values = values[~np.isnan(values)]
    finite = values[np.isfinite(values)]
    missing = len(column) - len(values)
    if not len(finite):
        return {"missing": missing, "mean": 0.0, "scale": 1.0, "low": 0.0, "high": 0.0}
    mean = float(finite.mean())
    deviation = (float(np.square(finite - mean).sum()) / len(finite)) ** 0.5
    scale = deviation if deviation > 0 and np.isfinite(deviation) else 1.0
    low, high = float(finite.min()), float(finite.max())
    return {"missing": missing, "mean": mean, "scale": scale, "low": low, "high": high}


def encode_raw(state: dict[str, float], column: pl.Series, double: bool) -> np.ndarray:
    """A number as it is; one that float32 would round is centred first."""
    values = to_numbers(column, double)
    return (values - state["mean"] if double else values)[:, None]


def scale(state: dict[str, float], values: np.ndarray) -> np.ndarray:
    """Centre and scale values, clip them to the training range, and flag missing ones."""
    absent = np.isnan(values)
    scaled = np.where(absent, 0.0, (values - state["mean"]) / state["scale"])
    low = (state["low"] - state["mean"]) / state["scale"]
    high = (state["high"] - state["mean"]) / state["scale"]
    columns = [np.minimum(np.maximum(scaled, low), high)]
    return np.column_stack([*columns, absent] if state["missing"] else columns)


def encode_standardize(state: dict[str, float], column: pl.Series, double: bool) -> np.ndarray:
    """A number with mean 0 and deviation 1."""
    return scale(state, to_numbers(column, double))


def fit_log(column: pl.Series) -> dict[str, float]:
    """Compute the moments of the logarithms."""
    values = column.cast(pl.Float64).to_numpy()
    logarithms = np.sign(values) * np.log1p(np.abs(values))
    return fit_moments(pl.Series(column.name, logarithms, nan_to_null=True))


def encode_log(state: dict[str, float], column: pl.Series, double: bool) -> np.ndarray:
    """A number on a logarithmic scale, standardized."""
    values = to_numbers(column, double)
    return scale(state, np.sign(values) * np.log(np.abs(values) + 1.0))


def fit_quantile(column: pl.Series) -> tuple[np.ndarray, np.ndarray, int]:
    """Find 33 quantiles; several that share a value become one, with the mean of their shares."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return np.array([0.0]), np.array([0.5]), len(column)
    shares = np.linspace(0, 1, 33)
    x, index = np.unique(np.quantile(values, shares), return_inverse=True)
    return x, np.bincount(index, shares) / np.bincount(index), column.null_count()


def encode_quantile(
    state: tuple[np.ndarray, np.ndarray, int], column: pl.Series, double: bool
) -> np.ndarray:
    """A number as its rank among the training rows, with deviation 1."""
    x, y, missing = state
    values = to_numbers(column, double)
    absent = np.isnan(values)
    filled = np.where(absent, 0.0, values)[:, None]
    ramps = np.clip((filled - x[:-1]) / np.diff(x), 0.0, 1.0) * np.diff(y)
    ranks = np.where(absent, 0.0, (ramps.sum(axis=1) + (y[0] - 0.5)) * 12**0.5)
    return np.column_stack([ranks, absent] if missing else [ranks])


def fit_levels(column: pl.Series) -> dict[str, Any]:
    """Count the values of a category; those of two rows or more get a code, the frequent first."""
    text = as_text(column)
    present = text.drop_nulls().to_list()
    counts = Counter(present)
    known = [word for _, word in sorted((-n, word) for word, n in counts.items() if n >= 2)]
    return {"counts": counts, "known": known, "rows": len(text), "missing": text.null_count()}


def find_codes(state: dict[str, Any], column: pl.Series) -> np.ndarray:
    """Return the code of each row: 1, 2, … for known values, 0 for others, -1 for missing."""
    codes = {word: float(code) for code, word in enumerate(state["known"], 1)}
    found = as_text(column).replace_strict(codes, default=0.0, return_dtype=pl.Float64)
    missing = -1.0 if state["missing"] else 0.0
    return np.where(column.is_null().to_numpy(), missing, found.to_numpy())


def encode_ordinal(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as its rank by frequency."""
    return find_codes(state, column)[:, None]


def encode_frequency(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as the share of training rows that have it."""
    counts, known, rows = state["counts"], state["known"], state["rows"]
    rare = len(counts) - len(known)
    rare_rows = rows - state["missing"] - sum(counts[word] for word in known)
    rare_share = rare_rows / rare / rows if rare else 0.0
    table = [state["missing"] / rows, rare_share, *(counts[word] / rows for word in known)]
    return np.array(table)[find_codes(state, column).astype(np.int64) + 1][:, None]


def encode_onehot(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as a column of 0 and 1 for each of its hundred most frequent values."""
    codes = find_codes(state, column)
    codes = np.where(codes > 100, 0.0, codes)
    known = state["known"][:100]
    wanted = list(range(1, len(known) + 1))
    if state["rows"] - state["missing"] > sum(state["counts"][word] for word in known):
        wanted.append(0)
    if state["missing"]:
        wanted.append(-1)
    return codes[:, None] == np.array(wanted, np.float64)


def fit_means(column: pl.Series, y: np.ndarray) -> dict[str, Any]:
    """Estimate the mean of the target of each value, drawn towards the mean of all rows."""
    state = fit_levels(column)
    outputs = y.shape[1]
    names = [f"y{at}" for at in range(outputs)]
    targets = [pl.Series(name, y[:, at]) for at, name in enumerate(names)]
    frame = pl.DataFrame({"value": as_text(column).fill_null("")}).hstack(targets)
    sums = frame.group_by("value").agg(
        pl.col(names).sum().name.suffix("_sum"), (pl.col(names) ** 2).sum().name.suffix("_square")
    )
    by_value = {row[0]: row[1:] for row in sums.sort("value").iter_rows()}
    missing_sums = np.array(by_value.pop("", (0.0,) * 2 * outputs)[:outputs])
    every = np.array([row[:outputs] for row in by_value.values()]).reshape(-1, outputs).sum(axis=0)
    known = state["known"]
    counts = np.array([state["counts"][word] for word in known], np.float64)
    totals = np.array([by_value[word][:outputs] for word in known]).reshape(len(known), outputs)
    squares = np.array([by_value[word][outputs:] for word in known]).reshape(len(known), outputs)

    prior = (every + missing_sums) / max(state["rows"], 1)
    m = prior_rows(counts, totals, squares)
    rare_rows = state["rows"] - state["missing"] - int(counts.sum())
    rows = np.concatenate([[state["missing"], rare_rows], counts])[:, None]
    targets = np.vstack([missing_sums, every - totals.sum(axis=0), totals])
    return state | {"means": (targets + m * prior) / (rows + m)}


def prior_rows(counts: np.ndarray, totals: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Estimate how many rows the prior is worth (empirical Bayes, method of moments)."""
    groups, rows = len(counts), counts.sum()
    if groups < 2 or rows <= groups:
        return np.full(totals.shape[1], 10.0)
    means = totals / counts[:, None]
    within = np.maximum((squares - counts[:, None] * means**2).sum(axis=0), 0) / (rows - groups)
    spread = (counts[:, None] * (means - totals.sum(axis=0) / rows) ** 2).sum(axis=0)
    between = (spread - (groups - 1) * within) / (rows - (counts**2).sum() / rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(between > 0, within / between, 1000.0), 1.0, 1000.0)


def encode_target_mean(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as the mean of the target among its rows."""
    return state["means"][find_codes(state, column).astype(np.int64) + 1]


def fit_span(column: pl.Series) -> list[str]:
    """Find the cycles that the training rows went through twice; `missing` where a time lacks."""
    times = column.drop_nulls().to_physical()
    if not len(times):
        return []
    days = (times.max() - times.min()) / DAY_US
    lengths = {"day": 1, "week": 7, "month": 31, "year": 366}
    cycles = [name for name, length in lengths.items() if days >= 2 * length]
    if not (times % DAY_US != 0).any():
        cycles = [name for name in cycles if name != "day"]
    return [*cycles, "missing"] if column.null_count() else cycles


def encode_parts(state: list[str], column: pl.Series, double: bool) -> np.ndarray:
    """A time as month, day, weekday, hour and minute, missing as NaN."""
    parts = {
        "month": ("year", column.dt.month()),
        "day_of_year": ("year", column.dt.ordinal_day()),
        "day": ("month", column.dt.day()),
        "weekday": ("week", column.dt.weekday() - 1),
        "hour": ("day", column.dt.hour()),
        "minute": ("day", column.dt.hour().cast(pl.Int32) * 60 + column.dt.minute()),
    }
    found = [to_numbers(part, False) for cycle, part in parts.values() if cycle in state]
    return np.column_stack(found) if found else np.empty((len(column), 0))


def encode_cyclic(state: list[str], column: pl.Series, double: bool) -> np.ndarray:
    """A time as points on circles; a missing one is the centre."""
    minutes = column.dt.hour().cast(pl.Int32) * 60 + column.dt.minute()
    turns = {
        "year": (to_numbers(column.dt.ordinal_day(), False) - 1) / 366,
        "month": (to_numbers(column.dt.day(), False) - 1) / 31,
        "week": (to_numbers(column.dt.weekday(), False) - 1) / 7,
        "day": to_numbers(minutes, False) / 1440,
    }
    columns = []
    for cycle, turn in turns.items():
        if cycle in state:
            columns += [np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)]
    columns = [np.where(np.isnan(values), 0.0, values) for values in columns]
    if columns and "missing" in state:
        columns.append(column.is_null().to_numpy())
    return np.column_stack(columns) if columns else np.empty((len(column), 0))


def bag_onehot(state: dict[str, Any], column: pl.Series) -> sp.csr_matrix:
    """A category of many values as one entry of a sparse row."""
    codes = find_codes(state, column).astype(np.int64) + 1
    ones = np.ones(len(codes), np.float32)
    shape = (len(codes), len(state["known"]) + 2)
    return sp.csr_matrix((ones, (np.arange(len(codes)), codes)), shape=shape)


def fit_hash(column: pl.Series) -> int:
    """Learn nothing."""
    return len(column)


def find_buckets(column: pl.Series, buckets: int) -> np.ndarray:
    """Return the bucket of each value, by MurmurHash3."""
    texts = as_text(column).fill_null("").to_list()
    hashes = [murmurhash3_32(text.encode(), positive=True) for text in texts]
    return np.array(hashes, np.int64) & (buckets - 1)


def encode_hash(state: int, column: pl.Series, double: bool) -> np.ndarray:
    """A category as the number of one of 1,024 buckets."""
    return find_buckets(column, 1_024).astype(np.float64)[:, None]


def bag_hash(state: int, column: pl.Series) -> sp.csr_matrix:
    """A category as one of 65,536 columns."""
    buckets = find_buckets(column, 65_536)
    ones = np.ones(len(buckets), np.float32)
    return sp.csr_matrix((ones, (np.arange(len(buckets)), buckets)), shape=(len(buckets), 65_536))


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


ENCODERS: dict[str, Any] = {
    "raw": (fit_moments, encode_raw),
    "number": (fit_moments, encode_raw),
    "standardize": (fit_moments, encode_standardize),
    "log": (fit_log, encode_log),
    "quantile": (fit_quantile, encode_quantile),
    "ordinal": (fit_levels, encode_ordinal),
    "frequency": (fit_levels, encode_frequency),
    "onehot": (fit_levels, encode_onehot),
    "target": (fit_means, encode_target_mean),
    "hash": (fit_hash, encode_hash),
    "parts": (fit_span, encode_parts),
    "cyclic": (fit_span, encode_cyclic),
    "topics": (fit_topics, encode_topics),
}
BAGS: dict[str, Any] = {
    "onehot": (fit_levels, bag_onehot),
    "hash": (fit_hash, bag_hash),
    "tfidf": (fit_text, bag_tfidf),
}


def spread_target(y: np.ndarray) -> np.ndarray:
    """Return the numbers whose means are target means: one column, or one for each class."""
    if len(SETTINGS["classes"]) > 2:
        return np.eye(len(SETTINGS["classes"]))[y.astype(np.int64)]
    return y[:, None]


def fit_encoders(member: dict[str, Any], frame: pl.DataFrame, y: np.ndarray) -> list[Any]:
    """Fit each encoder of a member."""
    states = []
    for encode, name, _ in member["columns"]:
        fit, _ = ENCODERS[encode]
        targets = (spread_target(y),) if encode == "target" else ()
        states.append(fit(frame[name], *targets))
    for encode, name in member["bags"]:
        states.append(BAGS[encode][0](frame[name]))
    return states


def encode(member: dict[str, Any], states: list[Any], frame: pl.DataFrame) -> Any:
    """Encode rows: a float32 matrix, with sparse columns behind it where a member has bags."""
    blocks = [np.empty((frame.height, 0))]
    for (name, column, double), state in zip(member["columns"], states, strict=False):
        blocks.append(ENCODERS[name][1](state, frame[column], double))
    X = np.hstack(blocks).astype(np.float32)
    if not member["bags"]:
        return X
    bags = [sp.csr_matrix(X)]
    for (name, column), state in zip(member["bags"], states[len(member["columns"]) :], strict=True):
        bags.append(BAGS[name][1](state, frame[column]))
    return sp.hstack(bags, format="csr")


def replace_means(member: dict[str, Any], X: Any, frame: pl.DataFrame, y: np.ndarray) -> Any:
    """Put target means that other rows were fitted on in the place of a row's own."""
    rows = pl.read_parquet(Path(__file__).parent / "rows.parquet")
    targets = spread_target(y)
    at = 0
    for encode_name, name, _ in member["columns"]:
        width = member["widths"][at]
        start = sum(member["widths"][:at])
        at += 1
        if encode_name != "target":
            continue
        means = np.tile(targets.mean(axis=0), (len(y), 1)).astype(np.float32)
        first = rows["predicted_in"].is_null().to_numpy()
        if first.any():
            means[first] = targets[first].mean(axis=0)
        for fold_number in range(SETTINGS["folds"]):
            fit = rows[f"fit_{fold_number}"].to_numpy()
            predict = (rows["predicted_in"] == fold_number).fill_null(False).to_numpy()
            state = fit_means(frame[name].filter(pl.Series(fit)), targets[fit])
            column = frame[name].filter(pl.Series(predict))
            means[predict] = encode_target_mean(state, column, False)
        if sp.issparse(X):
            dense = X[:, : sum(member["widths"])].toarray()
            dense[:, start : start + width] = means
            X = sp.hstack([sp.csr_matrix(dense), X[:, sum(member["widths"]) :]], format="csr")
        else:
            X[:, start : start + width] = means
    return X


TRAINING: dict[str, Any] = {"target": replace_means}
"""The encoders that show a row in training something else than in service."""


def fit_linear(member: dict[str, Any], X: Any, y: np.ndarray, weight: Any) -> Any:
    """Fit a logistic, multinomial or ridge regression."""
    if not sp.issparse(X):
        X = X.astype(np.float64)
    rows = float(len(y) if weight is None else weight.sum())
    penalty = member["l2"] * rows
    if not SETTINGS["classes"]:
        return Ridge(alpha=penalty).fit(X, y, weight)
    model = LogisticRegression(C=1 / penalty, tol=1e-4, max_iter=500, warm_start=True)
    return model.fit(X, y, weight)


def predict_linear(member: dict[str, Any], model: Any, X: Any) -> np.ndarray:
    """Compute raw scores; a class that no fitted row had gets one that no other falls below."""
    weights, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    raw = np.asarray(X.astype(np.float64) @ weights.T) + bias
    if len(SETTINGS["classes"]) < 3:
        return raw[:, 0]
    scores = np.full((X.shape[0], len(SETTINGS["classes"])), -100.0)
    fitted = model.classes_.astype(np.int64)
    scores[:, fitted] = (
        np.column_stack([np.zeros(len(raw)), raw[:, 0]]) if len(fitted) == 2 else raw
    )
    return scores


def prepare_sets(member: dict[str, Any], X: np.ndarray) -> np.ndarray:
    """Return the matrix as LightGBM reads categories: a missing code is NaN."""
    if not member["sets"]:
        return X
    X = X.copy()
    codes = X[:, member["sets"]]
    X[:, member["sets"]] = np.where(codes < 0, np.nan, codes)
    return X


def fit_gbdt(member: dict[str, Any], X: np.ndarray, y: np.ndarray, weight: Any) -> Any:
    """Fit LightGBM's trees; the mean of a regression target is taken out first."""
    offset = float(np.average(y, weights=weight)) if member["centred"] else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        centres = X.mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)
    for at in np.flatnonzero(~np.isfinite(centres)):
        finite = X[np.isfinite(X[:, at]), at].astype(np.float64)
        centres[at] = np.nan if np.isnan(X[:, at]).any() or not len(finite) else finite.mean()
    data = lightgbm.Dataset(
        prepare_sets(member, X),
        y - offset,
        weight=weight,
        categorical_feature=member["sets"],
        params=member["settings"],
    )
    return lightgbm.train(member["settings"], data, member["rounds"]), offset, centres


def predict_gbdt(member: dict[str, Any], model: Any, X: np.ndarray) -> np.ndarray:
    """Compute raw scores; a value that was never missing in training counts as the mean."""
    booster, offset, centres = model
    absent = np.isnan(X) & ~np.isnan(centres)
    X = np.where(absent, centres.astype(np.float32), X)
    return np.asarray(booster.predict(X, num_iteration=member["rounds"], raw_score=True)) + offset


def fit_baseline(member: dict[str, Any], X: Any, y: np.ndarray, weight: Any) -> Any:
    """Take the mean of the target, or the logarithm of each class's share."""
    classes = len(SETTINGS["classes"])
    if not classes:
        return np.array([np.average(y, weights=weight)])
    counts = np.bincount(y.astype(np.int64), weights=weight, minlength=classes)
    logs = np.log(np.maximum(counts / counts.sum(), 1e-12))
    return logs if classes > 2 else logs[1:] - logs[:1]


def predict_baseline(member: dict[str, Any], model: Any, X: Any) -> np.ndarray:
    """Repeat the constant for every row."""
    return np.full(X.shape[0], model[0]) if len(model) == 1 else np.tile(model, (X.shape[0], 1))


FAMILIES: dict[str, Any] = {
    "linear": (fit_linear, predict_linear),
    "gbdt": (fit_gbdt, predict_gbdt),
    "baseline": (fit_baseline, predict_baseline),
}


def to_scores(raw: np.ndarray) -> np.ndarray:
    """Turn raw scores into probabilities, or leave values as they are."""
    if not SETTINGS["classes"]:
        return raw
    return expit(raw) if raw.ndim == 1 else softmax(raw, axis=1)


def to_raw(scores: np.ndarray) -> np.ndarray:
    """Turn probabilities into raw scores."""
    inside = np.clip(scores.astype(np.float64), 1e-12, 1 - 1e-12)
    return np.log(inside) - np.log1p(-inside) if scores.ndim == 1 else np.log(inside)


def calibrate(scores: np.ndarray) -> np.ndarray:
    """Calibrate scores as the run has chosen."""
    calibration = SETTINGS["calibration"]
    if calibration is None:
        return scores
    raw = to_raw(scores)
    if calibration["method"] == "isotonic":
        return np.interp(raw, calibration["x"], calibration["y"])
    return to_scores(raw * calibration["slope"] + calibration["intercept"])


def fit_models(frame: pl.DataFrame) -> list[Any]:
    """Fit every member on the rows that the run has chosen."""
    rows = pl.read_parquet(Path(__file__).parent / "rows.parquet")
    frame = frame.filter(frame[SETTINGS["target"]].is_not_null())[rows["row"]]
    y = encode_target(frame[SETTINGS["target"]])
    drawn = rows["drawn"].to_numpy()
    weight = rows["weight"].to_numpy()[drawn] if "weight" in rows.columns else None
    models = []
    for member in SETTINGS["members"]:
        states = fit_encoders(member, frame, y)
        X = encode(member, states, frame)
        for replace in TRAINING.values():
            X = replace(member, X, frame, y)
        fit, _ = FAMILIES[member["family"]]
        models.append((states, fit(member, X[drawn], y[drawn], weight)))
    return models


def predict(models: list[Any], frame: pl.DataFrame) -> np.ndarray:
    """Predict rows: probabilities of the event, probabilities of each class, or values."""
    total: Any = 0.0
    weights = sum(member["weight"] for member in SETTINGS["members"])
    for member, (states, model) in zip(SETTINGS["members"], models, strict=True):
        raw = FAMILIES[member["family"]][1](member, model, encode(member, states, frame))
        scores = to_scores(raw + np.array(SETTINGS["shift"]) if SETTINGS["shift"] else raw)
        total = total + member["weight"] / weights * scores
    return calibrate(total)


def main() -> None:
    """Fit the model, predict the test rows, and compare with the predictions of the bundle."""
    source = sys.argv[1] if len(sys.argv) > 1 else SETTINGS["source"]
    models = fit_models(read_table(source))
    folder = Path(__file__).parent
    found = predict(models, pl.read_parquet(folder / "holdout.parquet"))
    predictions = pl.read_parquet(folder / "predictions.parquet")
    stored = predictions.select(SETTINGS["predictions"]).to_numpy().astype(np.float64)
    stored = stored[:, 0] if found.ndim == 1 else stored
    largest = float((np.abs(found - stored) / np.maximum(1.0, np.abs(stored))).max(initial=0.0))
    print(f"largest difference to the bundle's {len(stored):,} test predictions: {largest:.3g}")
    sys.exit(0 if largest <= 1e-6 else 1)


if __name__ == "__main__":
    main()
