"""The catalogue of features: what each is, whose it is, how it is distributed, which models use it."""

from typing import Any

import msgspec
from msgspec import Struct, structs

from headrace.bundle import Bundle, read_manifest
from headrace.spec import AGGREGATES, System, Window, duration_us
from headrace.tables import Column
from headrace.windows import condition_columns, hop_us, window_columns, window_keys


class Feature(Struct, frozen=True):
    """One feature: a column of a window, or of the table.

    `inputs` are the tables and columns that it is made of; `distribution` is that of the training
    rows of the latest model that has it (see `bundle.profile`), none before the first run;
    `used_by` are models, such as `ads@3 (champion)`.
    """

    name: str
    owner: str | None
    description: str | None
    definition: str
    inputs: list[str]
    distribution: dict[str, Any] | None = None
    used_by: list[str] = []


def catalogue(systems: list[System]) -> list[Feature]:
    """The features of some systems, windows first; one that several define alike stands once."""
    found: dict[tuple[str, str], Feature] = {}
    for system in systems:
        for one in [*_windows(system), *_columns(system)]:
            known = found.setdefault((one.name, one.definition), one)
            if known is not one:
                found[one.name, one.definition] = structs.replace(
                    known, used_by=known.used_by + one.used_by
                )
    return list(found.values())


def _windows(system: System) -> list[Feature]:
    return [
        _seen(
            system,
            Feature(
                name, window.owner, window.description, _defined(window, over), _inputs(window)
            ),
        )
        for window in system.features.windows
        for name, over in zip(window_columns(window), window.over, strict=True)
    ]


def _columns(system: System) -> list[Feature]:
    """The columns of the table that the latest model takes."""
    bundles = _bundles(system)
    stated = system.features.columns
    columns = (
        [column for column in bundles[-1].schema.columns if not column.window] if bundles else []
    )
    return [
        _seen(
            system,
            Feature(
                name=column.name,
                owner=stated[column.name].owner if column.name in stated else None,
                description=stated[column.name].description if column.name in stated else None,
                definition=_column_defined(column),
                inputs=[f"{system.data.source}: {column.name}"],
            ),
        )
        for column in columns
    ]


def _seen(system: System, feature: Feature) -> Feature:
    """The feature with what the bundles of the workspace tell of it."""
    aliases = system.workspace.read_aliases(system.name)
    distribution, used = None, []
    for bundle in _bundles(system):
        if any(column.name == feature.name for column in bundle.schema.columns):
            version = bundle.manifest.version
            held = [alias for alias, live in aliases.items() if live == version]
            used.append(f"{system.name}@{version}" + (f" ({', '.join(held)})" if held else ""))
            profile = msgspec.json.decode(bundle.read("profile.json"))
            told = profile["columns"].get(feature.name, distribution)
            distribution = told and told | (
                {"quantiles": profile["quantiles"]} if "at" in told else {}
            )
    return structs.replace(feature, distribution=distribution, used_by=used)


def _bundles(system: System) -> list[Bundle]:
    workspace = system.workspace
    paths = [workspace.bundle(system.name, version) for version in workspace.versions(system.name)]
    return [Bundle(path, read_manifest(path)) for path in paths]


def _defined(window: Window, over: str) -> str:
    """A window in words."""
    row = AGGREGATES[window.aggregate]
    words = row.words.format(events=window.events, of=window.of, where=window.where)
    where = f" where {window.where}" if window.where and not row.needs_where else ""
    span = "ever" if over == "all" else f"in the last {over}"
    hop = 0 if over == "all" else hop_us(window, over)
    aligned = f", in steps of {_span(hop)}" if hop else ""
    return f"{words}{where}, by {' and '.join(window_keys(window))}, {span}{aligned}"


def _inputs(window: Window) -> list[str]:
    columns = [
        *window_keys(window),
        *([window.of] if window.of else []),
        *sorted(condition_columns(window.where)),
    ]
    return [f"{window.events}: {', '.join(dict.fromkeys(columns))}"]


def _column_defined(column: Column) -> str:
    return f"column, {column.kind}" + (f" ({column.why})" if column.why else "")


def _span(us: int) -> str:
    units = ("w", "d", "h", "min", "s", "ms", "us")
    return next(
        f"{us // size}{unit}" for unit in units if us % (size := duration_us(f"1{unit}")) == 0
    )
