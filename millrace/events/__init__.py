"""Features over time: what happened before a row, and nothing that happened after."""

from millrace.events.check import keys_of, window_columns
from millrace.events.windows import add_windows

__all__ = ["add_windows", "keys_of", "window_columns"]
