"""Copies of specs: with another root, with changes, with safe names, with shared features.

A file of shared features holds tables of events and windows that several systems use. A spec names
such files in `features.use`, and `with_shared` writes their contents into the spec.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from headrace.errors import SpecError
from headrace.spec.data import Data, EventTable
from headrace.spec.decode import find_problems
from headrace.spec.features import CrossSpec, FeaturesSpec, Shared, Window
from headrace.spec.names import safe_name
from headrace.spec.plain import parse_yaml
from headrace.spec.system import System


def with_root(system: System, root: Path) -> System:
    """Let the relative paths of a system start from `root`; return the same system."""
    system.__dict__["root"] = root
    # the workspace is cached and lies below the root
    system.__dict__.pop("workspace", None)
    return system


def with_changes(system: System, **changes: Any) -> System:
    """Return a copy of a system with some branches replaced, and with the same root."""
    return with_root(structs.replace(system, **changes), system.root)


def with_search(system: System, trials: int | None = None, seconds: float | None = None) -> System:
    """Return a copy of a system with another budget of its search; None leaves a bound as it is."""
    budget = system.models.search
    search = structs.replace(
        budget,
        trials=budget.trials if trials is None else trials,
        seconds=budget.seconds if seconds is None else seconds,
    )
    return with_changes(system, models=structs.replace(system.models, search=search))


def with_safe_names(system: System) -> System:
    """Return a copy of a system whose names of columns are those in tables (see `safe_name`)."""
    fairness = system.evaluate.fairness
    attributes = [safe_name(name) for name in fairness.attributes]
    return with_changes(
        system,
        goal=structs.replace(system.goal, target=safe_name(system.goal.target)),
        data=_rename_data(system.data),
        features=_rename_features(system.features),
        evaluate=structs.replace(
            system.evaluate, fairness=structs.replace(fairness, attributes=attributes)
        ),
    )


def _rename_data(data: Data) -> Data:
    return structs.replace(
        data,
        id=_rename(data.id),
        time=_rename_all(data.time) if isinstance(data.time, list) else _rename(data.time),
        group=_rename(data.group),
        weight=_rename(data.weight),
        events={name: _rename_events(table) for name, table in data.events.items()},
    )


def _rename_events(table: EventTable) -> EventTable:
    return structs.replace(
        table,
        time=safe_name(table.time),
        id=_rename(table.id),
        available=_rename(table.available),
        deleted=_rename(table.deleted),
    )


def _rename_features(features: FeaturesSpec) -> FeaturesSpec:
    return structs.replace(
        features,
        exclude=_rename_all(features.exclude),
        columns={safe_name(name): column for name, column in features.columns.items()},
        crosses=[_rename_cross(cross) for cross in features.crosses],
        windows=[_rename_window(window) for window in features.windows],
    )


def _rename_cross(cross: list[str] | CrossSpec) -> list[str] | CrossSpec:
    if isinstance(cross, CrossSpec):
        return structs.replace(cross, of=_rename_all(cross.of))
    return _rename_all(cross)


def _rename_window(window: Window) -> Window:
    key = window.key
    return structs.replace(
        window,
        key=_rename_all(key) if isinstance(key, list) else safe_name(key),
        of=_rename(window.of),
    )


def _rename(name: str | None) -> str | None:
    return None if name is None else safe_name(name)


def _rename_all(names: list[str]) -> list[str]:
    return [safe_name(name) for name in names]


def with_shared(system: System, where: str) -> System:
    """Return a copy of a system that holds the events and windows of the files in `features.use`.

    So a bundle needs no other file. Raises `SpecError` at a field of `where` for a file that is
    absent or invalid, for two different tables of events with one name, and for two windows with
    one name.
    """
    events = dict(system.data.events)
    windows = list(system.features.windows)
    for index, name in enumerate(system.features.use):
        field = f"{where}: features.use[{index}]"
        path = system.root / name
        shared = _read(path, field)
        _add_events(events, shared, path.parent, system.root, field)
        _add_windows(windows, shared, field)
    return with_changes(
        system,
        data=structs.replace(system.data, events=events),
        features=structs.replace(system.features, use=[], windows=windows),
    )


def _add_events(
    events: dict[str, EventTable], shared: Shared, folder: Path, root: Path, field: str
) -> None:
    """Add the tables of a shared file in `folder` to `events`, their paths relative to `root`."""
    for name, table in shared.events.items():
        rebased = structs.replace(table, source=_rebase_source(table, folder, root))
        # two files may state the same table
        if events.setdefault(name, rebased) != rebased:
            found = f"events {name!r} differ from those of this name"
            raise SpecError(field, found, "one meaning for a name")


def _add_windows(windows: list[Window], shared: Shared, field: str) -> None:
    """Add the windows of a shared file to `windows`; they inherit the file's owner."""
    for window in shared.windows:
        if any(window.name == known.name for known in windows):
            raise SpecError(field, f"a second window {window.name!r}", "another name")
        windows.append(structs.replace(window, owner=window.owner or shared.owner))


def _read(path: Path, where: str) -> Shared:
    try:
        data = parse_yaml(path.read_bytes(), str(path))
    except OSError as error:
        found = f"{path} cannot be read ({error.strerror})"
        raise SpecError(where, found, "a file of features") from None
    if problems := find_problems(data, Shared):
        raise SpecError(str(path), "\n  ".join(problems))
    return msgspec.convert(data, Shared)


def _rebase_source(table: EventTable, folder: Path, root: Path) -> str:
    """Turn a source relative to `folder` into one relative to `root`.

    URLs and absolute paths stay as they are.
    """
    if "://" in table.source or Path(table.source).is_absolute():
        return table.source
    return os.path.relpath(folder / table.source, root)
