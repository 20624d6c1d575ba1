"""Addresses of tables, databases and stores (URLs), and the secrets in them.

A spec travels: each bundle, MLflow and the cache hold a copy. So an address in a spec may not hold
a secret. It holds `${NAME}` instead, and `resolve_address` reads the environment when the address
is used:

    redis://:hunter2@db/0             refused: a password
    redis://:${REDIS_PASSWORD}@db/0   accepted; used as redis://:hunter2@db/0
"""

import os
import re
from urllib.parse import unquote

from headrace.errors import InputError

_USER = re.compile(
    r"(?P<scheme>https?)://(?P<user>[^/?#\s:@]*)(?P<password>:[^/?#\s]*)?@"
    r"|(?P<scheme_>[a-zA-Z][\w+.-]*)://(?P<user_>[^/:@]*)(?P<password_>:[^/]*)?@",
    re.IGNORECASE,
)
"""Matches user and password before a host.

Drivers of databases and stores take `?`, `#` and blanks in them, too.
"""
_SETTING = re.compile(r"[?&;#]\s*(?P<name>[^=&;#]+?)\s*=\s*(?P<value>[^&;#\s]*)")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_ENDS = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "signature", "credential",
    "credentials", "jwt", "bearer", "hmac", "apikey", "sessionid",
)  # fmt: skip
_SECRET_NAMES = ("pass", "pw", "sig", "sas", "key", "jsessionid")
_KEYS = ("api", "access", "secret", "private", "account", "shared", "subscription", "auth")
_AMBIGUOUS = ("code", "key", "session", "sid", "auth", "pass")
"""Such a setting may just as well name a country or a column: only a long value is a secret."""
_LONG = 16
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN_SCHEMES = ("http", "https")
"""The user in an address of these schemes is often a token."""
_HIDDEN = "…"


def find_secret(address: str) -> str:
    """Describe the secret in an address; return the empty string where there is none.

    >>> find_secret("redis://:hunter2@db/0")
    'a password'
    >>> find_secret("https://host/rows.csv?sig=abc")
    "the setting 'sig'"
    >>> find_secret("redis://db/0"), find_secret("redis://:${REDIS_PASSWORD}@db/0")
    ('', '')
    """
    for match in _USER.finditer(address):
        scheme, user, password = _split_user(match)
        if _is_secret(password):
            return "a password"
        if scheme in _TOKEN_SCHEMES and _is_secret(user):
            return "a user or a token"
    for match in _SETTING.finditer(address):
        if _is_secret(match["value"]) and _is_secret_setting(match["name"], match["value"]):
            return f"the setting {unquote(match['name'])!r}"
    return ""


def _split_user(match: re.Match[str]) -> tuple[str, str, str]:
    """Return scheme, user and password of a match of `_USER`."""
    scheme = match["scheme"] or match["scheme_"]
    user = match["user"] if match["scheme"] else match["user_"]
    password = (match["password"] if match["scheme"] else match["password_"]) or ""
    return scheme.lower(), user, password.removeprefix(":")


def _is_secret_setting(name: str, value: str) -> bool:
    """Say whether a setting is secret by its name, or by its length where the name is ambiguous."""
    words = [word.lower() for word in _WORDS.findall(unquote(name))]
    joined = "".join(words)
    # a `passfile` names a file that holds the secret
    if not words or joined == "passfile":
        return False
    if joined in _SECRET_NAMES or joined.endswith(_SECRET_ENDS) or "accesskey" in joined:
        return True
    if words[-1] == "key" and len(words) > 1 and words[-2] in _KEYS:
        return True
    return joined.endswith("privatekey") or (words[-1] in _AMBIGUOUS and len(value) >= _LONG)


def _is_secret(value: str) -> bool:
    return bool(value) and not _REFERENCE.fullmatch(value)


def show_address(text: str) -> str:
    """Hide the secrets of all addresses in a text, so that it may be printed.

    >>> show_address("cannot reach redis://me:hunter2@db/0")
    'cannot reach redis://me:…@db/0'
    """
    return _SETTING.sub(_hide_in_setting, _USER.sub(_hide_in_user, text))


def _hide_in_user(match: re.Match[str]) -> str:
    scheme, user, password = _split_user(match)
    if scheme in _TOKEN_SCHEMES and _is_secret(user):
        user = _HIDDEN
    if not password:
        return f"{scheme}://{user}@"
    return f"{scheme}://{user}:{_HIDDEN if _is_secret(password) else password}@"


def _hide_in_setting(match: re.Match[str]) -> str:
    if _is_secret(match["value"]) and _is_secret_setting(match["name"], match["value"]):
        return match[0].removesuffix(match["value"]) + _HIDDEN
    return match[0]


def check_address(address: str, where: str) -> None:
    """Raise `InputError` at `where` for an address with a secret in it."""
    if secret := find_secret(address):
        raise InputError(
            where,
            f"{secret} in {show_address(address)}",
            "an address without secrets, as it travels",
            "write ${NAME} in its place, which is read from the environment"
            " (or use what the driver reads: PGPASSWORD)",
        )


def resolve_address(address: str, where: str) -> str:
    """Replace each `${NAME}` in an address by the value of this environment variable.

    Raises `InputError` where a variable is not set, and for a secret in the address itself.
    """
    check_address(address, where)
    absent = [name for name in _REFERENCE.findall(address) if name not in os.environ]
    if absent:
        raise InputError(where, f"${{{absent[0]}}} is not set", "the variable in the environment")
    return _REFERENCE.sub(lambda match: os.environ[match[1]], address)


def mask_secrets(text: str, address: str) -> str:
    """Hide secrets in a driver's message.

    The values that the environment gave for `address` become `${NAME}` again; other secrets become
    `…`.
    """
    for name in _REFERENCE.findall(address):
        if value := os.environ.get(name):
            text = text.replace(value, f"${{{name}}}")
    return show_address(text)
