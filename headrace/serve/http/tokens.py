"""Bearer tokens: they say who may predict, write events and read what is counted.

Only their hashes are stored. Without a file of tokens everybody who reaches the service may do
everything; the service then listens on this machine alone, unless `--open` allows more.

    headrace token me --scopes predict      prints the token once, stores its sha256
    Authorization: Bearer TOKEN             programs
    Authorization: Basic base64(me:TOKEN)   browsers: the token is the password
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
    """A token as it is stored: its owner, its scopes and its sha256.

    The token itself is random, so that no slow hash is needed.
    """

    name: str
    scopes: list[Scope]
    sha256: str


def add_token(workspace: Workspace, name: str, scopes: list[str]) -> str:
    """Create a token, store its hash, and return the token, which cannot be read again.

    It replaces a token of the same name. Raises `InputError` for a scope that does not exist, for
    no scope and for no name.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise InputError("--scopes", repr(scope), "some of: " + ", ".join(SCOPES))
    chosen = [scope for scope in SCOPES if scope in scopes]
    if not chosen or not name:
        raise InputError("--scopes" if name else "NAME", "nothing", "some of: " + ", ".join(SCOPES))

    secret = secrets.token_urlsafe(32)
    tokens = [token for token in read_tokens(workspace) if token.name != name]
    tokens.append(Token(name, chosen, _hash(secret)))
    with atomic_file(workspace.tokens, 0o600) as draft:
        draft.write_bytes(msgspec.json.encode(tokens))
    return secret


def read_tokens(workspace: Workspace) -> list[Token]:
    """Return the tokens of a workspace.

    Raises `BundleError` for a file that cannot be read: then nobody is let in.
    """
    return _read_file(workspace) or []


def _read_file(workspace: Workspace) -> list[Token] | None:
    """Return the tokens in the file of a workspace, or None where there is no file."""
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
    """The tokens of several workspaces as they were last read.

    They stay in force until they are read anew. A workspace that is moved away, or a file that is
    gone or torn, lets nobody in and takes no right away. A file without a token lets everybody in.
    """

    def __init__(self) -> None:
        # None for a workspace whose file could never be read.
        self._known: dict[Workspace, list[Token] | None] = {}

    def read(self, workspaces: list[Workspace]) -> None:
        """Read the tokens anew.

        Raises `BundleError` for a file that cannot be read, after the other files are read.
        """
        failure = None
        for workspace in workspaces:
            try:
                tokens = _read_file(workspace)
            except BundleError as error:
                self._known.setdefault(workspace, None)
                failure = error
                continue
            if tokens is not None:
                self._known[workspace] = tokens
            else:
                # There never was a file, or it is gone: then its last tokens stay in force.
                self._known.setdefault(workspace, [])
        if failure is not None:
            raise failure

    def guard(self) -> "TokenGuard":
        """Build the guard that checks requests from now on."""
        are_readable = all(tokens is not None for tokens in self._known.values())
        required = {workspace: tokens for workspace, tokens in self._known.items() if tokens}
        return TokenGuard(required, open=not required and are_readable)


class TokenGuard:
    """A check that a request has a token of the right scope.

    The scope `admin` is good for everything. A token is good for the workspaces that store it.
    """

    def __init__(self, tokens: Mapping[Workspace, list[Token]], open: bool) -> None:
        self._scopes: dict[str, dict[Workspace, frozenset[str]]] = {}
        for workspace, workspace_tokens in tokens.items():
            for token in workspace_tokens:
                self._scopes.setdefault(token.sha256, {})[workspace] = frozenset(token.scopes)
        self.open = open

    def check(self, authorization: str | None, scope: Scope) -> frozenset[Workspace]:
        """Return the workspaces for which the token in an `Authorization` header is good.

        Raises `Problem`: 401 for no token or an unknown one, 403 for one of another scope.
        """
        scopes_by_workspace = self._scopes.get(_hash(_read_secret(authorization or "")))
        if scopes_by_workspace is None:
            challenges = [
                (b"www-authenticate", b'Bearer realm="headrace"'),
                (b"www-authenticate", b'Basic realm="headrace"'),
            ]
            raise Problem(
                401, "unauthorized", "A token is needed", f"one with the scope {scope}", challenges
            )

        workspaces = frozenset(
            workspace
            for workspace, scopes in scopes_by_workspace.items()
            if scope in scopes or "admin" in scopes
        )
        if not workspaces:
            raise Problem(
                403, "forbidden", "The token does not allow this", f"this needs the scope {scope}"
            )
        return workspaces


def _read_secret(authorization: str) -> str:
    """Return the token in a header, or nothing; browsers send it as the password of a user.

    >>> _read_secret("Bearer abc"), _read_secret("Basic bWU6YWJj"), _read_secret("Digest abc")
    ('abc', 'abc', '')
    """
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _hash(secret: str) -> str:
    """Return the sha256 of a token; the bytes of a header need not be text."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
