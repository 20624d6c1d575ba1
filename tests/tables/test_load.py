import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.errors import InputError
from headrace.spec import ReadSpec
from headrace.tables import Column, conform, load


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,x\n2,y\n", [(1, "x"), (2, "y")]),
        (b"a;b\n1;x,1\n2;y,2\n", [(1, "x,1"), (2, "y,2")]),
        (b"a\tb\n1\tx\n2\ty\n", [(1, "x"), (2, "y")]),
        (b"a|b\n1|x\n2|y\n", [(1, "x"), (2, "y")]),
        (b"a, b\n1, x\n2, y\n", [(1, "x"), (2, "y")]),
        (b"\xef\xbb\xbfa,b\n1,x\n", [(1, "x")]),
        ("a,b\n1,caf\xe9\n".encode("latin-1"), [(1, "café")]),
        ("a,b\n1,é €\n".encode("utf-16"), [(1, "é €")]),
        (b'a,b\n1,"two\nlines"\n2,"say ""hi"""\n', [(1, "two\nlines"), (2, 'say "hi"')]),
        (b"a,b\n1,'x,1'\n2,'y,2'\n", [(1, "x,1"), (2, "y,2")]),
        (b"a,b\r\n1,x\r\n2,y\r\n", [(1, "x"), (2, "y")]),
        (b"a,b\n?,x\n2,NA\n", [(None, "x"), (2, None)]),
        (b"a,b\n1.5,true\n2,False\n", [(1.5, True), (2.0, False)]),
        (b"a,b\n007,1\n010,2\n", [("007", 1), ("010", 2)]),
        (
            b"a,b\n1,2020-02-29\n2,1969-12-31 23:59:59\n",
            [(1, datetime(2020, 2, 29)), (2, datetime(1969, 12, 31, 23, 59, 59))],
        ),
        (b"a,b\n1,2020-02-29T01:00:00Z\n", [(1, datetime(2020, 2, 29, 1, tzinfo=UTC))]),
        (b"a,b\n1,2020-02-29T01:00:00+02:00\n", [(1, datetime(2020, 2, 28, 23, tzinfo=UTC))]),
        (b"a\n1\n\n3\n", [(1,), (3,)]),
        (b'a\n1\n""\n3\n', [(1,), (None,), (3,)]),
    ],
)
def test_text_tables_of_every_dialect(tmp_path: Path, content: bytes, expected: list[Any]) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert load(path, missing=["", "?", "NA"]).frame.rows() == expected


def test_what_cannot_be_told_is_taken_from_the_spec(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    path.write_bytes("a~b\n1~ž\n".encode("cp1250"))
    assert load(path, ReadSpec(separator="~", encoding="cp1250")).frame.rows() == [(1, "ž")]


def test_every_format_gives_the_same_content_and_fingerprint(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"n": [1, None, 3], "x": [0.5, 1.5, None], "s": ["a", None, "ü"], "f": [True, False, None]}
    )
    frame.write_csv(tmp_path / "t.csv")
    frame.write_csv(tmp_path / "t.tsv", separator="\t")
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.ndjson")
    frame.write_ipc(tmp_path / "t.arrow")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    tables = [load(path) for path in sorted(tmp_path.iterdir())]
    assert len(tables) == 6
    assert all(table.frame.equals(frame) for table in tables)
    assert len({table.fingerprint for table in tables}) == 1
    assert load(tmp_path / "t.csv").fingerprint != _fingerprint_of(frame.reverse(), tmp_path)


def _fingerprint_of(frame: pl.DataFrame, folder: Path) -> str:
    frame.write_parquet(folder / "other.parquet")
    return load(folder / "other.parquet").fingerprint


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,b\n1,2\n3\n", "line 3: 1 fields; expected 2"),
        ("t.csv", b"a,b\n1,2,3\n", "line 2: 3 fields; expected 2"),
        ("t.csv", b"a\0b\n", "binary"),
        ("t.csv", b"PAR1\0\0", "binary"),
        ("t.parquet", b"PAR1 and no more", "cannot be read"),
        ("t.arrow", b"ARROW1", "cannot be read"),
        ("t.ndjson", b'{"a": 1}\n{"a"', "cannot be read"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000)[:-20], "cannot be unpacked"),
        ("t.xlsx", b"x", "unknown format"),
    ],
)
def test_a_broken_file_gets_one_clear_error(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        load(tmp_path / name)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(1000)}).write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "t.parquet")


def test_findings_of_reading(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,a\n" + "1,2,3\n" * 30 + "1,abc,3\n")
    table = load(tmp_path / "t.csv")
    assert table.frame.columns == ["a", "b", "a_2"]
    assert {finding.check for finding in table.findings} == {
        "schema.duplicate_column",
        "schema.mixed_type",
    }
    pl.DataFrame({"a": [[1], [2, 3]]}).write_parquet(tmp_path / "t.parquet")
    assert [finding.check for finding in load(tmp_path / "t.parquet").findings] == ["schema.nested"]


COLUMNS = [
    Column(name="n", dtype="number", kind="numeric"),
    Column(name="t", dtype="datetime", kind="datetime"),
    Column(name="c", dtype="integer", kind="categorical"),
]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": ["abc"]}, r"rows, row 8, column 'n': the value 'abc'; expected a number"),
        ({"t": ["yesterday"]}, "ISO 8601"),
        ({"t": [5]}, "ISO 8601"),
        ({"n": [[1.0]]}, "column 'n'"),
        ({"m": [1]}, ""),
    ],
)
def test_rows_that_do_not_fit_the_schema(change: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {"n": [1.5], "t": ["2020-01-01"], "c": [4]}
    frame = pl.DataFrame(good | change)
    if words:
        with pytest.raises(InputError, match=words):
            conform(frame, COLUMNS, [], "rows", first_row=7)
    else:
        assert conform(frame, COLUMNS, [], "rows").columns == ["n", "t", "c"]
    with pytest.raises(InputError, match="no column 't'"):
        conform(frame.drop("t"), COLUMNS, [], "rows")
