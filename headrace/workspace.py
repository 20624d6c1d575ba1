"""A workspace knows its own name, and whether it was made by this user: what a stranger sends is not trusted so far.

The name is random, and the same in a copy. The mark is made from it with a key that only this user can read, so that
nobody else can make one.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

_FILE = "workspace.json"


class _Workspace(Struct, frozen=True):
    id: str
    mark: str = ""


def claim(workspace: Path) -> str:
    """Makes a workspace this user's, who runs something in it, and returns its id.

    Where the folder or the key cannot be written, the workspace works all the same, and counts as nobody's.
    """
    known = _read(workspace)
    id = known.id if known is not None else secrets.token_hex(16)
    mine = _Workspace(id, _mark(id, make=True))
    if mine != known:
        with suppress(OSError):
            workspace.mkdir(parents=True, exist_ok=True)
            beside = workspace / f".{_FILE}-{secrets.token_hex(4)}"
            beside.write_bytes(msgspec.json.encode(mine))
            beside.replace(workspace / _FILE)
    return id


def id_of(workspace: Path) -> str:
    """The id of a workspace; the empty string where nothing was run in it yet."""
    known = _read(workspace)
    return known.id if known is not None else ""


def is_own(workspace: Path) -> bool:
    """Whether this user has run something in a workspace."""
    known = _read(workspace)
    return known is not None and bool(known.mark) and hmac.compare_digest(known.mark, _mark(known.id, make=False))


def _read(workspace: Path) -> _Workspace | None:
    path = workspace / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Workspace) if path.is_file() else None
    except (OSError, msgspec.DecodeError):
        return None


def _mark(id: str, make: bool) -> str:
    """The empty string where there is no key, and none can be made."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "headrace"
    try:
        if make and not (home / "key").exists():
            home.mkdir(parents=True, exist_ok=True)
            beside = home / f".key-{secrets.token_hex(4)}"
            beside.touch(0o600, exist_ok=False)
            beside.write_bytes(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(beside, home / "key")  # of two processes one wins, and both read the same
            beside.unlink()
        key = (home / "key").read_bytes()
    except (OSError, RuntimeError):  # a user without a home
        return ""
    return hmac.new(key, id.encode(), hashlib.sha256).hexdigest()
