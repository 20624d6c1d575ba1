"""The online store: what windows need of events, kept as they arrive and read in one round trip."""

from headrace.store.open import log_of, online_of, store_of
from headrace.store.push import AHEAD_US, Online, Pushed, ahead_of
from headrace.store.read import Reader
from headrace.store.replay import replayed
from headrace.store.store import Store

__all__ = [
    "AHEAD_US",
    "Online",
    "Pushed",
    "Reader",
    "Store",
    "ahead_of",
    "log_of",
    "online_of",
    "replayed",
    "store_of",
]
