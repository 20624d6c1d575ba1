"""One table has one answer, whatever way it comes in: ten doors, every kind of column, every
spelling that is read.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pytest

import headrace
from headrace.predict import GapWarning, Predictor
from headrace.serve.service import Service
from headrace.tables import conform
from tests.serve.running import within

ROWS = 400
SPEC = """
name: doors
goal: {target: y}
data: {source: train.csv}
features: {columns: {zip: {kind: categorical}, note: {kind: text}}}
models: {candidates: [FAMILY], search: {trials: 0}, gbdt: {max_rounds: 30}}
"""


def written(rows: int = ROWS, seed: int = 1) -> pl.DataFrame:
    """A table as people write it: everything is text, padded here and there."""
    chance = np.random.default_rng(seed)
    x, hour = chance.normal(size=rows), chance.integers(0, 24, rows)
    job = chance.choice(["clerk", "State-gov", "cook", "nurse"], rows)
    zips = chance.choice([501, 1234, 90210], rows)
    seen = chance.random(rows) < 0.5
    day = [np.datetime64("2024-01-01") + int(step) for step in chance.integers(0, 300, rows)]
    late = x + (job == "cook") + (hour > 12) * 0.5 + seen + chance.normal(size=rows) > 1
    return pl.DataFrame(
        {
            "x": [f"{value:.4f}" for value in x],
            "price": [f"{1000 + 900 * value:,.2f}" for value in np.abs(x)],
            "hour": [f"{value:02d}" for value in hour],
            "zip": [str(value) for value in zips],
            "job": [f" {word}" if at % 2 else word for at, word in enumerate(job)],
            "seen": ["True" if one else "False" for one in seen],
            "at": [f"{one}T10:0{at % 10}:00Z" for at, one in enumerate(day)],
            "booked": [f"{str(one)[8:]}/{str(one)[5:7]}/{str(one)[:4]}" for one in day],
            "share": [f"{abs(value) % 1:.1%}" for value in x],
            "note": [f"{word} at gate {value}" for word, value in zip(job, hour, strict=True)],
            "y": np.where(late, "yes", "no"),
        }
    )


@pytest.fixture(scope="module", params=["gbdt", "linear"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(f"doors_{request.param}")
    written().write_csv(folder / "train.csv")
    (folder / "system.yaml").write_text(SPEC.replace("FAMILY", request.param))
    return headrace.run(headrace.load(folder)).bundle


Door = Callable[[Path, pl.DataFrame, Path], list[float]]


def by_file(end: str, write: Callable[[pl.DataFrame, Path], Any]) -> Door:
    def door(bundle: Path, asked: pl.DataFrame, folder: Path) -> list[float]:
        write(asked, folder / f"asked.{end}")
        return list(headrace.open(bundle).predict(folder / f"asked.{end}").collect()["prediction"])

    return door


def by_python(made: Callable[[pl.DataFrame], Any]) -> Door:
    def door(bundle: Path, asked: pl.DataFrame, folder: Path) -> list[float]:
        found = headrace.open(bundle).predict(made(asked))
        return (
            [one["prediction"] for one in found]
            if isinstance(found, list)
            else list(found["prediction"])
        )

    return door


def one_by_one(bundle: Path, asked: pl.DataFrame, folder: Path) -> list[float]:
    predictor = headrace.open(bundle)
    return [predictor.predict([row])[0]["prediction"] for row in asked.to_dicts()]


def by_http(
    path: str, body: Callable[[pl.DataFrame], tuple[bytes, str]], read: Callable[[Any], list[float]]
) -> Door:
    def door(bundle: Path, asked: pl.DataFrame, folder: Path) -> list[float]:
        content, kind = body(asked)

        async def ask(service: Service, client: httpx.AsyncClient) -> list[float]:
            answer = await client.post(path, content=content, headers={"content-type": kind})
            assert answer.status_code == 200, answer.text
            return read(answer.json())

        return within([str(bundle)], ask)

    return door


def tensors(asked: pl.DataFrame) -> tuple[bytes, str]:
    inputs = [
        {
            "name": name,
            "shape": [asked.height, 1],
            "datatype": "BYTES",
            "data": asked[name].cast(pl.String).to_list(),
        }
        for name in asked.columns
    ]
    return json.dumps({"inputs": inputs}).encode(), "application/json"


def predictions(document: Any) -> list[float]:
    return [one["prediction"] for one in document["predictions"]]


def tensor(document: Any) -> list[float]:
    return list(next(one["data"] for one in document["outputs"] if one["name"] == "prediction"))


JSON = "application/json"
DOORS: dict[str, Door] = {
    "csv": by_file("csv", lambda frame, path: frame.write_csv(path)),
    "tsv": by_file("tsv", lambda frame, path: frame.write_csv(path, separator="\t")),
    "parquet": by_file("parquet", lambda frame, path: frame.write_parquet(path)),
    "ndjson": by_file("ndjson", lambda frame, path: frame.write_ndjson(path)),
    "arrow": by_file("arrow", lambda frame, path: frame.write_ipc(path)),
    "polars": by_python(lambda frame: frame),
    "pandas": by_python(lambda frame: frame.to_pandas()),
    "padded names": by_python(
        lambda frame: frame.rename({name: f" {name} " for name in frame.columns})
    ),
    "dicts": by_python(lambda frame: frame.to_dicts()),
    "one by one": one_by_one,
    "padded dicts": by_python(
        lambda frame: [{f" {k}": v for k, v in row.items()} for row in frame.to_dicts()]
    ),
    "/predict": by_http(
        "/predict",
        lambda frame: (json.dumps({"rows": frame.to_dicts()}).encode(), JSON),
        predictions,
    ),
    "/v2": by_http("/v2/models/doors/infer", tensors, tensor),
    "/invocations": by_http(
        "/invocations",
        lambda frame: (
            json.dumps(
                {
                    "dataframe_split": {
                        "columns": frame.columns,
                        "data": [list(row) for row in frame.rows()],
                    }
                }
            ).encode(),
            JSON,
        ),
        predictions,
    ),
    "/invocations csv": by_http(
        "/invocations", lambda frame: (frame.write_csv().encode(), "text/csv"), predictions
    ),
}


def spelled(how: str) -> pl.DataFrame:
    """The same rows in other spellings that the reader accepts."""
    asked = written(60, seed=1).drop("y")
    text = pl.col(pl.String)
    ways = {
        "as in training": asked,
        "padded": asked.with_columns(pl.concat_str(pl.lit("  "), text, pl.lit(" "))),
        "without zeros": asked.with_columns(pl.col("hour").cast(pl.Int64).cast(pl.String)),
        "other case": asked.with_columns(pl.col("seen").str.to_lowercase()),
        "as floats": asked.with_columns(
            pl.col("zip") + ".0", pl.col("hour").cast(pl.Float64).cast(pl.String)
        ),
        "iso times": asked.with_columns(
            pl.col("at").str.replace("Z", "+00:00"),
            pl.col("booked").str.to_date("%d/%m/%Y").cast(pl.String),
        ),
        "flags as numbers": asked.with_columns(
            pl.col("seen").replace_strict({"True": "1", "False": "0"}, return_dtype=pl.String)
        ),
    }
    return ways[how]


SPELLINGS = [
    "as in training",
    "padded",
    "without zeros",
    "other case",
    "as floats",
    "iso times",
    "flags as numbers",
]


@pytest.mark.parametrize("how", SPELLINGS)
def test_every_door_gives_the_answer_of_the_training_file(
    bundle: Path, how: str, tmp_path: Path
) -> None:
    expected = DOORS["csv"](bundle, spelled("as in training"), tmp_path)
    assert len(set(expected)) > 20
    for name, door in DOORS.items():
        assert door(bundle, spelled(how), tmp_path) == pytest.approx(expected, abs=1e-6), name


def typed() -> pl.DataFrame:
    """The same rows with the types that the reader tells."""
    asked = spelled("as in training")
    return asked.with_columns(
        pl.col("x").cast(pl.Float64),
        pl.col("price").str.replace_all(",", "").cast(pl.Float64),
        pl.col("share").str.strip_suffix("%").cast(pl.Float64),
        pl.col("zip").cast(pl.Int64),
        pl.col("hour").cast(pl.Int64),
        pl.col("seen") == "True",
    )


def test_values_with_types_of_their_own_give_the_same(bundle: Path, tmp_path: Path) -> None:
    expected = DOORS["csv"](bundle, spelled("as in training"), tmp_path)
    for name, door in DOORS.items():
        if name not in ("csv", "tsv", "/v2", "/invocations csv"):  # these have text alone
            assert door(bundle, typed(), tmp_path) == pytest.approx(expected, abs=1e-6), name
    dates = typed().with_columns(
        pl.col("at").str.to_datetime(time_zone="UTC"), pl.col("booked").str.to_date("%d/%m/%Y")
    )
    for name in ("parquet", "arrow", "polars", "pandas", "dicts", "one by one"):
        assert DOORS[name](bundle, dates, tmp_path) == pytest.approx(expected, abs=1e-6), name


def test_a_plain_onnx_runtime_reads_the_same_text(bundle: Path, tmp_path: Path) -> None:
    """The graph itself strips, and knows the other spellings: a foreign runtime needs no rule of
    ours.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(
        bundle / "model.onnx", providers=["CPUExecutionProvider"]
    )
    groups = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    predictor = headrace.open(bundle)
    expected = predictor.predict_frame(spelled("as in training"))["prediction"].to_list()
    columns = {one.name: one for one in predictor.columns}
    for how in ("as in training", "padded", "without zeros"):
        asked = spelled(how)
        numbers = predictor.session.feeds(conform(asked, predictor.columns, [], "rows"))
        feeds = {
            name: values for name, values in numbers.items() if name in groups and name != "strings"
        }
        feeds["strings"] = np.array(
            [asked[name].to_list() for name in groups["strings"]], dtype=object
        ).T
        assert all(columns[name].dtype in ("string", "integer") for name in groups["strings"])
        found = session.run(["prediction"], feeds)[0][:, 0]
        assert found.tolist() == pytest.approx(expected, abs=1e-6), how


@pytest.mark.parametrize(
    ("change", "gaps"),
    [
        ({"job": "pilot"}, {"unseen": ["job"]}),
        ({"hour": "25"}, {"unseen": ["hour"]}),
        ({"zip": 7}, {"unseen": ["zip"]}),
        ({"x": None}, {"imputed": ["x"]}),
        ({"x": "NA", "job": " "}, {"imputed": ["x", "job"]}),
        ({"at": None}, {"imputed": ["at"]}),
        ({"job": " nurse "}, {}),
    ],
)
def test_what_training_never_saw_is_told(
    bundle: Path, change: dict[str, Any], gaps: dict[str, list[str]]
) -> None:
    predictor = headrace.open(bundle)
    rows = [
        row | (change if at == 1 else {})
        for at, row in enumerate(spelled("as in training").head(3).to_dicts())
    ]
    for found in (predictor.predict(rows)[1], predictor.predict([rows[1]])[0]):
        told = {name: sorted(found[name]) for name in ("unseen", "imputed") if name in found}
        assert told == {name: sorted(columns) for name, columns in gaps.items()}
    assert "unseen" not in predictor.predict(rows)[0]
    frame = pl.DataFrame(rows, infer_schema_length=None, strict=False)
    if gaps:
        with pytest.warns(GapWarning, match=next(iter(gaps.values()))[0]):
            predictor.predict(frame)
    else:
        predictor.predict(frame)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seen": 2}, "true or false"),
        ({"seen": "0.5"}, "true or false"),
        ({"at": "2024-05-05T10:00:00"}, "with a zone"),
        ({"booked": "2024-05-05T10:00:00Z"}, "without a zone"),
        ({"booked": "05-05-24"}, "ISO 8601"),
        ({"price": "€1,200.00"}, "a number"),
        ({"share": "12 $"}, "a number"),
        ({"zip": "abc"}, "a number"),
        ({"x": "1_000"}, "a number"),
    ],
)
def test_what_means_something_else_is_refused_at_every_door(
    bundle: Path, change: dict[str, Any], words: str
) -> None:
    predictor: Predictor = headrace.open(bundle)
    row = spelled("as in training").row(0, named=True) | change
    for asked in ([row], [row, row], pl.DataFrame([row])):
        with pytest.raises(headrace.errors.InputError, match=words):
            predictor.predict(asked)


def test_unseen_and_imputed_values_are_counted(bundle: Path) -> None:
    row = spelled("as in training").row(0, named=True) | {"job": "pilot", "x": None}

    async def ask(service: Service, client: httpx.AsyncClient) -> str:
        for _ in range(3):
            answer = await client.post("/predict", json={"rows": [row]})
            (found,) = answer.json()["predictions"]
            assert found["unseen"] == ["job"]
            assert found["imputed"] == ["x"]
        await asyncio.sleep(0)
        return (await client.get("/metrics")).text

    page = within([str(bundle)], ask)
    assert 'headrace_unseen_total{column="job",model="doors"} 3.0' in page
    assert 'headrace_imputed_total{column="x",model="doors"} 3.0' in page


def test_pandas_columns_of_several_types_are_read_as_dicts_are(bundle: Path) -> None:
    predictor = headrace.open(bundle)
    rows = spelled("as in training").head(4).to_dicts()
    rows[0]["hour"], rows[1]["x"], rows[2]["zip"] = int(rows[0]["hour"]), float(rows[1]["x"]), 501.0
    expected = [one["prediction"] for one in predictor.predict(rows)]
    frame = pd.DataFrame(rows)
    assert frame["hour"].map(type).nunique() == 2
    assert predictor.predict(frame)["prediction"].to_list() == pytest.approx(expected, abs=1e-6)
    frame["x"] = [1j, 2, 3, 4]
    with pytest.raises(headrace.errors.InputError, match="column 'x'"):
        predictor.predict(frame)


def test_a_time_that_is_not_there_and_a_flag_in_its_place(bundle: Path) -> None:
    predictor = headrace.open(bundle)
    row = spelled("as in training").row(0, named=True)
    assert predictor.predict([row | {"at": pd.NaT}])[0]["imputed"] == ["at"]
    with pytest.raises(headrace.errors.InputError, match="column 'booked'"):
        predictor.predict(pl.DataFrame([row | {"booked": True}]))


def test_a_file_says_what_training_never_saw_too(bundle: Path, tmp_path: Path) -> None:
    asked = spelled("as in training").head(5).with_columns(job=pl.lit("pilot"))
    (tmp_path / "a.csv").write_text(asked.write_csv() + "\n\n")
    with pytest.warns(GapWarning, match=r"'job' \(5, such as 'pilot'\).*2 lines without any value"):
        assert headrace.open(bundle).predict(tmp_path / "a.csv").collect().height == 5
