"""Reads and writes specs, hashes them, and builds their JSON schema."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from headrace.errors import InputError
from headrace.spec.decode import decode
from headrace.spec.plain import parse_yaml
from headrace.spec.shared import with_root, with_safe_names, with_shared
from headrace.spec.system import System
from headrace.workspace import SPEC_NAME, name_systems


def load(folder: str | Path = ".") -> System:
    """Read `system.yaml` in a folder, or a spec file itself.

    Relative paths in the spec start from the folder of its file. Raises `InputError` where there is
    no spec, and `SpecError` where the spec is not valid.
    """
    path = Path(folder)
    path = path / SPEC_NAME if path.is_dir() else path
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        expected = f"the folder of a system, with a {SPEC_NAME}"
        raise InputError(str(path), "no such spec", expected, name_systems(path.parent)) from None
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({error.strerror})") from None
    return parse(text, path)


def as_system(system: System | str | Path) -> System:
    """Return a system, which `load` reads where its folder is given."""
    return system if isinstance(system, System) else load(system)


def parse(text: bytes, path: Path) -> System:
    """Decode the text of a spec whose file is, or will be, `path`.

    Raises `SpecError` where it is not valid.
    """
    where = str(path)
    system = decode(parse_yaml(text, where), where)
    system = with_root(system, path.resolve().parent)
    # shared files name columns, too: so they are read before all names are made safe
    return with_safe_names(with_shared(system, where))


def dump(system: System) -> bytes:
    """Write a spec as YAML that `load` reads back to an equal `System`."""
    return msgspec.yaml.encode(system)


def spec_hash(system: System) -> str:
    """Return the name of an experiment: 12 hex digits of the hash of its spec.

    It is the SHA-256 of the canonical JSON of every field, defaults included.

    >>> from headrace.spec import Data, Goal, System, with_changes
    >>> a = System(name="a", goal=Goal(target="y"), data=Data(source="a.csv"))
    >>> spec_hash(a) == spec_hash(with_changes(a, seed=7)) != spec_hash(with_changes(a, seed=8))
    True
    """
    return hashlib.sha256(msgspec.json.encode(system, order="deterministic")).hexdigest()[:12]


def schema() -> dict[str, Any]:
    """Build the JSON schema of `system.yaml`, for editors and other tools."""
    document = msgspec.json.schema(System)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headrace system.yaml",
        **document,
    }
