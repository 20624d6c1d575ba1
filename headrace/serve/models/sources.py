"""What to serve: bundles, aliases or whole systems, as a reference of `headrace serve` names it."""

import re
from pathlib import Path

from msgspec import Struct

from headrace import spec
from headrace.bundle import find_bundle, open_bundle, read_champion, read_manifest
from headrace.errors import InputError
from headrace.serve.models.system import ServedSystem, find_system
from headrace.workspace import ALIASES, Alias, is_system

_NAME_AND_ALIAS = re.compile("([A-Za-z][A-Za-z0-9_-]*)@([a-z]+)")


class ModelSource(Struct, frozen=True):
    """A model to serve: a bundle, or the versions to which the aliases of a system point.

    The first of the aliases is meant where a request names none.
    """

    name: str
    bundle: Path | None
    aliases: tuple[Alias, ...]
    system: ServedSystem | None


def resolve_model(model: str, folder: Path) -> ModelSource:
    """Find the model that a reference of `headrace serve` means, seen from a folder.

        taxi/                    the folder of a system: all of its aliases
        taxi@champion            one alias of a system
        taxi@7, path/of/bundle   a bundle

    Raises `InputError`, which says what to do, where there is nothing to serve.
    """
    if is_system(Path(model)):
        whole = spec.load(model)
        read_champion(whole)  # a service without a model would be of no use
        return ModelSource(whole.name, None, ALIASES, ServedSystem(whole))
    path = find_bundle(model, folder)
    system = find_system(path)
    match = _NAME_AND_ALIAS.fullmatch(model)
    if match and not Path(model).is_dir() and system is not None:
        alias: Alias = next(alias for alias in ALIASES if alias == match[2])
        return ModelSource(match[1], None, (alias,), system)
    return ModelSource(read_manifest(path).name, path, (), system)


def has_rollouts(source: ModelSource) -> bool:
    """Say whether a source follows rollouts: a whole system does, if its spec has the branch."""
    is_whole = source.aliases == ALIASES and source.system is not None
    return is_whole and source.system is not None and source.system.spec.rollout is not None


def check(source: ModelSource) -> None:
    """Raise `BundleError` where a byte of the version that is meant first has been changed."""
    if source.bundle is not None:
        open_bundle(source.bundle)
    for alias, version in read_versions(source).items():
        if alias == source.aliases[0]:
            open_bundle(find_version(source, version))


def read_versions(source: ModelSource) -> dict[Alias, int]:
    """Read the versions to which the aliases of a source point now."""
    if source.system is None or not source.aliases:
        return {}
    versions = source.system.workspace.read_aliases(source.name)
    return {alias: versions[alias] for alias in source.aliases if alias in versions}


def find_version(source: ModelSource, version: int) -> Path:
    """Return the folder of a version's bundle; raises `InputError` where there is none."""
    assert source.system is not None
    path = source.system.workspace.bundle(source.name, version)
    if not path.is_dir():
        ref = f"{source.name}@{version}"
        raise InputError(ref, "no such version", "an existing version", str(path))
    return path
