"""The encoders by name, and which one a kind of column gets for which family of models."""

from types import ModuleType
from typing import Literal

from millrace.features import cyclic, frequency, onehot, ordinal, parts, raw, standardize
from millrace.spec import Kind

Representation = Literal["tree", "linear"]
REPRESENTATIONS: tuple[Representation, ...] = ("tree", "linear")

ENCODERS: dict[str, ModuleType] = {
    "raw": raw,
    "standardize": standardize,
    "ordinal": ordinal,
    "onehot": onehot,
    "frequency": frequency,
    "parts": parts,
    "cyclic": cyclic,
}
"""Each module has `fit(column) -> state`, `merge(a, b) -> state`, `names(column, state)` and `nodes(graph, …)`."""

SUITABLE: dict[Kind, tuple[str, ...]] = {
    "numeric": ("raw", "standardize"),
    "boolean": ("raw", "standardize"),
    "categorical": ("ordinal", "onehot", "frequency"),
    "datetime": ("parts", "cyclic"),
    "ignored": (),
}

DEFAULTS: dict[Representation, dict[Kind, str]] = {
    "tree": {"numeric": "raw", "boolean": "raw", "categorical": "ordinal", "datetime": "parts"},
    "linear": {"numeric": "standardize", "boolean": "standardize", "categorical": "onehot", "datetime": "cyclic"},
}
