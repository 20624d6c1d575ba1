"""Keys that no event has are an error; keys that are spelt in another way are told of."""

import polars as pl
import pytest

from headrace.errors import InputError
from headrace.spec import Window
from headrace.windows import check_keys_match

WINDOW = Window(name="clicks", events="clicks", key="user", over=["1h"])


def test_no_event_for_any_row_is_an_error() -> None:
    rows, events = pl.DataFrame({"user": ["00012", "00007"]}), pl.DataFrame({"user": [12, 7]})
    with pytest.raises(
        InputError, match=r"0\.0% of the rows.*100% would.*'00012' in rows, '12' in events"
    ):
        check_keys_match(rows, [WINDOW], {"clicks": events}, True)
    (found,) = check_keys_match(rows, [WINDOW], {"clicks": events}, False)  # the log may have more
    assert found.check == "window.no_match"


def test_some_rows_without_events_are_ordinary() -> None:
    rows = pl.DataFrame({"user": [str(at) for at in range(100)]})
    assert (
        check_keys_match(rows, [WINDOW], {"clicks": pl.DataFrame({"user": ["3", "4"]})}, True) == []
    )
    assert check_keys_match(rows, [WINDOW], {"clicks": pl.DataFrame({"user": [3, 4]})}, True) == []


def test_another_spelling_of_most_keys_is_told_of() -> None:
    rows = pl.DataFrame({"user": ["Ann", "BOB", "eve", "Kim"]})
    (found,) = check_keys_match(
        rows, [WINDOW], {"clicks": pl.DataFrame({"user": ["ann", "bob", "eve"]})}, True
    )
    assert found.evidence == {"share": 0.25, "share_alike": 0.75}
