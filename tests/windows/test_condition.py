"""A condition means what Python means by it, for tables as for one event; a hole satisfies none."""

import operator
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.windows.condition import list_condition_columns, parse_condition

Row = dict[str, Any]
Meaning = Callable[[Row], bool]
SCHEMA: dict[str, pl.DataType] = {
    "word": pl.String(),
    "price": pl.Float64(),
    "count": pl.Int64(),
    "flag": pl.Boolean(),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "word": st.sampled_from(["", "a", "b'", 'c"', "é"]),
    "price": st.sampled_from([-1.5, -0.0, 0.0, 0.1, 2.0, 1e300]),
    "count": st.integers(-3, 3),
    "flag": st.booleans(),
}
CONSTANTS = {
    **VALUES,
    "price": st.one_of(VALUES["price"], st.integers(-2, 2), st.sampled_from([10**20, -(10**400)])),
    "count": st.one_of(VALUES["count"], st.sampled_from([0.5, 2.0, 2**63, -(10**400)])),
}
"""What a person may write beside a column: whole numbers beside fractions, and far too large ones.
"""
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
rows_of = st.lists(
    st.fixed_dictionaries({name: st.one_of(st.none(), one) for name, one in VALUES.items()}),
    min_size=1,
    max_size=8,
)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Meaning]:
    """A comparison as text, and as a loop over rows understands it."""
    column = draw(st.sampled_from(sorted(SCHEMA)))
    if draw(st.booleans()):
        sign = draw(st.sampled_from(["==", "!="] if column == "flag" else sorted(OPERATORS)))
        constant = draw(CONSTANTS[column])
        compare = OPERATORS[sign]
        return (
            f"{column} {sign} {constant!r}",
            lambda row: row[column] is not None and compare(row[column], constant),
        )
    constants = draw(st.lists(CONSTANTS[column], max_size=3))
    return f"{column} in {constants!r}", lambda row: row[column] in constants


def negated(one: tuple[str, Meaning]) -> tuple[str, Meaning]:
    return f"not ({one[0]})", lambda row: not one[1](row)


def joined(two: tuple[tuple[str, Meaning], tuple[str, Meaning]], how: str) -> tuple[str, Meaning]:
    (left, holds), (right, holds_too) = two
    if how == "and":
        return f"({left}) and ({right})", lambda row: holds(row) and holds_too(row)
    return f"({left}) or ({right})", lambda row: holds(row) or holds_too(row)


conditions: st.SearchStrategy[tuple[str, Meaning]] = st.recursive(
    comparisons(),
    lambda some: st.one_of(
        some.map(negated),
        st.builds(joined, st.tuples(some, some), st.sampled_from(["and", "or"])),
    ),
    max_leaves=5,
)


@given(rows=rows_of, condition=conditions)
def test_a_table_and_an_event_are_judged_as_by_a_loop(
    rows: list[Row], condition: tuple[str, Meaning]
) -> None:
    text, meaning = condition
    expected = [meaning(row) for row in rows]
    parsed = parse_condition(text, "w", SCHEMA)
    assert parsed.mask(pl.DataFrame(rows, schema=SCHEMA)).to_list() == expected
    assert [parsed.holds(row) for row in rows] == expected


@given(condition=conditions)
def test_the_columns_of_a_condition_are_those_that_its_text_names(
    condition: tuple[str, Meaning],
) -> None:
    text, _ = condition
    assert list_condition_columns(text) == {name for name in SCHEMA if name in text}


def test_no_condition_reads_no_column() -> None:
    assert list_condition_columns(None) == set()


def test_not_in_a_list_holds_for_a_hole_as_the_denial_of_in_does() -> None:
    found = parse_condition("word not in ['a']", "w", SCHEMA)
    assert found.mask(pl.DataFrame({"word": ["a", "b", None]})).to_list() == [False, True, True]


def test_and_binds_closer_than_or_and_a_column_of_flags_stands_alone() -> None:
    found = parse_condition("flag or count > 0 and count < 2", "w", SCHEMA)
    assert [found.holds({"flag": False, "count": at}) for at in (0, 1, 2)] == [False, True, False]
    assert found.holds({"flag": True, "count": 9})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("word ==", "'word ==' cannot be read"),
        ("", "cannot be read"),
        ("wrod == 'a'", "no column 'wrod'; expected one of: word, price, count, flag; did you"),
        ("0 < price < 2", "'0 < price < 2'; expected comparisons of a column with a value"),
        ("price + 1 > 2", "'price + 1' on the left"),
        ("price > count", "'count' beside 'price'"),
        ("word is 'a'", "\"'a'\" beside 'word'"),
        ("word in 'abc'", "\"'abc'\" beside 'word'"),
        ("price == 'a'", "'price' holds numbers, but is compared with 'a'"),
        ("price in [1.5, True]", "'price' holds numbers, but is compared with True"),
        ("count == None", "'count' holds numbers, but is compared with None"),
        ("flag == 1", "'flag' holds true or false, but is compared with 1"),
        ("flag < True", "'flag' is true or false, which have no order; expected == or !="),
        ("word == {[]: 1}", "beside 'word'"),
        ("not " * 500 + "flag", "nested deeper than 100 levels"),
        ("(" * 5000 + "flag" + ")" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_condition_is_told_with_its_window(text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_condition(text, "the window 'w'", SCHEMA)
    assert str(error.value).startswith("the window 'w': ")
    assert words in str(error.value)
