"""The encoders of numbers, categories and vectors that search chooses from, each against an
independent reference.
"""

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import Normalizer, QuantileTransformer
from sklearn.utils import murmurhash3_32

from headrace.errors import InputError, SpecError
from headrace.features import EncoderChoice, Features, fit_features, open_session, plan_columns
from headrace.features.graph.blanks import BLANKS
from headrace.models import compile_features
from headrace.spec import ColumnSpec, CrossSpec, FeaturesSpec, decode
from headrace.spec.shared import with_safe_names


def fitted(
    frame: pl.DataFrame, encode: Any, kind: Any = None, y: np.ndarray | None = None, **more: Any
) -> Features:
    columns = {name: ColumnSpec(kind=kind, encode=encode) for name in frame.columns if encode}
    spec = FeaturesSpec(columns=columns, **more)
    representation = more.pop("representation", "tree")
    return fit_features(
        frame,
        plan_columns(frame, spec, {}, []),
        spec,
        EncoderChoice(representation),
        ["?"],
        y,
    )


def matrix(features: Features, frame: pl.DataFrame) -> np.ndarray:
    made: np.ndarray = open_session(compile_features(features)).rows(frame)
    return made


@given(seed=st.integers(0, 500))
def test_quantile_equals_scikit_learn(seed: int) -> None:
    chance = np.random.default_rng(seed)
    train = pl.DataFrame({"c": np.exp(chance.normal(size=400))})
    values = pl.DataFrame({"c": [*np.exp(chance.normal(size=50) * 1.5), -1.0, 1e9]})
    found = matrix(fitted(train, "quantile", "numeric"), values)[:, 0]
    reference = QuantileTransformer(n_quantiles=33, subsample=10**6).fit(train.to_numpy())
    expected = (reference.transform(values.to_numpy())[:, 0] - 0.5) * math.sqrt(12)
    assert found == pytest.approx(expected, abs=1e-4)


def test_quantile_of_values_that_repeat_and_are_missing() -> None:
    train = pl.DataFrame({"c": [0.0] * 60 + [1.0] * 30 + [5.0] * 10 + [None] * 10})
    features = fitted(train, "quantile", "numeric")
    found = matrix(features, pl.DataFrame({"c": [0.0, 1.0, 5.0, None]}))
    assert features.names == ["c_rank", "c_rank_missing"]
    assert found[0, 0] < found[1, 0] < found[2, 0]
    assert found[3].tolist() == [0, 1]


def test_log_is_the_standardized_signed_logarithm() -> None:
    values = np.array([0.0, 1.0, 10.0, 1e4, -50.0])
    found = matrix(
        fitted(pl.DataFrame({"c": values}), "log", "numeric"), pl.DataFrame({"c": values})
    )[:, 0]
    logs = np.sign(values) * np.log1p(np.abs(values))
    assert found == pytest.approx((logs - logs.mean()) / logs.std(), rel=1e-5)


@given(seed=st.integers(0, 300))
def test_target_means_equal_a_loop(seed: int) -> None:
    chance = np.random.default_rng(seed)
    places = chance.choice(6, 80, p=[0.3, 0.3, 0.2, 0.1, 0.02, 0.08])
    words = [["a", "b", "c", "d", "rare", None][place] for place in places]
    y = (chance.random(80) < 0.4).astype(np.float64)
    frame = pl.DataFrame({"c": pl.Series(words, dtype=pl.String)})
    features = fitted(frame, "target", "categorical", y[:, None])
    found = matrix(features, pl.DataFrame({"c": ["a", "b", "c", "d", "rare", "new", None, "?"]}))[
        :, 0
    ]
    known = {word for word in words if word is not None and words.count(word) >= 2}
    groups = {word: y[[value == word for value in words]] for word in known}
    m = _strength(list(groups.values()))
    prior, rare = y.mean(), y[[value is not None and value not in known for value in words]]
    absent = y[[value is None for value in words]]
    expected = [
        _shrunk(groups.get(word, rare), m, prior) for word in ("a", "b", "c", "d", "rare", "new")
    ] + 2 * [_shrunk(absent, m, prior)]
    assert found == pytest.approx(expected, rel=1e-5)


def _shrunk(values: np.ndarray, m: float, prior: float) -> float:
    return float((values.sum() + m * prior) / (len(values) + m))


def _strength(groups: list[np.ndarray]) -> float:
    """Within over between variance, by the analysis of variance."""
    sizes = np.array([len(group) for group in groups])
    whole = np.concatenate(groups)
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (
        len(whole) - len(groups)
    )
    among = sum(len(group) * (group.mean() - whole.mean()) ** 2 for group in groups)
    between = (among - (len(groups) - 1) * within) / (len(whole) - (sizes**2).sum() / len(whole))
    return float(np.clip(within / between, 1, 1000)) if between > 0 else 1000.0


def test_a_target_mean_of_several_classes_has_a_column_for_each() -> None:
    frame = pl.DataFrame({"c": ["a", "b"] * 20, "d": ["x", "x", "y", "y"] * 10})
    y = np.eye(3)[np.arange(40) % 3]
    features = fitted(frame, "target", "categorical", y)
    assert features.names == [
        "c_target0",
        "c_target1",
        "c_target2",
        "d_target0",
        "d_target1",
        "d_target2",
    ]
    found = matrix(features, frame)
    assert found[:, :3].sum(axis=1) == pytest.approx(1)
    assert found[:, 3:].sum(axis=1) == pytest.approx(1)


@given(
    word=st.text(min_size=1, max_size=20).filter(lambda word: word < "\ud800" or word > "\udfff")
)
def test_hash_is_murmurhash(word: str) -> None:
    features = fitted(pl.DataFrame({"c": ["a", "b"]}), "hash", "categorical")
    try:
        word.encode()
    except UnicodeEncodeError:
        return
    found = matrix(features, pl.DataFrame({"c": [word]}))[0, 0]
    bare = word.strip(BLANKS)
    bare = "" if bare == "?" else bare
    assert found == murmurhash3_32(bare.encode(), positive=True) & 1023


@pytest.mark.parametrize("bits", [(10, 10), (18, 18), (12, 22)])
def test_hashes_have_the_bits_that_are_stated(bits: tuple[int, int]) -> None:
    words = [f"word {at}" for at in range(300)]
    frame = pl.DataFrame({"a": words, "b": words[::-1]})
    columns = {
        name: ColumnSpec(kind="categorical", encode="hash", bits=own)
        for name, own in zip("ab", bits, strict=True)
    }
    spec = FeaturesSpec(columns=columns)
    plan = plan_columns(frame, spec, {}, [])
    found = matrix(fit_features(frame, plan, spec, EncoderChoice("tree"), []), frame)
    for at, (name, own) in enumerate(zip("ab", bits, strict=True)):
        hashes = [murmurhash3_32(word.encode(), positive=True) for word in frame[name]]
        assert found[:, at].tolist() == [one & (2**own - 1) for one in hashes]

    # a linear model has a weight for each bucket
    features = fit_features(frame, plan, spec, EncoderChoice("linear"), [])
    sparse = matrix(features, frame)
    assert sparse.shape == (300, 2 ** bits[0] + 2 ** bits[1])
    assert sparse.sum() == 600


def test_bits_belong_to_hashes() -> None:
    frame = pl.DataFrame({"c": ["a", "b"]})
    spec = FeaturesSpec(columns={"c": ColumnSpec(encode="ordinal", bits=12)})
    with pytest.raises(InputError, match=r"features\.columns\.c\.bits: 12 without"):
        plan_columns(frame, spec, {}, [])


def test_wide_one_hot_is_a_bag_with_one_entry() -> None:
    words = [f"w{number % 150}" for number in range(600)] + ["once", None]
    frame = pl.DataFrame({"c": words})
    columns = plan_columns(frame, FeaturesSpec(), {}, [])
    features = fit_features(frame, columns, FeaturesSpec(), EncoderChoice("linear"), ["?"])
    made = open_session(compile_features(features)).rows(
        pl.DataFrame({"c": ["w3", "w149", "never", None, "?"]})
    )
    assert made.shape == (5, 152)
    assert made.sum(axis=1).ravel().tolist() == [[1, 1, 1, 1, 1]]
    assert made[3].indices == made[4].indices != made[2].indices


@given(seed=st.integers(0, 200))
def test_a_cross_is_the_category_of_the_pair(seed: int) -> None:
    chance = np.random.default_rng(seed)
    places = {name: chance.choice(5, 120, p=[0.4, 0.3, 0.2, 0.005, 0.095]) for name in "ab"}
    words = ["u", "v", "w", "only", None]
    frame = pl.DataFrame(
        {name: pl.Series([words[at] for at in found]) for name, found in places.items()}
    )
    features = fitted(frame, None, crosses=[["a", "b"]])
    assert features.names == ["a", "b", "a × b"]
    found = matrix(features, frame)
    a, b, both = found.T
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    often = {pair for pair in pairs if pairs.count(pair) >= 2}
    for pair, code in zip(pairs, both.tolist(), strict=True):
        assert (code > 0) == (pair in often)
    assert len({code for code in both.tolist() if code > 0}) == len(often)
    assert all(json.loads(word) for word in features.encoded[-1].state.counts)


def test_a_cross_of_what_is_no_category_is_refused() -> None:
    frame = pl.DataFrame({"a": ["x", "y"] * 10, "n": [float(row) for row in range(20)]})
    with pytest.raises(
        InputError, match=r"features.crosses\[0\]: 'n' is numeric; expected categorical columns"
    ):
        fitted(frame, None, crosses=[["a", "n"]])
    with pytest.raises(InputError, match=r"no column 'aa'.*did you mean 'a'"):
        fitted(frame, None, crosses=[["aa", "n"]])


def vectors(seed: int, rows: int = 80) -> pl.DataFrame:
    X = np.random.default_rng(seed).normal(size=(rows, 5)) * [5, 3, 2, 1, 0.5]
    return pl.DataFrame({"v": pl.Series(X.astype(np.float32), dtype=pl.Array(pl.Float32, 5))})


@given(seed=st.integers(0, 100))
def test_pca_equals_scikit_learn_up_to_the_sign(seed: int) -> None:
    frame = vectors(seed)
    X = frame["v"].to_numpy()
    found = matrix(fitted(frame, "pca", "vector"), frame)
    expected = PCA().fit(X).transform(X)
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=1e-3)


def test_normalize_equals_scikit_learn_and_a_missing_vector_is_zero() -> None:
    frame = pl.concat(
        [vectors(1), pl.DataFrame({"v": [None]}, schema={"v": pl.Array(pl.Float32, 5)})]
    )
    for encode, expected in (
        ("normalize", Normalizer().transform(vectors(1)["v"].to_numpy())),
        ("pass", vectors(1)["v"].to_numpy()),
    ):
        found = matrix(fitted(frame, encode, "vector"), frame)
        assert found[:-1] == pytest.approx(expected, abs=1e-6)
        assert not found[-1].any()


def test_several_encoders_of_one_column_stand_side_by_side() -> None:
    frame = pl.DataFrame({"c": ["a", "a", "b", "b", "b"] * 4})
    features = fitted(
        frame, ["ordinal", "frequency", "target"], "categorical", np.arange(20.0)[:, None]
    )
    assert features.names == ["c", "c_frequency", "c_target"]
    found = matrix(features, frame)
    assert found[:2, 0].tolist() == [2, 2]
    assert found[0, 1] == pytest.approx(0.4)


def test_an_encoder_for_another_kind_is_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"columns.c.encode: 'tfidf' for a categorical column; expected one of: ordinal",
    ):
        fitted(pl.DataFrame({"c": ["a", "b"] * 5}), ["ordinal", "tfidf"], "categorical")


def test_a_code_is_also_the_number_that_it_is() -> None:
    frame = pl.DataFrame({"shop_id": [7, 7, 3, None, 900, 3] * 20})
    columns = plan_columns(frame, FeaturesSpec(), {}, [])
    assert columns[0].kind == "categorical"
    features = fit_features(
        frame,
        columns,
        FeaturesSpec(),
        EncoderChoice("tree", {"categorical": ["ordinal", "number"]}),
        [],
    )
    assert sorted(features.names) == ["shop_id", "shop_id_number"]
    assert features.columns == ["shop_id"]
    session = open_session(compile_features(features))
    found = session.rows(pl.DataFrame({"shop_id": [900, 12, None]}))
    assert np.array_equal(
        found[:, features.names.index("shop_id_number")], [900, 12, np.nan], equal_nan=True
    )
    assert features.codes == [features.names.index("shop_id")]
    text = frame.with_columns(pl.col("shop_id").cast(pl.String))
    spec = FeaturesSpec(columns={"shop_id": ColumnSpec(encode="number")})
    with pytest.raises(InputError, match="'number' for a column of text"):
        plan_columns(text, spec, {}, [])
    columns = plan_columns(text, FeaturesSpec(), {}, [])
    plain = fit_features(
        text,
        columns,
        FeaturesSpec(),
        EncoderChoice("tree", {"categorical": ["ordinal", "number"]}),
        [],
    )
    assert plain.names == ["shop_id"]


@pytest.mark.parametrize("bits", [None, 12])
def test_a_hashed_cross_is_the_hash_of_its_joined_texts(bits: int | None) -> None:
    train = pl.DataFrame({"a": ["x", "y", "?"], "b": ["1", "2", "3"], "c": ["u", "v", "w"]})
    cross = CrossSpec(of=["a", "c", "b"], bits=bits)
    columns = {name: ColumnSpec(kind="categorical") for name in train.columns}
    spec = FeaturesSpec(columns=columns, crosses=[["a", "b"], cross])
    plan = plan_columns(train, spec, {}, [])
    features = fit_features(train, plan, spec, EncoderChoice("tree"), ["?"])
    rows = pl.DataFrame({"a": [" new ", None, "y"], "b": ["9", "2", None], "c": ["u", "?", "é"]})
    found = matrix(features, rows)
    texts = ["new\x1fu\x1f9", "\x1f\x1f2", "y\x1fé\x1f"]
    expected = [
        murmurhash3_32(text.encode(), positive=True) & (2 ** (bits or 10) - 1) for text in texts
    ]
    assert features.names[-1] == "a × c × b_hash"
    assert found[:, -1].tolist() == expected
    # the columns and the cross of a dictionary are what they are without it
    alone = fit_features(
        train,
        plan,
        FeaturesSpec(columns=columns, crosses=[["a", "b"]]),
        EncoderChoice("tree"),
        ["?"],
    )
    assert np.array_equal(matrix(alone, rows), found[:, :-1])

    linear = fit_features(train, plan, spec, EncoderChoice("linear"), ["?"])
    sparse = matrix(linear, rows)
    assert sparse.shape[1] >= 2 ** (bits or 16)


def test_a_hashed_cross_is_written_as_a_mapping() -> None:
    read = decode(
        {
            "name": "ads",
            "goal": {"target": "y"},
            "data": {"source": "a.csv"},
            "features": {
                "crosses": [["a", "b"], {"of": ["a", "c "], "encode": "hash", "bits": 20}]
            },
        }
    )
    assert with_safe_names(read).features.crosses == [
        ["a", "b"],
        CrossSpec(of=["a", "c"], encode="hash", bits=20),
    ]
    with pytest.raises(SpecError, match=r"features\.crosses\[0\]"):
        decode(
            {
                "name": "ads",
                "goal": {"target": "y"},
                "data": {"source": "a.csv"},
                "features": {"crosses": [{"of": ["a", "b"], "bits": 23}]},
            }
        )
    with pytest.raises(InputError, match="no column 'z'"):
        frame = pl.DataFrame({"a": ["u", "v"]})
        plan_columns(frame, FeaturesSpec(crosses=[CrossSpec(of=["a", "z"])]), {}, [])
