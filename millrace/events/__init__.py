"""Features over time: what happened before a row, and nothing that happened after."""

from millrace.events.windows import add_windows, keys_of, window_columns

__all__ = ["add_windows", "keys_of", "window_columns"]
