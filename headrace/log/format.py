"""The format of a log: of its frames, its segments, and of their names.

It stands in a file of its own, so that a log without a record has it too. A log without the file
was begun before formats had numbers, and is of format 1.
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
    """Writes the number of today's format into the folder of a log that begins."""
    with atomic_file(folder / _FILE) as beside:
        beside.write_bytes(msgspec.json.encode(_Format(FORMAT)))


def check_log_format(folder: Path) -> None:
    """Raises `WorkError` for a log in another format than this version reads."""
    path = folder / _FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Format).format
    except FileNotFoundError:
        return
    except DECODE_ERRORS:
        expected = "the number of the log's format"
        raise WorkError(
            str(path), "cannot be read", expected, f'write {{"format": {FORMAT}}}'
        ) from None
    check_format(WorkError, str(folder), found, FORMAT)
