"""Addresses of tables, databases and stores (URLs): what in one is secret, and how the environment gives it.

A spec travels: it stands in every bundle, in MLflow and in the cache. So an address in it holds no secret; `${NAME}`
stands for one, and is read from the environment when the address is used.
"""

import os
import re

from millrace.errors import InputError

_USER = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*)://(?P<user>[^/?#\s:@]*)(?P<password>:[^/?#\s]*)?@")
_SETTING = re.compile(r"[?&;](?P<name>[^=&;#\s]+)=(?P<value>[^&;#\s]*)")
_SECRET = re.compile(
    r"pass|pwd|secret|token|signature|credential|auth|accesskey|apikey|(^|[-_.])(sig|key|sas|code)$", re.IGNORECASE
)
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN_SCHEMES = ("http", "https")
"""Where a name before the host is a token as often as a person's."""
_HIDDEN = "…"


def secret_of(address: str) -> str:
    """What in an address is secret, in words; the empty string where nothing is.

    >>> secret_of("redis://:hunter2@db/0"), secret_of("https://host/rows.csv?sig=abc"), secret_of("redis://db/0")
    ('a password', "the setting 'sig'", '')
    >>> secret_of("redis://:${REDIS_PASSWORD}@db/0")
    ''
    """
    for found in _USER.finditer(address):
        if _is_secret((found["password"] or "").removeprefix(":")):
            return "a password"
        if found["scheme"].lower() in _TOKEN_SCHEMES and _is_secret(found["user"]):
            return "a user or a token"
    for found in _SETTING.finditer(address):
        if _SECRET.search(found["name"]) and _is_secret(found["value"]):
            return f"the setting {found['name']!r}"
    return ""


def _is_secret(value: str) -> bool:
    return bool(value) and not _REFERENCE.fullmatch(value)


def shown(text: str) -> str:
    """A text without the secrets of the addresses in it: what may be printed.

    >>> shown("cannot reach redis://me:hunter2@db/0")
    'cannot reach redis://me:…@db/0'
    """

    def of_user(found: re.Match[str]) -> str:
        user, password = found["user"], (found["password"] or "").removeprefix(":")
        hides_user = found["scheme"].lower() in _TOKEN_SCHEMES and _is_secret(user)
        kept = [_HIDDEN if hides_user else user]
        kept += [_HIDDEN if _is_secret(password) else password] if password else []
        return f"{found['scheme']}://{':'.join(kept)}@"

    def of_setting(found: re.Match[str]) -> str:
        whole = found[0]
        hides = _SECRET.search(found["name"]) and _is_secret(found["value"])
        return whole.removesuffix(found["value"]) + _HIDDEN if hides else whole

    return _SETTING.sub(of_setting, _USER.sub(of_user, text))


def check(address: str, where: str) -> None:
    """Raises `InputError` at `where` for an address with a secret in it."""
    if secret := secret_of(address):
        do = "write ${NAME} in its place, which is read from the environment (or use what the driver reads: PGPASSWORD)"
        raise InputError(where, f"{secret} in {shown(address)}", "an address without secrets, as it travels", do)


def resolved(address: str, where: str) -> str:
    """An address as it is used: `${NAME}` is what the environment holds.

    Raises `InputError` where a name is not set, and for a secret in the address itself.
    """
    check(address, where)
    absent = [name for name in _REFERENCE.findall(address) if name not in os.environ]
    if absent:
        raise InputError(where, f"${{{absent[0]}}} is not set", "the variable in the environment")
    return _REFERENCE.sub(lambda found: os.environ[found[1]], address)


def masked(text: str, address: str) -> str:
    """A driver's words without what the environment gave for the address, and without other secrets."""
    for name in _REFERENCE.findall(address):
        if value := os.environ.get(name):
            text = text.replace(value, f"${{{name}}}")
    return shown(text)
