"""The routing file: the live rollout of a system, as the processes of a service follow it.

It is made from the journal, `.headrace/rollout/NAME.json`, and replaced as a whole.
"""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import DECODE_ERRORS, WorkError, check_format
from headrace.rollout.state import Rollout

FORMAT = 1


class Routing(Struct, frozen=True):
    """The content of a routing file; `rollout` is None where none is live."""

    rollout: Rollout | None
    format: int = FORMAT


class _Format(Struct):
    format: int


def encode_routing(rollout: Rollout | None) -> bytes:
    """Encode the content of a routing file."""
    return msgspec.json.encode(Routing(rollout))


def decode_routing(content: bytes, path: Path) -> Rollout | None:
    """Decode the content of a routing file; raises `WorkError` for a torn or a foreign one."""
    try:
        found = msgspec.json.decode(content, type=_Format).format
        check_format(WorkError, str(path), found, FORMAT)
        return msgspec.json.decode(content, type=Routing).rollout
    except DECODE_ERRORS as error:
        do = "any command that decides writes it anew, such as `headrace rollout run`"
        raise WorkError(
            str(path), f"cannot be read ({error})", "the rollout as it was written", do
        ) from None


def read_routing(path: Path) -> Rollout | None:
    """Read the live rollout from a routing file; None where there is no file.

    Raises `WorkError` for a file that cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkError(
            str(path), f"cannot be read ({error.strerror})", "a readable file"
        ) from None
    return decode_routing(content, path)


class Weights(Struct, frozen=True):
    """The shares that a policy has set in a phase, and the state by which it chooses for a row.

    They are published again and again, in a file beside the routing file; `number` counts them. A
    policy without a context has no state here.
    """

    phase: int
    number: int
    shares: dict[str, float]
    state: dict[str, Any] | None = None
    format: int = FORMAT


def read_weights(path: Path, phase: int) -> Weights | None:
    """Read the weights of a phase; None where there are none, or none that can be read."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Weights)
    except (OSError, *DECODE_ERRORS):
        return None
    return found if (found.phase, found.format) == (phase, FORMAT) else None
