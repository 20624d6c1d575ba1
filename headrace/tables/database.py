"""Rows out of a database by a query: SQLite, DuckDB and PostgreSQL, each opened for reading alone.

A query comes with a spec, and a spec may come from anybody who sends one. So it is one `select`;
the database itself refuses to write, and to read or write files, as far as it can be told to.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from headrace.errors import InputError
from headrace.spec import mask_secrets, resolve_address

_BEGINS = re.compile(r"(\s|--[^\n]*(\n|$)|/\*.*?\*/|\()*(?P<word>[A-Za-z]+)", re.DOTALL)
_READS = ("select", "with", "values", "table", "from")
_SERVER_FUNCTIONS = re.compile(
    r"""\b(pg_read_\w+|pg_ls_\w+|pg_stat_file|pg_file_\w+|pg_logdir_ls|lo_\w+|dblink\w*|set_config|pg_reload_conf
    |pg_rotate_logfile\w*|pg_terminate_backend|pg_cancel_backend|pg_switch_\w+|pg_create_\w+|pg_drop_\w+|pg_copy_\w+
    |\w+_to_xml\w*|ts_stat|pg_logical_\w+|pg_replication_\w+|pg_notify|pg_advisory_\w+|pg_try_advisory_\w+
    |pg_export_snapshot|pg_backup_\w+|pg_start_\w+|pg_stop_\w+|pg_promote|pg_wal_\w+|pg_import_\w+|pg_sleep\w*)\b
    |\bU&""",
    re.IGNORECASE | re.VERBOSE,
)
"""What reaches the server's files or other sessions, or runs text as a query. The names alone are refused, wherever
they stand: a comment may part one from its bracket, and escapes may hide it."""


_ODD = ("INTERVAL", "BIT", "VARINT", "BIGNUM", "TIME WITH TIME ZONE")


def is_database(source: str) -> bool:
    """Whether a source is the address of a database.

    >>> is_database("sqlite:///shop.db"), is_database("shop.csv")
    (True, False)
    """
    return "://" in source and source.split("://", maxsplit=1)[0] in _READERS


def read_query(source: str, query: str | None, root: Path) -> pl.DataFrame:
    """The rows of a query.

    Parameters: `source`, `sqlite:///FILE`, `duckdb:///FILE` (relative files start from `root`) or
    `postgresql://USER@HOST:PORT/NAME`. Raises `InputError` where there is no query, where it is not
    one `select`, or where the database refuses it, and for a secret in the address.
    """
    if query is None:
        raise InputError(
            "data.query", f"none beside {source}", "the query whose rows are the table"
        )
    begins = _BEGINS.match(query)
    if begins is None or begins["word"].lower() not in _READS:
        raise _no_select(query)
    return _READERS[source.split("://", maxsplit=1)[0]](source, query, root)


def database_file(source: str, root: Path) -> Path | None:
    """The file of an embedded database; none where it is a server's."""
    kind, _, rest = source.partition("://")
    return root / rest.removeprefix("/") if kind in ("sqlite", "duckdb") else None


def _existing(source: str, root: Path) -> Path:
    file = database_file(source, root)
    assert file is not None
    if not file.is_file():
        raise InputError(
            source, f"no such file {file}", "a database", f"relative paths start from {root}"
        )
    return file


def _sqlite(source: str, query: str, root: Path) -> pl.DataFrame:
    import sqlite3

    reads = (
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    )

    def allowed(action: int, first: str | None, second: str | None, *_: Any) -> int:
        loads = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() == "load_extension"
        return sqlite3.SQLITE_OK if action in reads and not loads else sqlite3.SQLITE_DENY

    file = _existing(source, root)
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("pragma query_only = on")
        connection.set_authorizer(allowed)
        cursor = connection.execute(query)
        names = [one[0] for one in cursor.description or ()]
        return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)
    except (sqlite3.Error, sqlite3.Warning, pl.exceptions.PolarsError, TypeError) as error:
        raise _refused(source, error) from None
    finally:
        connection.close()


def _duckdb(source: str, query: str, root: Path) -> pl.DataFrame:
    file = _existing(source, root)
    try:
        import duckdb
    except ModuleNotFoundError:
        raise _missing("duckdb") from None
    settings = {
        "python_enable_replacements": "false",  # else a name in the query could mean a variable of ours
        "enable_external_access": "false",  # no other file, no address, no extension
        "lock_configuration": "true",
    }
    try:
        with duckdb.connect(str(file), read_only=True, config=settings) as connection:
            statements = connection.extract_statements(query)
            if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
                raise _no_select(query)
            relation = connection.sql(query)
            odd = [
                name
                for name, kind in zip(relation.columns, relation.types, strict=True)
                if str(kind) in _ODD
            ]
            if odd:
                do = "cast it in the query, such as to a number of seconds"
                raise InputError(
                    "data.query",
                    f"the column {odd[0]!r} of a type that no table has",
                    "plain types",
                    do,
                )
            return pl.DataFrame(relation)
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise _refused(source, error) from None


def _postgresql(source: str, query: str, root: Path) -> pl.DataFrame:
    """In a read-only transaction, and without the rights of a superuser, who alone may use the server's files."""
    if found := _SERVER_FUNCTIONS.search(query):
        raise InputError("data.query", f"{found[0]!r}", "a query that reads tables alone")
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ModuleNotFoundError:
        raise _missing("postgresql") from None
    address = resolve_address(source, "data.source")
    try:
        with dbapi.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("set transaction read only")
            cursor.execute("select rolsuper from pg_catalog.pg_roles where rolname = current_user")
            if cursor.fetchone() == (True,):
                cursor.execute("set local role pg_read_all_data")
            cursor.execute(query)
            return pl.DataFrame(cursor.fetch_arrow_table())
    except (Error, pl.exceptions.PolarsError) as error:
        raise _refused(source, error) from None


def _no_select(query: str) -> InputError:
    return InputError(
        "data.query", repr(query.strip()[:80]), "one select, which reads and does nothing else"
    )


def _refused(source: str, error: Exception) -> InputError:
    said = (mask_secrets(str(error), source).strip().splitlines() or [type(error).__name__])[0][
        :300
    ]
    return InputError(source, f"refused the query ({said})", "a query that it answers")


def _missing(extra: str) -> InputError:
    return InputError(
        "data.source", f"{extra} is not installed", "its driver", f"pip install 'headrace[{extra}]'"
    )


_READERS: dict[str, Callable[[str, str, Path], pl.DataFrame]] = {
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
    "postgres": _postgresql,
}
