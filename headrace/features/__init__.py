"""One graph from raw columns to the matrix: encoders fitted on training rows, compiled to ONNX, applied everywhere."""

from headrace.features.compile import Inputs, add_encoders, add_features, add_sources, groups_of
from headrace.features.encoders.registry import (
    ALTERNATIVES,
    DEFAULTS,
    ENCODERS,
    NUMBERS,
    REPRESENTATIONS,
    Representation,
)
from headrace.features.fit import Encoded, Features, fit_features, refit_means
from headrace.features.graph.bag import Bag, product
from headrace.features.graph.codes import Codes, text_of
from headrace.features.graph.csr import described, outputs_of
from headrace.features.graph.feeds import CODES, GROUPS, Feeds
from headrace.features.graph.graph import Graph
from headrace.features.graph.session import Session, open_session
from headrace.features.graph.text_lookup import open_coded
from headrace.features.plan import plan_columns
from headrace.features.states.levels import spellings
from headrace.features.target import Target, encode_target, target_of

__all__ = [
    "ALTERNATIVES",
    "CODES",
    "DEFAULTS",
    "ENCODERS",
    "GROUPS",
    "NUMBERS",
    "REPRESENTATIONS",
    "Bag",
    "Codes",
    "Encoded",
    "Features",
    "Feeds",
    "Graph",
    "Inputs",
    "Representation",
    "Session",
    "Target",
    "add_encoders",
    "add_features",
    "add_sources",
    "described",
    "encode_target",
    "fit_features",
    "groups_of",
    "open_coded",
    "open_session",
    "outputs_of",
    "plan_columns",
    "product",
    "refit_means",
    "spellings",
    "target_of",
    "text_of",
]
