"""Bearer tokens: who may predict, write events, and read what is counted. Only their hashes are
kept.

Without a file of tokens everybody who reaches the service may do everything; it listens on this
machine alone unless told otherwise.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from headrace.errors import BundleError, InputError
from headrace.serve.http.messages import Problem
from headrace.tables import atomic_file
from headrace.workspace import Workspace

Scope = Literal["predict", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class Token(msgspec.Struct, frozen=True):
    """Whose token it is, what it is for, and its sha256: it is random, so that no slow hash is needed."""

    name: str
    scopes: list[Scope]
    sha256: str


def add_token(workspace: Workspace, name: str, scopes: list[str]) -> str:
    """Makes a token, keeps its hash, and returns it: it cannot be read again. One of the same name
    is replaced.

    Raises `InputError` for a scope that is none.
    """
    chosen = [scope for scope in SCOPES if scope in scopes]
    if odd := [scope for scope in scopes if scope not in SCOPES]:
        raise InputError("--scopes", repr(odd[0]), "some of: " + ", ".join(SCOPES))
    if not chosen or not name:
        raise InputError("--scopes" if name else "NAME", "nothing", "some of: " + ", ".join(SCOPES))
    secret = secrets.token_urlsafe(32)
    kept = [token for token in read_tokens(workspace) if token.name != name]
    with atomic_file(workspace.tokens, 0o600) as beside:
        beside.write_bytes(msgspec.json.encode([*kept, Token(name, chosen, _hash(secret))]))
    return secret


def read_tokens(workspace: Workspace) -> list[Token]:
    """The tokens of a workspace; raises `BundleError` for a file that cannot be read: nobody is let in then."""
    return _tokens_in(workspace) or []


def _tokens_in(workspace: Workspace) -> list[Token] | None:
    """None where there is no file."""
    path = workspace.tokens
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Token])
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(
            str(path), f"cannot be read ({error})", "the tokens as they were written"
        ) from None


class Tokens:
    """The tokens of some workspaces as they were last read.

    What was read stays in force: neither a workspace that is moved away nor a file that is gone or
    torn lets anybody in, or takes from anybody what he had. A file that holds no token lets
    everybody in.
    """

    def __init__(self) -> None:
        self._known: dict[Workspace, list[Token] | None] = {}

    def read(self, workspaces: list[Workspace]) -> None:
        """Reads them anew; raises `BundleError` for a file that cannot be read."""
        failed = None
        for workspace in workspaces:
            try:
                found = _tokens_in(workspace)
            except BundleError as error:
                self._known.setdefault(workspace, None)  # until it can be read, nobody is let in
                failed = error
                continue
            if found is not None:
                self._known[workspace] = found
            else:  # there never was a file, or it is gone
                self._known.setdefault(workspace, [])
        if failed is not None:
            raise failed

    def guard(self) -> "TokenGuard":
        """Who is let in now: nobody, where a file could never be read."""
        tokens = {workspace: some for workspace, some in self._known.items() if some}
        return TokenGuard(
            tokens, open=not tokens and all(some is not None for some in self._known.values())
        )


class TokenGuard:
    """Lets in whoever has a token of the right scope; `admin` is for everything. A token is for the
    workspaces that hold it.
    """

    def __init__(self, tokens: Mapping[Workspace, list[Token]], open: bool) -> None:
        self._scopes: dict[str, dict[Workspace, frozenset[str]]] = {}
        for workspace, some in tokens.items():
            for token in some:
                self._scopes.setdefault(token.sha256, {})[workspace] = frozenset(token.scopes)
        self.open = open

    def check(self, authorization: str | None, scope: Scope) -> frozenset[Workspace]:
        """The workspaces that the token is for; raises `Problem`: 401 for no token or a wrong one,
        403 for one of another scope.
        """
        held = self._scopes.get(_hash(_secret(authorization or "")))
        if held is None:
            asks = [
                (b"www-authenticate", b'Bearer realm="headrace"'),
                (b"www-authenticate", b'Basic realm="headrace"'),
            ]
            raise Problem(
                401, "unauthorized", "A token is needed", f"one with the scope {scope}", asks
            )
        workspaces = frozenset(
            workspace for workspace, scopes in held.items() if scope in scopes or "admin" in scopes
        )
        if not workspaces:
            raise Problem(
                403, "forbidden", "The token is for something else", f"this needs the scope {scope}"
            )
        return workspaces


def _secret(authorization: str) -> str:
    """The token in a header; of the basic form, which browsers know, it is the password."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return value.strip() if kind.lower() == "bearer" else ""


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
