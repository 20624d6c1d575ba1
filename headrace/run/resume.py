"""Reuse earlier runs: the cache keys of a run's parts, and a whole run that changed nothing."""

from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from msgspec import structs

from headrace import design, registry, spec, tables, train
from headrace.bundle import open_bundle
from headrace.errors import DECODE_ERRORS, BundleError
from headrace.run.cache import Cache, cache_key, checksums
from headrace.run.document import RunDocument
from headrace.run.record import Run, as_run, finish_run
from headrace.spec import LogSpec, ServeSpec, System
from headrace.store import log_position
from headrace.workspace import ALIASES


class CacheKeys(NamedTuple):
    """The keys in the cache of the parts of a run; `position` is how far it reads the log."""

    run: str
    prepared: str
    choice: str
    position: int


def cache_keys(system: System) -> CacheKeys:
    """Compute the keys from the content of the tables and the fields that each part reads."""
    files = checksums(tables.list_files(system), system.workspace.cache / "files.json")
    # Nobody knows the rows of a server before reading them: its runs are never reused.
    once = uuid4().hex if tables.reads_server(system) else ""
    position = log_position(system)
    content = [once, files, position]
    prepared = cache_key(
        "prepared",
        content,
        system.data,
        system.goal,
        system.features,
        system.split,
        system.seed,
    )
    choice = cache_key("choice", prepared, system.models, system.requirements)
    # No stage of a run reads the branches of serving.
    trained = structs.replace(system, serve=ServeSpec(), store=None, log=LogSpec(), rollout=None)
    return CacheKeys(cache_key("run", content, trained), prepared, choice, position)


def trial_memo(cache: Cache, prepared: str, fresh: bool) -> train.Memo:
    """Return a memo of the trials over the same prepared rows, of whatever run."""

    def remember(kind: type[Any], inputs: Any, make: Any) -> Any:
        return cache.make(kind, cache_key("trials", prepared, inputs), make, fresh)

    return remember


def find_run(system: System, cache: Cache, key: str) -> Run | None:
    """Find the earlier run of a key, if its report and its whole bundle are still in the workspace.

    Its `alias` is the one that names its version now. A run that was killed after the decision
    about its model is finished here: the journal has the decision.
    """
    folder = system.workspace.runs / (cache.get(str, key) or "")
    try:
        document = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunDocument)
        bundle = open_bundle(system.workspace.bundles / Path(document.bundle).name)
        document = structs.replace(
            document, bundle=str(bundle.path), report=str(folder / "report.html")
        )
        if document.promoted is None:
            decision = registry.find_decision(
                system.workspace, system.name, bundle.manifest.version
            )
            if decision is None:
                return None
            registry.sync_mlflow(system.workspace, system.name)
            document = finish_run(
                document, decision, document.comparison, document.seconds
            ).document
    except (OSError, BundleError, *DECODE_ERRORS):
        return None
    if not Path(document.report).exists():
        return None

    aliases = system.workspace.read_aliases(system.name)
    champion = aliases.get("champion")
    own = [alias for alias, version in aliases.items() if version == bundle.manifest.version]
    alias = next((alias for alias in ALIASES if alias in own), None)
    return as_run(structs.replace(document, alias=alias, champion=champion, cached=True))


def with_current_spec(data: train.TrainingData, system: System) -> train.TrainingData:
    """Return prepared rows with those branches of the spec that had no part in preparing them."""
    models, _ = design.infer_candidates(system.models, data.target.task, len(data.target.classes))
    prepared = data.system
    current = spec.with_changes(system, goal=prepared.goal, split=prepared.split, models=models)
    return structs.replace(data, system=current)
