"""What of earlier runs can stand: the keys of a run's parts in the cache, and a whole run."""

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


class CacheKeys(NamedTuple):
    """The keys in the cache of what a spec, its tables and its log up to a position come to."""

    run: str
    prepared: str
    choice: str
    position: int


def cache_keys(system: System) -> CacheKeys:
    """Keys by the content of the tables and the fields of the spec that each part reads."""
    files = checksums(tables.files_of(system), system.workspace.cache / "files.json")
    once = (
        uuid4().hex if tables.has_server(system) else ""
    )  # what a server holds is not known before it is read
    position = log_position(system)
    content = [once, files, position]
    prepared = cache_key(
        "prepared", content, system.data, system.goal, system.features, system.split, system.seed
    )
    choice = cache_key("choice", prepared, system.models, system.requirements)
    trained = structs.replace(
        system, serve=ServeSpec(), store=None, log=LogSpec()
    )  # no stage of a run reads these
    return CacheKeys(cache_key("run", content, trained), prepared, choice, position)


def trial_memo(cache: Cache, prepared: str, fresh: bool) -> train.Memo:
    """Remembers the trials of a search over prepared rows, whatever run they were made in."""

    def remember(kind: type[Any], made_of: Any, make: Any) -> Any:
        return cache.make(kind, cache_key("trials", prepared, made_of), make, fresh)

    return remember


def find_run(system: System, cache: Cache, key: str) -> Run | None:
    """The run of the same, where its report and its whole bundle are still in this workspace.

    Its `alias` is what stands for its version now. A run that was killed after its model was judged
    is finished: the decision is on record.
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

    champion = system.workspace.read_aliases(system.name).get("champion")
    alias = "champion" if champion == bundle.manifest.version else None
    return as_run(structs.replace(document, alias=alias, champion=champion, cached=True))


def with_current_spec(data: train.TrainingData, system: System) -> train.TrainingData:
    """Prepared rows with the branches of the spec that had no part in preparing them."""
    models, _ = design.infer_candidates(system.models, len(data.target.classes))
    goal, split = data.system.goal, data.system.split
    return structs.replace(
        data, system=spec.with_changes(system, goal=goal, split=split, models=models)
    )
