"""Reading and writing specs, their hash and their JSON schema."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from headrace.errors import InputError
from headrace.spec.decode import decode
from headrace.spec.plain import parse_yaml
from headrace.spec.shared import with_root, with_safe_names, with_shared
from headrace.spec.system import System


def load(folder: str | Path = ".") -> System:
    """Reads `system.yaml` of a folder (or a spec file itself); relative paths in it start from its
    folder.

    Raises `InputError` where there is no spec and `SpecError` where it is not a valid one.
    """
    path = Path(folder)
    path = path / "system.yaml" if path.is_dir() else path
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            str(path),
            "no such spec",
            "a system.yaml",
            "write one with `headrace init DATA --target COL`",
        ) from None
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({error.strerror})") from None
    return parse(text, path)


def parse(text: bytes, path: Path) -> System:
    """The spec that stands, or will stand, in a file; raises `SpecError` where it is not a valid one."""
    data = parse_yaml(text, str(path))
    return with_safe_names(
        with_shared(with_root(decode(data, str(path)), path.resolve().parent), str(path))
    )


def dump(system: System) -> bytes:
    """The spec as YAML that `load` reads back to an equal `System`."""
    return msgspec.yaml.encode(system)


def spec_hash(system: System) -> str:
    """Names the experiment: sha256 (12 hex digits) over the canonical JSON of every field, defaults
    included.

    >>> from headrace.spec import Data, Goal, System, with_changes
    >>> a = System(name="a", goal=Goal(target="y"), data=Data(source="a.csv"))
    >>> spec_hash(a) == spec_hash(with_changes(a, seed=7)) != spec_hash(with_changes(a, seed=8))
    True
    """
    return hashlib.sha256(msgspec.json.encode(system, order="deterministic")).hexdigest()[:12]


def schema() -> dict[str, Any]:
    """The JSON schema of `system.yaml`, for editors and other tools."""
    document = msgspec.json.schema(System)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headrace system.yaml",
        **document,
    }
