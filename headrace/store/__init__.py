"""The online store: what windows need of events, kept as they arrive and read in one round trip."""

from headrace.store.open import open_pusher, open_store
from headrace.store.pusher import MAX_CLOCK_SKEW_US, Pusher, PushResult, clock_ahead_error
from headrace.store.read import WindowReader
from headrace.store.replay import check_replay
from headrace.store.store import Store
from headrace.store.window_features import add_window_features, log_position

__all__ = [
    "MAX_CLOCK_SKEW_US",
    "PushResult",
    "Pusher",
    "Store",
    "WindowReader",
    "add_window_features",
    "check_replay",
    "clock_ahead_error",
    "log_position",
    "open_pusher",
    "open_store",
]
