"""Rows are told apart by numbers that are the same on every machine, by SplitMix64 and BLAKE2b."""

import struct
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.registry.fitted_rows import fitted_mask, row_hashes, write_fitted_rows
from headrace.workspace import Workspace

GAMMA, MASK = 0x9E3779B97F4A7C15, 2**64 - 1
EPOCH = datetime(1970, 1, 1)
SCHEMA: dict[str, pl.DataType] = {
    "text": pl.String(),
    "number": pl.Float64(),
    "whole": pl.Int64(),
    "flag": pl.Boolean(),
    "at": pl.Datetime("us"),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=3),
    "number": st.floats(allow_nan=False),
    "whole": st.integers(-(2**53), 2**53),
    "flag": st.booleans(),
    "at": st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
}
rows_of = st.lists(
    st.fixed_dictionaries({name: st.none() | one for name, one in VALUES.items()}),
    min_size=1,
    max_size=6,
)


def mixed(state: int) -> int:
    """The next number of SplitMix64 (Steele, Lea and Flood, 2014), in whole numbers of Python."""
    z = (state + GAMMA) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def number_of(value: Any) -> int:
    if value is None:
        return GAMMA
    if isinstance(value, str):
        return int.from_bytes(blake2b(value.encode(), digest_size=8).digest(), "little")
    if isinstance(value, datetime):
        return ((value - EPOCH) // timedelta(microseconds=1)) & MASK
    (bits,) = struct.unpack("<Q", struct.pack("<d", float(value) + 0.0))
    return int(bits)


def test_the_reference_is_splitmix64() -> None:
    """The first numbers of the published generator from the state 1234567."""
    found = [mixed(1234567 + at * GAMMA & MASK) for at in range(3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(rows_of)
def test_a_row_is_its_columns_mixed_one_after_the_other(rows: list[dict[str, Any]]) -> None:
    expected = []
    for row in rows:
        state = 0
        for name in SCHEMA:
            state = mixed(state ^ number_of(row[name]))
        expected.append(state)
    assert row_hashes(pl.DataFrame(rows, schema=SCHEMA)).tolist() == expected


def test_equal_values_of_other_types_are_one_row() -> None:
    one = pl.DataFrame({"a": [1, 0, None], "b": ["x", "", None]})
    other = pl.DataFrame({"a": [1.0, -0.0, float("nan")], "b": ["x", "", None]})
    assert row_hashes(one).tolist() == row_hashes(other).tolist()
    categories = one.with_columns(pl.col("b").cast(pl.Categorical))
    assert row_hashes(one).tolist() == row_hashes(categories).tolist()
    assert len(set(row_hashes(one).tolist())) == 3
    swapped = pl.DataFrame({"b": ["x"], "a": [1]})
    assert row_hashes(swapped).tolist() != row_hashes(one[:1]).tolist()


def test_a_vector_is_a_column_for_each_of_its_places() -> None:
    plain = pl.DataFrame({"a": [1.5, 2.0], "b": [0.0, -1.0]})
    vector = pl.DataFrame({"v": [[1.5, 0.0], [2.0, -1.0]]}, schema={"v": pl.Array(pl.Float64, 2)})
    assert row_hashes(vector).tolist() == row_hashes(plain).tolist()


@given(rows=rows_of, data=st.data())
def test_the_rows_that_were_fitted_on_are_known_again_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("shop"))
    fitted = data.draw(st.lists(st.sampled_from(rows), min_size=1))
    write_fitted_rows(workspace, "a-000001", pl.DataFrame(fitted, schema=SCHEMA))
    asked = pl.DataFrame(rows, schema=SCHEMA).select(*reversed(SCHEMA), extra=pl.lit(1))
    found = fitted_mask(workspace, "a-000001", asked)
    assert found is not None
    assert found.tolist() == [row in fitted for row in rows]


def test_where_it_cannot_be_told_there_is_no_mask(tmp_path: Path) -> None:
    workspace, rows = Workspace(tmp_path), pl.DataFrame({"a": [1, 2]})
    assert fitted_mask(workspace, "a-000001", rows) is None
    write_fitted_rows(workspace, "a-000001", rows)
    assert fitted_mask(workspace, "a-000001", pl.DataFrame({"b": [1]})) is None
    assert fitted_mask(workspace, "a-000001", pl.DataFrame({"a": ["1"]})) is None
    floats = fitted_mask(workspace, "a-000001", pl.DataFrame({"a": [2.0, 3.0]}))
    assert floats is not None
    assert floats.tolist() == [True, False]
