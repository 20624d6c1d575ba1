"""Durations of the spec: a number and a unit, such as `30s`, `5min`, `1.5h`, `7d`."""

import re

_UNITS_US = {
    "us": 1,
    "ms": 10**3,
    "s": 10**6,
    "min": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86400 * 10**6,
    "w": 7 * 86400 * 10**6,
}


def parse_duration_us(text: str) -> int:
    """Return a duration in microseconds.

    >>> parse_duration_us("1.5h")
    5400000000
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]+)", text)
    # decoding the spec has checked the pattern
    assert match is not None, text
    return round(float(match[1]) * _UNITS_US[match[2]])
