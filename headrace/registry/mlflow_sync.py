"""Keep MLflow in sync with a workspace: a run and a model version for each bundle, and the aliases.

The journal and the bundles are the truth, and MLflow follows them:

    bundles/ads-000001   →  run, model version 1 (tag headrace.bundle = ads-000001)
    aliases/ads.json     →  alias champion = version 1
    registry/ads.mlflow.json   remembers what is in MLflow already

MLflow is an extra. If a process is killed in between, the next command goes on. Without
`MLFLOW_TRACKING_URI` the store is a SQLite file in the workspace, whose versions point to the
bundles in their folders. A server gets the bundles uploaded.
"""

import json
import math
import os
import shutil
from contextlib import closing
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from headrace.bundle import Bundle, open_bundle
from headrace.errors import BundleError, HeadraceError, WorkError
from headrace.tables import atomic_file, exclusive_lock
from headrace.workspace import Alias, Workspace

_PLACES = ("artifact_location", "artifact_uri", "source", "storage_location")
"""The columns of MLflow's tables that hold paths."""
_TAG = "headrace.bundle"
_MOST_PARAMS = 100
_MOST_METRICS = 1_000
"""The largest batches that MLflow takes."""
_MOST_LETTERS = 500
"""The longest value that MLflow takes."""


class MlflowState(Struct, frozen=True):
    """The state of MLflow: the address, its own version for each of ours, and the aliases."""

    uri: str
    versions: dict[int, str] = {}
    aliases: dict[Alias, int] = {}


def sync_mlflow(workspace: Workspace, name: str) -> None:
    """Bring MLflow up to date with a system, if MLflow is installed.

    Once it is, the first command registers all that was made before. If nothing is new, this costs
    next to nothing and imports nothing. Raises `WorkError` where the store refuses.
    """
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if find_spec("mlflow") is None:
        if server:
            found = "MLFLOW_TRACKING_URI is set, but mlflow is not installed"
            raise WorkError("MLflow", found, "MLflow", "pip install 'headrace[tracking]'")
        return
    uri = server or f"sqlite:///{workspace.mlflow_store.absolute()}"
    state = _read_state(workspace, name, uri)
    has_versions = set(workspace.versions(name)) <= set(state.versions)
    if has_versions and state.aliases == workspace.read_aliases(name):
        return

    with exclusive_lock(workspace.registry / "mlflow.lock"):
        # Before the client, which makes a store that was gone.
        state = _read_state(workspace, name, uri)
        try:
            if server:
                _sync(_open_client(uri), workspace, name, state, None)
            else:
                client = _open_embedded(workspace.mlflow_store, uri)
                _sync(client, workspace, name, state, workspace.mlflow.absolute())
        except HeadraceError:
            raise
        except Exception as error:
            # The errors of SQLAlchemy, requests and MLflow have no common parent.
            found = (str(error).splitlines() or [type(error).__name__])[0][:300]
            do = "the next command tries again"
            raise WorkError(f"MLflow at {uri}", found, "a store that takes runs", do) from error


def _sync(
    client: Any, workspace: Workspace, name: str, state: MlflowState, artifacts: Path | None
) -> None:
    """Register every version that MLflow lacks, then set the aliases; remember each step."""
    for version in workspace.versions(name):
        if version in state.versions:
            continue
        try:
            bundle = open_bundle(workspace.bundle(name, version))
        except BundleError:  # opening it raises the error; the other versions are registered
            continue
        registered = _register_version(client, bundle, artifacts)
        state = structs.replace(state, versions={**state.versions, version: registered})
        _write_state(workspace, name, state)
    state = structs.replace(state, aliases=_set_aliases(client, workspace, name, state))
    _write_state(workspace, name, state)


def _open_client(uri: str) -> Any:
    import logging

    from mlflow import MlflowClient

    for noisy in ("mlflow", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return MlflowClient(uri, uri)


def _open_embedded(store: Path, uri: str) -> Any:
    """Open a client of the workspace's own store; make the store where it is absent.

    MLflow makes a store by about fifty migrations, which take seconds. They run once for each user
    and version of MLflow; then the empty store is copied.
    """
    if not store.exists():
        with atomic_file(store) as draft:
            shutil.copyfile(_empty_store(), draft)
    # Last, because a client makes the store that it does not find.
    return _open_client(uri)


def _empty_store() -> Path:
    """Return an empty store of this version of MLflow, in the user's cache; make it at first."""
    from mlflow import __version__

    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    empty = user_cache / "headrace" / f"mlflow-{__version__}.db"
    if not empty.exists():
        with atomic_file(empty) as draft:
            _open_client(f"sqlite:///{draft}").search_experiments()
    return empty


def _register_version(client: Any, bundle: Bundle, artifacts: Path | None) -> str:
    """Log the run of a bundle, register the bundle, and return MLflow's version of it.

    `artifacts` is the folder of files of an embedded store. Without it the store is a server's, and
    the bundle is uploaded.
    """
    manifest = bundle.manifest
    bundle_name = bundle.path.name
    # A process that was killed right after registering the version did not remember it.
    for known in client.search_model_versions(f"name = '{manifest.name}'"):
        if known.tags.get(_TAG) == bundle_name:
            return str(known.version)

    # A run without a version comes from a killed process: it is logged anew.
    experiment = _find_experiment(client, manifest.name, artifacts)
    for orphan in client.search_runs([experiment], f"tags.`{_TAG}` = '{bundle_name}'"):
        client.delete_run(orphan.info.run_id)

    tags = {
        _TAG: bundle_name,
        "mlflow.source.name": "headrace run",
        "mlflow.user": bundle.evaluation.who,
        "headrace.spec_hash": manifest.spec_hash,
        "headrace.code_version": manifest.code_version,
        "headrace.parent": manifest.parent or "",
    }
    for table, fingerprint in manifest.data.items():
        tags[f"headrace.data.{table}"] = fingerprint
    created_ms = round(datetime.fromisoformat(manifest.created).timestamp() * 1000)
    begun_ms = created_ms - round(1000 * sum(bundle.evaluation.seconds.values()))
    created_run = client.create_run(
        experiment, start_time=begun_ms, tags=tags, run_name=bundle_name
    )
    run = created_run.info.run_id
    _log_values(client, run, bundle, created_ms)
    for file in ("card.html", "system.yaml", "evaluation.json"):
        client.log_artifact(run, str(bundle.path / file))
    source = str(bundle.path)
    if artifacts is None:
        client.log_artifacts(run, source, "bundle")
        source = f"runs:/{run}/bundle"
    client.set_terminated(run, end_time=created_ms)
    version = client.create_model_version(manifest.name, source, run, tags={_TAG: bundle_name})
    return str(version.version)


def _find_experiment(client: Any, name: str, artifacts: Path | None) -> str:
    """Find the experiment of a system; make it and the registered model where they are absent."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifacts and artifacts.as_uri()))


def _log_values(client: Any, run: str, bundle: Bundle, at_ms: int) -> None:
    """Log parameters, metrics and candidates in as few batches as MLflow allows."""
    from mlflow.entities import Metric, Param

    evaluation = bundle.evaluation
    values: list[tuple[str, float | None, int]] = []
    for split, metrics_of_split in evaluation.metrics.items():
        for name, value in metrics_of_split.items():
            values.append((f"{split}.{name}", value, 0))
    for step, candidate in enumerate(evaluation.candidates):
        values.append((f"candidates.{evaluation.metric.name}", candidate.value, step))
    metrics = [
        Metric(name, value, at_ms, step)
        for name, value, step in values
        if value is not None and math.isfinite(value)
    ]

    leaves = _flatten(msgspec.to_builtins(bundle.system), "")
    params = [Param(path, text[:_MOST_LETTERS]) for path, text in leaves if text != ""]
    for start in range(0, len(params), _MOST_PARAMS):
        client.log_batch(run, params=params[start : start + _MOST_PARAMS])
    for start in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run, metrics=metrics[start : start + _MOST_METRICS])


def _flatten(value: Any, path: str) -> list[tuple[str, str]]:
    """List the leaves of a spec with their paths.

    All columns are one leaf: there may be thousands of them.
    """
    if not isinstance(value, dict) or not value or path == "features.columns":
        return [(path, value if isinstance(value, str) else json.dumps(value))]
    leaves = []
    for key, item in value.items():
        leaves += _flatten(item, f"{path}.{key}" if path else key)
    return leaves


def _set_aliases(
    client: Any, workspace: Workspace, name: str, state: MlflowState
) -> dict[Alias, int]:
    """Set every alias in MLflow to its version, delete those that are gone, and return them."""
    live = workspace.read_aliases(name)
    aliases = {alias: version for alias, version in live.items() if version in state.versions}
    for alias, version in aliases.items():
        if state.aliases.get(alias) != version:
            client.set_registered_model_alias(name, alias, state.versions[version])
    for alias in state.aliases.keys() - live.keys():
        client.delete_registered_model_alias(name, alias)
    return aliases


def _read_state(workspace: Workspace, name: str, uri: str) -> MlflowState:
    """Read the state of a store; empty where it is another store than last time, or gone."""
    path = workspace.mlflow_state(name)
    is_gone = _is_embedded(uri) and not _store_path(uri).exists()
    if not path.exists() or is_gone:
        return MlflowState(uri)
    state = msgspec.json.decode(path.read_bytes(), type=MlflowState)
    if state.uri == uri:
        return state
    if _is_embedded(state.uri) and _is_embedded(uri):  # the workspace was moved, or copied
        _move(_store_path(uri), _store_path(state.uri).parent)
        return structs.replace(state, uri=uri)
    return MlflowState(uri)


def _is_embedded(uri: str) -> bool:
    return uri.startswith("sqlite:")


def _store_path(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///"))


def _move(store: Path, before: Path) -> None:
    """Replace the old folder by the new one in all paths of an embedded store.

    Otherwise a copy of a workspace would write into the original.
    """
    import sqlite3

    old = str(before)
    new = str(store.parent)
    with closing(sqlite3.connect(store)) as connection, connection:
        listed = connection.execute("select name from sqlite_master where type = 'table'")
        tables = [name for (name,) in listed]
        for table in tables:
            described = connection.execute(f'pragma table_info("{table}")').fetchall()
            for column in (fields[1] for fields in described):
                if column in _PLACES:
                    change = f'set "{column}" = replace("{column}", ?, ?) where "{column}" like ?'
                    connection.execute(f'update "{table}" {change}', (old, new, f"%{old}%"))


def _write_state(workspace: Workspace, name: str, state: MlflowState) -> None:
    with atomic_file(workspace.mlflow_state(name)) as draft:
        draft.write_bytes(msgspec.json.encode(state))
