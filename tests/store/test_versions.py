"""The versions of an event at any later moment, beside the one that the definition picks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError, ValidationError, msgpack

from headrace.store.versions import (
    Version,
    current_versions,
    decode,
    encode,
    is_settled,
    open_versions,
)
from headrace.windows import NEVER

versions_of = st.lists(
    st.tuples(st.integers(-4, 8), st.integers(-4, 8), st.booleans()), min_size=1, max_size=6
).map(lambda drawn: [Version(*one, "id", [at]) for at, one in enumerate(drawn)])


def seen_at(versions: list[Version], moment: int) -> list[int]:
    """Which version counts by the definition: the last one known, where it lives and is past."""
    known = [(one.available, at) for at, one in enumerate(versions) if one.available <= moment]
    if not known:
        return []
    latest = versions[max(known)[1]]
    return latest.values if latest.alive and latest.time < moment else []


@given(versions=versions_of, horizon=st.integers(-5, 10), later=st.integers(0, 8))
def test_a_later_row_sees_what_it_would_see_of_all_versions(
    versions: list[Version], horizon: int, later: int
) -> None:
    moment = horizon + later
    kept = current_versions(versions, horizon)
    assert seen_at(kept, moment) == seen_at(versions, moment)
    opens = open_versions(kept, horizon)
    seen = [one.values[0] for one in opens if one.visible_from <= moment < one.replaced]
    seen += [kept[0].values[0]] if is_settled(kept, horizon) else []
    assert seen == seen_at(versions, moment)


@given(versions=versions_of, horizon=st.integers(-5, 10))
def test_no_more_versions_are_kept_than_some_row_needs(
    versions: list[Version], horizon: int
) -> None:
    kept = current_versions(versions, horizon)
    assert sum(one.available <= horizon for one in kept) <= 1
    assert [one.available for one in kept] == sorted(one.available for one in kept)
    assert current_versions(kept, horizon) == kept


@pytest.mark.parametrize(
    ("available", "time", "alive", "horizon", "settled"),
    [
        (5, 3, True, 5, True),
        (5, 3, True, 4, False),
        (5, 5, True, 5, False),
        (5, 5, True, 6, True),
        (5, 3, False, 9, False),
    ],
)
def test_an_event_is_in_the_tiles_once_rows_see_it(
    available: int, time: int, alive: bool, horizon: int, settled: bool
) -> None:
    version = Version(available, time, alive, 1, [])
    assert is_settled([version], horizon) == settled
    assert not is_settled([version, version], horizon)


def test_the_last_version_is_never_replaced() -> None:
    (first, last) = open_versions([Version(1, 0, True, 1, []), Version(4, 0, True, 1, [])], 0)
    assert (first.visible_from, first.replaced) == (1, 4)
    assert (last.visible_from, last.replaced) == (4, NEVER)


@given(versions_of)
def test_versions_stand_as_arrays_of_their_fields(versions: list[Version]) -> None:
    plain = [[one.available, one.time, one.alive, "id", one.values] for one in versions]
    assert encode(versions) == msgpack.encode(plain)
    assert decode(encode(versions)) == versions


def test_damaged_versions_are_told_apart() -> None:
    whole = encode([Version(1, 2, True, "a", [1.5])])
    for cut in range(len(whole)):
        with pytest.raises(DecodeError):
            decode(whole[:cut])
    with pytest.raises(ValidationError, match="Expected `bool`"):
        decode(msgpack.encode([[1, 2, "yes", "a", []]]))
