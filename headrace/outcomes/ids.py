"""The ids of predictions, taken apart: when, by which version, in which arm, in which process.

065e918389e1a0 000003 01 000007
"""

from typing import NamedTuple

from headrace.log import TIME_DIGITS, time_in_id

LENGTH = 28
VERSION_END = 20
ARM_END = 22


class PredictionId(NamedTuple):
    """The parts of a prediction's id.

    `time` is in microseconds since 1970 UTC, `version` is the model's, `arm` counts the arms of the
    rollout's phase from 1 (0 outside of one), and `process` is a random number that no two
    processes of a service share, but for chance.
    """

    time: int
    version: int
    arm: int
    process: int


def read_id(prediction_id: str) -> PredictionId:
    """Read the parts of a prediction's id; raises `ValueError` for a text that is no such id.

    >>> read_id("065e918389e1a000000301000007")
    PredictionId(time=1792828930384288, version=3, arm=1, process=7)
    """
    # Python reads digits of every script as numbers.
    if len(prediction_id) != LENGTH or not (prediction_id.isascii() and prediction_id.isalnum()):
        raise ValueError(f"not a prediction id: {prediction_id[:40]!r}")
    return PredictionId(
        time_in_id(prediction_id),
        int(prediction_id[TIME_DIGITS:VERSION_END], 16),
        int(prediction_id[VERSION_END:ARM_END], 16),
        int(prediction_id[ARM_END:], 16),
    )
