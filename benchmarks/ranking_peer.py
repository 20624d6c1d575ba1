"""Rank the same rows as others would: by LightGBM and XGBoost by hand, and by FLAML's search.

The glue is what a careful user writes: rows sorted by query, text columns as categories, a part of
the queries held back to stop early. It runs in an environment of its own (see `ranking.py`) and
imports nothing of Headrace.
"""

import sys
import time
from typing import Any

import numpy as np
import pandas as pd


def read(path: str, order: bool) -> tuple[pd.DataFrame, Any, Any]:
    """Features, grades and queries of a table, sorted by query where that is asked for."""
    table = pd.read_parquet(path)
    if order:
        table = table.sort_values("query", kind="stable")
    return table.drop(columns=["query", "grade"]), table["grade"].to_numpy(), table["query"]


def sizes(queries: Any) -> Any:
    """How many rows each query has, in the order of the rows."""
    _, first, counts = np.unique(queries, return_index=True, return_counts=True)
    return counts[np.argsort(first)]


def categories(X: pd.DataFrame, held: pd.DataFrame) -> None:
    """Make text columns categories of both tables."""
    for name in X.columns:
        if not pd.api.types.is_numeric_dtype(X[name]):
            both = pd.concat([X[name], held[name]]).astype("category")
            X[name] = pd.Categorical(X[name], categories=both.cat.categories)
            held[name] = pd.Categorical(held[name], categories=both.cat.categories)


def hold_back(queries: Any, seed: int) -> Any:
    """A mask of the rows of one query in seven."""
    names = np.unique(queries)
    picked = np.random.default_rng(seed).permutation(names)[: max(1, len(names) // 7)]
    return np.isin(queries, picked)


def lightgbm(X: Any, y: Any, queries: Any, held: Any, seed: int, seconds: float) -> Any:
    """LightGBM with the settings of its own example of LambdaMART, and its early stopping."""
    import lightgbm as lgb

    back = hold_back(queries, seed)
    train = lgb.Dataset(X[~back], y[~back], group=sizes(queries[~back]))
    judge = lgb.Dataset(X[back], y[back], group=sizes(queries[back]), reference=train)
    settings = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_data_in_leaf": 50,
        "min_sum_hessian_in_leaf": 5.0,
        "bagging_freq": 1,
        "bagging_fraction": 0.9,
        "seed": seed,
        "verbosity": -1,
    }
    stop = lgb.early_stopping(30, verbose=False)
    return lgb.train(settings, train, 100, valid_sets=[judge], callbacks=[stop]).predict(held)


def xgboost(X: Any, y: Any, queries: Any, held: Any, seed: int, seconds: float) -> Any:
    """XGBoost's `rank:ndcg` with its defaults, stopped early."""
    from xgboost import XGBRanker

    back = hold_back(queries, seed)
    ids = np.unique(queries, return_inverse=True)[1]
    model = XGBRanker(
        objective="rank:ndcg",
        n_estimators=500,
        learning_rate=0.1,
        eval_metric="ndcg@10",
        early_stopping_rounds=30,
        enable_categorical=True,
        random_state=seed,
        ndcg_exp_gain=bool(y.max() <= 12),
    )
    model.fit(
        X[~back],
        y[~back],
        qid=ids[~back],
        eval_set=[(X[back], y[back])],
        eval_qid=[ids[back]],
        verbose=False,
    )
    return model.predict(held)


def flaml(X: Any, y: Any, queries: Any, held: Any, seed: int, seconds: float) -> Any:
    """FLAML's search over its learners for rankings; it takes no query of a single row."""
    from flaml import AutoML

    many = pd.Series(queries).map(pd.Series(queries).value_counts()).to_numpy() > 1
    X, y, queries = X[many], y[many], queries[many]
    search = AutoML()
    search.fit(
        X,
        y,
        groups=np.unique(queries, return_inverse=True)[1],
        task="rank",
        metric="ndcg@10",
        time_budget=seconds,
        verbose=0,
        seed=seed,
        n_jobs=2,
    )
    return search.predict(held)


PEERS = {peer.__name__: peer for peer in (lightgbm, xgboost, flaml)}


def main() -> None:
    """PEER TRAIN TEST SEED SECONDS OUTPUT: Parquet in, an `.npy` of scores of the test rows out."""
    peer, train, test, seed, seconds, output = sys.argv[1:]
    X, y, queries = read(train, order=True)
    held, _, _ = read(test, order=False)
    categories(X, held)
    begin = time.perf_counter()
    scores = PEERS[peer](X, y, queries.to_numpy(), held, int(seed), float(seconds))
    np.save(output, np.asarray(scores, np.float64))
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main()
