"""The encoders by name, and which ones a kind of column gets for which family of models."""

from types import ModuleType
from typing import Literal

from headrace.features.encoders import (
    cyclic,
    frequency,
    hash,
    identity,
    log,
    normalize,
    number,
    onehot,
    ordinal,
    parts,
    pca,
    quantile,
    raw,
    standardize,
    target_mean,
    tfidf,
    topics,
)
from headrace.spec import Encode, Kind

Representation = Literal["tree", "linear"]
REPRESENTATIONS: tuple[Representation, ...] = ("tree", "linear")

ENCODERS: dict[str, ModuleType] = {
    "raw": raw,
    "standardize": standardize,
    "quantile": quantile,
    "log": log,
    "ordinal": ordinal,
    "onehot": onehot,
    "frequency": frequency,
    "target": target_mean,
    "hash": hash,
    "number": number,
    "parts": parts,
    "cyclic": cyclic,
    "tfidf": tfidf,
    "topics": topics,
    "pass": identity,
    "normalize": normalize,
    "pca": pca,
}
"""Each module has `fit(column) -> state` and `names(column, state)`; `nodes(graph, …)` where it makes columns of the
matrix, `bags(graph, …)` where it makes wide ones; `merge(a, b) -> state` where the mathematics allows it. Those that
work on codes have `known(state)`."""

SUITABLE: dict[Kind, tuple[Encode, ...]] = {
    "numeric": ("raw", "standardize", "quantile", "log"),
    "boolean": ("raw", "standardize"),
    "categorical": ("ordinal", "onehot", "frequency", "target", "hash", "number"),
    "datetime": ("parts", "cyclic"),
    "text": ("tfidf", "topics"),
    "vector": ("pass", "normalize", "pca"),
    "ignored": (),
}

DEFAULTS: dict[Representation, dict[Kind, list[Encode]]] = {
    "tree": {
        "numeric": ["raw"],
        "boolean": ["raw"],
        "categorical": ["ordinal", "number"],
        "datetime": ["parts"],
        "text": ["topics"],
        "vector": ["pass"],
    },
    "linear": {
        "numeric": ["standardize"],
        "boolean": ["standardize"],
        "categorical": ["onehot"],
        "datetime": ["cyclic"],
        "text": ["tfidf"],
        "vector": ["normalize"],
    },
}

ALTERNATIVES: dict[Representation, dict[Kind, list[list[Encode]]]] = {
    "tree": {
        "categorical": [
            ["ordinal"],
            ["target"],
            ["ordinal", "target"],
            ["ordinal", "target", "frequency"],
            ["ordinal", "number"],
            ["ordinal", "target", "number"],
        ]
    },
    "linear": {
        "numeric": [["standardize"], ["quantile"], ["standardize", "quantile"], ["log"]],
        "categorical": [["onehot"], ["target"], ["onehot", "target"]],
        "vector": [["normalize"], ["pca"]],
    },
}
"""What the search tries in the place of the defaults."""

NUMBERS: tuple[Encode, ...] = ("number",)
"""Encoders of codes that are numbers: a column of text goes without."""

ONLY_WIDE = ("tfidf",)
"""Encoders that make no column of the matrix: trees cannot see them."""
