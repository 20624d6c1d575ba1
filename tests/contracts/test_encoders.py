"""The contract of every encoder: states merge, are plain data, names match nodes, one row equals
many, no rows are fine.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.features import ENCODERS, Features, FittedEncoder, open_session
from headrace.features.encoders.registry import SUITABLE
from headrace.models import compile_features

numbers = st.one_of(st.none(), st.floats(-1e3, 1e3, width=32))
categories = st.one_of(st.none(), st.sampled_from("abcdef"))
times = st.one_of(st.none(), st.datetimes(datetime(1950, 1, 1), datetime(2050, 1, 1)))
texts = st.one_of(
    st.none(),
    st.sampled_from(["my card is lost", "Card?", "lost my CARD", "where is it", "it is lost"]),
)
vectors = st.one_of(st.none(), st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3))
VALUES: dict[str, Any] = {
    "numeric": numbers,
    "categorical": categories,
    "datetime": times,
    "text": texts,
    "vector": vectors,
}
EXAMPLES: dict[str, list[Any]] = {
    "numeric": [1.0, 2.0, None, 4.5] * 5,
    "categorical": ["a", "b", None, "a"] * 5,
    "datetime": [datetime(2020, 1, 1) + timedelta(hours=7 * step) for step in range(19)] + [None],
    "text": [
        "my card is lost",
        "Where is my CARD?",
        None,
        "the <b>card</b> is blocked, lost or both",
    ]
    * 5,
    "vector": [[1.0, 0.0, 2.0], [0.5, 1.0, 0.0], None, [3.0, 4.0, 0.0]] * 5,
}
DTYPES: dict[str, Any] = {
    "numeric": pl.Float64,
    "categorical": pl.String,
    "datetime": pl.Datetime("us"),
    "text": pl.String,
    "vector": pl.Array(pl.Float32, 3),
}
GROUPS = {
    "numeric": "numbers",
    "categorical": "strings",
    "datetime": "times",
    "text": "strings",
    "vector": "vector_c",
}
KIND: dict[str, str] = {
    encode: kind for kind, encodes in SUITABLE.items() if kind != "boolean" for encode in encodes
}
KIND["number"] = "numeric"  # of codes, which are numbers here
DO_NOT_MERGE = {"quantile", "topics"}
"""Quantiles and singular vectors of parts do not give those of the whole."""


def fit(encode: str, column: pl.Series) -> Any:
    if encode != "target":
        return ENCODERS[encode].fit(column)
    return ENCODERS[encode].fit(column, targets(column))


def targets(column: pl.Series) -> np.ndarray:
    """One target for each value, so that partitions have the targets of the whole."""
    return np.array([[0.0 if value is None else ord(value) % 3 / 2] for value in column]).reshape(
        len(column), 1
    )


def features_of(encode: str, state: Any) -> list[Features]:
    """As matrix columns and as a bag, whichever the encoder makes."""
    encoder, group = ENCODERS[encode], GROUPS[KIND[encode]]
    ways = [wide for wide, name in ((False, "nodes"), (True, "bags")) if hasattr(encoder, name)]
    return [Features([FittedEncoder("c", encode, group, state, wide)], ["", "?"]) for wide in ways]


def rows_of(features: Features, column: pl.Series) -> np.ndarray:
    made = open_session(compile_features(features)).rows(column.alias("c").to_frame())
    return made if isinstance(made, np.ndarray) else made.toarray()


def test_every_encoder_is_under_contract() -> None:
    assert set(KIND) == set(ENCODERS)
    assert {encode for encode in ENCODERS if not hasattr(ENCODERS[encode], "merge")} == DO_NOT_MERGE


@pytest.mark.parametrize("encode", sorted(set(ENCODERS) - DO_NOT_MERGE))
@given(data=st.data())
def test_states_merge(encode: str, data: st.DataObject) -> None:
    kind = KIND[encode]
    a = pl.Series(data.draw(st.lists(VALUES[kind], max_size=15)), dtype=DTYPES[kind])
    b = pl.Series(data.draw(st.lists(VALUES[kind], max_size=15)), dtype=DTYPES[kind])
    merged, whole = (
        ENCODERS[encode].merge(fit(encode, a), fit(encode, b)),
        fit(encode, pl.concat([a, b])),
    )
    found, expected = _flat(msgspec.to_builtins(merged)), _flat(msgspec.to_builtins(whole))
    numbers = {path for path, value in expected.items() if isinstance(value, int | float)}
    assert {path: found[path] for path in numbers} == pytest.approx(
        {path: expected[path] for path in numbers}, rel=1e-6, abs=1e-6
    )
    assert {path: value for path, value in found.items() if path not in numbers} == {
        path: value for path, value in expected.items() if path not in numbers
    }


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of plain data by their path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            at: leaf for key, inner in items for at, leaf in _flat(inner, f"{path}.{key}").items()
        }
    return {path: value}


@pytest.mark.parametrize("encode", list(ENCODERS))
def test_names_match_nodes_and_a_state_is_plain_data(encode: str) -> None:
    column = pl.Series("c", EXAMPLES[KIND[encode]], DTYPES[KIND[encode]])
    state = fit(encode, column)
    assert msgspec.json.decode(msgspec.json.encode(state), type=type(state)) == state
    for features in features_of(encode, state):
        found = rows_of(features, column)
        assert len(found) == 20
        assert found.dtype == np.float32
        assert found.shape[1] > 0
        assert features.wide or found.shape[1] == len(features.names)
        assert len(set(features.names)) == len(features.names)
        for row in range(4):
            assert np.array_equal(
                rows_of(features, column[row : row + 1])[0], found[row], equal_nan=True
            )


@pytest.mark.parametrize("encode", list(ENCODERS))
def test_no_rows_and_only_missing_rows(encode: str) -> None:
    column = pl.Series("c", EXAMPLES[KIND[encode]], DTYPES[KIND[encode]])
    for features in features_of(encode, fit(encode, column)):
        assert len(rows_of(features, column[:0])) == 0
        absent = rows_of(features, pl.Series("c", [None] * 3, DTYPES[KIND[encode]]))
        assert len(absent) == 3
        assert np.array_equal(absent[0], absent[2], equal_nan=True)


@pytest.mark.parametrize(
    "encode", [encode for encode in ENCODERS if KIND[encode] in ("categorical", "text")]
)
def test_words_that_mean_missing_are_missing_wherever_the_graph_runs(encode: str) -> None:
    column = pl.Series("c", EXAMPLES[KIND[encode]], DTYPES[KIND[encode]])
    for features in features_of(encode, fit(encode, column)):
        found = rows_of(features, pl.Series("c", [None, "?", ""], dtype=pl.String))
        assert np.array_equal(found[0], found[1])
        assert np.array_equal(found[0], found[2])
