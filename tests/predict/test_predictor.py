"""One model, every door: dicts, tables of three libraries, files, and plain ONNX Runtime give the
same predictions.
"""

import math
import runpy
import sys
import threading
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace
from headrace.errors import InputError
from headrace.features import (
    EncoderChoice,
    fit_features,
    open_coded_session,
    open_session,
    plan_columns,
)
from headrace.models import compile_features
from headrace.predict import Predictor, predict_file
from headrace.predict.rows import RowReader, make_row_type
from headrace.spec import FeaturesSpec
from headrace.tables import Column, Schema
from headrace.tables.numbers import COMMA_DECIMAL
from tests.conftest import EXAMPLES, Runs, make_table

TASKS = ["binary", "multiclass", "regression"]
_predictors: dict[Any, Predictor] = {}


def predictor_of(runs: Runs, task: str, family: str = "gbdt") -> Predictor:
    if (task, family) not in _predictors:
        _predictors[task, family] = headrace.open(runs(task, family).bundle)
    return _predictors[task, family]


def as_columns(predictions: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for prediction in predictions:
        for name, value in prediction.items():
            entries = (
                {f"probability_{k}": v for k, v in value.items()}
                if name == "probabilities"
                else {name: value}
            )
            for key, entry in entries.items():
                found.setdefault(key, []).append(entry)
    return found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", ["linear", "gbdt"])
def test_every_door_gives_the_same(runs: Runs, task: str, family: str, tmp_path: Path) -> None:
    predictor = predictor_of(runs, task, family)
    frame = make_table(6_000, seed=11)
    expected = predictor.predict(frame)
    assert expected.columns[:2] == ["row", "prediction"]
    assert expected.height == 6_000
    few = frame.head(50)
    assert as_columns(predictor.predict(few.to_dicts())) == expected.head(50).to_dict(
        as_series=False
    )
    singles = [predictor.predict([row])[0] for row in few.to_dicts()]
    assert as_columns(singles) == expected.head(50).to_dict(as_series=False)
    table = few.to_pandas().set_index(pd.Index(range(7, 57), name="n"))
    answers = predictor.predict(table)
    assert answers.index.equals(table.index)
    assert pl.from_pandas(answers).equals(expected.head(50))
    assert predictor.predict(few.to_arrow()).equals(expected.head(50))
    assert predictor.predict(few.lazy()).equals(expected.head(50))
    for name in ("rows.parquet", "rows.csv", "rows.ndjson", "rows.arrow"):
        source = tmp_path / name
        getattr(frame, {"arrow": "write_ipc"}.get(name[5:], f"write_{name[5:]}"))(source)
        assert predict_file(predictor, source, tmp_path / "out.parquet") == 6_000
        assert pl.read_parquet(tmp_path / "out.parquet").equals(expected), name
    assert predictor.predict(tmp_path / "rows.parquet").collect().equals(expected)
    assert predictor.predict(tmp_path / "rows.parquet").head(7).collect().equals(expected.head(7))


@pytest.mark.parametrize("task", TASKS)
def test_plain_onnx_runtime_reproduces_the_holdout(runs: Runs, task: str) -> None:
    embed = runpy.run_path(str(EXAMPLES / "embed" / "predict.py"))
    bundle = runs(task, "gbdt").bundle
    holdout = pl.read_parquet(bundle / "holdout.parquet")
    found, stored = embed["predict"](bundle, holdout).tolist(), holdout["prediction"].to_list()
    # With as many threads as cores ONNX Runtime may add trees up in another order: the last bit may
    # differ.
    assert found == (stored if task == "multiclass" else pytest.approx(stored, rel=1e-6))


scalars = st.one_of(st.none(), st.floats(), st.integers(-(2**60), 2**60), st.booleans())
row_values = st.fixed_dictionaries(
    {
        "x": scalars,
        "z": scalars,
        "big": scalars,
        "flag": st.one_of(st.none(), st.booleans()),
        "colour": st.one_of(
            st.none(), st.sampled_from(["red", "blue", "?", "", "NaN", "unseen", "é"])
        ),
        "code": st.one_of(st.none(), st.integers(-3, 9)),
        "at": st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))),
    }
)


@given(rows=st.lists(row_values, min_size=1, max_size=8))
@pytest.mark.parametrize("family", ["linear", "gbdt"])
def test_dicts_equal_tables_for_any_value(
    runs: Runs, family: str, rows: list[dict[str, Any]]
) -> None:
    predictor = predictor_of(runs, "regression", family)
    dtypes: dict[str, Any] = {column.name: pl.Float64 for column in predictor.columns}
    dtypes |= {"flag": pl.Boolean, "colour": pl.String, "code": pl.Int64, "at": pl.Datetime("us")}
    numbers = [
        {k: float(v) if k in ("x", "z", "big") and v is not None else v for k, v in row.items()}
        for row in rows
    ]
    by_table = predictor.predict_frame(pl.DataFrame(numbers, schema=dtypes))["prediction"].to_list()
    by_dicts = [one["prediction"] for one in predictor.predict(rows)]
    one_by_one = [predictor.predict([row])[0]["prediction"] for row in rows]
    assert predictor.row_type is not None
    typed: list[Any] = [msgspec.convert(row, predictor.row_type) for row in rows]
    by_type = [one["prediction"] for one in predictor.predict_typed(typed)]
    typed_one_by_one = [predictor.predict_typed([row])[0]["prediction"] for row in typed]
    assert by_dicts == by_table == one_by_one == by_type == typed_one_by_one
    assert all(math.isfinite(value) for value in by_dicts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"z": "abc"}, "row 1, column 'z': the value 'abc'.*expected a number"),
        ({"z": [1]}, "column 'z'"),
        ({"z": {"a": 1}}, "column 'z'"),
        ({"colour": ["red"]}, "column 'colour'.*expected text"),
        ({"colour": "\ud800"}, "column 'colour'"),
        ({"at": "yesterday"}, "column 'at'.*ISO 8601"),
        ({"at": 5}, "column 'at'.*ISO 8601"),
        ({"flag": "maybe"}, "column 'flag'"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    runs: Runs, change: dict[str, Any], words: str
) -> None:
    predictor = predictor_of(runs, "binary")
    good = make_table(3, seed=1).to_dicts()[0]
    with pytest.raises(InputError, match=words):
        predictor.predict([good | change])
    with pytest.raises(InputError, match=words.replace("row 1", "row 2")):
        predictor.predict([good, good | change])


def test_numbers_are_read_as_the_training_table_wrote_them() -> None:
    column = Column(name="price", dtype="number", kind="numeric", written=COMMA_DECIMAL)
    schema = Schema(columns=[column], target="y", target_dtype="number")
    session: Any = SimpleNamespace(groups={"numbers": ["price"]}, codes=[])
    reader = RowReader(session, schema)
    rows = [{"price": "1.234"}, {"price": "5,5"}, {"price": 2}, {"price": None}]
    expected = [[1234.0], [5.5], [2.0], [math.nan]]
    assert np.array_equal(reader.read_rows(rows)[0]["numbers"], expected, equal_nan=True)
    singles = [reader.read_row(row)[0]["numbers"][0].tolist() for row in rows]
    assert np.array_equal(singles, expected, equal_nan=True)


def test_typed_rows_bring_their_ids(runs: Runs) -> None:
    predictor = predictor_of(runs, "multiclass")
    assert predictor.row_type is not None
    rows = (
        make_table(3, seed=1)
        .select("row", *[column.name for column in predictor.columns])
        .to_dicts()
    )
    del rows[1]["row"]
    typed: list[Any] = [msgspec.convert(row, predictor.row_type) for row in rows]
    assert predictor.predict_typed(typed) == predictor.predict(rows)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"z": 1}, predictor.row_type)
    assert make_row_type(('a"b',), ()) is None


def test_a_missing_key_is_named(runs: Runs) -> None:
    predictor = predictor_of(runs, "binary")
    good = make_table(1, seed=1).to_dicts()[0]
    bad = {("Z" if name == "z" else name): value for name, value in good.items()}
    with pytest.raises(InputError, match="row 1, column 'z': no such column"):
        predictor.predict([bad])
    with pytest.raises(InputError, match="write \\[row\\]"):
        predictor.predict(good)
    with pytest.raises(InputError, match="rows of type int"):
        predictor.predict(5)
    assert predictor.predict([]) == []


def test_words_for_missing_and_text_numbers_are_understood(runs: Runs) -> None:
    predictor = predictor_of(runs, "binary")
    row = make_table(1, seed=1).to_dicts()[0]
    assert predictor.predict([row | {"z": "NA", "colour": "?"}]) == predictor.predict(
        [row | {"z": None, "colour": None}]
    )
    assert predictor.predict(
        [row | {"z": "0.5", "at": "2023-05-05T10:00:00", "code": "3"}]
    ) == predictor.predict([row | {"z": 0.5, "at": datetime(2023, 5, 5, 10), "code": 3.0}])


def test_values_of_other_libraries_mean_what_they_say(runs: Runs) -> None:
    predictor = predictor_of(runs, "binary")
    row = make_table(1, seed=1).to_dicts()[0]
    plain = row | {"z": 0.5, "at": datetime(2023, 5, 5, 10), "code": 3, "colour": None}
    other = row | {
        "z": Decimal("0.5"), "at": np.datetime64("2023-05-05T10:00:00.000000000"),
        "code": Decimal("3.0"),
        "colour": pd.NA,
    }  # fmt: skip
    assert predictor.predict([other]) == predictor.predict([plain])
    assert predictor.predict([other] * 2) == predictor.predict([plain] * 2)


def test_names_that_differ_by_blanks_alone_are_refused(runs: Runs) -> None:
    predictor = predictor_of(runs, "binary")
    row = make_table(1, seed=1).to_dicts()[0]
    padded = {f" {name}": value for name, value in row.items()}
    assert predictor.predict([padded]) == predictor.predict([row])
    assert predictor.predict([row | {" z": 99.0}]) == predictor.predict([row])
    with pytest.raises(InputError, match="two values of 'z', ignoring blanks"):
        predictor.predict([padded | {"z ": 99.0}])


@pytest.mark.parametrize("rows", [500, 5_000])  # few are coded in a loop, many by Polars
def test_coded_batches_equal_text(runs: Runs, rows: int) -> None:
    model = (runs("binary", "gbdt").bundle / "model.onnx").read_bytes()
    frame = make_table(rows, seed=4).with_columns(colour=pl.col("colour").replace("blue", "NA"))
    whole, coded = open_session(model), open_coded_session(model)
    assert coded.codes
    assert not whole.codes
    outputs = ["prediction", "features"]
    expected, found = whole.run(outputs, whole.feeds(frame)), coded.run(outputs, coded.feeds(frame))
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b, equal_nan=True)


def test_a_matrix_of_nothing_but_codes_in_batches() -> None:
    frame = pl.DataFrame({"c": ["a", "b", "c", None] * 50})
    spec = FeaturesSpec()
    features = fit_features(
        frame, plan_columns(frame, spec, {}, []), spec, EncoderChoice("tree"), []
    )
    graph = compile_features(features)
    assert np.array_equal(open_coded_session(graph).rows(frame), open_session(graph).rows(frame))


def test_threads_share_a_predictor(runs: Runs) -> None:
    predictor = predictor_of(runs, "binary")
    rows = make_table(40, seed=9).to_dicts()
    expected = [predictor.predict([row]) for row in rows]
    wrong: list[int] = []

    def work(start: int) -> None:
        for step in range(300):
            at = (start + step) % len(rows)
            if predictor.predict([rows[at]]) != expected[at]:
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 13, 26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_bad_row_deep_in_a_file_is_named_and_nothing_is_written(
    runs: Runs, tmp_path: Path
) -> None:
    predictor = predictor_of(runs, "binary")
    frame = make_table(30_000, seed=2).with_columns(pl.col("z").cast(pl.String))
    row = pl.int_range(pl.len()) == 25_000
    frame.with_columns(z=pl.when(row).then(pl.lit("oops")).otherwise(pl.col("z"))).write_csv(
        tmp_path / "rows.csv"
    )
    with pytest.raises(InputError, match="row 25001, column 'z': the value 'oops'"):
        predict_file(predictor, tmp_path / "rows.csv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_file_without_a_column_is_named(runs: Runs, tmp_path: Path) -> None:
    make_table(50, seed=2).drop("z").write_csv(tmp_path / "rows.csv")
    with pytest.raises(InputError, match=r"rows\.csv: no column 'z'"):
        predict_file(predictor_of(runs, "binary"), tmp_path / "rows.csv", tmp_path / "out.csv")


def test_a_bad_row_behind_the_first_chunk_has_its_own_number(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = predictor_of(runs, "binary")
    monkeypatch.setattr(predictor, "_reads_text", True)
    monkeypatch.setattr(Predictor, "_chunk_rows", lambda self, rows: 50)
    rows = make_table(200, seed=2).to_dicts()
    assert len(predictor.predict(rows)) == 200
    rows[120]["z"] = "oops"
    with pytest.raises(InputError, match="row 121, column 'z': the value 'oops'"):
        predictor.predict(rows)


@pytest.mark.slow
def test_memory_stays_flat_as_files_grow(runs: Runs, tmp_path: Path) -> None:
    import subprocess

    bundle = runs("binary", "gbdt").bundle
    script = (
        "import sys, resource, headrace; from pathlib import Path\n"
        "from headrace.predict import predict_file\n"
        "predict_file(headrace.open(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for copies in (1, 8):
        source = tmp_path / f"{copies}.parquet"
        pl.concat([make_table(250_000, seed=2)] * copies).write_parquet(
            source, row_group_size=50_000
        )
        command = [
            sys.executable,
            "-c",
            script,
            str(bundle),
            str(source),
            str(tmp_path / "out.parquet"),
        ]
        peaks.append(
            int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        )
    assert peaks[1] < 1.5 * peaks[0]
