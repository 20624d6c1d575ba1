"""Rows out of a database by a query: SQLite, DuckDB and PostgreSQL, opened for reading only.

A query comes with a spec, and anybody may send a spec. So the query is one `select`, and the
database itself refuses to write and to touch other files, as far as its settings allow:

    database     what keeps a query from doing harm
    SQLite       the file is opened read-only; an authorizer allows reading actions alone
    DuckDB       the file is opened read-only; no external access; the settings are locked
    PostgreSQL   a read-only transaction; no rights of a superuser; no function of a list
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from headrace.errors import InputError
from headrace.spec import resolve_address
from headrace.tables.messages import first_line

_FIRST_WORD = re.compile(r"(\s|--[^\n]*(\n|$)|/\*.*?\*/|\()*(?P<word>[A-Za-z]+)", re.DOTALL)
"""Blanks, comments and brackets, then the first word of a query."""
_READING_WORDS = ("select", "with", "values", "table", "from")
_SERVER_FUNCTIONS = re.compile(
    r"""\b(pg_read_\w+|pg_ls_\w+|pg_stat_file|pg_file_\w+|pg_logdir_ls|lo_\w+|dblink\w*
    |set_config|pg_reload_conf|pg_rotate_logfile\w*|pg_terminate_backend|pg_cancel_backend
    |pg_switch_\w+|pg_create_\w+|pg_drop_\w+|pg_copy_\w+|\w+_to_xml\w*|ts_stat|pg_logical_\w+
    |pg_replication_\w+|pg_notify|pg_advisory_\w+|pg_try_advisory_\w+|pg_export_snapshot
    |pg_backup_\w+|pg_start_\w+|pg_stop_\w+|pg_promote|pg_wal_\w+|pg_import_\w+|pg_sleep\w*)\b
    |\bU&""",
    re.IGNORECASE | re.VERBOSE,
)
"""Functions that reach the server's files or other sessions, or run text as a query.

Their names are refused anywhere in a query, not only before a bracket: a comment may part a name
from its bracket. `U&` is refused because it begins a name in escapes.
"""
_UNSUPPORTED_TYPES = ("INTERVAL", "BIT", "VARINT", "BIGNUM", "TIME WITH TIME ZONE")
"""Types of DuckDB that Polars cannot hold."""


def is_database(source: str) -> bool:
    """Say whether a source is the address of a database.

    >>> is_database("sqlite:///shop.db"), is_database("shop.csv")
    (True, False)
    """
    return "://" in source and source.split("://", maxsplit=1)[0] in _READERS


def read_query(source: str, query: str | None, root: Path) -> pl.DataFrame:
    """Read the rows of a query.

    `source` is `sqlite:///FILE`, `duckdb:///FILE` (relative files start from `root`) or
    `postgresql://USER@HOST:PORT/NAME`.

    Raises `InputError` if there is no query, if it is not one `select`, if the database refuses
    it, and for a secret in the address.

    >>> read_query("sqlite:///shop.db", "drop table orders", Path("."))
    Traceback (most recent call last):
    headrace.errors.InputError: data.query: 'drop table orders'; expected one select, which \
reads and does nothing else
    """
    if query is None:
        raise InputError(
            "data.query", f"none beside {source}", "the query whose rows are the table"
        )

    start = _FIRST_WORD.match(query)
    if start is None or start["word"].lower() not in _READING_WORDS:
        raise _not_a_select(query)
    return _READERS[source.split("://", maxsplit=1)[0]](source, query, root)


def database_file(source: str, root: Path) -> Path | None:
    """Return the file of an embedded database, or None for a database on a server.

    >>> database_file("duckdb:///data/shop.db", Path("work")).as_posix()
    'work/data/shop.db'
    """
    kind, _, rest = source.partition("://")
    return root / rest.removeprefix("/") if kind in ("sqlite", "duckdb") else None


def _existing_file(source: str, root: Path) -> Path:
    file = database_file(source, root)
    assert file is not None
    if not file.is_file():
        raise InputError(
            source, f"no such file {file}", "a database", f"relative paths start from {root}"
        )
    return file


def _query_sqlite(source: str, query: str, root: Path) -> pl.DataFrame:
    import sqlite3

    reads = (
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    )

    def authorize(action: int, first: str | None, second: str | None, *_: Any) -> int:
        """Allow an action that reads; SQLite calls this for each step of a query."""
        # `load_extension` is a function, and would run any shared library.
        loads = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() == "load_extension"
        return sqlite3.SQLITE_OK if action in reads and not loads else sqlite3.SQLITE_DENY

    file = _existing_file(source, root)
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("pragma query_only = on")
        connection.set_authorizer(authorize)
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)
    except (sqlite3.Error, sqlite3.Warning, pl.exceptions.PolarsError, TypeError) as error:
        raise _refusal(source, error) from None
    finally:
        connection.close()


def _query_duckdb(source: str, query: str, root: Path) -> pl.DataFrame:
    file = _existing_file(source, root)
    try:
        import duckdb
    except ModuleNotFoundError:
        raise _missing_driver("duckdb") from None

    settings = {
        # Else a name in the query could mean a variable of this program.
        "python_enable_replacements": "false",
        # No other file, no address, no extension.
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    try:
        with duckdb.connect(str(file), read_only=True, config=settings) as connection:
            statements = connection.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise _not_a_select(query)

            relation = connection.sql(query)
            _check_types(relation.columns, relation.types)
            return pl.DataFrame(relation)
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise _refusal(source, error) from None


def _check_types(names: list[str], types: list[Any]) -> None:
    """Check the DuckDB types of columns; raises `InputError` for one that Polars cannot hold."""
    for name, dtype in zip(names, types, strict=True):
        if str(dtype) in _UNSUPPORTED_TYPES:
            raise InputError(
                "data.query",
                f"the column {name!r} of a type that no table has",
                "plain types",
                "cast it in the query, such as to a number of seconds",
            )


def _query_postgresql(source: str, query: str, root: Path) -> pl.DataFrame:
    """Read the rows of a query in a read-only transaction.

    The transaction gives up the rights of a superuser, who alone may use the server's files.
    """
    function = _SERVER_FUNCTIONS.search(query)
    if function is not None:
        raise InputError("data.query", f"{function[0]!r}", "a query that only reads tables")
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ModuleNotFoundError:
        raise _missing_driver("postgresql") from None

    address = resolve_address(source, "data.source")
    try:
        with dbapi.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("set transaction read only")
            cursor.execute("select rolsuper from pg_catalog.pg_roles where rolname = current_user")
            # `local` ends with the transaction; this role reads every table and no file.
            if cursor.fetchone() == (True,):
                cursor.execute("set local role pg_read_all_data")
            cursor.execute(query)
            return pl.DataFrame(cursor.fetch_arrow_table())
    except (Error, pl.exceptions.PolarsError) as error:
        raise _refusal(source, error) from None


def _not_a_select(query: str) -> InputError:
    return InputError(
        "data.query", repr(query.strip()[:80]), "one select, which reads and does nothing else"
    )


def _refusal(source: str, error: Exception) -> InputError:
    message = first_line(error, source)
    return InputError(source, f"refused the query ({message})", "a query that it answers")


def _missing_driver(extra: str) -> InputError:
    return InputError(
        "data.source", f"{extra} is not installed", "its driver", f"pip install 'headrace[{extra}]'"
    )


_READERS: dict[str, Callable[[str, str, Path], pl.DataFrame]] = {
    "sqlite": _query_sqlite,
    "duckdb": _query_duckdb,
    "postgresql": _query_postgresql,
    "postgres": _query_postgresql,
}
