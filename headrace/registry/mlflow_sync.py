"""MLflow's view of a workspace: a run and a model version for each bundle, and the aliases.

The journal and the bundles are the truth, and MLflow is brought to them: what a killed process left
out is made up for by the next command. Without `MLFLOW_TRACKING_URI` the store is a SQLite file in
the workspace, whose versions point to the bundles where they stand; a server gets the bundles
uploaded.
"""

import json
import math
import os
import shutil
from contextlib import closing
from datetime import datetime
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
_MOST_PARAMS, _MOST_METRICS, _MOST_LETTERS = 100, 1_000, 500
"""What MLflow takes in one batch, and of one value."""


class MlflowState(Struct, frozen=True):
    """What MLflow has been told: where, its own version of each bundle's, and the aliases."""

    uri: str
    versions: dict[int, str] = {}
    aliases: dict[Alias, int] = {}


def sync_mlflow(workspace: Workspace, name: str) -> None:
    """Brings MLflow to what is so; costs next to nothing, and no import, where it is there already.

    Raises `WorkError` where the store refuses.
    """
    server = os.environ.get("MLFLOW_TRACKING_URI")
    uri = server or f"sqlite:///{workspace.mlflow_store.absolute()}"
    known = _read(workspace, name, uri)
    if set(workspace.versions(name)) <= set(known.versions) and (
        known.aliases == workspace.read_aliases(name)
    ):
        return
    with exclusive_lock(workspace.registry / "mlflow.lock"):
        known = _read(workspace, name, uri)
        try:
            client = _client(uri) if server else _embedded(workspace.mlflow_store, uri)
            for version in workspace.versions(name):
                if version in known.versions:
                    continue
                try:
                    bundle = open_bundle(workspace.bundle(name, version))
                except BundleError:  # whoever uses it hears of it; the others are told all the same
                    continue
                given = _tell_version(
                    client, bundle, None if server else workspace.mlflow.absolute()
                )
                known = structs.replace(known, versions={**known.versions, version: given})
                _write(workspace, name, known)
            known = structs.replace(known, aliases=_tell_aliases(client, workspace, name, known))
            _write(workspace, name, known)
        except HeadraceError:
            raise
        except Exception as error:  # those of SQLAlchemy, requests and MLflow have no common parent
            found = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise WorkError(
                f"MLflow at {uri}",
                found,
                "a store that takes runs",
                "the next command tells it again",
            ) from error


def _client(uri: str) -> Any:
    import logging

    from mlflow import MlflowClient

    for noisy in ("mlflow", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return MlflowClient(uri, uri)


def _embedded(store: Path, uri: str) -> Any:
    """A client of the workspace's own store, made where it is absent.

    MLflow makes a store by some fifty migrations, which take seconds: they are run once for each
    user and version of MLflow, and the empty store is copied.
    """
    client = _client(uri)
    if not store.exists():
        from mlflow import __version__

        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"
        empty = home / f"mlflow-{__version__}.db"
        if not empty.exists():
            with atomic_file(empty) as beside:
                _client(f"sqlite:///{beside}").search_experiments()
        with atomic_file(store) as beside:
            shutil.copyfile(empty, beside)
    return client


def _tell_version(client: Any, bundle: Bundle, artifacts: Path | None) -> str:
    """Logs the run that a bundle came of, registers it, and returns MLflow's number of it.

    `artifacts` is where an embedded store keeps files; without it the store is a server's, and the
    bundle is uploaded.
    """
    manifest, tag = bundle.manifest, "headrace.bundle"
    for known in client.search_model_versions(f"name = '{manifest.name}'"):
        if known.tags.get(tag) == bundle.path.name:  # told by a process that was killed right after
            return str(known.version)
    experiment = _experiment(client, manifest.name, artifacts)
    # A run without a version is what a killed process left: it is made anew.
    for left in client.search_runs([experiment], f"tags.`{tag}` = '{bundle.path.name}'"):
        client.delete_run(left.info.run_id)
    tags = {
        tag: bundle.path.name, "mlflow.source.name": "headrace run", "mlflow.user": bundle.evaluation.who,
        "headrace.spec_hash": manifest.spec_hash,
        "headrace.code_version": manifest.code_version, "headrace.parent": manifest.parent or "",
        **{f"headrace.data.{table}": fingerprint for table, fingerprint in manifest.data.items()},
    }  # fmt: skip
    created = round(datetime.fromisoformat(manifest.created).timestamp() * 1000)
    begun = created - round(1000 * sum(bundle.evaluation.seconds.values()))
    run = client.create_run(
        experiment, start_time=begun, tags=tags, run_name=bundle.path.name
    ).info.run_id
    _log(client, run, bundle, created)
    for file in ("card.html", "system.yaml", "evaluation.json"):
        client.log_artifact(run, str(bundle.path / file))
    source = str(bundle.path)
    if artifacts is None:
        client.log_artifacts(run, source, "bundle")
        source = f"runs:/{run}/bundle"
    client.set_terminated(run, end_time=created)
    given = client.create_model_version(manifest.name, source, run, tags={tag: bundle.path.name})
    return str(given.version)


def _experiment(client: Any, name: str, artifacts: Path | None) -> str:
    """The experiment and the registered model of a system, made where they are absent."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)
    found = client.get_experiment_by_name(name)
    return str(
        found.experiment_id
        if found
        else client.create_experiment(name, artifacts and artifacts.as_uri())
    )


def _log(client: Any, run: str, bundle: Bundle, at: int) -> None:
    """Parameters, metrics and candidates, each in as few batches as MLflow allows."""
    from mlflow.entities import Metric, Param

    evaluation = bundle.evaluation
    judged = evaluation.metric.name
    metrics = [
        Metric(f"{split}.{name}", value, at, 0)
        for split, values in evaluation.metrics.items()
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    ]
    metrics += [
        Metric(f"candidates.{judged}", one.value, at, step)
        for step, one in enumerate(evaluation.candidates)
        if one.value is not None and math.isfinite(one.value)
    ]
    params = [
        Param(key, text[:_MOST_LETTERS])
        for key, text in _flat(msgspec.to_builtins(bundle.system), "")
        if text != ""
    ]
    for start in range(0, len(params), _MOST_PARAMS):
        client.log_batch(run, params=params[start : start + _MOST_PARAMS])
    for start in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run, metrics=metrics[start : start + _MOST_METRICS])


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    """The leaves of a spec with their paths; the columns, of which there may be thousands, are one."""
    if isinstance(value, dict) and value and path != "features.columns":
        return [
            leaf
            for key, item in value.items()
            for leaf in _flat(item, f"{path}.{key}" if path else key)
        ]
    return [(path, value if isinstance(value, str) else json.dumps(value))]


def _tell_aliases(
    client: Any, workspace: Workspace, name: str, known: MlflowState
) -> dict[Alias, int]:
    """Sets every alias to what it stands for now, and returns that."""
    aliases = {
        alias: version
        for alias, version in workspace.read_aliases(name).items()
        if version in known.versions
    }
    for alias, version in aliases.items():
        if known.aliases.get(alias) != version:
            client.set_registered_model_alias(name, alias, known.versions[version])
    return aliases


def _path(workspace: Workspace, name: str) -> Path:
    return workspace.mlflow_state(name)


def _read(workspace: Workspace, name: str, uri: str) -> MlflowState:
    """What that store was told; nothing where it is another one than last time, or gone."""
    path = _path(workspace, name)
    if not path.exists() or (
        uri.startswith("sqlite:") and not Path(uri.removeprefix("sqlite:///")).exists()
    ):
        return MlflowState(uri)
    known = msgspec.json.decode(path.read_bytes(), type=MlflowState)
    if known.uri == uri:
        return known
    if known.uri.startswith("sqlite:") and uri.startswith(
        "sqlite:"
    ):  # the workspace was moved, or copied
        _move(
            Path(uri.removeprefix("sqlite:///")), Path(known.uri.removeprefix("sqlite:///")).parent
        )
        return structs.replace(known, uri=uri)
    return MlflowState(uri)


def _move(store: Path, before: Path) -> None:
    """Lets the entries of an embedded store point to where it is now: else a copy would write into the original."""
    import sqlite3

    old, new = str(before), str(store.parent)
    with closing(sqlite3.connect(store)) as connection, connection:
        tables = [
            name
            for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
        ]
        for table in tables:
            for column in (
                one[1] for one in connection.execute(f'pragma table_info("{table}")').fetchall()
            ):
                if column in _PLACES:
                    connection.execute(
                        f'update "{table}" set "{column}" = replace("{column}", ?, ?) where "{column}" like ?',
                        (old, new, f"%{old}%"),
                    )


def _write(workspace: Workspace, name: str, known: MlflowState) -> None:
    with atomic_file(_path(workspace, name)) as beside:
        beside.write_bytes(msgspec.json.encode(known))
