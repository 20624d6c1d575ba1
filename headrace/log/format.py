"""The number of a log's format: that of its frames, of its segments, and of their names.

It is in a file of its own, `{"format": 1}`, so that a log without a record has it too. A log
without the file was begun before formats had numbers, and has format 1.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.errors import DECODE_ERRORS, WorkError, check_format
from headrace.tables import atomic_file

FORMAT = 1
_FILE = "format.json"


class _Format(Struct):
    format: int


def write_format(folder: Path) -> None:
    """Write the number of today's format into the folder of a new log."""
    with atomic_file(folder / _FILE) as draft:
        draft.write_bytes(msgspec.json.encode(_Format(FORMAT)))


def check_log_format(folder: Path) -> None:
    """Raise `WorkError` if a log has another format than this version reads."""
    path = folder / _FILE
    try:
        number = msgspec.json.decode(path.read_bytes(), type=_Format).format
    except FileNotFoundError:
        return
    except DECODE_ERRORS:
        raise WorkError(
            str(path),
            "cannot be read",
            "the number of the log's format",
            f'write {{"format": {FORMAT}}}',
        ) from None
    check_format(WorkError, str(folder), number, FORMAT)
