"""The online store: what windows need of events, kept as they arrive and read in one round trip."""

from headrace.store.open import open_log, open_pusher, open_store
from headrace.store.push import MAX_CLOCK_SKEW_US, Pusher, PushResult, clock_ahead_error
from headrace.store.read import WindowReader
from headrace.store.replay import check_replay
from headrace.store.store import Store

__all__ = [
    "MAX_CLOCK_SKEW_US",
    "PushResult",
    "Pusher",
    "Store",
    "WindowReader",
    "check_replay",
    "clock_ahead_error",
    "open_log",
    "open_pusher",
    "open_store",
]
