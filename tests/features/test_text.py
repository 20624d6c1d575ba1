"""Text in the graph against scikit-learn, and against what a person would call the same word."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from headrace.features import EncoderChoice, fit_features, open_session, plan_columns
from headrace.features.states import vocabulary
from headrace.features.states.casefold import fold_case
from headrace.features.states.vocabulary import entries
from headrace.models import compile_features
from headrace.spec import ColumnSpec, FeaturesSpec

TEXTS = [
    "Where is my card?", "My card has not arrived yet", "card is lost, please block it",
    "I lost my CARD",
    "the PIN is wrong", "please change the pin of my card", "Überweisung nach Köln dauert lange",
    "eine Überweisung wurde abgelehnt", "why was the transfer declined", "transfer declined again",
    "my transfer is pending", "is the card free of charge",
] * 3  # fmt: skip


def text_session(texts: list[str], encode: Any = "tfidf", representation: Any = "linear") -> Any:
    frame = pl.DataFrame({"t": texts})
    spec = FeaturesSpec(columns={"t": ColumnSpec(kind="text", encode=encode)})
    features = fit_features(
        frame, plan_columns(frame, spec, {}, []), spec, EncoderChoice(representation), ["NA"]
    )
    return features, open_session(compile_features(features))


def bags_of(session: Any, texts: Sequence[str | None]) -> np.ndarray:
    made: np.ndarray = session.rows(
        pl.DataFrame({"t": pl.Series(texts, dtype=pl.String)})
    ).toarray()
    return made


def test_words_and_pairs_weigh_as_in_scikit_learn() -> None:
    features, session = text_session(TEXTS)
    known = entries(features.encoded[0].state)
    found = bags_of(session, TEXTS[:12])[:, : len(known.words) + len(known.pairs)]
    folded = [fold_case(text) for text in TEXTS]
    reference = TfidfVectorizer(
        vocabulary=[*known.words, *known.pairs],
        ngram_range=(1, 2),
        token_pattern=r"(?u)\w+",
        lowercase=False,
    ).fit(folded)
    expected = reference.transform(folded[:12]).toarray()
    once = [
        row for row, text in enumerate(folded[:12]) if len(set(text.split())) == len(text.split())
    ]
    assert len(once) >= 10
    assert found[once] == pytest.approx(expected[once], abs=1e-5)


def test_runs_of_characters_are_those_of_scikit_learn() -> None:
    features, session = text_session(TEXTS)
    known = entries(features.encoded[0].state)
    start = len(known.words) + len(known.pairs)
    found = bags_of(session, TEXTS[:12])[:, start:]
    folded = [
        " ".join(TfidfVectorizer(token_pattern=r"(?u)\w+").build_tokenizer()(fold_case(text)))
        for text in TEXTS
    ]
    runs = [run.replace("\0", " ") for run in known.runs]
    counted = TfidfVectorizer(
        vocabulary=runs, analyzer="char_wb", ngram_range=(2, 5), lowercase=False
    ).fit(folded)
    assert np.array_equal(found > 0, counted.transform(folded[:12]).toarray() > 0)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("my card is lost", "MY Card IS lOst".title()),
        ("my card is lost", "<b>My</b> card&nbsp;is <br/>lost!!"),
        ("uberweisung nach koln", "Überweisung nach Köln"),
        ("ÜBERWEISUNG NACH KÖLN", "überweisung nach köln"),
    ],
)
def test_case_accents_and_tags_do_not_matter(a: str, b: str) -> None:
    _, session = text_session(TEXTS)
    found = bags_of(session, [a, b])
    assert found[0].any()
    assert found[0] == pytest.approx(found[1], abs=1e-6)


@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_any_text_alone_is_as_in_a_batch(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    for session in (SESSION, TOPICS):
        frame = pl.DataFrame({"t": texts})
        batch = session.rows(frame)
        for row in range(len(texts)):
            alone = session.rows(frame[row : row + 1])
            difference = np.abs(alone - batch[row : row + 1]).max()
            assert difference <= 1e-6


_, SESSION = text_session(TEXTS)
_, TOPICS = text_session(TEXTS, "topics", "tree")


def test_a_slip_of_the_keyboard_keeps_most_of_a_text() -> None:
    right, wrong, other = bags_of(
        SESSION, ["my transfer was declined", "my trasnfer was declned", "please block my card"]
    )
    assert right @ wrong > 2 * (right @ other)


def test_topics_bring_texts_of_one_matter_together() -> None:
    topics = TOPICS.rows(
        pl.DataFrame({"t": ["transfer declined", "the transfer was declined", "where is my card"]})
    )
    near = topics @ topics.T / np.outer(*[np.linalg.norm(topics, axis=1)] * 2)
    assert near[0, 1] > near[0, 2] + 0.2


def test_missing_words_and_empty_text_are_no_text() -> None:
    assert not bags_of(SESSION, [None, "", "NA", "!!!", "zzzz qqqq"]).any()


def test_long_text_is_read_from_its_beginning() -> None:
    found = bags_of(SESSION, ["card " * 5000, "card " * 6000])
    assert np.array_equal(found[0], found[1])


def test_trees_skip_what_only_linear_models_see() -> None:
    features, _ = text_session(TEXTS, "tfidf", "tree")
    assert [one.encode for one in features.encoded] == ["topics"]


def test_the_words_of_a_vocabulary_have_one_order_in_every_process() -> None:
    """They become the keys of a table in the graph, which is the same byte for byte."""
    texts = pl.Series([" ".join(f"word{(at * 7) % 50}" for at in range(50))] * 3)
    written = list(vocabulary.fit(texts).written)
    assert written == sorted(written)
