"""Feast's part of `beside_feast.py`, in an environment of its own: FOLDER with events and labels,
the port of a Redis.

History: five last values of each label. Online: those of one entity. Ingestion: events written as a
stream would.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

VALUES = [f"value_{at}" for at in range(5)]
FEATURES = [f"events:{value}" for value in VALUES]
KEYS = 50_000


def store_of(folder: Path, offline: str, online: dict[str, str]) -> FeatureStore:
    home = Path(tempfile.mkdtemp(dir=folder))
    if online["type"] == "sqlite":
        online = {**online, "path": str(home / "online.db")}
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(home / "registry.db"),
        offline_store={"type": offline},
        online_store=online,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    entity = Entity(name="key", join_keys=["key"], value_type=ValueType.INT64)
    source = FileSource(path=str(folder / "events.parquet"), timestamp_field="event_timestamp")
    schema = [Field(name=value, dtype=Float64) for value in VALUES]
    view = FeatureView(
        name="events",
        entities=[entity],
        ttl=timedelta(days=3650),
        schema=schema,
        source=source,
        online=True,
    )
    store.apply([entity, view])
    return store


def median(call: Callable[[int], Any], repeats: int, scale: float) -> float:
    taken = []
    for at in range(repeats):
        begin = time.perf_counter()
        call(at)
        taken.append(time.perf_counter() - begin)
    return round(float(np.median(taken)) * scale, 3)


def history(folder: Path, offline: str) -> dict[str, Any]:
    store = store_of(folder, offline, {"type": "sqlite"})

    def join(at: int) -> pd.DataFrame:
        labels = pd.read_parquet(folder / "labels.parquet")
        found: pd.DataFrame = store.get_historical_features(
            entity_df=labels, features=FEATURES
        ).to_df()
        return found

    joined = join(0)
    return {
        "s": median(join, 3, 1),
        "sum": round(float(joined["value_0"].sum()), 3),
        "rows": len(joined),
    }


def online(folder: Path, kind: dict[str, str]) -> dict[str, Any]:
    store = store_of(folder, "duckdb", kind)
    begin = time.perf_counter()
    store.materialize(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    told: dict[str, Any] = {"filled, events/s": round(2_000_000 / (time.perf_counter() - begin))}
    keys = np.random.default_rng(4).integers(0, KEYS, 4_000).tolist()

    def ask(at: int) -> Any:
        return store.get_online_features(
            features=FEATURES, entity_rows=[{"key": keys[at]}]
        ).to_dict()

    def write(at: int, count: int = 1) -> None:
        store.write_to_online_store("events", df=rows[count * at : count * at + count])

    for at in range(100):
        ask(at)
    told["read, us"] = median(ask, len(keys), 1e6)
    rows = pd.read_parquet(folder / "events.parquet").head(20_000)
    told["one by one, events/s"] = round(1e6 / median(write, 200, 1e6))
    told["by the thousand, events/s"] = round(1e9 / median(lambda at: write(at, 1000), 20, 1e6))
    return told


if __name__ == "__main__":
    where, port = Path(sys.argv[1]), sys.argv[2]
    results = {f"history, {offline}": history(where, offline) for offline in ("file", "duckdb")}
    results["online, sqlite"] = online(where, {"type": "sqlite"})
    if port != "none":
        results["online, redis"] = online(
            where, {"type": "redis", "connection_string": f"localhost:{port}"}
        )
    print("RESULT" + json.dumps(results))
