"""Lines on the standard error for an operator: text on a terminal, else a JSON object a line."""

import sys
from typing import Any, Literal

import msgspec

from headrace.clock import SYSTEM, to_text

Level = Literal["info", "warning", "error"]


def log_event(level: Level, event: str, **fields: Any) -> None:
    """Write one line about something that happened in the service.

    The fields never hold values of rows, nor tokens: logs are read by more people than data.

        12:30:01 swapped model=taxi alias=champion old=7 new=8
        {"time":"2026-11-27T12:30:01.250+00:00","level":"info","event":"swapped","model":"taxi",…}
    """
    now = to_text(SYSTEM.now_us())
    if sys.stderr.isatty():
        texts = [f"{name}={value}" for name, value in fields.items()]
        line = f"{now[11:19]} {event} " + " ".join(texts)
    else:
        record = {"time": now, "level": level, "event": event, **fields}
        line = msgspec.json.encode(record, enc_hook=str).decode()
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
