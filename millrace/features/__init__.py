"""One graph from raw columns to the matrix: encoders fitted on training rows, compiled to ONNX, applied everywhere."""

from millrace.features.compile import add_features
from millrace.features.encoders import DEFAULTS, ENCODERS, REPRESENTATIONS, Representation
from millrace.features.feeds import GROUPS, Feeds, feeds_from_frame
from millrace.features.fit import Encoded, Features, fit_features, plan_columns
from millrace.features.front import coded_feeds, without_front
from millrace.features.graph import Graph
from millrace.features.session import Session, open_session
from millrace.features.target import Target, encode_target, target_of

__all__ = [
    "DEFAULTS",
    "ENCODERS",
    "GROUPS",
    "REPRESENTATIONS",
    "Encoded",
    "Features",
    "Feeds",
    "Graph",
    "Representation",
    "Session",
    "Target",
    "add_features",
    "coded_feeds",
    "encode_target",
    "feeds_from_frame",
    "fit_features",
    "open_session",
    "plan_columns",
    "target_of",
    "without_front",
]
