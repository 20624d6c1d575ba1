"""What of earlier runs can stand: the names of a run's parts in the cache, and a whole run."""

from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from msgspec import structs

from headrace import design, registry, spec, tables, train
from headrace.bundle import open_bundle
from headrace.errors import BundleError
from headrace.run import record, release
from headrace.run.cache import Cache, cache_key, checksums
from headrace.spec import LogSpec, ServeSpec, System
from headrace.store import log_position


class CacheKeys(NamedTuple):
    """The names in the cache of what a spec, its tables and its log up to a position come to."""

    run: str
    prepared: str
    choice: str
    position: int


def cache_keys(system: System) -> CacheKeys:
    """Names by the content of the tables and the fields of the spec that each part reads."""
    files = checksums(tables.files_of(system), system.workspace.cache / "files.json")
    once = uuid4().hex if tables.has_server(system) else ""  # what a server holds now is not known before it is read
    position = log_position(system)
    told = [once, files, position]
    prepared = cache_key("prepared", told, system.data, system.goal, system.features, system.split, system.seed)
    choice = cache_key("choice", prepared, system.models, system.requirements)
    trained = structs.replace(system, serve=ServeSpec(), store=None, log=LogSpec())  # no stage of a run reads these
    return CacheKeys(cache_key("run", told, trained), prepared, choice, position)


def trial_memo(cache: Cache, prepared: str, fresh: bool) -> train.Memo:
    """Remembers the trials of a search over prepared rows, whatever run they were made in."""

    def keep(kind: type[Any], made_of: Any, make: Any) -> Any:
        return cache.make(kind, cache_key("trials", prepared, made_of), make, fresh)

    return keep


def find_run(system: System, cache: Cache, name: str) -> dict[str, Any] | None:
    """The document of a run of the same, where its report and its whole bundle are still in this workspace.

    Its `alias` is what stands for its version now. A run that was killed after its model was judged is finished: the
    decision is on record.
    """
    run = cache.get(str, name)
    folder = system.workspace.runs / (run or "")
    try:
        document: dict[str, Any] = msgspec.json.decode((folder / "run.json").read_bytes())
        bundle = open_bundle(system.workspace.bundles / Path(document["bundle"]).name)
        document |= {"bundle": str(bundle.path), "report": str(folder / "report.html")}
        if document["promoted"] is None:
            decision = registry.find_decision(system.workspace, system.name, bundle.manifest.version)
            if decision is None:
                return None
            registry.sync_mlflow(system.workspace, system.name)
            document |= release.describe_decision(decision)
            record.finish_run(document)
    except (OSError, msgspec.DecodeError, BundleError):
        return None
    if not Path(document["report"]).exists():
        return None
    champion = system.workspace.read_aliases(system.name).get("champion")
    now = {"alias": "champion" if champion == bundle.manifest.version else None, "champion": champion}
    return document | now | {"cached": True}


def with_current_spec(rows: train.TrainingData, system: System) -> tuple[train.TrainingData, System]:
    """Prepared rows with the branches of the spec that had no part in preparing them."""
    models, _ = design.infer_candidates(system.models, len(rows.target.classes))
    system = spec.with_changes(system, goal=rows.system.goal, split=rows.system.split, models=models)
    return structs.replace(rows, system=system), system
