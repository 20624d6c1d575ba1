"""Tables behind URLs: fsspec's store in memory, and a real S3 in an environment of its own."""

import json
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

import headrace
from headrace.design import Answers
from headrace.errors import InputError
from headrace.tables.remote import fetch
from tests.conftest import make_table, write_system

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def store() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def put(store: Any, name: str, frame: pl.DataFrame) -> None:
    with store.open(name, "wb") as file:
        frame.write_parquet(file)


def test_a_run_reads_a_url_and_sees_that_it_changed(store: Any, tmp_path: Path) -> None:
    folder = write_system(tmp_path, "binary", "linear", rows=300)
    spec = folder / "system.yaml"
    spec.write_text(spec.read_text().replace("rows.parquet", "memory://shop/rows.parquet"))
    put(store, "/shop/rows.parquet", make_table(300, 3))
    (folder / "rows.parquet").rename(folder / "here.parquet")
    first = headrace.run(headrace.load(folder))
    assert headrace.run(headrace.load(folder)).document.cached
    put(store, "/shop/rows.parquet", make_table(320, 3))
    second = headrace.run(headrace.load(folder))
    assert not second.document.cached
    assert first.document.fingerprints != second.document.fingerprints
    assert (
        len(
            [one for one in (folder / ".headrace/remote").iterdir() if not one.name.startswith(".")]
        )
        == 1
    )


def test_patterns_and_folders(store: Any, tmp_path: Path) -> None:
    parts = [make_table(30, 1), make_table(20, 2)]
    for at, part in enumerate(parts):
        put(store, f"/lake/day={at}.parquet", part)
    store.pipe("/lake/readme.md", b"no table")
    for url in ("memory://lake/*.parquet", "memory://lake/", "memory://lake"):
        found = fetch(url, tmp_path)
        assert sorted(file.name for file in found.iterdir()) == [
            "000000-day=0.parquet",
            "000001-day=1.parquet",
        ]
    whole = headrace.init(
        "memory://lake/*.parquet", Answers(target="label", name="lake"), tmp_path
    )[0]
    assert headrace.load(whole).data.source == "memory://lake/*.parquet"


def test_files_of_one_name_are_all_read(store: Any, tmp_path: Path) -> None:
    for at in range(3):
        put(store, f"/lake/day={at}/part-0.parquet", make_table(100, at))
    folder = write_system(tmp_path, "binary", "linear")
    spec = folder / "system.yaml"
    spec.write_text(
        spec.read_text()
        .replace("rows.parquet", "memory://lake/*/part-0.parquet")
        .replace("id: row, ", "")
    )
    rows = headrace.run(headrace.load(folder)).document.rows
    assert rows.train + rows.validation + rows.test + rows.purged == 300
    put(store, "/lake/day=1/part-0.parquet", make_table(100, 7))
    assert not headrace.run(headrace.load(folder)).document.cached


def test_a_store_that_says_nothing_is_read_once_a_run(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What named the results and what was read are the same copy."""
    monkeypatch.setattr("headrace.tables.remote._STATES", ())
    folder = write_system(tmp_path, "binary", "linear", rows=300)
    spec = folder / "system.yaml"
    spec.write_text(spec.read_text().replace("rows.parquet", "memory://shop/rows.parquet"))
    put(store, "/shop/rows.parquet", make_table(300, 3))
    get = type(store).get_file
    asked: list[str] = []

    def counted(*given: Any) -> Any:
        asked.append(given[1])
        return get(*given)

    monkeypatch.setattr(type(store), "get_file", counted)
    assert not headrace.run(headrace.load(folder)).document.cached
    assert len(asked) == 1
    assert headrace.run(headrace.load(folder)).document.cached, "the content is the same"
    assert len(asked) == 2, "the content is the same"


def test_csv_in_another_dialect(store: Any, tmp_path: Path) -> None:
    store.pipe("/t/rows.csv", "a;b;y\n1,5;é;0\n2,5;ü;1\n".encode("latin-1"))
    path, _ = headrace.init("memory://t/rows.csv", Answers(target="y"), tmp_path)
    assert headrace.load(path).name == "rows"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://none/rows.parquet", "no such file"),
        ("memory://none/*.parquet", "no file matches"),
        ("nosuch://bucket/rows.parquet", "expected a path, s3://"),
        ("s3://me:hunter2@bucket/rows.parquet", "a password in s3://me:…@bucket"),
        ("mysql://host/db", "expected a path, s3://"),
        ("gs://bucket/rows.csv", "pip install 'headrace[gcs]'"),
        ("https://[bad/rows.csv", "cannot be opened"),
    ],
)
def test_what_cannot_be_read_is_one_error(store: Any, tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        fetch(url, tmp_path)
    assert words in str(error.value)
    assert "hunter2" not in str(error.value)
    assert not (tmp_path / ".headrace").exists() or not list(
        (tmp_path / ".headrace" / "remote").iterdir()
    )


S3 = """
import json, os, sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()
os.environ |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1",
               "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
import boto3, headrace
from pathlib import Path
client = boto3.client("s3")
client.create_bucket(Bucket="shop")
for part in sorted(Path(sys.argv[1]).glob("*.parquet")):
    client.upload_file(str(part), "shop", f"days/{part.name}")
run = headrace.run(headrace.load(sys.argv[2]))
again = headrace.run(headrace.load(sys.argv[2]))
print(json.dumps({"rows": run.document.rows, "cached": again.document.cached}))
server.stop()
"""


@pytest.mark.slow
def test_a_bucket_of_s3(tmp_path: Path) -> None:
    """s3fs against a server that speaks S3's protocol, both in an environment of their own."""
    home = ROOT / "build" / "peers" / "s3"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        for needed in (
            ["-e", f"{ROOT}[s3]"],
            ["moto[server]==5.2.5"],
        ):  # s3fs first: both pin the same library
            subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)
    folder = write_system(tmp_path / "system", "binary", "linear", rows=300)
    days = tmp_path / "days"
    days.mkdir()
    for at in range(3):
        make_table(300, 3)[at * 100 : at * 100 + 100].write_parquet(days / f"{at}.parquet")
    spec = folder / "system.yaml"
    spec.write_text(spec.read_text().replace("rows.parquet", "s3://shop/days/*.parquet"))
    (tmp_path / "s3.py").write_text(S3)
    done = subprocess.run(
        [python, tmp_path / "s3.py", days, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert sum(told["rows"][part] for part in ("train", "validation", "test", "purged")) == 300
    assert told["cached"]
