"""Keys stand as the table in `keys.py` says, are short, and no two things share one."""

import struct
from datetime import UTC, date, datetime, timedelta, timezone
from hashlib import blake2b
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.spec import EventTable
from headrace.store.keys import (
    StoreState,
    day_key,
    encode_member,
    entity_key,
    entity_names,
    generation_prefix,
    layout_key,
    make_event_namer,
    make_row_namer,
    shorten,
    versions_key,
)
from headrace.store.layout import EventSource, Group
from headrace.tables import Column, Dtype

DAY_US = 86_400 * 10**6
moments = st.integers(-(2**63), 2**63 - 1)
generations = st.integers(0, 2**32 - 1)
texts = st.text(st.sampled_from("a1:é😀"), max_size=4)


@given(st.builds(StoreState, generation=generations, position=moments, horizon=moments))
def test_where_a_store_stands_is_three_numbers(stand: StoreState) -> None:
    value = stand.encode()
    assert value == struct.pack("<Iqq", stand.generation, stand.position, stand.horizon)
    assert StoreState.decode(value) == stand
    assert stand.prefix == b"g" + struct.pack(">I", stand.generation)


@pytest.mark.parametrize("length", [0, 19, 21])
def test_where_a_store_stands_is_no_other_length(length: int) -> None:
    with pytest.raises(struct.error):
        StoreState.decode(bytes(length))


@given(one=generations, other=generations)
def test_generations_are_ordered_as_their_numbers_are(one: int, other: int) -> None:
    assert (generation_prefix(one) < generation_prefix(other)) == (one < other)


def test_keys_are_made_of_the_parts_that_they_name() -> None:
    prefix = generation_prefix(258)
    assert prefix == b"g\0\0\1\2"
    assert layout_key(prefix) == prefix + b"l"
    assert entity_key(prefix, 3, "é") == prefix + b"e\0\3=" + "é".encode()
    assert versions_key(prefix, 3, encode_member(5)) == prefix + b"v\0\3=\5"
    assert encode_member("ab") == b"=\xa2ab"
    assert day_key(prefix, 1, "u", 2 * DAY_US) == prefix + b"d\0\1" + b"\0\0\0\2" + b"=u"


@given(one=moments, other=moments)
def test_times_share_a_key_exactly_on_one_day(one: int, other: int) -> None:
    near = other % (2 * DAY_US) - DAY_US + one
    for time in (other, near):
        same = one // DAY_US == time // DAY_US
        assert (day_key(b"g", 0, "u", one) == day_key(b"g", 0, "u", time)) == same


def test_a_name_that_is_too_long_stands_by_its_hash() -> None:
    assert shorten(b"x" * 400) == b"=" + b"x" * 400
    assert shorten(b"x" * 401) == b"#" + blake2b(b"x" * 401, digest_size=32).digest()
    longest = day_key(generation_prefix(1), 1, "x" * 400, 0)
    assert len(longest) <= 480  # what a store takes


def group_of(*dtypes: Dtype) -> Group:
    return Group("e", [f"k{at}" for at in range(len(dtypes))], list(dtypes), [], [])


def source_of(*dtypes: Dtype) -> EventSource:
    columns = [
        Column(name=f"k{at}", dtype=dtype, kind="ignored") for at, dtype in enumerate(dtypes)
    ]
    return EventSource(EventTable(source="", time="at"), columns, [one.name for one in columns], 0)


@given(st.lists(st.tuples(texts, texts), min_size=2, max_size=8))
def test_keys_of_two_columns_share_a_name_only_where_both_are_equal(
    pairs: list[tuple[str, str]],
) -> None:
    name = make_row_namer(group_of("string", "string"))
    names = {pair: name({"k0": pair[0], "k1": pair[1]}) for pair in pairs}
    assert len(set(names.values())) == len(set(pairs))
    assert names[pairs[0]] == "".join(f"{len(one)}:{one}" for one in pairs[0])


VALUES: dict[Dtype, st.SearchStrategy[Any]] = {
    "string": texts,
    "integer": moments,
    "boolean": st.booleans(),
    "datetime": st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)),
}
kinds = st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3)


@given(dtypes=kinds, data=st.data())
def test_an_entity_is_called_alike_in_a_table_an_event_and_a_row(
    dtypes: list[Dtype], data: st.DataObject
) -> None:
    row = {
        f"k{at}": data.draw(st.one_of(st.none(), VALUES[dtype])) for at, dtype in enumerate(dtypes)
    }
    plain = {
        key: (value - datetime(1970, 1, 1)) // timedelta(microseconds=1)
        if isinstance(value, datetime)
        else value
        for key, value in row.items()
    }
    group, source = group_of(*dtypes), source_of(*dtypes)
    name = make_row_namer(group)(row)
    assert (name is None) == (None in row.values())
    assert make_event_namer(group, source)(list(plain.values())) == name
    frame = pl.DataFrame([plain], schema=source.plain)
    assert entity_names(group, frame).to_list() == [name]


@pytest.mark.parametrize(
    ("dtype", "value", "name"),
    [
        ("integer", 2**53 + 1, "9007199254740993"),
        ("integer", 7.0, "7"),
        ("integer", "7", "7"),
        ("boolean", "True", "true"),
        ("string", 7.0, "7"),
        ("string", True, "true"),
        ("datetime", date(1970, 1, 2), "86400000000"),
        ("datetime", datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), "0"),
        ("datetime", datetime(1970, 1, 1, tzinfo=UTC), "0"),
        ("string", float("nan"), None),
    ],
)
def test_a_value_of_another_type_names_the_key_that_it_means(
    dtype: Dtype, value: Any, name: str | None
) -> None:
    assert make_row_namer(group_of(dtype))({"k0": value}) == name


@pytest.mark.parametrize(
    ("dtype", "value", "words"),
    [
        ("integer", 1.5, "the key 'k0': the value '1.5' (float); expected integer"),
        ("integer", "seven", "the key 'k0': the value 'seven' (str); expected integer"),
        ("integer", float("inf"), "the value 'inf' (float); expected integer"),
        ("boolean", 1, "the value '1' (int); expected boolean"),
        ("datetime", "2020-01-01", "(str); expected datetime"),
        ("string", b"a", "(bytes); expected string"),
    ],
)
def test_a_value_that_is_no_such_key_is_told(dtype: Dtype, value: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        make_row_namer(group_of(dtype))({"k0": value})
    assert words in str(error.value)
