"""Features over time: what happened before a row, and nothing that happened after."""

from headrace.windows.condition import Condition, columns_in, condition
from headrace.windows.history import NEVER, History, available_in, history, times_of
from headrace.windows.join import add_windows
from headrace.windows.match import match_findings
from headrace.windows.window import check_window, hop_us, keys_of, window_columns

__all__ = [
    "NEVER",
    "Condition",
    "History",
    "add_windows",
    "available_in",
    "check_window",
    "columns_in",
    "condition",
    "history",
    "hop_us",
    "keys_of",
    "match_findings",
    "times_of",
    "window_columns",
]
