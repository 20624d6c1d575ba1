"""How good the model is that `headrace run` finds by itself, beside its peers on the same rows of
real tables.

    python benchmarks/quality.py                              # everything; hours on two cores
    python benchmarks/quality.py --cases bikes,adult --seeds 1,2,3 --peers headrace,lightgbm

Predictions are kept in build/quality, so a run goes on where it stopped; delete the folder to
measure anew. A peer wins a case where the paired 95 % bootstrap interval of its advantage lies
above 0.002 (relative for RMSE), test rows of all seeds together.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from quality_data import CASES, HOME, Case
from quality_peers import PEERS, SECONDS

import headrace
from headrace.evaluate import Measure, Predictions, compute_metric
from headrace.evaluate.bootstrap import draw_resamples

BUILD = Path(__file__).parent.parent / "build"
FLAML = ["flaml[automl]==2.7.0", "numpy<2.5", "pandas<3", "pyarrow"]
MARGIN = 0.002
TEXT_ALONE = ("banking77",)
NOT_FOR_TEXT, NOT_FOR_COLUMNS = ("lightgbm", "histgb"), ("tfidf",)


def flaml_python() -> str:
    """FLAML's environment, made on first use: it needs older versions than ours."""
    home = BUILD / "peers" / "flaml"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *FLAML], check=True)
    return str(python)


def run_headrace(folder: Path, case: Case, seed: int) -> Any:
    """A spec that states task and metric, and nothing else; the test rows are its holdout."""
    home = folder / "headrace"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    spec = {
        "name": "quality",
        "goal": {"target": case.target, "task": case.task, "metric": case.metric},
        "data": {"source": "../train.parquet", "holdout": "../test.parquet"},
        "models": {"search": {"trials": 1000, "seconds": SECONDS}},
        "seed": seed,
    }
    (home / "system.yaml").write_text(json.dumps(spec))
    result = headrace.run(headrace.load(home))
    predictor = headrace.open(result.bundle)
    test = pl.read_parquet(folder / "test.parquet")
    found = predictor.scores(predictor.predict(test))
    summary = {
        name: getattr(result.document, name)
        for name in ("winner", "decisions", "seconds", "metric")
    }
    (folder / "headrace.json").write_text(msgspec.json.encode(summary).decode())
    return found


def predictions(name: str, case: Case, seed: int, peer: str) -> Any:
    """One peer's predictions of the test rows, from the store or made now; none where it failed."""
    folder = BUILD / "quality" / f"{name}-{seed}"
    kept = folder / f"{peer}.npy"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        train, test = case.divided(seed)
        train.write_parquet(folder / "train.parquet")
        test.write_parquet(folder / "test.parquet")
        begin = time.perf_counter()
        if peer == "headrace":
            np.save(kept, run_headrace(folder, case, seed))
        else:
            python = flaml_python() if peer == "flaml" else sys.executable
            script = str(Path(__file__).with_name("quality_peers.py"))
            tables = [str(folder / "train.parquet"), str(folder / "test.parquet")]
            done = subprocess.run(
                [python, script, peer, *tables, case.target, case.task, str(seed), str(kept)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                print(
                    f"{name} {seed} {peer}: did not run: {done.stderr.strip().splitlines()[-1:]}",
                    flush=True,
                )
                return None
        print(f"{name} {seed} {peer}: {time.perf_counter() - begin:.0f} s", flush=True)
    return np.load(kept)


def numbered(case: Case, test: pl.DataFrame) -> Any:
    """The target as class numbers or values."""
    if case.task == "regression":
        return test[case.target].cast(pl.Float64).to_numpy()
    classes = case.table[case.target].unique().sort().to_list()
    return (
        test[case.target]
        .replace_strict(classes, range(len(classes)), return_dtype=pl.Float64)
        .to_numpy()
    )


def shaped(case: Case, scores: Any) -> Any:
    """Probabilities: of the second class `(N,)` in binary tasks, else of all `(N, K)`."""
    return scores[:, 1] if case.task == "binary" and scores.ndim == 2 else scores


def advantage(case: Case, pairs: list[tuple[Any, Any, Any]]) -> tuple[float, float, float]:
    """How much better a peer is: the mean over seeds and its 95 % interval, relative for RMSE."""
    measures = [
        [Measure(Predictions(case.task, y, scores), [case.metric]) for scores in pair]
        for y, *pair in pairs
    ]

    def difference(weights: list[Any]) -> float:
        found = []
        for (ours, theirs), weight in zip(measures, weights, strict=True):
            a, b = ours(weight)[case.metric], theirs(weight)[case.metric]
            found.append((a - b) / a if case.task == "regression" else b - a)
        return float(np.mean(found))

    drawn = zip(
        *(
            draw_resamples(Predictions(case.task, y, y), seed, 300)
            for seed, (y, *_) in enumerate(pairs)
        ),
        strict=True,
    )
    differences = [difference(list(weights)) for weights in drawn]
    point = difference([np.ones(len(y)) for y, *_ in pairs])
    return point, float(np.quantile(differences, 0.025)), float(np.quantile(differences, 0.975))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--peers", default="headrace," + ",".join(PEERS))
    wanted = parser.parse_args()
    if not HOME.is_dir():
        sys.exit(f"no data in {HOME}; set HEADRACE_DATA")
    peers, ranks, lost = wanted.peers.split(","), [], []
    for name in wanted.cases.split(","):
        case = CASES[name]()
        made: dict[str, list[Any]] = {}
        for seed in map(int, wanted.seeds.split(",")):
            y = numbered(case, case.divided(seed)[1])
            for peer in peers:
                if peer in (NOT_FOR_TEXT if name in TEXT_ALONE else NOT_FOR_COLUMNS):
                    continue
                scores = predictions(name, case, seed, peer)
                if scores is not None:
                    made.setdefault(peer, []).append((y, shaped(case, scores)))
        values = {
            peer: float(
                np.mean(
                    [compute_metric(Predictions(case.task, y, s), case.metric) for y, s in runs]
                )
            )
            for peer, runs in made.items()
        }
        sign = 1 if case.task == "regression" else -1
        ranked = sorted(values, key=lambda peer: sign * values[peer])
        ranks.append({peer: place for place, peer in enumerate(ranked, 1)})
        print(f"\n{name}: {case.table.height:,} rows, {case.metric}")
        for peer in ranked:
            line = f"  {peer:<9} {values[peer]:.4f}"
            if (
                peer != "headrace"
                and "headrace" in made
                and len(made[peer]) == len(made["headrace"])
            ):
                pairs = [
                    (y, ours, theirs)
                    for (y, ours), (_, theirs) in zip(made["headrace"], made[peer], strict=True)
                ]
                point, low, high = advantage(case, pairs)
                verdict = (
                    "WINS"
                    if low > MARGIN
                    else "ahead"
                    if low > 0
                    else "behind"
                    if high < 0
                    else "even"
                )
                lost += [f"{peer} on {name}"] if low > MARGIN else []
                line += f"   advantage {point:+.4f} [{low:+.4f}, {high:+.4f}] {verdict}"
            print(line, flush=True)
    print("\nmean rank (over the cases that each ran)")
    for peer in peers:
        places = [places[peer] for places in ranks if peer in places]
        if places:
            print(f"  {peer:<9} {np.mean(places):.2f}  ({len(places)} cases)")
    print("lost to: " + (", ".join(lost) or "none"))


if __name__ == "__main__":
    main()
