"""A code as the number that it is, missing as NaN.

Codes are often given in the order of time, place or size, which trees can use.
"""

from headrace.features.encoders.raw import nodes
from headrace.features.states.moments import Moments, fit, merge


def names(column: str, state: Moments) -> list[str]:
    """`COLUMN_number`."""
    return [f"{column}_number"]


__all__ = ["fit", "merge", "names", "nodes"]
