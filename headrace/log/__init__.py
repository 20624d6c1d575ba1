"""The append-only log: records in frames, sealed into Parquet segments, repaired if damaged."""

from headrace.log.follow import Cursor, follow
from headrace.log.frames import TIME_DIGITS, Frame, Record, RecordBatch, time_in_id
from headrace.log.log import Log
from headrace.log.open import open_log, repair_log

__all__ = [
    "TIME_DIGITS",
    "Cursor",
    "Frame",
    "Log",
    "Record",
    "RecordBatch",
    "follow",
    "open_log",
    "repair_log",
    "time_in_id",
]
