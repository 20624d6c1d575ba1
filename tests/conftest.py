"""What many tests need: small systems of every task, run once."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import polars as pl
import pytest

import headrace
from headrace import Run
from headrace.run.document import RunDocument

hypothesis.settings.register_profile("headrace", deadline=None, max_examples=40, derandomize=True)
hypothesis.settings.load_profile("headrace")

EXAMPLES = Path(__file__).parent.parent / "examples"
DATA = Path(os.environ.get("HEADRACE_DATA", EXAMPLES.parent.parent / "shared" / "data"))
"""Real tables that may stand beside the repository; a test that needs one skips where it is absent.
"""


def make_table(rows: int, seed: int) -> pl.DataFrame:
    """Every kind of column, with missing values, and a target of each task."""
    chance = np.random.default_rng(seed)
    x, z = chance.normal(size=rows), chance.normal(size=rows)
    colour = chance.choice(
        ["red", "blue", "green", "rare1", "rare2"], rows, p=[0.4, 0.3, 0.28, 0.01, 0.01]
    )
    start = datetime(2022, 1, 1)
    times = [
        start + timedelta(minutes=int(minute))
        for minute in np.sort(chance.integers(0, 60 * 24 * 900, rows))
    ]
    signal = x + (colour == "red") * 1.5 - 0.5 * z
    noise = chance.normal(size=rows)
    return pl.DataFrame(
        {
            "row": np.arange(rows),
            "x": pl.Series(x).set(pl.Series(chance.random(rows) < 0.1), None),
            "z": z,
            "big": 1e8 + z,
            "flag": chance.random(rows) < 0.5,
            "colour": pl.Series(colour).set(pl.Series(chance.random(rows) < 0.05), None),
            "code": chance.integers(0, 6, rows),
            "at": pl.Series(times),
            "owner": chance.integers(0, rows // 5 + 1, rows),
            "label": np.where(signal + noise > 0.5, "yes", "no"),
            "kind": np.where(signal + noise > 1, "a", np.where(signal + noise > -0.5, "b", "c")),
            "amount": 100 + 10 * signal + noise,
        }
    )


def value_of(document: RunDocument, metric: str, split: str = "test") -> float:
    """A metric that is defined."""
    value = document.metrics[split][metric]
    assert value is not None
    return value


SPEC = """
name: {name}
goal: {{target: {target}}}
data: {{source: rows.parquet, id: row, time: {time}}}
features:
  exclude: [owner{others}]
  columns: {{code: {{kind: categorical, encode: {encode}}}}}
split: {{by: {by}}}
models:
  candidates: [{family}]
  search: {{trials: 0}}
  gbdt: {{max_rounds: 40}}
"""


def write_system(
    folder: Path,
    task: str,
    family: str,
    rows: int = 1500,
    by: str = "random",
    encode: str = "ordinal",
    seed: int = 3,
) -> Path:
    """Writes a table and a spec for one task and family."""
    target = {"binary": "label", "multiclass": "kind", "regression": "amount"}[task]
    others = "".join(f", {name}" for name in ("label", "kind", "amount") if name != target)
    folder.mkdir(parents=True, exist_ok=True)
    make_table(rows, seed).write_parquet(folder / "rows.parquet")
    time = "at" if by == "time" else "null"
    text = SPEC.format(
        name=task, target=target, others=others, family=family, by=by, encode=encode, time=time
    )
    (folder / "system.yaml").write_text(text)
    return folder


def mlflow_client(folder: Path) -> Any:
    """MLflow's own client of a system's store."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{folder / '.headrace' / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def mlflow_agrees(folder: Path, name: str) -> None:
    """One run and one version for each bundle, and the champion is the one that readers follow."""
    found = mlflow_client(folder)
    paths = (folder / ".headrace" / "bundles").iterdir()
    bundles = {path.name for path in paths if not path.name.startswith(".")}
    versions = found.search_model_versions(f"name = '{name}'")
    assert sorted(one.tags["headrace.bundle"] for one in versions) == sorted(bundles)
    live = headrace.open(f"{name}@champion", folder).version
    champion = found.get_model_version_by_alias(name, "champion")
    assert champion.tags["headrace.bundle"] == f"{name}-{live:06d}"
    experiment = found.get_experiment_by_name(name).experiment_id
    assert {run.info.run_name for run in found.search_runs([experiment])} == bundles


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is left in the home of whoever runs the tests, and no MLflow server of theirs is
    told.
    """
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ.pop("MLFLOW_TRACKING_URI", None)


Runs = Callable[[str, str], Run]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs of a task and family, each made once."""
    made: dict[tuple[str, str], Run] = {}

    def get(task: str, family: str) -> Run:
        if (task, family) not in made:
            encode = "frequency" if family == "linear" else "ordinal"
            folder = write_system(
                tmp_path_factory.mktemp(f"{task}-{family}"), task, family, encode=encode
            )
            made[task, family] = headrace.run(headrace.load(folder))
        return made[task, family]

    return get


@pytest.fixture(scope="session")
def ads_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The system of `rollout_system`, to be copied."""
    from tests.rollout_system import make_versions

    folder = tmp_path_factory.mktemp("template") / "ads"
    make_versions(folder)
    return folder


@pytest.fixture
def income(tmp_path: Path) -> Iterator[Path]:
    """The income example in a folder of its own."""
    for file in (EXAMPLES / "income").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    yield tmp_path
