"""Real tables for the quality benchmark, from a data folder beside the repository (`HEADRACE_DATA`,
or `../shared/data`).

Test rows are a random quarter, so a clock would let a model look up a test row's neighbours in time
(a session's other clicks, the same day's weather). Times are typed as such, and every peer sees
their parts alone.
"""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from headrace.spec import Task
from headrace.tables import load

HOME = Path(
    os.environ.get("HEADRACE_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
)
TEST_SHARE = 0.25
_AFTER_TAKE_OFF = [
    "WHEELS_ON", "TAXI_IN", "ARRIVAL_TIME", "ELAPSED_TIME", "AIR_TIME", "DIVERTED", "CANCELLED",
    "CANCELLATION_REASON", "AIR_SYSTEM_DELAY", "SECURITY_DELAY",
    "AIRLINE_DELAY", "LATE_AIRCRAFT_DELAY", "WEATHER_DELAY",
]  # fmt: skip


class Case(NamedTuple):
    """A table with its task; `test` are the official test rows where there are some."""

    table: pl.DataFrame
    target: str
    task: Task
    metric: str
    test: pl.DataFrame | None = None

    def divided(self, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Train and test rows: the official ones, or a quarter at random for testing, by class.

        Rows that repeat a test row are in nobody's training table: Headrace leaves them out of its
        own accord, and others would be asked what they had been told.
        """
        train, test = self._cut(seed)
        return train.join(
            test, on=train.columns, how="anti", nulls_equal=True, maintain_order="left"
        ), test

    def _cut(self, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        if self.test is not None:
            return self.table, self.test
        chance = np.random.default_rng(seed)
        keys = pl.DataFrame(
            {"random": chance.random(self.table.height), "row": np.arange(self.table.height)}
        )
        strata = (
            self.table[self.target]
            if self.task != "regression"
            else pl.Series([0]).new_from_index(0, keys.height)
        )
        ranked = keys.with_columns(strata.alias("stratum")).with_columns(
            (
                pl.col("random").rank("ordinal").over("stratum")
                <= TEST_SHARE * pl.len().over("stratum")
            ).alias("held")
        )
        held = ranked["held"]
        return self.table.filter(~held), self.table.filter(held)


def _csv(path: str, missing: list[str] | None = None) -> pl.DataFrame:
    words = missing or ["", "NA"]
    table = pl.read_csv(
        HOME / path, infer_schema_length=None, null_values=words, try_parse_dates=True
    )
    return table.with_columns(pl.col(pl.Date).cast(pl.Datetime("us")))


def adult() -> Case:
    home = Path(__file__).parent.parent / "examples" / "income"
    whole = pl.concat(
        load(home / name, missing=["", "?"]).frame for name in ("train.csv.gz", "test.csv.gz")
    )
    return Case(whole.drop("fnlwgt"), "classification", "binary", "roc_auc")


def criteo() -> Case:
    return Case(
        _csv("ctr_criteo_20k/criteo_20k.csv.gz").drop("row_id"), "label", "binary", "roc_auc"
    )


def talkingdata() -> Case:
    table = _csv("ctr_talkingdata_100k/train_sample.csv.gz").drop("attributed_time")
    return Case(table, "is_attributed", "binary", "roc_auc")


def electricity() -> Case:
    return Case(
        _csv("drift_electricity/electricity.csv.gz").drop("seq"), "class", "binary", "roc_auc"
    )


def deskdrop() -> Case:
    table = _csv("feed_deskdrop/users_interactions.csv.gz")
    strong = (pl.col("eventType") != "VIEW").cast(pl.Int64).alias("strong")
    ids = pl.col("contentId", "personId", "sessionId").cast(pl.String)
    at = pl.from_epoch("timestamp").cast(pl.Datetime("us"))
    return Case(
        table.with_columns(ids, strong, at).drop("eventType"), "strong", "binary", "roc_auc"
    )


def flights_late() -> Case:
    table = _csv("regression_flights_jan2015/flights.csv.gz").filter(
        pl.col("ARRIVAL_DELAY").is_not_null()
    )
    late = (pl.col("ARRIVAL_DELAY") >= 15).cast(pl.Int64).alias("late")
    known_late = [
        *_AFTER_TAKE_OFF,
        "ARRIVAL_DELAY",
        "DEPARTURE_TIME",
        "DEPARTURE_DELAY",
        "TAXI_OUT",
        "WHEELS_OFF",
    ]
    return Case(table.with_columns(late).drop(known_late), "late", "binary", "roc_auc")


def flights_delay() -> Case:
    table = _csv("regression_flights_jan2015/flights.csv.gz").filter(
        pl.col("ARRIVAL_DELAY").is_not_null()
    )
    return Case(table.drop(_AFTER_TAKE_OFF), "ARRIVAL_DELAY", "regression", "rmse")


def bikes() -> Case:
    table = _csv("regression_bike_sharing/hour.csv.gz").drop("instant", "casual", "registered")
    return Case(table, "cnt", "regression", "rmse")


def taxis() -> Case:
    table = _csv("regression_nyc_taxis/taxis.csv.gz").drop("fare", "tip", "tolls")
    return Case(table, "total", "regression", "rmse")


def movielens() -> Case:
    home = HOME / "reco_movielens_1m_part"

    def read(name: str, columns: list[str]) -> pl.DataFrame:
        lines = gzip.decompress((home / name).read_bytes()).decode("latin-1").splitlines()
        return pl.DataFrame([line.split("::") for line in lines], schema=columns, orient="row")

    ratings = read("ratings.dat.gz", ["user", "movie", "rating", "time"])
    whole = ratings.join(
        read("users.dat.gz", ["user", "gender", "age", "occupation", "zip"]), on="user", how="left"
    )
    whole = whole.join(
        read("movies.dat.gz", ["movie", "title", "genres"]), on="movie", how="left"
    ).drop("title")
    numbers = pl.col("rating", "time", "age").cast(pl.Int64)
    at = pl.from_epoch("time").cast(pl.Datetime("us"))
    return Case(
        whole.with_columns(numbers).with_columns(at).gather_every(4), "rating", "regression", "rmse"
    )


def digits() -> Case:
    home = HOME / "ann_mnist_10k"
    pixels = gzip.decompress((home / "t10k-images-idx3-ubyte.gz").read_bytes())
    rows = struct.unpack(">i", pixels[4:8])[0]
    X = np.frombuffer(pixels, np.uint8, offset=16).reshape(rows, -1)
    labels = np.frombuffer(
        gzip.decompress((home / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8
    )
    table = pl.DataFrame({f"pixel{at}": X[:, at].astype(np.int64) for at in range(X.shape[1])})
    return Case(
        table.with_columns(pl.Series("digit", labels.astype(np.int64))),
        "digit",
        "multiclass",
        "accuracy",
    )


def banking77() -> Case:
    table, test = (_csv(f"tickets_banking77/{name}.csv.gz") for name in ("train", "test"))
    return Case(table, "category", "multiclass", "accuracy", test)


CASES: dict[str, Callable[[], Case]] = {
    case.__name__: case
    for case in (
        adult, criteo, talkingdata, electricity, deskdrop, flights_late, flights_delay, bikes,
        taxis, movielens, digits, banking77,
    )
}  # fmt: skip
