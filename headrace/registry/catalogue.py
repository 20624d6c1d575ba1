"""The catalogue of features: definition, owner, distribution and users of each."""

from typing import Any

import msgspec
from msgspec import Struct, structs

from headrace.bundle import Bundle, read_manifest
from headrace.spec import AGGREGATES, ColumnSpec, System, Window, parse_duration_us
from headrace.tables import Column
from headrace.windows import find_hop_us, list_columns, list_condition_columns, list_keys


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
    """List the features of systems, windows first; equal definitions become one feature."""
    found: dict[tuple[str, str], Feature] = {}
    for system in systems:
        for feature in [*_list_windows(system), *_list_columns(system)]:
            key = feature.name, feature.definition
            known = found.setdefault(key, feature)
            if known is not feature:
                used_by = known.used_by + feature.used_by
                found[key] = structs.replace(known, used_by=used_by)
    return list(found.values())


def _list_windows(system: System) -> list[Feature]:
    features = []
    for window in system.features.windows:
        for name, over in zip(list_columns(window), window.over, strict=True):
            feature = Feature(
                name=name,
                owner=window.owner,
                description=window.description,
                definition=_describe_window(window, over),
                inputs=_list_inputs(window),
            )
            features.append(_with_users(feature, system))
    return features


def _list_columns(system: System) -> list[Feature]:
    """List the columns of the table that the latest model takes."""
    bundles = _open_bundles(system)
    if not bundles:
        return []
    features = []
    for column in bundles[-1].schema.columns:
        if column.window:
            continue
        stated = system.features.columns.get(column.name, ColumnSpec())
        feature = Feature(
            name=column.name,
            owner=stated.owner,
            description=stated.description,
            definition=_describe_column(column),
            inputs=[f"{system.data.source}: {column.name}"],
        )
        features.append(_with_users(feature, system))
    return features


def _with_users(feature: Feature, system: System) -> Feature:
    """Add the models that use a feature, and its distribution in the latest of them."""
    aliases = system.workspace.read_aliases(system.name)
    distribution = None
    users = []
    for bundle in _open_bundles(system):
        if all(column.name != feature.name for column in bundle.schema.columns):
            continue
        version = bundle.manifest.version
        names = ", ".join(alias for alias, live in aliases.items() if live == version)
        users.append(f"{system.name}@{version}" + (f" ({names})" if names else ""))

        profile = msgspec.json.decode(bundle.read("profile.json"))
        distribution = profile["columns"].get(feature.name, distribution)
        if distribution and "at" in distribution:
            distribution = distribution | {"quantiles": profile["quantiles"]}
    return structs.replace(feature, distribution=distribution, used_by=users)


def _open_bundles(system: System) -> list[Bundle]:
    workspace = system.workspace
    paths = [workspace.bundle(system.name, version) for version in workspace.versions(system.name)]
    return [Bundle(path, read_manifest(path)) for path in paths]


def _describe_window(window: Window, over: str) -> str:
    """Describe a window in words."""
    row = AGGREGATES[window.aggregate]
    words = row.words.format(events=window.events, of=window.of, where=window.where)
    where = f" where {window.where}" if window.where and not row.needs_where else ""
    span = "ever" if over == "all" else f"in the last {over}"
    hop = 0 if over == "all" else find_hop_us(window, over)
    aligned = f", in steps of {_format_span(hop)}" if hop else ""
    return f"{words}{where}, by {' and '.join(list_keys(window))}, {span}{aligned}"


def _list_inputs(window: Window) -> list[str]:
    columns = [*list_keys(window)]
    if window.of:
        columns.append(window.of)
    columns += sorted(list_condition_columns(window.where))
    return [f"{window.events}: {', '.join(dict.fromkeys(columns))}"]


def _describe_column(column: Column) -> str:
    return f"column, {column.kind}" + (f" ({column.why})" if column.why else "")


def _format_span(us: int) -> str:
    """Write a span in the largest unit that divides it."""
    for unit in ("w", "d", "h", "min", "s", "ms"):
        size = parse_duration_us(f"1{unit}")
        if us % size == 0:
            return f"{us // size}{unit}"
    return f"{us}us"
