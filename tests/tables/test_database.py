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

import headrace
from headrace.design import Answers
from headrace.errors import InputError
from headrace.tables import load
from headrace.tables.database import read_query
from headrace.tables.table import look_at
from headrace.tables.types import Locale


def rows(count: int = 300) -> pl.DataFrame:
    chance = np.random.default_rng(1)
    x, town = chance.normal(size=count), chance.choice(["north", "south"], count)
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "x": pl.Series(x).set(pl.Series(chance.random(count) < 0.1), None),
            "town": town,
            "at": [
                datetime(2024, 1, 1) + timedelta(minutes=int(minute)) for minute in range(count)
            ],
            "bought": (x + (town == "north") > 0.5).astype(int),
        }
    )


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute(
            "create table sales (id integer, x real, town text, at text, bought integer)"
        )
        connection.executemany(
            "insert into sales values (?, ?, ?, ?, ?)",
            [(a, b, c, at.isoformat(), e) for a, b, c, at, e in rows().iter_rows()],
        )
    connection.close()
    return file


QUERY = "select * from sales order by id"


def test_sqlite_gives_the_table(sqlite: Path) -> None:
    source = "sqlite:///shop.db"
    found = look_at(source, read_query(source, QUERY, sqlite.parent), [""]).settle(Locale()).frame
    assert found.equals(rows())
    assert read_query(f"sqlite:///{sqlite}", QUERY, Path("/")).height == 300


def test_duckdb_gives_the_table(tmp_path: Path) -> None:
    import duckdb

    sales = rows()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("create table sales as select * from sales")
    assert len(sales) == 300
    source = "duckdb:///shop.duckdb"
    assert (
        look_at(source, read_query(source, QUERY, tmp_path), [""])
        .settle(Locale())
        .frame.equals(rows())
    )
    with pytest.raises(InputError, match="refused the query"):
        read_query(source, "select * from nowhere", tmp_path)


def test_a_system_on_a_database_runs_and_is_kept(sqlite: Path) -> None:
    home = sqlite.parent
    answers = Answers(target="bought", id="id", query=QUERY)
    _, text = headrace.init("sqlite:///shop.db", answers, home)
    assert 'source: "sqlite:///shop.db"' in text
    assert "query:" in text
    spec = home / "system.yaml"
    spec.write_text(
        spec.read_text().replace("trials: 20", "trials: 0").replace("[linear, gbdt]", "[linear]")
    )
    first = headrace.run(headrace.load(home))
    assert first.document.rows.train > 150
    assert headrace.verify(first.bundle).passed
    assert headrace.run(headrace.load(home)).document.cached
    with sqlite3.connect(sqlite) as connection:
        connection.execute("delete from sales where id < 20")
    connection.close()
    assert not headrace.run(headrace.load(home)).document.cached


@pytest.mark.parametrize(
    ("source", "query", "said"),
    [
        ("sqlite:///none.db", QUERY, "no such file"),
        ("sqlite:///shop.db", None, "the query whose rows are the table"),
        ("sqlite:///shop.db", "select * from nowhere", "no such table: nowhere"),
        ("sqlite:///shop.db", "delete from sales", "one select"),
        ("postgresql://me:hunter2@127.0.0.1:1/shop", QUERY, "PGPASSWORD"),
        ("postgresql://me@127.0.0.1:1/shop", QUERY, "refused the query"),
    ],
)
def test_what_a_database_cannot_answer(
    sqlite: Path, source: str, query: str | None, said: str
) -> None:
    with pytest.raises(InputError, match=said) as error:
        read_query(source, query, sqlite.parent)
    assert "hunter2" not in str(error.value)
    assert read_query("sqlite:///shop.db", QUERY, sqlite.parent).height == 300


WRITES = [
    "vacuum into '{}/made.db'",
    "attach '{}/made.db' as x",
    "pragma writable_schema=1",
    "pragma journal_mode=delete",
    "select * from sales; select 1",
    "select load_extension('{}/made.so')",
    "with a as (select 1) delete from sales",
    "with a as (select 1) insert into sales (id) select * from a",
    "/* select */ drop table sales",
    "",
    "-- select",
    "begin immediate",
]
COPIES = [
    "copy (select 1) to '{}/made.csv'",
    "copy (select 1) to '{}/made.csv'; select * from sales",
    "select * from sales; copy (select 1) to '{}/made.csv'",
    "export database '{}/made'",
    "attach '{}/made.duckdb' as x",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "pragma database_size",
    "call pragma_version()",
    "create temp table t as select 1",
    "select * from read_csv('{}/secret.csv')",
    "select * from '{}/secret.csv'",
    "from read_text('/etc/passwd')",
    "select getenv('HOME')",
    "with a as (select 1) insert into sales select * from sales",
]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("query", WRITES)
def test_a_query_of_sqlite_writes_nothing(sqlite: Path, query: str) -> None:
    before = files_of(sqlite.parent)
    with pytest.raises(InputError, match=r"one select|refused the query"):
        read_query("sqlite:///shop.db", query.format(sqlite.parent), sqlite.parent)
    assert files_of(sqlite.parent) == before


@pytest.mark.parametrize("query", COPIES)
def test_a_query_of_duckdb_touches_no_other_file(tmp_path: Path, query: str) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("create table sales as select 1 as id")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = files_of(tmp_path)
    with pytest.raises(InputError, match=r"one select|refused the query"):
        read_query("duckdb:///shop.duckdb", query.format(tmp_path), tmp_path)
    assert files_of(tmp_path) == before
    for good in (
        "select * from sales",
        "from sales",
        "with a as (select * from sales) select * from a",
        "table sales",
    ):
        assert read_query("duckdb:///shop.duckdb", good, tmp_path).rows() == [(1,)]


def test_a_type_that_no_table_has_is_told(tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "create table o as select timestamp '2024-01-02' as a, timestamp '2024-01-01' as b"
        )
    with pytest.raises(InputError, match="the column 'took' of a type that no table has"):
        read_query("duckdb:///shop.duckdb", "select a - b as took from o", tmp_path)


def test_a_select_may_begin_with_a_comment(sqlite: Path) -> None:
    for query, rows_ in (
        ("-- all of it\nselect * from sales", 300),
        ("/* a */ select * from sales", 300),
        ("values (1), (2)", 2),
        ("with a as (select * from sales) select * from a", 300),
    ):
        assert read_query("sqlite:///shop.db", query, sqlite.parent).height == rows_


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
    user, before = "headrace", []
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        before = ["runuser", "-u", "postgres", "--"]
        folder = Path("/tmp") / f"headrace-postgres-{os.getpid()}"
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
    found = look_at(postgres, read_query(postgres, QUERY, tmp_path), [""]).settle(Locale()).frame
    assert found.equals(rows())
    with pytest.raises(InputError, match="nowhere"):
        read_query(postgres, "select * from nowhere", tmp_path)
    spec = {
        "name": "shop",
        "goal": {"target": "bought"},
        "data": {"source": postgres, "query": QUERY, "id": "id"},
    }
    (tmp_path / "system.yaml").write_text(
        json.dumps(spec | {"models": {"candidates": ["linear"], "search": {"trials": 0}}})
    )
    run = headrace.run(headrace.load(tmp_path))
    assert headrace.verify(run.bundle).passed
    assert not headrace.run(headrace.load(tmp_path)).document.cached, (
        "what a server holds may have changed"
    )


SERVER_WRITES = [
    "copy (select 1) to program 'touch {}/made'",
    "copy (select 1) to '{}/made'",
    "select 1) to program 'touch {}/made' --",
    "select 1; copy (select 1) to program 'touch {}/made'",
    "select lo_export(lo_from_bytea(0, 'x'), '{}/made')",
    "select \"lo_export\"(lo_from_bytea(0, 'x'), '{}/made')",
    "select pg_read_file('/etc/passwd')",
    "select nextval('numbers')",
    "select set_config('role', 'headrace', true)",
    "select query_to_xml('select 1', true, true, '')",
    "with a as (insert into kept values (2) returning x) select * from a",
    "create table made (x int)",
    "do $$ begin perform 1; end $$",
    "reset role",
    "select * from kept for update",
    "select set_config/**/('role','none',true), query_to_xml/**/('select 1',true,true,'')",
    "select pg_ls_dir/**/('/etc')",
    "select \"pg_read_file\"/* */('/etc/passwd')",
    "select pg_create_physical_replication_slot/**/('slotx', true)",
    "select pg_notify/**/('a', 'b')",
    "select pg_switch_wal/**/()",
]


@pytest.mark.parametrize("query", SERVER_WRITES)
def test_a_query_of_postgresql_writes_nothing(postgres: str, query: str) -> None:
    from adbc_driver_postgresql import dbapi

    target = (
        Path("/tmp") / f"headrace-postgres-{os.getpid()}"
    )  # a folder that the server may write into
    target = target if target.is_dir() else Path(postgres.rsplit("/", 1)[0])
    with dbapi.connect(postgres) as connection:
        with connection.cursor() as cursor:
            cursor.execute("create table if not exists kept (x int)")
            cursor.execute("create sequence if not exists numbers")
        connection.commit()
    with pytest.raises(InputError, match=r"one select|refused the query|only reads tables"):
        read_query(postgres, query.format(target), Path("/"))
    assert not (target / "made").exists()
    with dbapi.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from kept")
        assert cursor.fetchone() == (0,)
        cursor.execute("select is_called from numbers")
        assert cursor.fetchone() == (False,)
    assert read_query(postgres, "select x from kept", Path("/")).height == 0


@pytest.mark.parametrize("end", ["csv", "parquet", "ndjson", "csv.gz"])
def test_a_folder_and_a_pattern_are_one_table(tmp_path: Path, end: str) -> None:
    import gzip

    parts = tmp_path / "parts"
    parts.mkdir()
    whole = rows()
    for at, part in enumerate(
        (whole[:100], whole[100:150].select(reversed(whole.columns)), whole[150:])
    ):
        path = parts / f"part-{at}.{end}"
        if end == "csv.gz":
            path.write_bytes(gzip.compress(part.write_csv().encode()))
        else:
            getattr(part, f"write_{end}")(path)
    (parts / "README.md").write_text("not a table")
    one = load(parts)
    assert one.frame.equals(whole) or end == "csv.gz"
    assert one.frame.height == 300
    assert one.frame.columns == whole.columns
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
