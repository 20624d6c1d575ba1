"""A window's columns and its default hop, and in which order it says what is wrong with it."""

from typing import Any

import polars as pl
import pytest

from headrace.errors import InputError
from headrace.spec import Window
from headrace.windows.window import check_window, find_hop_us, list_columns, list_keys

MINUTE_US = 60 * 10**6
ROWS = {"user": pl.String()}
EVENTS = {"e": {"user": pl.String(), "x": pl.Float64(), "flag": pl.Boolean(), "word": pl.String()}}


def window(**fields: Any) -> Window:
    return Window(**({"name": "w", "events": "e", "key": "user", "over": ["1h"]} | fields))


@pytest.mark.parametrize(
    ("over", "minutes"),
    [("1min", 5), ("12h", 5), ("13h", 60), ("12d", 60), ("13d", 1440), ("10000d", 1440)],
)
def test_a_hop_is_chosen_by_how_far_a_window_reaches(over: str, minutes: int) -> None:
    assert find_hop_us(window(over=[over]), over) == minutes * MINUTE_US


def test_a_hop_that_is_stated_holds_for_every_reach() -> None:
    stated = window(over=["1h", "90d"], hop="7min")
    assert [find_hop_us(stated, over) for over in stated.over] == [7 * MINUTE_US] * 2
    assert find_hop_us(window(hop="0s"), "1h") == 0


def test_a_window_makes_one_column_for_each_reach_and_has_one_key_or_several() -> None:
    assert list_columns(window(over=["1h", "all"])) == ["w_1h", "w_all"]
    assert list_keys(window()) == ["user"]
    assert list_keys(window(key=["user", "shop"])) == ["user", "shop"]


@pytest.mark.parametrize("of", ["x", "flag"])
def test_numbers_and_flags_can_be_summed(of: str) -> None:
    assert check_window(window(aggregate="sum", of=of), ROWS, EVENTS) == "features.windows 'w'"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"events": "f"}, "no events 'f'; expected one of data.events: e"),
        ({"key": "usr"}, "no column 'usr' in the rows; expected one of: user; did you mean"),
        ({"key": ["user", "x"]}, "no column 'x' in the rows"),
        ({"of": "x"}, "of 'x' with aggregate count; expected `of` only with sum"),
        ({"aggregate": "max"}, "no `of` with aggregate max"),
        ({"aggregate": "max", "of": "y"}, "no column 'y' in events 'e'; expected one of: user, x"),
        ({"aggregate": "std", "of": "word"}, "std of 'word', which holds String"),
        ({"aggregate": "rate"}, "a rate without `where`"),
        ({"where": "x ="}, "'x =' cannot be read"),
    ],
)
def test_a_window_that_cannot_be_says_why(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        check_window(window(**fields), ROWS, EVENTS)
    assert words in str(error.value)


def test_a_key_that_is_a_flag_in_rows_and_text_in_events_is_refused() -> None:
    with pytest.raises(InputError, match="'user' is true or false in the rows, and text in the"):
        check_window(window(), {"user": pl.Boolean()}, {"e": {"user": pl.String()}})


def test_a_key_that_events_lack_names_their_table() -> None:
    with pytest.raises(InputError, match="no column 'user' in events 'e'; expected one of: x"):
        check_window(window(), ROWS, {"e": {"x": pl.Float64()}})
