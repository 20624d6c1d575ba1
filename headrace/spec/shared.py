"""Features that several systems use: files of events and windows, which join a spec where it names them."""

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from headrace.errors import SpecError
from headrace.spec.data import EventTable
from headrace.spec.decode import find_problems
from headrace.spec.features import Shared
from headrace.spec.names import safe_name
from headrace.spec.plain import parse_yaml
from headrace.spec.system import System


def with_root(system: System, root: Path) -> System:
    """The same system with its relative paths starting from `root`."""
    system.__dict__["root"] = root
    system.__dict__.pop("workspace", None)
    return system


def with_changes(system: System, **changes: Any) -> System:
    """A copy with some branches replaced; keeps the root."""
    return with_root(structs.replace(system, **changes), system.root)


def with_safe_names(system: System) -> System:
    """The spec with every name of a column as tables have it (see `safe_name`)."""

    def of(name: str | None) -> str | None:
        return None if name is None else safe_name(name)

    data, features, fairness = system.data, system.features, system.evaluate.fairness
    time = [safe_name(name) for name in data.time] if isinstance(data.time, list) else of(data.time)
    events = {
        name: structs.replace(
            one,
            time=safe_name(one.time),
            id=of(one.id),
            available=of(one.available),
            deleted=of(one.deleted),
        )
        for name, one in data.events.items()
    }
    windows = [
        structs.replace(one, key=_safe_keys(one.key), of=of(one.of)) for one in features.windows
    ]
    return with_changes(
        system,
        goal=structs.replace(system.goal, target=safe_name(system.goal.target)),
        data=structs.replace(
            data,
            id=of(data.id),
            time=time,
            group=of(data.group),
            weight=of(data.weight),
            events=events,
        ),
        features=structs.replace(
            features,
            exclude=[safe_name(name) for name in features.exclude],
            columns={safe_name(name): column for name, column in features.columns.items()},
            crosses=[[safe_name(name) for name in cross] for cross in features.crosses],
            windows=windows,
        ),
        evaluate=structs.replace(
            system.evaluate,
            fairness=structs.replace(
                fairness, attributes=[safe_name(name) for name in fairness.attributes]
            ),
        ),
    )


def _safe_keys(key: str | list[str]) -> str | list[str]:
    return [safe_name(one) for one in key] if isinstance(key, list) else safe_name(key)


def with_shared(system: System, where: str) -> System:
    """The spec with what `features.use` names written out, as if it stood there; so a bundle needs
    no other file.

    Raises `SpecError` for a file that is absent or invalid, and for two things of one name.
    """
    events, windows = dict(system.data.events), list(system.features.windows)
    for at, name in enumerate(system.features.use):
        field, path = f"{where}: features.use[{at}]", system.root / name
        shared = _read(path, field)
        for table, said in shared.events.items():
            moved = structs.replace(said, source=_seen_from(said, path.parent, system.root))
            if events.setdefault(table, moved) != moved:
                raise SpecError(
                    field,
                    f"events {table!r} differ from those of this name",
                    "one meaning for a name",
                )
        for window in shared.windows:
            if any(window.name == other.name for other in windows):
                raise SpecError(field, f"a second window {window.name!r}", "another name")
            windows.append(structs.replace(window, owner=window.owner or shared.owner))
    data = structs.replace(system.data, events=events)
    return with_changes(
        system, data=data, features=structs.replace(system.features, use=[], windows=windows)
    )


def _read(path: Path, where: str) -> Shared:
    try:
        data = parse_yaml(path.read_bytes(), str(path))
    except OSError as error:
        raise SpecError(
            where, f"{path} cannot be read ({error.strerror})", "a file of features"
        ) from None
    if problems := find_problems(data, Shared):
        raise SpecError(str(path), "\n  ".join(problems))
    return msgspec.convert(data, Shared)


def _seen_from(table: EventTable, folder: Path, root: Path) -> str:
    """A path of the file's folder as a path of the system's; a URL is what it is."""
    if "://" in table.source or Path(table.source).is_absolute():
        return table.source
    return os.path.relpath(folder / table.source, root)
