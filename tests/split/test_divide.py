from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.spec import Data, SplitSpec
from headrace.split import Split, Strata, folds, split_rows

START = datetime(2024, 1, 1)


def make(rows: int, seed: int, levels: int = 1000) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": chance.integers(0, rows * 2, rows),
            "x": chance.integers(0, levels, rows),
            "owner": chance.integers(0, rows // 4 + 1, rows),
            "at": [START + timedelta(hours=int(hour)) for hour in chance.integers(0, rows, rows)],
            "y": chance.integers(0, 2, rows),
        }
    )


def cut(frame: pl.DataFrame, split: SplitSpec, holdout: int = 0, **data: Any) -> Split:
    strata = frame["y"].cast(pl.Int64).to_numpy()
    return split_rows(frame, split, Data(source="", **data), Strata(strata), holdout, seed=1)


def keys(frame: pl.DataFrame, rows: Any) -> tuple[set[Any], set[Any]]:
    return set(frame[rows]["id"].to_list()), set(frame[rows].drop("id").rows())


@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(60, 400),
    by=st.sampled_from(["random", "stratified", "group", "time"]),
)
def test_parts_never_share_a_row_a_duplicate_or_an_id(seed: int, rows: int, by: Any) -> None:
    frame = make(rows, seed)
    frame = pl.concat(
        [frame, frame.sample(rows // 5, seed=seed).with_columns(pl.col("id") + 10**6)]
    )
    try:
        parts = cut(
            frame, SplitSpec(by=by, validation=0.2, test=0.2), id="id", time="at", group="owner"
        )
    except InputError:  # so few rows that a part holds one class
        return
    for a, b in (
        (parts.train, parts.validation),
        (parts.train, parts.test),
        (parts.validation, parts.test),
    ):
        assert not set(a) & set(b)
        for one, other in zip(keys(frame, a), keys(frame, b), strict=True):
            assert not one & other
        if by == "group":
            assert not set(frame[a]["owner"]) & set(frame[b]["owner"])
    kept = len(parts.train) + len(parts.validation) + len(parts.test)
    assert kept + parts.purged == frame.height
    if by in ("random", "stratified"):
        assert parts.purged == 0


@given(seed=st.integers(0, 10**6), hours=st.integers(0, 20))
def test_a_time_split_keeps_order_and_gap(seed: int, hours: int) -> None:
    frame = make(300, seed)
    parts = cut(frame, SplitSpec(by="time", gap=f"{hours}h"), time="at")
    gap = timedelta(hours=hours)
    train, validation, test = (
        frame[rows]["at"] for rows in (parts.train, parts.validation, parts.test)
    )
    assert train.max() < validation.min() - gap  # type: ignore[operator]
    assert validation.max() < test.min() - gap  # type: ignore[operator]


def test_a_stratified_split_keeps_the_shares() -> None:
    frame = pl.DataFrame({"x": np.arange(2000), "y": np.arange(2000) % 10 == 0})
    parts = cut(frame, SplitSpec(by="stratified"))
    for rows, share in ((parts.train, 0.7), (parts.validation, 0.15), (parts.test, 0.15)):
        assert abs(len(rows) - share * 2000) <= 2
        assert abs(frame[rows]["y"].mean() - 0.1) < 0.005  # type: ignore[operator]


def test_a_holdout_is_the_test_and_purges_its_copies() -> None:
    frame = make(200, 1)
    whole = pl.concat([frame, frame.head(30)])
    parts = cut(whole, SplitSpec(by="random"), holdout=30)
    assert parts.test.tolist() == list(range(200, 230))
    assert parts.purged >= 30
    assert not set(parts.train) & set(range(30))
    assert parts.findings[0].check == "split.duplicates"


@pytest.mark.parametrize(
    ("frame", "split", "data", "words"),
    [
        (make(5, 1), SplitSpec(by="random"), {}, "5 rows"),
        (make(50, 1), SplitSpec(by="time", gap="1h"), {}, "the rows have no time"),
        (make(50, 1), SplitSpec(by="group"), {}, "data.group is not set"),
        (make(50, 1), SplitSpec(by="random", test=0.0), {}, "split.test"),
        (make(50, 1), SplitSpec(by="random", test=0.5, validation=0.5), {}, "less than 0.9"),
        (
            make(50, 1).with_columns(at=pl.lit("soon")),
            SplitSpec(by="time"),
            {"time": "at"},
            "ISO 8601",
        ),
        (
            make(50, 1).with_columns(at=pl.lit(None, pl.Datetime)),
            SplitSpec(by="time"),
            {"time": "at"},
            "row 1: no time",
        ),
        (
            make(50, 1).with_columns(owner=pl.lit(1)),
            SplitSpec(by="group"),
            {"group": "owner"},
            "no row|one class",
        ),
        (
            make(50, 1).with_columns(at=pl.col("x")),
            SplitSpec(by="time", gap="1h"),
            {"time": "at"},
            "split.gap",
        ),
        (
            make(50, 1).sort("at").with_columns(y=pl.int_range(50) < 25),
            SplitSpec(by="time"),
            {"time": "at"},
            "only one class",
        ),
    ],
)
def test_splits_that_cannot_be(
    frame: pl.DataFrame, split: SplitSpec, data: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        cut(frame, split, **data)


@pytest.mark.parametrize("by", ["random", "stratified", "group", "time"])
def test_folds_cover_rows_once_and_share_nothing(by: Any) -> None:
    frame = make(400, 3, levels=100)
    parts = cut(frame, SplitSpec(by=by), id="id", time="at", group="owner")
    plan = folds(parts, frame["y"].to_numpy(), 5, seed=1)
    predicted = np.concatenate([fold.predict for fold in plan])
    assert len(set(predicted)) == len(predicted)
    assert not set(predicted) & set(parts.test)
    if by != "time":
        assert sorted(predicted) == sorted([*parts.train, *parts.validation])
    for fold in plan:
        for one, other in zip(keys(frame, fold.fit), keys(frame, fold.predict), strict=True):
            assert not one & other
        if by == "time":
            assert frame[fold.fit]["at"].max() < frame[fold.predict]["at"].min()  # type: ignore[operator]
        if by == "group":
            assert not set(frame[fold.fit]["owner"]) & set(frame[fold.predict]["owner"])


def test_the_gap_is_kept_before_a_holdout() -> None:
    frame = make(600, 4).sort("at")
    parts = cut(frame, SplitSpec(by="time", gap="30h", validation=0.2), holdout=150, time="at")
    times = frame["at"].to_numpy()
    begin, gap = times[450:].min(), np.timedelta64(30, "h")
    assert times[parts.validation].max() < begin - gap
    assert times[parts.train].max() < times[parts.validation].min() - gap
    assert len(parts.test) == 150
    assert parts.borders == [
        str(frame["at"][int(parts.validation[0])]),
        str(frame["at"][450]),
    ]
    with pytest.raises(InputError, match="no row is 700d older than the holdout"):
        cut(frame, SplitSpec(by="time", gap="700d"), holdout=150, time="at")


def test_no_outcome_is_used_before_it_was_known() -> None:
    """Under a time split and in its folds, what is fitted on ends the gap before what is predicted
    begins.
    """
    frame = make(600, 4)
    parts = cut(frame, SplitSpec(by="time", gap="30h"), time="at")
    times = frame["at"].to_numpy()
    pairs = [(parts.train, parts.validation), (parts.validation, parts.test)]
    cuts = folds(parts, None, 5, 1)
    pairs += [(fold.fit, fold.predict) for fold in cuts]
    assert len(cuts) == 5
    for earlier, later in pairs:
        assert times[earlier].max() < times[later].min() - np.timedelta64(30, "h")
    known = np.sort(np.concatenate([parts.train, parts.validation]))
    for fold in cuts:  # and no row that was known by then is left out for nothing
        begin = times[fold.predict].min()
        assert set(fold.fit) == {
            row for row in known if times[row] < begin - np.timedelta64(30, "h")
        }
