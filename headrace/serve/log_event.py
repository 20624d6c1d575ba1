"""What an operator should know: a line on the standard error for each; of JSON, where that is no terminal."""

import sys
from typing import Any, Literal

import msgspec

from headrace.clock import SYSTEM, to_text

Level = Literal["info", "warning", "error"]


def log_event(level: Level, event: str, **fields: Any) -> None:
    """Tells of something that happened; values of rows and tokens do not belong in the fields."""
    now = to_text(SYSTEM.now_us())
    if sys.stderr.isatty():
        line = f"{now[11:19]} {event} " + " ".join(
            f"{name}={value}" for name, value in fields.items()
        )
    else:
        said = {"time": now, "level": level, "event": event, **fields}
        line = msgspec.json.encode(said, enc_hook=str).decode()
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
