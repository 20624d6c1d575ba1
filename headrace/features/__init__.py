"""One graph from raw columns to the matrix: encoders fitted on training rows, compiled to ONNX, applied everywhere."""

from headrace.features.bag import Bag, product
from headrace.features.codes import Codes, text_of
from headrace.features.compile import Inputs, add_encoders, add_features, add_sources, groups_of
from headrace.features.encoders import ALTERNATIVES, DEFAULTS, ENCODERS, NUMBERS, REPRESENTATIONS, Representation
from headrace.features.feeds import CODES, GROUPS, Feeds
from headrace.features.fit import Encoded, Features, fit_features, refit_means
from headrace.features.front import open_coded
from headrace.features.graph import Graph
from headrace.features.levels import spellings
from headrace.features.plan import plan_columns
from headrace.features.session import Session, open_session
from headrace.features.sparse import described, outputs_of
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
