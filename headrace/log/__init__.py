"""The append-only log: records in frames, sealed into Parquet segments, repaired where they are damaged."""

from headrace.log.frames import TIME_DIGITS, Frame, Record, RecordBatch, time_in_id
from headrace.log.log import Log

__all__ = [
    "TIME_DIGITS",
    "Frame",
    "Log",
    "Record",
    "RecordBatch",
    "time_in_id",
]
