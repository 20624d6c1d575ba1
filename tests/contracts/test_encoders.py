"""The contract of every encoder: states of partitions merge into that of the whole, and names match nodes."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.features import ENCODERS, Encoded, Features, open_session
from millrace.models import compile_features

KINDS: dict[str, tuple[str, Any]] = {
    "raw": ("numbers", st.one_of(st.none(), st.floats(-1e3, 1e3, width=32))),
    "standardize": ("numbers", st.one_of(st.none(), st.floats(-1e3, 1e3, width=32))),
    "ordinal": ("strings", st.one_of(st.none(), st.sampled_from("abcdef"))),
    "onehot": ("strings", st.one_of(st.none(), st.sampled_from("abcdef"))),
    "frequency": ("strings", st.one_of(st.none(), st.sampled_from("abcdef"))),
    "parts": ("times", st.one_of(st.none(), st.datetimes(datetime(1950, 1, 1), datetime(2050, 1, 1)))),
    "cyclic": ("times", st.one_of(st.none(), st.datetimes(datetime(1950, 1, 1), datetime(2050, 1, 1)))),
}
DTYPES: dict[str, Any] = {"numbers": pl.Float64, "strings": pl.String, "times": pl.Datetime("us")}


def test_every_encoder_is_under_contract() -> None:
    assert set(KINDS) == set(ENCODERS)


@pytest.mark.parametrize("encode", list(ENCODERS))
@given(data=st.data())
def test_states_merge(encode: str, data: st.DataObject) -> None:
    group, values = KINDS[encode]
    a = pl.Series(data.draw(st.lists(values, max_size=15)), dtype=DTYPES[group])
    b = pl.Series(data.draw(st.lists(values, max_size=15)), dtype=DTYPES[group])
    encoder = ENCODERS[encode]
    merged, whole = encoder.merge(encoder.fit(a), encoder.fit(b)), encoder.fit(pl.concat([a, b]))
    assert _flat(merged) == pytest.approx(_flat(whole), rel=1e-6, abs=1e-6)
    assert encoder.names("c", merged) == encoder.names("c", whole)


def _flat(state: Any) -> dict[str, float]:
    """A state as numbers by name, nested ones included."""
    found: dict[str, float] = {}
    for name, value in msgspec.to_builtins(state).items():
        for key, number in value.items() if isinstance(value, dict) else [("", value)]:
            found[f"{name}.{key}"] = -1.0 if number is None else float(number)
    return found


@pytest.mark.parametrize("encode", list(ENCODERS))
def test_names_match_nodes_and_a_state_is_plain_data(encode: str) -> None:
    group = KINDS[encode][0]
    examples: dict[str, list[Any]] = {
        "numbers": [1.0, 2.0, None, 4.5] * 5,
        "strings": ["a", "b", None, "a"] * 5,
        "times": [datetime(2020, 1, 1) + timedelta(hours=7 * step) for step in range(19)] + [None],
    }
    column = pl.Series("c", examples[group], DTYPES[group])
    state = ENCODERS[encode].fit(column)
    assert msgspec.json.decode(msgspec.json.encode(state), type=type(state)) == state
    features = Features([Encoded("c", encode, group, state)], [])
    found = open_session(compile_features(features)).column("features", column.to_frame())
    assert found.shape == (20, len(features.names)) and found.dtype == np.float32
    assert len(set(features.names)) == len(features.names)


@pytest.mark.parametrize("encode", list(ENCODERS))
def test_no_rows_in_no_rows_out(encode: str) -> None:
    group = KINDS[encode][0]
    examples: dict[str, list[Any]] = {
        "numbers": [1.0, 2.0],
        "strings": ["a", "a", "b", "b"],
        "times": [datetime(2020, 1, 1, hour) for hour in range(10)] + [datetime(2023, 1, 1)],
    }
    column = pl.Series("c", examples[group], DTYPES[group])
    features = Features([Encoded("c", encode, group, ENCODERS[encode].fit(column))], [])
    assert open_session(compile_features(features)).column("features", column.to_frame()[:0]).shape == (
        0,
        len(features.names),
    )
