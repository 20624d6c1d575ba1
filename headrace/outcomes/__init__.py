"""Outcomes: feedback taken in, and the one reader that joins predictions with what came of them."""

from headrace.outcomes.feedback import (
    Expected,
    Outcome,
    Parsed,
    append,
    append_watermark,
    parse,
    read_watermark,
)
from headrace.outcomes.ids import read_id
from headrace.outcomes.join import Join, JoinedPhase

__all__ = [
    "Expected",
    "Join",
    "JoinedPhase",
    "Outcome",
    "Parsed",
    "append",
    "append_watermark",
    "parse",
    "read_id",
    "read_watermark",
]
