"""What others would fit to the same rows: each function takes train and test tables and returns
predictions of the test.

The glue is what a careful user writes: text columns as categories, times as their parts, free text
as tf-idf. FLAML runs in an environment of its own (see `quality.py`): this file imports nothing of
Headrace.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SECONDS = 60
_WORDS = 4


def prepared(
    train: pd.DataFrame, test: pd.DataFrame, target: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Both tables without the target, times as parts, text as shared categories; and the texts."""
    both = pd.concat([train, test], keys=["train", "test"]).drop(columns=target)
    texts = []
    for name in list(both.columns):
        values = both[name]
        if pd.api.types.is_datetime64_any_dtype(values):
            for part in ("month", "day", "dayofweek", "hour", "minute", "second"):
                both[f"{name}_{part}"] = getattr(values.dt, part)
            both = both.drop(columns=name)
        elif not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            words = values.dropna().astype(str).map(lambda text: len(text.split())).mean()
            if words >= _WORDS and values.nunique() > len(values) / 20:
                texts.append(name)
            else:
                both[name] = values.astype("category")
    return pd.DataFrame(both.loc["train"]), pd.DataFrame(both.loc["test"]), texts


def lightgbm(train: pd.DataFrame, test: pd.DataFrame, target: str, task: str, seed: int) -> Any:
    """LightGBM's defaults."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    X, held, texts = prepared(train, test, target)
    model = (LGBMRegressor if task == "regression" else LGBMClassifier)(
        verbose=-1, random_state=seed
    )
    return _predicted(
        model.fit(X.drop(columns=texts), train[target]), held.drop(columns=texts), task
    )


def histgb(train: pd.DataFrame, test: pd.DataFrame, target: str, task: str, seed: int) -> Any:
    """HistGradientBoosting of scikit-learn; columns of more than 255 categories go in as codes."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    X, held, texts = prepared(train, test, target)
    X, held = X.drop(columns=texts), held.drop(columns=texts)
    for name in X.columns:
        if isinstance(X[name].dtype, pd.CategoricalDtype) and len(X[name].cat.categories) > 255:
            X[name], held[name] = X[name].cat.codes, held[name].cat.codes
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    model = kind(categorical_features="from_dtype", random_state=seed)
    return _predicted(model.fit(X, train[target]), held, task)


def tfidf(train: pd.DataFrame, test: pd.DataFrame, target: str, task: str, seed: int) -> Any:
    """tf-idf of words and pairs of words, then logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    _, _, texts = prepared(train, test, target)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=500)
    )
    return _predicted(model.fit(train[texts[0]], train[target]), test[texts[0]], task)


def flaml(train: pd.DataFrame, test: pd.DataFrame, target: str, task: str, seed: int) -> Any:
    """FLAML's search over its default estimators for 60 s; texts as 100 topics of their tf-idf."""
    from flaml import AutoML

    X, held, texts = prepared(train, test, target)
    X, held = X.copy(), held.copy()
    for name in texts:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        topics = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2)), TruncatedSVD(100, random_state=seed)
        )
        for frame, made in (
            (X, topics.fit_transform(X[name])),
            (held, topics.transform(held[name])),
        ):
            frame[[f"{name}_{at}" for at in range(100)]] = made
        X, held = X.drop(columns=name), held.drop(columns=name)
    search = AutoML()
    metric = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}[task]
    kind = "regression" if task == "regression" else "classification"
    y = train[target]
    labels = sorted(y.unique()) if kind == "classification" else []
    y = y.map({label: at for at, label in enumerate(labels)}) if labels else y
    search.fit(X, y, task=kind, metric=metric, time_budget=SECONDS, verbose=0, seed=seed, n_jobs=2)
    return search.predict(held) if task == "regression" else search.predict_proba(held)


def _predicted(model: Any, X: Any, task: str) -> Any:
    return model.predict(X) if task == "regression" else model.predict_proba(X)


PEERS = {peer.__name__: peer for peer in (lightgbm, histgb, tfidf, flaml)}


def main() -> None:
    """PEER TRAIN TEST TARGET TASK SEED OUTPUT: Parquet in, an `.npy` of predictions out."""
    warnings.filterwarnings("ignore")
    peer, train, test, target, task, seed, output = sys.argv[1:]
    found = PEERS[peer](pd.read_parquet(train), pd.read_parquet(test), target, task, int(seed))
    np.save(Path(output), np.asarray(found, np.float64))


if __name__ == "__main__":
    main()
