"""Features over time: what happened before a row, and nothing that happened after."""

from millrace.events.check import hop_us, keys_of, window_columns
from millrace.events.fill import fill
from millrace.events.frames import TIME_DIGITS, Frame, Packed, Record, moment_of
from millrace.events.history import times_of
from millrace.events.layout import Layout
from millrace.events.log import Log
from millrace.events.match import match_findings
from millrace.events.merged import NEVER_YET, Merged, merged
from millrace.events.names import Stand
from millrace.events.online import AHEAD_US, Online, Pushed, ahead_of
from millrace.events.opened import log_of, online_of, store_of
from millrace.events.read import Reader
from millrace.events.store import Store, open_store
from millrace.events.streams import Streams
from millrace.events.told import Events
from millrace.events.where import columns_in
from millrace.events.windows import add_windows

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
