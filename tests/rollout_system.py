"""A system of three versions with a rollout, and a client that knows what its users do."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

import headrace

NAME = "ads"
SPEC: dict[str, Any] = {
    "name": NAME,
    "goal": {"target": "clicked", "task": "binary", "metric": "log_loss"},
    "data": {"source": "rows.csv", "id": "row"},
    "features": {"exclude": ["user", "z", "extra"]},
    "models": {"candidates": ["linear"], "search": {"trials": 1}, "calibrate": False},
    "gates": ["test.log_loss <= champion ± 9"],
}
ROLLOUT: dict[str, Any] = {
    "unit": "user",
    "stages": {"test": {"least": "1s", "most": "1d"}},
    "metrics": [{"name": "clicks", "of": "clicked", "per": "1s", "effect": 0.2}],
    "within": "1s",
}
CITIES = ["oslo", "rio", "rome"]


def write_rows(folder: Path) -> None:
    """Rows whose clicks follow from x and z; `extra` is a copy that requests do not send."""
    chance = np.random.default_rng(0)
    count = 1_500
    x, z = chance.normal(size=count), chance.normal(size=count)
    clicked = chance.random(count) < 1 / (1 + np.exp(0.5 - x - 0.5 * z))
    pl.DataFrame(
        {
            "row": np.arange(count),
            "user": chance.integers(0, 300, count),
            "x": x,
            "z": z,
            "extra": x + chance.normal(size=count) / 10,
            "city": chance.choice(CITIES, count),
            "clicked": clicked.astype(int),
        }
    ).write_csv(folder / "rows.csv")


def make_versions(folder: Path) -> None:
    """Version 1 is champion; 2 knows z as well, and 3 wants a column that nobody sends."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder)
    for exclude in (["user", "z", "extra"], ["user", "extra"], ["user"]):
        write_spec(folder, SPEC | {"features": {"exclude": exclude}})
        headrace.run(folder)
    headrace.promote(f"{NAME}@1", folder=folder)


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    """Write a spec."""
    (folder / "system.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def copy_system(template: Path, folder: Path, **rollout: Any) -> Path:
    """Copy a system, and give it a rollout."""
    target = folder / NAME
    shutil.copytree(template, target)
    write_spec(target, SPEC | {"rollout": ROLLOUT | rollout})
    return target


def make_row(user: object, seed: int = 0) -> dict[str, Any]:
    """A row as a client sends it."""
    chance = random.Random(f"{user}/{seed}")
    return {
        "row": chance.randrange(10**9),
        "user": user,
        "x": chance.gauss(0, 1),
        "z": chance.gauss(0, 1),
        "city": chance.choice(CITIES),
    }


def body_of(*rows: dict[str, Any]) -> bytes:
    """The body of a request to `/predict`."""
    return json.dumps({"rows": rows}).encode()
