"""What an operator should know: one line of JSON on the standard error for each."""

import sys
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Level = Literal["info", "warning", "error"]


def tell(level: Level, event: str, **fields: Any) -> None:
    """Tells of something that happened; values of rows and tokens do not belong in the fields."""
    said = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event, **fields}
    sys.stderr.write(msgspec.json.encode(said, enc_hook=str).decode() + "\n")
    sys.stderr.flush()
