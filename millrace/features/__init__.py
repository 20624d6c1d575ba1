"""One graph from raw columns to the matrix: encoders fitted on training rows, compiled to ONNX, applied everywhere."""

from millrace.features.bag import Bag, product
from millrace.features.codes import Codes, text_of
from millrace.features.compile import Inputs, add_encoders, add_features, add_sources, groups_of
from millrace.features.encoders import ALTERNATIVES, DEFAULTS, ENCODERS, NUMBERS, REPRESENTATIONS, Representation
from millrace.features.feeds import CODES, GROUPS, Feeds
from millrace.features.fit import Encoded, Features, fit_features, refit_means
from millrace.features.front import open_coded
from millrace.features.graph import Graph
from millrace.features.levels import spellings
from millrace.features.plan import plan_columns
from millrace.features.session import Session, open_session
from millrace.features.sparse import described, outputs_of
from millrace.features.target import Target, encode_target, target_of

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
