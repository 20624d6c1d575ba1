"""Features that several systems use: files of events and windows, which join a spec where it names them."""

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from millrace.errors import SpecError
from millrace.spec.decode import problems_of
from millrace.spec.system import EventTable, Shared, System


def rooted(system: System, root: Path) -> System:
    """The same system with its relative paths starting from `root`."""
    system.__dict__["root"] = root
    return system


def with_changes(system: System, **changes: Any) -> System:
    """A copy with some branches replaced; keeps the root."""
    return rooted(structs.replace(system, **changes), system.root)


def with_shared(system: System, where: str) -> System:
    """The spec with what `features.use` names written out, as if it stood there; so a bundle needs no other file.

    Raises `SpecError` for a file that is absent or invalid, and for two things of one name.
    """
    events, windows = dict(system.data.events), list(system.features.windows)
    for at, name in enumerate(system.features.use):
        field, path = f"{where}: features.use[{at}]", system.root / name
        shared = _read(path, field)
        for table, said in shared.events.items():
            moved = structs.replace(said, source=_seen_from(said, path.parent, system.root))
            if events.setdefault(table, moved) != moved:
                raise SpecError(field, f"events {table!r} differ from those of this name", "one meaning for a name")
        for window in shared.windows:
            if any(window.name == other.name for other in windows):
                raise SpecError(field, f"a second window {window.name!r}", "another name")
            windows.append(structs.replace(window, owner=window.owner or shared.owner))
    data = structs.replace(system.data, events=events)
    return with_changes(system, data=data, features=structs.replace(system.features, use=[], windows=windows))


def _read(path: Path, where: str) -> Shared:
    try:
        data = msgspec.yaml.decode(path.read_bytes())
    except OSError as error:
        raise SpecError(where, f"{path} cannot be read ({error.strerror})", "a file of features") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SpecError(str(path), f"is not YAML ({' '.join(str(error).split())})") from None
    if problems := problems_of(data, Shared):
        raise SpecError(str(path), "\n  ".join(problems))
    return msgspec.convert(data, Shared)


def _seen_from(table: EventTable, folder: Path, root: Path) -> str:
    """A path of the file's folder as a path of the system's; a URL is what it is."""
    if "://" in table.source or Path(table.source).is_absolute():
        return table.source
    return os.path.relpath(folder / table.source, root)
