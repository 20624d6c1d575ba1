"""Features over time: aggregates of the events before each row that were known at its time."""

from headrace.windows.condition import Condition, list_condition_columns, parse_condition
from headrace.windows.history import (
    NEVER,
    History,
    build_history,
    convert_times,
    read_available_times,
)
from headrace.windows.join import add_windows
from headrace.windows.match import check_keys_match
from headrace.windows.states import State
from headrace.windows.window import check_window, find_hop_us, list_columns, list_keys

__all__ = [
    "NEVER",
    "Condition",
    "History",
    "State",
    "add_windows",
    "build_history",
    "check_keys_match",
    "check_window",
    "convert_times",
    "find_hop_us",
    "list_columns",
    "list_condition_columns",
    "list_keys",
    "parse_condition",
    "read_available_times",
]
