"""The encoders by name, and the encoders of each kind of column for each family of models.

Each encoder is a module with these functions:

    fit(column) -> state        learn from training rows; `target` takes `y (N, outputs)` as well
    merge(a, b) -> state        merge the states of two partitions, where the mathematics allows it
    names(column, state)        name its columns of the matrix, or the entries of its bags
    known(state)                list the values with a code, where it reads codes and no text
    nodes(graph, source, columns, states, width) -> tensor [N, names]
                                compute columns of the matrix; encoders of vectors take one column a
                                call, encoders of numbers say with `double` whether they get float64
    bags(graph, text, state) -> bags
                                compute wide columns, which the matrix could not hold
"""

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
"""The form of the inputs that a family of models wants."""
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
"""The modules of all encoders by their names in the spec, in the order of the matrix."""

SUITABLE: dict[Kind, tuple[Encode, ...]] = {
    "numeric": ("raw", "standardize", "quantile", "log"),
    "boolean": ("raw", "standardize"),
    "categorical": ("ordinal", "onehot", "frequency", "target", "hash", "number"),
    "datetime": ("parts", "cyclic"),
    "text": ("tfidf", "topics"),
    "vector": ("pass", "normalize", "pca"),
    "ignored": (),
}
"""The encoders that a spec may name for each kind of column."""

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
"""The encoders of each kind of column where the spec names none."""

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
"""The encoders that the search tries in the place of the defaults."""

NUMBERS: tuple[Encode, ...] = ("number",)
"""Encoders that need codes which are numbers: a column of text does without them."""

ONLY_WIDE = ("tfidf",)
"""Encoders that make bags alone, which trees cannot use."""
