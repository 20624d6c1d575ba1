"""The online store: events are folded into tiles as they arrive, and rows read their windows.

    tables of events ---> backfill -----------------+
    (history)                                       |
                                                    v
    events ---> pusher ---> log ---> ingest ---> apply_versions ---> update_tiles ---> store
    (pushes)       |                                                                     ^  |
                   +---> expire: a few keys with every push -----------------------------+  |
                                                                                            v
    a row's windows <---------------------------------------------------------------------- read

`layout` says what the store holds for the windows of a spec, `keys` under which keys, and `codec`
as which bytes. A read is one round trip, whatever the number of windows.
"""

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
