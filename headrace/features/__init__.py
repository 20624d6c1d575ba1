"""One graph from raw columns to the matrix of a model.

Encoders are fitted on training rows, compiled to ONNX, and the same graph runs everywhere.
"""

from headrace.features.compile import (
    ModelInputs,
    add_encoders,
    add_features,
    add_sources,
    merge_groups,
)
from headrace.features.encoders.registry import (
    ALTERNATIVES,
    ENCODERS,
    NUMBERS,
    REPRESENTATIONS,
    Representation,
)
from headrace.features.fit import EncoderChoice, Features, FittedEncoder, fit_features, refit_means
from headrace.features.graph.bag import multiply_bag
from headrace.features.graph.codes import Codes, to_text
from headrace.features.graph.csr import describe_bags, list_bag_outputs
from headrace.features.graph.feeds import CODES, Feeds
from headrace.features.graph.graph import Graph
from headrace.features.graph.session import Session, open_session
from headrace.features.graph.text_lookup import open_coded_session
from headrace.features.plan import plan_columns
from headrace.features.states.levels import list_spellings
from headrace.features.target import (
    Target,
    encode_target,
    make_grading,
    make_target,
    read_truth,
)

__all__ = [
    "ALTERNATIVES",
    "CODES",
    "ENCODERS",
    "NUMBERS",
    "REPRESENTATIONS",
    "Codes",
    "EncoderChoice",
    "Features",
    "Feeds",
    "FittedEncoder",
    "Graph",
    "ModelInputs",
    "Representation",
    "Session",
    "Target",
    "add_encoders",
    "add_features",
    "add_sources",
    "describe_bags",
    "encode_target",
    "fit_features",
    "list_bag_outputs",
    "list_spellings",
    "make_grading",
    "make_target",
    "merge_groups",
    "multiply_bag",
    "open_coded_session",
    "open_session",
    "plan_columns",
    "read_truth",
    "refit_means",
    "to_text",
]
