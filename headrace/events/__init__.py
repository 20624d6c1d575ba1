"""Features over time: what happened before a row, and nothing that happened after."""

from headrace.events.check import hop_us, keys_of, window_columns
from headrace.events.fill import fill
from headrace.events.frames import TIME_DIGITS, Frame, Packed, Record, moment_of
from headrace.events.history import times_of
from headrace.events.layout import Layout
from headrace.events.log import Log
from headrace.events.match import match_findings
from headrace.events.merged import NEVER_YET, Merged, merged
from headrace.events.names import Stand
from headrace.events.online import AHEAD_US, Online, Pushed, ahead_of
from headrace.events.opened import log_of, online_of, open_store, store_of
from headrace.events.read import Reader
from headrace.events.store import Store
from headrace.events.streams import Streams
from headrace.events.told import Events
from headrace.events.where import columns_in
from headrace.events.windows import add_windows

__all__ = [
    "AHEAD_US",
    "NEVER_YET",
    "TIME_DIGITS",
    "Events",
    "Frame",
    "Layout",
    "Log",
    "Merged",
    "Online",
    "Packed",
    "Pushed",
    "Reader",
    "Record",
    "Stand",
    "Store",
    "Streams",
    "add_windows",
    "ahead_of",
    "columns_in",
    "fill",
    "hop_us",
    "keys_of",
    "log_of",
    "match_findings",
    "merged",
    "moment_of",
    "online_of",
    "open_store",
    "store_of",
    "times_of",
    "window_columns",
]
