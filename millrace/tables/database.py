"""Rows out of a database by a query: SQLite, DuckDB and PostgreSQL, each opened for reading alone."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl

from millrace.errors import InputError


def is_database(source: str) -> bool:
    """Whether a source is the address of a database.

    >>> is_database("sqlite:///shop.db"), is_database("shop.csv")
    (True, False)
    """
    return "://" in source and source.split("://", maxsplit=1)[0] in _READERS


def read_query(source: str, query: str | None, root: Path) -> pl.DataFrame:
    """The rows of a query.

    Parameters: `source`, `sqlite:///FILE`, `duckdb:///FILE` (relative files start from `root`) or
    `postgresql://USER@HOST:PORT/NAME`. Raises `InputError` where there is no query or the database refuses it, and for
    a password in the address: it would stand in every bundle.
    """
    if query is None:
        raise InputError("data.query", f"none beside {source}", "the query whose rows are the table")
    if urlsplit(source).password:
        shown = source.replace(f":{urlsplit(source).password}@", ":…@")
        raise InputError(
            "data.source", f"a password in {shown}", "an address without one", "set PGPASSWORD or use ~/.pgpass"
        )
    return _READERS[source.split("://", maxsplit=1)[0]](source, query, root)


def database_file(source: str, root: Path) -> Path | None:
    """The file of an embedded database; none where it is a server's."""
    kind, _, rest = source.partition("://")
    return root / rest.removeprefix("/") if kind in ("sqlite", "duckdb") else None


def _existing(source: str, root: Path) -> Path:
    file = database_file(source, root)
    assert file is not None
    if not file.is_file():
        raise InputError(source, f"no such file {file}", "a database", f"relative paths start from {root}")
    return file


def _sqlite(source: str, query: str, root: Path) -> pl.DataFrame:
    import sqlite3

    file = _existing(source, root)
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return pl.read_database(query, connection, infer_schema_length=None)
    except (sqlite3.Error, pl.exceptions.PolarsError) as error:
        raise _refused(source, error) from None
    finally:
        connection.close()


def _duckdb(source: str, query: str, root: Path) -> pl.DataFrame:
    file = _existing(source, root)
    try:
        import duckdb
    except ModuleNotFoundError:
        raise _missing("duckdb") from None
    try:
        plain = {"python_enable_replacements": "false"}  # else a name in the query could mean a variable of ours
        with duckdb.connect(str(file), read_only=True, config=plain) as connection:
            return pl.DataFrame(connection.sql(query))
    except duckdb.Error as error:
        raise _refused(source, error) from None


def _postgresql(source: str, query: str, root: Path) -> pl.DataFrame:
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ModuleNotFoundError:
        raise _missing("postgresql") from None
    try:
        with dbapi.connect(source) as connection:
            return pl.read_database(query, connection)
    except Error as error:
        raise _refused(source, error) from None


def _refused(source: str, error: Exception) -> InputError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    return InputError(source, f"refused the query ({said})", "a query that it answers")


def _missing(extra: str) -> InputError:
    return InputError("data.source", f"{extra} is not installed", "its driver", f"pip install 'millrace[{extra}]'")


_READERS: dict[str, Callable[[str, str, Path], pl.DataFrame]] = {
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
    "postgres": _postgresql,
}
