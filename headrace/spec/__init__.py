"""The spec of a system: the `System` tree, its strict decoding, and its small vocabularies."""

from headrace.spec.addresses import mask_secrets, resolve_address, show_address
from headrace.spec.aggregates import AGGREGATES
from headrace.spec.data import Data, EventTable, ReadSpec
from headrace.spec.decode import decode, parse_read_flags
from headrace.spec.duration import parse_duration_us
from headrace.spec.evaluate import Treatment
from headrace.spec.features import ColumnSpec, CrossSpec, Encode, FeaturesSpec, Kind, Window
from headrace.spec.gates import Gate, parse_gate
from headrace.spec.goal import DecisionSpec, Gain, Goal
from headrace.spec.labels import format_label
from headrace.spec.load import as_system, dump, load, parse, schema, spec_hash
from headrace.spec.log import LogSpec
from headrace.spec.metrics import (
    METRICS,
    MOST_CUT,
    Metric,
    Task,
    describe_metrics,
    find_metric,
    is_lower_better,
    is_metric,
    list_metrics,
    split_metric,
)
from headrace.spec.models import (
    Calibration,
    Family,
    ForestParams,
    GbdtParams,
    LinearParams,
    Member,
    Models,
    Params,
    Search,
)
from headrace.spec.names import is_date_name, is_time_name, safe_name, split_words
from headrace.spec.node import Name
from headrace.spec.plain import parse_yaml
from headrace.spec.rollout import (
    LOSS,
    STAGES,
    ExperimentSpec,
    Guardrail,
    Policy,
    RolloutMetric,
    RolloutSpec,
    Stage,
    check_shares,
)
from headrace.spec.serve import ServeSpec
from headrace.spec.shared import with_changes, with_root, with_safe_names, with_search
from headrace.spec.split import SplitSpec
from headrace.spec.system import Requirements, System
from headrace.spec.timeparts import PARTS, find_time_parts, join_time_parts, part_of

__all__ = [
    "AGGREGATES",
    "LOSS",
    "METRICS",
    "MOST_CUT",
    "PARTS",
    "STAGES",
    "Calibration",
    "ColumnSpec",
    "CrossSpec",
    "Data",
    "DecisionSpec",
    "Encode",
    "EventTable",
    "ExperimentSpec",
    "Family",
    "FeaturesSpec",
    "ForestParams",
    "Gain",
    "Gate",
    "GbdtParams",
    "Goal",
    "Guardrail",
    "Kind",
    "LinearParams",
    "LogSpec",
    "Member",
    "Metric",
    "Models",
    "Name",
    "Params",
    "Policy",
    "ReadSpec",
    "Requirements",
    "RolloutMetric",
    "RolloutSpec",
    "Search",
    "ServeSpec",
    "SplitSpec",
    "Stage",
    "System",
    "Task",
    "Treatment",
    "Window",
    "as_system",
    "check_shares",
    "decode",
    "describe_metrics",
    "dump",
    "find_metric",
    "find_time_parts",
    "format_label",
    "is_date_name",
    "is_lower_better",
    "is_metric",
    "is_time_name",
    "join_time_parts",
    "list_metrics",
    "load",
    "mask_secrets",
    "parse",
    "parse_duration_us",
    "parse_gate",
    "parse_read_flags",
    "parse_yaml",
    "part_of",
    "resolve_address",
    "safe_name",
    "schema",
    "show_address",
    "spec_hash",
    "split_metric",
    "split_words",
    "with_changes",
    "with_root",
    "with_safe_names",
    "with_search",
]
