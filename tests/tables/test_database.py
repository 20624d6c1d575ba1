"""Rows out of real databases, and out of many files: the same table, whatever it comes from."""

import json
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import millrace
from millrace.errors import InputError
from millrace.spec import Answers
from millrace.tables import load
from millrace.tables.database import read_query
from millrace.tables.table import looked
from millrace.tables.types import Locale


def rows(count: int = 300) -> pl.DataFrame:
    chance = np.random.default_rng(1)
    x, town = chance.normal(size=count), chance.choice(["north", "south"], count)
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "x": pl.Series(x).set(pl.Series(chance.random(count) < 0.1), None),
            "town": town,
            "at": [datetime(2024, 1, 1) + timedelta(minutes=int(minute)) for minute in range(count)],
            "bought": (x + (town == "north") > 0.5).astype(int),
        }
    )


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table sales (id integer, x real, town text, at text, bought integer)")
        connection.executemany(
            "insert into sales values (?, ?, ?, ?, ?)",
            [(a, b, c, at.isoformat(), e) for a, b, c, at, e in rows().iter_rows()],
        )
    connection.close()
    return file


QUERY = "select * from sales order by id"


def test_sqlite_gives_the_table(sqlite: Path) -> None:
    source = "sqlite:///shop.db"
    found = looked(source, read_query(source, QUERY, sqlite.parent), [""]).settle(Locale()).frame
    assert found.equals(rows())
    assert read_query(f"sqlite:///{sqlite}", QUERY, Path("/")).height == 300


def test_duckdb_gives_the_table(tmp_path: Path) -> None:
    import duckdb

    sales = rows()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("create table sales as select * from sales")
    assert len(sales) == 300
    source = "duckdb:///shop.duckdb"
    assert looked(source, read_query(source, QUERY, tmp_path), [""]).settle(Locale()).frame.equals(rows())
    with pytest.raises(InputError, match="refused the query"):
        read_query(source, "select * from nowhere", tmp_path)


def test_a_system_on_a_database_runs_and_is_kept(sqlite: Path) -> None:
    home = sqlite.parent
    answers = Answers(target="bought", id="id", query=QUERY)
    _, text = millrace.init("sqlite:///shop.db", answers, home)
    assert 'source: "sqlite:///shop.db"' in text and "query:" in text
    spec = home / "system.yaml"
    spec.write_text(spec.read_text().replace("trials: 20", "trials: 0").replace("[linear, gbdt]", "[linear]"))
    first = millrace.run(millrace.load(home))
    assert first.document["rows"]["train"] > 150 and millrace.verify(first.bundle).passed
    assert millrace.run(millrace.load(home)).document["cached"]
    with sqlite3.connect(sqlite) as connection:
        connection.execute("delete from sales where id < 20")
    connection.close()
    assert not millrace.run(millrace.load(home)).document["cached"]


@pytest.mark.parametrize(
    ("source", "query", "said"),
    [
        ("sqlite:///none.db", QUERY, "no such file"),
        ("sqlite:///shop.db", None, "the query whose rows are the table"),
        ("sqlite:///shop.db", "select * from nowhere", "no such table: nowhere"),
        ("sqlite:///shop.db", "delete from sales", "refused the query"),
        ("postgresql://me:secret@127.0.0.1:1/shop", QUERY, "set PGPASSWORD"),
        ("postgresql://me@127.0.0.1:1/shop", QUERY, "refused the query"),
    ],
)
def test_what_a_database_cannot_answer(sqlite: Path, source: str, query: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        read_query(source, query, sqlite.parent)
    assert "secret" not in str(error.value)
    assert read_query("sqlite:///shop.db", QUERY, sqlite.parent).height == 300


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own on a free port of this machine."""
    home = _binaries()
    if home is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    folder = Path(tmp_path_factory.mktemp("postgres"))
    user, before = "millrace", []
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        before = ["runuser", "-u", "postgres", "--"]
        folder = Path("/tmp") / f"millrace-postgres-{os.getpid()}"
        folder.mkdir()
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

    def ctl(*arguments: Any) -> None:
        subprocess.run([*before, *map(str, arguments)], check=True, capture_output=True, cwd="/")

    try:
        ctl(home / "initdb", "-D", data, "-U", user, "-A", "trust", "-E", "UTF8")
        ctl(home / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", settings, "start")
        try:
            yield f"postgresql://{user}@127.0.0.1:{port}/postgres"
        finally:
            ctl(home / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_postgresql_gives_the_table(postgres: str, tmp_path: Path) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgres) as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest("sales", rows().to_arrow(), mode="create")
        connection.commit()
    found = looked(postgres, read_query(postgres, QUERY, tmp_path), [""]).settle(Locale()).frame
    assert found.equals(rows())
    with pytest.raises(InputError, match="nowhere"):
        read_query(postgres, "select * from nowhere", tmp_path)
    spec = {"name": "shop", "goal": {"target": "bought"}, "data": {"source": postgres, "query": QUERY, "id": "id"}}
    (tmp_path / "system.yaml").write_text(
        json.dumps(spec | {"models": {"candidates": ["linear"], "search": {"trials": 0}}})
    )
    run = millrace.run(millrace.load(tmp_path))
    assert millrace.verify(run.bundle).passed
    assert not millrace.run(millrace.load(tmp_path)).document["cached"], "what a server holds may have changed"


@pytest.mark.parametrize("end", ["csv", "parquet", "ndjson", "csv.gz"])
def test_a_folder_and_a_pattern_are_one_table(tmp_path: Path, end: str) -> None:
    import gzip

    parts = tmp_path / "parts"
    parts.mkdir()
    whole = rows()
    for at, part in enumerate((whole[:100], whole[100:150].select(reversed(whole.columns)), whole[150:])):
        path = parts / f"part-{at}.{end}"
        if end == "csv.gz":
            path.write_bytes(gzip.compress(part.write_csv().encode()))
        else:
            getattr(part, f"write_{end}")(path)
    (parts / "README.md").write_text("not a table")
    one = load(parts)
    assert one.frame.equals(whole) or end == "csv.gz"
    assert one.frame.height == 300 and one.frame.columns == whole.columns
    assert load(parts / f"part-*.{end}").fingerprint == one.fingerprint
    assert load(parts / f"part-[01].{end}").frame.height == 150


def test_files_that_are_not_one_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(InputError, match=r"b\.csv: differs from a\.csv in y, z"):
        load(tmp_path)
    with pytest.raises(InputError, match="no file matches"):
        load(tmp_path / "c*.csv")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="a folder without a table"):
        load(tmp_path / "none")
    (tmp_path / "odd[1].csv").write_text("x,y\n1,2\n")
    assert load(tmp_path / "odd[1].csv").frame.height == 1
