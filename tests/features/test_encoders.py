"""Every encoder against an independent reference: scikit-learn, datetime, or a plain loop."""

import math
from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from headrace.features import (
    REPRESENTATIONS,
    EncoderChoice,
    Features,
    fit_features,
    open_session,
    plan_columns,
)
from headrace.models import compile_features
from headrace.spec import ColumnSpec, FeaturesSpec

MISSING = ["?", "NA"]
EPOCH = datetime(1970, 1, 1)
numbers = st.one_of(
    st.none(),
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([math.inf, -math.inf, 0.0, -0.0, 1e8, 1e8 + 8, -1e8, 1e-30, 3.0e38]),
)
words = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "?", "a", "b", "=", "0=a", "ü", "日本", "a b", "unseen", "NaN", "\U0001f600"]
    ),
)
instants = st.one_of(
    st.none(),
    st.datetimes(datetime(1600, 1, 1), datetime(2900, 12, 31)),
    st.sampled_from(
        [
            datetime(1900, 2, 28, 23, 59),
            datetime(1900, 3, 1),
            datetime(2000, 2, 29),
            datetime(1969, 12, 31, 23, 59, 59, 999999),
            EPOCH,
            datetime(1, 1, 1),
            datetime(9999, 12, 31, 23, 59),
            datetime(2024, 12, 31, 12),
        ]
    ),
)


def fitted(train: pl.Series, kind: str, encode: str) -> Features:
    frame = pl.DataFrame([train.alias("c")])
    spec = FeaturesSpec(columns={"c": ColumnSpec(kind=kind, encode=encode)})  # type: ignore[arg-type]
    columns = plan_columns(frame, spec, {}, [])
    return fit_features(frame, columns, spec, EncoderChoice("tree"), MISSING)


def matrix(features: Features, values: pl.Series) -> np.ndarray:
    """The graph's features; one row at a time must equal the batch."""
    session = open_session(compile_features(features))
    frame = pl.DataFrame([values.alias("c")])
    batch = session.column("features", frame)
    for row in range(min(frame.height, 5)):
        assert np.array_equal(
            session.column("features", frame[row : row + 1]), batch[row : row + 1], equal_nan=True
        )
    return batch


def as_numbers(values: list[float | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


@given(values=st.lists(numbers, min_size=1, max_size=30))
def test_raw_is_float32_of_the_value(values: list[float | None]) -> None:
    train = as_numbers([0.5, 1.5, None, 7.0])
    found = matrix(fitted(train, "numeric", "raw"), as_numbers(values))[:, 0]
    with np.errstate(over="ignore"):
        expected = np.array(
            [np.nan if value is None else value for value in values], dtype=np.float32
        )
    assert np.array_equal(found, expected, equal_nan=True)


@given(
    values=st.lists(numbers, min_size=1, max_size=30),
    seed=st.integers(0, 1000),
    missing=st.booleans(),
)
def test_standardize_equals_scikit_learn_within_the_training_range(
    values: list[float | None], seed: int, missing: bool
) -> None:
    train = np.random.default_rng(seed).normal(5, 3, 200).astype(np.float32).astype(np.float64)
    series = as_numbers([*train, *([None] if missing else [])])
    features = fitted(series, "numeric", "standardize")
    found = matrix(features, as_numbers(values))
    scaler = StandardScaler().fit(train[:, None])
    for row, value in zip(found, values, strict=True):
        held = None if value is None else min(max(np.float32(value), train.min()), train.max())
        expected = 0.0 if held is None else scaler.transform([[held]])[0, 0]
        assert row[0] == pytest.approx(expected, rel=1e-5, abs=1e-6)
        if missing:
            assert row[1] == (value is None)
    assert features.names == (["c", "c_missing"] if missing else ["c"])


@pytest.mark.parametrize("encode", ["raw", "standardize"])
def test_large_numbers_keep_the_digits_that_matter(encode: str) -> None:
    train = as_numbers([1e8 + step / 4 for step in range(100)])
    features = fitted(train, "numeric", encode)
    assert features.groups == {"doubles": ["c"]}
    found = matrix(features, train)[:, 0]
    assert len(np.unique(found)) == 100
    expected = train.to_numpy() - train.to_numpy().mean()
    assert found == pytest.approx(
        expected / (expected.std() if encode == "standardize" else 1), rel=1e-5
    )


def reference_codes(train: list[str | None], most: int | None = None) -> dict[str, int]:
    """Ranks by falling frequency (ties by name) of values that a small table has twice or more."""
    counts = Counter(word for word in train if word not in (None, "", *MISSING))
    often = sorted(
        (word for word, count in counts.items() if count >= 2),
        key=lambda word: (-counts[word], word or ""),
    )
    return {word: code for code, word in enumerate(often[:most], 1) if word is not None}


def code_of(word: str | None, codes: dict[str, int]) -> int:
    return -1 if word is None or word in ("", *MISSING) else codes.get(word, 0)


@given(
    train=st.lists(words, min_size=1, max_size=40), values=st.lists(words, min_size=1, max_size=20)
)
def test_ordinal_codes_equal_a_loop(train: list[str | None], values: list[str | None]) -> None:
    series = pl.Series(train, dtype=pl.String).replace(MISSING, None)
    found = matrix(fitted(series, "categorical", "ordinal"), pl.Series(values, dtype=pl.String))[
        :, 0
    ]
    codes = reference_codes(train)
    expected = [code_of(word, codes) for word in values]
    if all(word is not None and word not in ("", *MISSING) for word in train):
        expected = [
            max(code, 0) for code in expected
        ]  # what was never missing takes it for a rare value
    assert found.tolist() == expected


@given(
    train=st.lists(words, min_size=4, max_size=60), values=st.lists(words, min_size=1, max_size=20)
)
def test_frequency_equals_a_loop(train: list[str | None], values: list[str | None]) -> None:
    series = pl.Series(train, dtype=pl.String).replace(MISSING, None)
    found = matrix(fitted(series, "categorical", "frequency"), pl.Series(values, dtype=pl.String))[
        :, 0
    ]
    codes = reference_codes(train)
    present = [word for word in train if code_of(word, codes) != -1]
    rare = {word for word in present if code_of(word, codes) == 0}
    rare_share = sum(word in rare for word in present) / len(rare) / len(train) if rare else 0.0
    for share, word in zip(found, values, strict=True):
        code = code_of(word, codes)
        absent = sum(code_of(other, codes) == -1 for other in train) / len(train)
        expected = (
            absent if code == -1 else rare_share if code == 0 else present.count(word) / len(train)
        )
        assert share == pytest.approx(expected, rel=1e-6)


@given(seed=st.integers(0, 1000))
def test_onehot_equals_scikit_learn(seed: int) -> None:
    chance = np.random.default_rng(seed)
    train = chance.choice(["a", "b", "c", "d", "once"], 60, p=[0.4, 0.3, 0.2, 0.08, 0.02]).tolist()
    values = chance.choice(["a", "b", "c", "d", "once", "never"], 30).tolist()
    features = fitted(pl.Series(train), "categorical", "onehot")
    found = matrix(features, pl.Series(values))
    reference = OneHotEncoder(
        min_frequency=2, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    expected = reference.fit(np.array(train)[:, None]).transform(np.array(values)[:, None])
    columns = {
        name.split("_", 1)[1]: at for at, name in enumerate(reference.get_feature_names_out(["c"]))
    }
    order = [
        columns[name.removeprefix("c=").replace("<rare>", "infrequent_sklearn")]
        for name in features.names
    ]
    assert np.array_equal(found, expected[:, order])


def test_onehot_keeps_the_most_frequent_hundred() -> None:
    train = [f"w{number}" for number in range(150) for _ in range(3 if number < 120 else 2)] + [
        None
    ]
    features = fitted(pl.Series(train), "categorical", "onehot")
    assert len(features.names) == 102
    assert features.names[-2:] == ["c=<rare>", "c=<missing>"]
    found = matrix(features, pl.Series(["w0", "w149", "never", None]))
    assert found.sum(axis=1).tolist() == [1, 1, 1, 1]
    assert (found[1, -2], found[2, -2], found[3, -1]) == (1, 1, 1)


YEARS = pl.Series(
    [datetime(2015, 1, 1, 1, 30) + timedelta(days=13 * step, hours=step) for step in range(200)]
)


@given(values=st.lists(instants, min_size=1, max_size=20))
def test_parts_equal_datetime(values: list[datetime | None]) -> None:
    features = fitted(YEARS, "datetime", "parts")
    assert features.names == [
        "c_month",
        "c_day_of_year",
        "c_day",
        "c_weekday",
        "c_hour",
        "c_minute_of_day",
    ]
    found = matrix(features, pl.Series(values, dtype=pl.Datetime("us")))
    for row, value in zip(found, values, strict=True):
        if value is None:
            assert np.isnan(row).all()
        else:
            calendar = value.timetuple()
            expected = [
                value.month,
                calendar.tm_yday,
                value.day,
                value.weekday(),
                value.hour,
                value.hour * 60 + value.minute,
            ]
            assert row.tolist() == expected


@given(values=st.lists(instants, min_size=1, max_size=20))
def test_cyclic_equals_numpy(values: list[datetime | None]) -> None:
    features = fitted(
        pl.concat([YEARS, pl.Series([None], dtype=pl.Datetime("us"))]), "datetime", "cyclic"
    )
    found = matrix(features, pl.Series(values, dtype=pl.Datetime("us")))
    for row, value in zip(found, values, strict=True):
        if value is None:
            assert row.tolist() == [0.0] * 8 + [1.0]
            continue
        turns = [
            (value.timetuple().tm_yday - 1) / 366,
            (value.day - 1) / 31,
            value.weekday() / 7,
            (value.hour * 60 + value.minute) / 1440,
        ]
        waves = [wave(2 * math.pi * turn) for turn in turns for wave in (math.sin, math.cos)]
        assert row[:-1] == pytest.approx(waves, abs=1e-6)
        assert row[-1] == 0


@pytest.mark.parametrize(
    ("days", "hours", "expected"),
    [
        (1000, 1, {"month", "day_of_year", "day", "weekday", "hour", "minute_of_day"}),
        (100, 1, {"day", "weekday", "hour", "minute_of_day"}),
        (20, 1, {"weekday", "hour", "minute_of_day"}),
        (1000, 0, {"month", "day_of_year", "day", "weekday"}),
        (1, 0, set()),
    ],
)
def test_a_cycle_that_was_not_seen_twice_is_no_feature(
    days: int, hours: int, expected: set[str]
) -> None:
    times = pl.Series(
        [
            datetime(2020, 1, 1) + timedelta(days=day, hours=hours * (day % 24))
            for day in range(days)
        ]
    )
    features = fitted(times, "datetime", "parts")
    assert {name.removeprefix("c_") for name in features.names} == expected


def test_two_columns_of_every_kind_do_not_mix() -> None:
    rows = 50
    frame = pl.DataFrame(
        {
            "a": [float(row % 7) for row in range(rows)],
            "b": [float(row % 5) + 0.5 for row in range(rows)],
            "s": ["x" if row % 2 else "y" for row in range(rows)],
            "t": ["y" if row % 3 else "x" for row in range(rows)],
            "u": YEARS.head(rows),
            "v": YEARS.head(rows).reverse(),
        }
    )
    columns = plan_columns(frame, FeaturesSpec(), {}, [])
    for representation in REPRESENTATIONS:
        whole = fit_features(frame, columns, FeaturesSpec(), EncoderChoice(representation), [])
        found = open_session(compile_features(whole)).column("features", frame)
        for column in columns:
            alone = fit_features(frame, [column], FeaturesSpec(), EncoderChoice(representation), [])
            if not alone.encoded:
                continue
            expected = open_session(compile_features(alone)).column("features", frame)
            at = [whole.names.index(name) for name in alone.names]
            assert np.array_equal(found[:, at], expected, equal_nan=True)


def test_whole_numbers_and_floats_are_one_category() -> None:
    features = fitted(pl.Series([1, 1, 2, 2, 2]), "categorical", "ordinal")
    as_ints = matrix(features, pl.Series([1, 2, 3]))
    assert as_ints[:, 0].tolist() == [2, 1, 0]
    assert np.array_equal(as_ints, matrix(features, pl.Series([1.0, 2.0, 3.0])))
