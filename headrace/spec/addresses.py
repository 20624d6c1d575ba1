"""Addresses of tables, databases and stores (URLs): what in one is secret, and how the environment
gives it.

A spec travels: it stands in every bundle, in MLflow and in the cache. So an address in it holds no
secret; `${NAME}` stands for one, and is read from the environment when the address is used.
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
"""Matches user and password before a host. Drivers of databases and stores take `?`, `#` and blanks in them, too."""
_SETTING = re.compile(r"[?&;#]\s*(?P<name>[^=&;#]+?)\s*=\s*(?P<value>[^&;#\s]*)")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_ENDS = ("password", "passwd", "passphrase", "pwd", "secret", "token", "signature", "credential", "credentials",
                "jwt", "bearer", "hmac", "apikey", "sessionid")  # fmt: skip
_SECRET_NAMES = ("pass", "pw", "sig", "sas", "key", "jsessionid")
_KEYS = ("api", "access", "secret", "private", "account", "shared", "subscription", "auth")
_MAYBE, _LONG = ("code", "key", "session", "sid", "auth", "pass"), 16
"""Such a setting may as well name a country or a column. A long value counts as a secret."""
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN_SCHEMES = ("http", "https")
"""A user in such an address is often a token."""
_HIDDEN = "…"


def find_secret(address: str) -> str:
    """Names the secret part of an address; returns the empty string where there is none.

    >>> find_secret("redis://:hunter2@db/0"), find_secret("https://host/rows.csv?sig=abc"), find_secret("redis://db/0")
    ('a password', "the setting 'sig'", '')
    >>> find_secret("redis://:${REDIS_PASSWORD}@db/0")
    ''
    """
    for found in _USER.finditer(address):
        scheme, user, password = _parts(found)
        if _is_secret(password):
            return "a password"
        if scheme in _TOKEN_SCHEMES and _is_secret(user):
            return "a user or a token"
    for found in _SETTING.finditer(address):
        if _is_secret(found["value"]) and _names_a_secret(found["name"], found["value"]):
            return f"the setting {unquote(found['name'])!r}"
    return ""


def _parts(found: re.Match[str]) -> tuple[str, str, str]:
    """Scheme, user and password."""
    scheme = found["scheme"] or found["scheme_"]
    user = found["user"] if found["scheme"] else found["user_"]
    password = (found["password"] if found["scheme"] else found["password_"]) or ""
    return scheme.lower(), user, password.removeprefix(":")


def _names_a_secret(name: str, value: str) -> bool:
    """Whether a setting of an address is secret by its name, and, where that may mean anything, its value."""
    words = [word.lower() for word in _WORDS.findall(unquote(name))]
    whole = "".join(words)
    if not words or whole == "passfile":
        return False
    if whole in _SECRET_NAMES or whole.endswith(_SECRET_ENDS) or "accesskey" in whole:
        return True
    if words[-1] == "key" and len(words) > 1 and words[-2] in _KEYS:
        return True
    return whole.endswith("privatekey") or (words[-1] in _MAYBE and len(value) >= _LONG)


def _is_secret(value: str) -> bool:
    return bool(value) and not _REFERENCE.fullmatch(value)


def show_address(text: str) -> str:
    """Hides the secrets of all addresses in a text, so that it may be printed.

    >>> show_address("cannot reach redis://me:hunter2@db/0")
    'cannot reach redis://me:…@db/0'
    """

    def of_user(found: re.Match[str]) -> str:
        scheme, user, password = _parts(found)
        hides_user = scheme in _TOKEN_SCHEMES and _is_secret(user)
        kept = [_HIDDEN if hides_user else user]
        kept += [_HIDDEN if _is_secret(password) else password] if password else []
        return f"{scheme}://{':'.join(kept)}@"

    def of_setting(found: re.Match[str]) -> str:
        whole = found[0]
        hides = _is_secret(found["value"]) and _names_a_secret(found["name"], found["value"])
        return whole.removesuffix(found["value"]) + _HIDDEN if hides else whole

    return _SETTING.sub(of_setting, _USER.sub(of_user, text))


def check_address(address: str, where: str) -> None:
    """Raises `InputError` at `where` for an address with a secret in it."""
    if secret := find_secret(address):
        do = "write ${NAME} in its place, which is read from the environment (or use what the driver reads: PGPASSWORD)"
        raise InputError(
            where,
            f"{secret} in {show_address(address)}",
            "an address without secrets, as it travels",
            do,
        )


def resolve_address(address: str, where: str) -> str:
    """An address as it is used: `${NAME}` is what the environment holds.

    Raises `InputError` where a name is not set, and for a secret in the address itself.
    """
    check_address(address, where)
    absent = [name for name in _REFERENCE.findall(address) if name not in os.environ]
    if absent:
        raise InputError(where, f"${{{absent[0]}}} is not set", "the variable in the environment")
    return _REFERENCE.sub(lambda found: os.environ[found[1]], address)


def mask_secrets(text: str, address: str) -> str:
    """Hides in a driver's message the values that the environment gave for the address, and other secrets."""
    for name in _REFERENCE.findall(address):
        if value := os.environ.get(name):
            text = text.replace(value, f"${{{name}}}")
    return show_address(text)
