from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.errors import InputError
from millrace.events import add_windows
from millrace.spec import Window

EPOCH = datetime(1970, 1, 1)
MINUTE = 60 * 10**6
Moments = list[tuple[str | None, int]]
moments = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(-3000, 3000)), min_size=1, max_size=40)


def table(pairs: Moments) -> pl.DataFrame:
    times = [EPOCH + timedelta(minutes=minute) for _, minute in pairs]
    return pl.DataFrame({"user": pl.Series([user for user, _ in pairs], dtype=pl.String), "at": pl.Series(times)})


def brute_force(rows: Moments, events: Moments, over_minutes: int | None, hop_minutes: int) -> list[int]:
    """The definition, one row and one event at a time."""
    counts = []
    for user, now in rows:
        count = 0
        for other, then in events:
            if user is None or other != user or then >= now:
                continue
            if over_minutes is None:
                count += 1
                continue
            left = now - over_minutes
            if hop_minutes:
                left = (left // hop_minutes) * hop_minutes
            count += then >= left
        counts.append(count)
    return counts


@given(
    rows=moments,
    events=moments,
    over=st.sampled_from([None, 1, 30, 90, 1500, 30000]),
    hop=st.sampled_from([None, 0, 7, 60]),
)
def test_counts_equal_a_brute_force_loop(rows: Moments, events: Moments, over: int | None, hop: int | None) -> None:
    span = "all" if over is None else f"{over}min"
    window = Window(name="w", events="clicks", key="user", over=[span], hop=None if hop is None else f"{hop}min")
    default = 5 if over is None or over <= 720 else 60 if over <= 17280 else 1440
    expected = brute_force(rows, events, over, default if hop is None else hop)
    found = add_windows(table(rows), [window], {"clicks": table(events)}, "at", {"clicks": "at"})
    assert found[f"w_{span}"].to_list() == expected


def test_the_example_of_the_readme() -> None:
    events = table([("u", 9 * 60 + 58), ("u", 10 * 60 + 2), ("u", 10 * 60 + 30)])
    rows = table([("u", 10 * 60 + 30), ("u", 10 * 60 + 29)])

    def counts(hop: str | None) -> list[int]:
        window = Window(name="w", events="e", key="user", over=["30min"], hop=hop)
        found: list[int] = add_windows(rows, [window], {"e": events}, "at", {"e": "at"})["w_30min"].to_list()
        return found

    assert (counts("0s"), counts("5min"), counts(None), counts("1h")) == ([1, 1], [1, 2], [1, 2], [1, 2])


@pytest.mark.parametrize(
    ("change", "time", "words"),
    [
        ({"events": "click"}, "at", "did you mean 'clicks'"),
        ({"key": "usr"}, "at", "no column 'usr' in the rows"),
        ({}, None, "data.time is not set"),
        ({}, "user", "no column of times"),
        ({"name": "taken"}, "at", "has a column 'taken_7d' already"),
    ],
)
def test_a_window_that_cannot_be(change: dict[str, Any], time: str | None, words: str) -> None:
    rows = table([("u", 1)]).with_columns(taken_7d=1)
    window = Window(**({"name": "w", "events": "clicks", "key": "user"} | change))
    with pytest.raises(InputError, match=words):
        add_windows(rows, [window], {"clicks": table([("u", 0)])}, time, {"clicks": "at"})


def test_many_rows_against_many_events() -> None:
    chance = np.random.default_rng(0)
    rows: Moments = [(str(user), int(minute)) for user, minute in chance.integers(0, 50, (500, 2))]
    events: Moments = [(str(user), int(minute)) for user, minute in chance.integers(0, 50, (3000, 2))]
    window = Window(name="w", events="e", key="user", over=["10min"], hop="0s")
    found = add_windows(table(rows), [window], {"e": table(events)}, "at", {"e": "at"})
    assert found["w_10min"].to_list() == brute_force(rows, events, 10, 0)
