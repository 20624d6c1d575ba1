"""The YAML that is written for a person is read by a parser as the values that it was made of."""

from typing import Any

import pytest
import yaml as reader
from hypothesis import given
from hypothesis import strategies as st

from headrace.design.commented import FieldValues, render_spec, render_value

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["no", "Yes", "null", "~", "1", "1e3", "0x1", "a: b", "# a", "-", "[", "'", "="]
    ),
    st.sampled_from(["2020-01-01", "a\nb", "\u2028", "\ufeff", "\x85", "é", "😀", "12:30", ".inf"]),
)
plain = st.one_of(
    texts,
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.none(),
    st.sampled_from([0.5, -1.5, 1e6]),
)
values = st.recursive(
    plain,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(texts, some, max_size=3),
    max_leaves=6,
)


@given(values)
def test_a_value_is_read_as_it_was(value: Any) -> None:
    line = render_value(value)
    assert len(line.splitlines()) == 1
    assert reader.safe_load(line) == value


@given(st.dictionaries(texts, st.tuples(values, texts), max_size=4))
def test_remarks_change_no_value(said: dict[str, tuple[Any, str]]) -> None:
    text = render_spec({(name,): one for name, one in said.items()})
    found = reader.safe_load(text)
    assert (found or {}) == {name: value for name, (value, _) in said.items()}


def test_branches_stand_in_the_order_of_their_first_value() -> None:
    said: FieldValues = {
        ("goal", "target"): ("y", "the last column"),
        ("seed",): (7, ""),
        ("goal",): ({}, "what is\n predicted"),
        ("goal", "decision", "by"): ("f1", ""),
        ("models",): ({}, "none"),
    }
    assert render_spec(said).splitlines() == [
        "goal:  # what is predicted",
        '  target: "y"  # the last column',
        "  decision:",
        "    by: f1",
        "seed: 7",
        "models: {}  # none",
    ]


@pytest.mark.parametrize("word", ["null", "True", "yes", "No", "ON", "off", "y", "N"])
def test_a_word_that_yaml_reads_as_something_else_is_quoted(word: str) -> None:
    assert render_value(word) == f'"{word}"'
    assert reader.safe_load(render_value([word, {word: word}])) == [word, {word: word}]
