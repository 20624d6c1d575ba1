"""How well the model that `headrace run` finds by itself orders rows, beside its peers.

    python benchmarks/ranking.py                    # an hour and a half on two cores
    python benchmarks/ranking.py --cases letor --seeds 1

Every peer fits the same rows and orders the same queries: LightGBM with the settings of its own
example, XGBoost's `rank:ndcg`, FLAML's search for as long as ours. They are compared by NDCG@10,
query by query, all seeds together; ties count the mean of their orders. A peer is ahead where its
mean is by more than 0.002, for certain where the paired 95 % interval says so.

    letor        LightGBM's sample: 251 queries, all of them judged, in five folds
    movielens    a person's day of ratings is a query; the latest days are judged
    simulated    queries of 100 rows with 136 columns, the shape of MSLR; grades 0 to 4

Besides: how long a fit takes beside LightGBM alone at equal rounds, and what a candidate of a list
costs. Scores are kept in build/ranking, so a run goes on where it stopped.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import lightgbm
import numpy as np
import polars as pl
from ranking_peer import PEERS
from table import NUMERIC, TEXT, system, table

import headrace
from headrace.evaluate import Predictions
from headrace.evaluate.measure import measure_queries
from headrace.features import Target, open_session
from headrace.models import FAMILIES, Sample
from headrace.spec import GbdtParams, dump
from headrace.tasks import Grading, Queries

HOME = Path(
    os.environ.get("HEADRACE_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
)
BUILD = Path(__file__).parent.parent / "build"
PACKAGES = ["flaml[automl]==2.7.0", "numpy<2.5", "pandas<3", "pyarrow"]
METRIC = "ndcg_10"
AHEAD = 0.002
FOLDS = 5
LIST, LISTS = 100, 40


class Part(NamedTuple):
    """Rows to fit on, and rows whose queries are judged."""

    train: pl.DataFrame
    test: pl.DataFrame


class Case(NamedTuple):
    """How a table is divided by a seed, and the seconds of a search on each part."""

    divide: Callable[[int], list[Part]]
    seconds: float


def read_letor() -> pl.DataFrame:
    """LightGBM's own sample for rankings, train and test rows together."""
    from sklearn.datasets import load_svmlight_file

    home = HOME / "ltr_lightgbm_sample"
    parts = []
    for name in ("train", "test"):
        with gzip.open(home / f"rank.{name}.gz") as file:
            X, y = load_svmlight_file(file, n_features=301)
        counts = np.loadtxt(home / f"rank.{name}.query", dtype=int)
        queries = np.repeat([f"{name}{at:03d}" for at in range(len(counts))], counts)
        parts.append((X.toarray(), y, queries))
    X, y, queries = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    varied = np.flatnonzero(X.std(axis=0) > 0)
    columns = {f"f{at}": X[:, at] for at in varied}
    return pl.DataFrame({"query": queries, "grade": y.astype(np.int64), **columns})


def divide_letor(seed: int) -> list[Part]:
    """Five folds of the queries."""
    rows = read_letor()
    names = rows["query"].unique().sort().to_numpy()
    fold = dict(
        zip(names, np.random.default_rng(seed).permutation(len(names)) % FOLDS, strict=True)
    )
    of_row = rows["query"].replace_strict(fold)
    return [Part(rows.filter(of_row != at), rows.filter(of_row == at)) for at in range(FOLDS)]


def read_movielens() -> pl.DataFrame:
    """Ratings with what is known of the person and of the film; a person's day is a query."""
    home = HOME / "reco_movielens_1m_part"

    def load(name: str, columns: list[str]) -> pl.DataFrame:
        text = gzip.decompress((home / name).read_bytes()).decode("latin-1")
        lines = [line.split("::") for line in text.splitlines() if line]
        return pl.DataFrame(lines, schema=columns, orient="row")

    ratings = load("ratings.dat.gz", ["user", "movie", "grade", "at"])
    people = load("users.dat.gz", ["user", "gender", "age", "occupation", "zip"])
    movies = load("movies.dat.gz", ["movie", "title", "genres"])
    day = pl.col("at").cast(pl.Int64) // 86_400
    return (
        ratings.join(people, on="user")
        .join(movies, on="movie")
        .select(
            query=pl.col("user") + "/" + day.cast(pl.String),
            grade=pl.col("grade").cast(pl.Int64),
            day=day,
            user="user",
            movie="movie",
            gender="gender",
            age=pl.col("age").cast(pl.Int64),
            occupation="occupation",
            year=pl.col("title").str.extract(r"\((\d{4})\)").cast(pl.Int64),
            genres="genres",
        )
    )


def divide_movielens(seed: int) -> list[Part]:
    """Fit on the first three quarters of the days' ratings, judge a third of the later queries."""
    rows = read_movielens().sort("day", "query", "movie")
    border = rows["day"][int(0.75 * rows.height)]
    later = rows.filter(pl.col("day") >= border)
    names = later["query"].unique().sort().to_numpy()
    drawn = np.random.default_rng(seed).choice(names, len(names) // 3, replace=False)
    test = later.filter(pl.col("query").is_in(drawn.tolist()))
    train = rows.filter(pl.col("day") < border)
    return [Part(train.drop("day"), test.drop("day"))]


def simulate(queries: int, seed: int) -> pl.DataFrame:
    """Draw queries of 100 rows with 136 columns; a query shifts the columns of all its rows."""
    chance = np.random.default_rng(seed)
    world = np.random.default_rng(0)
    rows = queries * LIST
    X = chance.normal(size=(rows, 136)).astype(np.float32)
    weights = world.normal(size=136) * (world.random(136) < 0.25)
    taste = X @ weights / np.linalg.norm(weights)
    taste += np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] - 0.5 * X[:, 3] ** 2
    X[:, ::2] += np.repeat(chance.normal(size=(queries, 68)), LIST, axis=0)
    taste += chance.normal(size=rows)
    place = taste.reshape(queries, LIST).argsort(axis=1).argsort(axis=1).ravel()
    grade = np.searchsorted([52, 84, 97, 99], place, side="right")
    columns = {f"f{at}": X[:, at] for at in range(136)}
    name = np.repeat([f"q{at}" for at in range(queries)], LIST)
    return pl.DataFrame({"query": name, "grade": grade, **columns})


def divide_simulated(seed: int) -> list[Part]:
    """Fit on 1,400 queries, judge 600."""
    rows = simulate(2_000, seed)
    return [Part(rows[: 1_400 * LIST], rows[1_400 * LIST :])]


CASES = {
    "letor": Case(divide_letor, 20),
    "movielens": Case(divide_movielens, 60),
    "simulated": Case(divide_simulated, 60),
}


def peer_python() -> str:
    """The peers' environment, made on first use: FLAML needs older versions than ours."""
    home = BUILD / "peers" / "flaml"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


def run_headrace(folder: Path, seed: int, seconds: float) -> Any:
    """A spec of task, target and query, and nothing else; the test rows are its holdout."""
    home = folder / "headrace"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    spec = {
        "name": "ranking",
        "goal": {"target": "grade", "task": "ranking"},
        "data": {"source": "../train.parquet", "holdout": "../test.parquet", "group": "query"},
        "models": {"search": {"trials": 1000, "seconds": seconds}},
        "seed": seed,
    }
    (home / "system.yaml").write_text(json.dumps(spec))
    result = headrace.run(headrace.load(home))
    (folder / "headrace.json").write_text(json.dumps({"winner": result.document.winner.family}))
    model = headrace.open(result.bundle)
    return model.scores(model.predict(pl.read_parquet(folder / "test.parquet")))


def find_scores(name: str, at: int, part: Part, seed: int, peer: str) -> Any:
    """One peer's scores of the test rows of a part, kept or made now."""
    folder = BUILD / "ranking" / f"{name}-{seed}-{at}"
    kept = folder / f"{peer}.npy"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part.train.write_parquet(folder / "train.parquet")
        part.test.write_parquet(folder / "test.parquet")
        seconds = CASES[name].seconds
        if peer == "headrace":
            np.save(kept, run_headrace(folder, seed, seconds))
        else:
            script = str(Path(__file__).parent / "ranking_peer.py")
            files = [str(folder / "train.parquet"), str(folder / "test.parquet")]
            command = [peer_python(), script, peer, *files, str(seed), str(seconds), str(kept)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return np.load(kept)


def judge(part: Part, scores: Any) -> Any:
    """NDCG@10 of each query; NaN where there is nothing to find."""
    of_row = part.test["query"].rank("dense").to_numpy().astype(np.int64) - 1
    grades = part.test["grade"].cast(pl.Float64).to_numpy()
    queries = Queries(of_row, Grading())
    predictions = Predictions("ranking", grades, scores, queries=queries)
    return measure_queries(predictions, [METRIC])[:, 0]


def compare(name: str, seeds: list[int]) -> None:
    """Print a row for each peer of a case."""
    values: dict[str, list[Any]] = {peer: [] for peer in ("headrace", *PEERS)}
    for seed in seeds:
        for at, part in enumerate(CASES[name].divide(seed)):
            for peer, found in values.items():
                try:
                    found.append(judge(part, find_scores(name, at, part, seed, peer)))
                except subprocess.CalledProcessError:
                    found.append(np.full(part.test["query"].n_unique(), np.nan))
    own = np.concatenate(values["headrace"])
    for peer, found in values.items():
        other = np.concatenate(found)
        known = ~np.isnan(own) & ~np.isnan(other)
        if not known.any():
            print(f"| {name} | {peer} | not run | | |", flush=True)
            continue
        lead = (own - other)[known]
        error = 1.96 * lead.std() / np.sqrt(len(lead))
        verdict = ""
        if peer != "headrace":
            verdict = "**ahead of us**" if lead.mean() < -AHEAD else "not ahead"
            if lead.mean() - error > 0:
                verdict = "behind for certain"
        gap = "" if peer == "headrace" else f"{lead.mean():+.4f} ± {error:.4f}"
        print(f"| {name} | {peer} | {other[known].mean():.4f} | {gap} | {verdict} |", flush=True)


def time_fit(queries: int, rounds: int = 100) -> None:
    """Print how long a fit takes beside LightGBM alone, at equal rounds and settings, in turns."""
    rows = simulate(queries, 1)
    X = rows.drop("query", "grade").to_numpy()
    y = rows["grade"].cast(pl.Float64).to_numpy()
    of_row = np.repeat(np.arange(queries), LIST)
    params = GbdtParams(objective="lambdarank", truncation=13, rounds=rounds, column_fraction=0.8)
    sample = Sample(X, y, queries=Queries(of_row, Grading()))
    target = Target("grade", "ranking", [])

    def ours() -> None:
        FAMILIES["gbdt"].fit(sample, target, params, 7, None)

    def alone() -> None:
        settings = {
            "objective": "lambdarank",
            "lambdarank_truncation_level": 13,
            "learning_rate": params.learning_rate,
            "num_leaves": params.leaves,
            "min_data_in_leaf": params.min_rows_per_leaf,
            "lambda_l2": params.l2,
            "feature_fraction": 0.8,
            "verbosity": -1,
            "seed": 7,
        }
        data = lightgbm.Dataset(X, y, group=np.full(queries, LIST))
        lightgbm.train(settings, data, rounds)

    taken: dict[str, list[float]] = {"ours": [], "alone": []}
    for _ in range(3):
        for name, fit in (("ours", ours), ("alone", alone)):
            begin = time.perf_counter()
            fit()
            taken[name].append(time.perf_counter() - begin)
    own, other = (statistics.median(taken[name]) for name in ("ours", "alone"))
    print(
        f"\nfit of {rounds} rounds on {queries:,} queries × {LIST} rows × 136 columns: "
        f"{own:.1f} s, LightGBM alone {other:.1f} s: {own / other:.2f} × (1.2)"
    )


def make_lists() -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Contexts of 8 columns, each with 100 candidates of 12."""
    names = [*NUMERIC, *TEXT]
    shared = [*NUMERIC[:4], *TEXT[:4]]
    rows = [{name: row[name] for name in names} for row in table(LIST * LISTS, seed=3).to_dicts()]
    lists = []
    for at in range(LISTS):
        own = rows[at * LIST : (at + 1) * LIST]
        context = {name: own[0][name] for name in shared}
        others = [{name: row[name] for name in names if name not in context} for row in own]
        lists.append((context, others))
    return lists


def time_lists() -> None:
    """Print what a list of 100 candidates costs: in process, over HTTP, and by the graph alone."""
    lists = make_lists()
    bodies = [
        json.dumps({"context": context, "candidates": candidates, "k": 10}).encode()
        for context, candidates in lists
    ]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        stated = system(home, 100_000)
        bundle = headrace.run(stated).bundle
        (home / "system.yaml").write_bytes(dump(stated))
        model = headrace.open(bundle)
        shipped = open_session((bundle / "model.onnx").read_bytes())
        frames = [
            pl.DataFrame([{**context, **one} for one in candidates])
            for context, candidates in lists
        ]
        texts = [shipped.feeds(frame) for frame in frames]
        codes = [model.session.feeds(frame) for frame in frames]
        with serve(home) as client:
            calls: dict[str, Callable[[int], Any]] = {
                "Predictor.rank": lambda at: model.rank(*lists[at], 10),
                "POST /rank, k = 10": lambda at: post(client, bodies[at]),
                "model.onnx alone, from text": lambda at: shipped.run(["prediction"], texts[at]),
                "its graph behind the look-up": lambda at: model.session.run(
                    ["prediction"], codes[at]
                ),
            }
            times: dict[str, list[float]] = {name: [] for name in calls}
            # In turns of all lists: a service answers one such request after the other.
            for _ in range(25):
                for name, call in calls.items():
                    for at in range(LISTS):
                        begin = time.perf_counter()
                        call(at)
                        times[name].append(time.perf_counter() - begin)
    for name, taken in times.items():
        us = statistics.median(taken) * 1e6
        print(f"{name}: {us:,.0f} µs a list, {us / LIST:.1f} µs a candidate of {LIST}")


@contextmanager
def serve(folder: Path) -> Iterator[HTTPConnection]:
    """Serve a system on a free port, and connect to it."""
    command = [sys.executable, "-m", "headrace", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = urlsplit(json.loads(process.stderr.readline())["url"])
        client = HTTPConnection(str(address.hostname), address.port)
        while True:
            try:
                client.request("GET", "/health/ready")
                client.getresponse().read()
                break
            except ConnectionError:
                client.close()
                time.sleep(0.1)
        yield client
        client.close()
    finally:
        process.terminate()
        process.wait()


def post(client: HTTPConnection, body: bytes) -> bytes:
    """Ask for an order."""
    client.request("POST", "/rank", body)
    reply = client.getresponse()
    content = reply.read()
    assert reply.status == 200, content
    return content


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--no-times", action="store_true")
    arguments = parser.parse_args()
    print("| case | peer | NDCG@10 | we lead by | |\n| --- | --- | --- | --- | --- |")
    for name in arguments.cases.split(",") if arguments.cases else []:
        compare(name, [int(seed) for seed in arguments.seeds.split(",")])
    if not arguments.no_times:
        time_lists()
        time_fit(10_000)


if __name__ == "__main__":
    main()
