"""Ids sort by time, even if the clock stops or goes back, and say which version answered."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.clock import ManualClock
from headrace.outcomes import read_id
from headrace.serve.models.ids import IdGenerator


@given(
    moments=st.lists(st.integers(10**15, 2 * 10**15), min_size=1, max_size=30),
    counts=st.lists(st.integers(1, 5) | st.integers(250, 600), min_size=30, max_size=30),
    version=st.integers(1, 2**24 - 1),
)
def test_ids_ascend_and_say_what_they_are(
    moments: list[int], counts: list[int], version: int
) -> None:
    clock = ManualClock()
    ids = IdGenerator(clock)
    taken = []
    for moment, count in zip(moments, counts, strict=False):
        clock.set(moment)
        taken.append(ids.take(count, version))
    for some in taken:
        times = [read_id(one).time for one in some]
        assert times == list(range(times[0], times[0] + len(some)))
    told = [one for some in taken for one in some]
    assert told == sorted(set(told))
    assert len(told) == sum(counts[: len(moments)])
    first = read_id(told[0])
    assert (first.time, first.version) == (moments[0], version)
    assert {read_id(one).process for one in told} == {first.process}
