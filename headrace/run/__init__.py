"""What a run is made of, one file a stage: preparing, judging, releasing, recording, resuming."""

from headrace.run.cache import Cache

__all__ = [
    "Cache",
]
