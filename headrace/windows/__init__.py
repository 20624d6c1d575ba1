"""Features over time: aggregates of the events before each row that were known at its time."""

from headrace.windows.condition import Condition, condition_columns, parse_condition
from headrace.windows.history import NEVER, History, available_times, build_history, to_times
from headrace.windows.join import add_windows
from headrace.windows.match import check_keys_match
from headrace.windows.states import State
from headrace.windows.window import check_window, hop_us, window_columns, window_keys

__all__ = [
    "NEVER",
    "Condition",
    "History",
    "State",
    "add_windows",
    "available_times",
    "build_history",
    "check_keys_match",
    "check_window",
    "condition_columns",
    "hop_us",
    "parse_condition",
    "to_times",
    "window_columns",
    "window_keys",
]
