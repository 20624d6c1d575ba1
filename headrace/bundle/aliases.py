"""Which version a name stands for: a small file that readers follow, replaced in one step."""

from pathlib import Path
from typing import Literal, get_args

import msgspec

from headrace.errors import BundleError, InputError
from headrace.tables import atomic_file

Alias = Literal["champion", "challenger", "shadow"]
ALIASES: tuple[Alias, ...] = get_args(Alias)


def read_aliases(workspace: Path, name: str) -> dict[Alias, int]:
    """The version of each alias of a system; none where nothing was ever promoted."""
    path = _path(workspace, name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[Alias, int])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(str(path), f"cannot be read ({error})", "the aliases as they were written") from None


def write_aliases(workspace: Path, name: str, aliases: dict[Alias, int]) -> None:
    """Replaces the aliases of a system; a reader sees the old ones or the new ones."""
    with atomic_file(_path(workspace, name)) as beside:
        beside.write_bytes(msgspec.json.encode(aliases))


def version_of(workspace: Path, name: str, alias: str) -> int:
    """The version that an alias stands for; raises `InputError` where there is none."""
    aliases = read_aliases(workspace, name)
    if alias in aliases:
        return aliases[alias]
    if alias not in ALIASES:
        raise InputError(f"{name}@{alias}", f"no alias {alias!r}", "one of: " + ", ".join(ALIASES))
    held = ", ".join(f"{one} is version {version}" for one, version in aliases.items()) or "none is set"
    raise InputError(f"{name}@{alias}", f"{name} has no {alias}", f"an alias that is set ({held})",
                     f"headrace promote {name}@VERSION --alias {alias}")  # fmt: skip


def _path(workspace: Path, name: str) -> Path:
    return workspace / "aliases" / f"{name}.json"
