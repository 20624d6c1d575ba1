"""Files as people have them: read rightly, or refused with the line and what to state."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.errors import InputError
from headrace.spec import Data, EventTable, Goal, ReadSpec, System, with_root
from headrace.tables import Column, conform, load, read_sources
from headrace.tables.dialect import sniff
from headrace.tables.table import look_at
from tests.conftest import DATA

WORDS = ["", "NA", "?"]
FIELD = DATA.parent / "field"


def table(
    folder: Path, content: str | bytes, name: str = "t.csv", read: ReadSpec | None = None
) -> Any:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return load(folder / name, read, WORDS)


def checks(found: Any) -> list[str]:
    return [finding.check for finding in found.findings]


LINES = "".join(f"s{at};{at},5;no\n" for at in range(30))


@pytest.mark.parametrize(
    ("content", "rows", "check"),
    [
        ("sep=;\na;b;c\n" + LINES, 30, "schema.text_above"),
        ("Sales of 2024\n\na;b;c\n" + LINES, 30, "schema.text_above"),
        ("# made by hand\n# it's old\na;b;c\n" + LINES, 30, "schema.text_above"),
        ("a;b;c\n" + LINES.replace("\n", "\n\n"), 30, "schema.blank_lines"),
        ("a;b;c\n" + LINES + ";;\n;;\n", 30, "schema.blank_lines"),
        ("a;b;c\n" + LINES + "a;b;c\n" + LINES, 60, "schema.repeated_header"),
        ("a;b;c\n" + LINES + "Summe;450,0;\n", 30, "schema.total_line"),
        ("a;b;c\n" + LINES.replace("\n", ";\n"), 30, None),
        ("a;b;c;\n" + LINES.replace("\n", ";\n"), 30, None),
        (("a;b;c\n" + LINES).replace("\n", "\r"), 30, None),
        (("a;b;c\n" + LINES).replace("\n", "\r\n"), 30, None),
        (('"a", "b", "c"\n' + LINES).replace(";", ", ").replace(",5,", ".5,"), 30, None),
    ],
)
def test_what_is_no_row_is_left_out_and_told(
    tmp_path: Path, content: str, rows: int, check: str | None
) -> None:
    found = table(tmp_path, content)
    assert found.frame.shape == (rows, 3)
    assert found.frame.columns == ["a", "b", "c"]
    assert found.frame["b"].dtype == pl.Float64
    assert found.frame["a"][:2].to_list() == ["s0", "s1"]
    assert [one for one in checks(found) if one != "schema.encoding"] == ([check] if check else [])


def test_lines_of_comments_within_are_no_rows(tmp_path: Path) -> None:
    found = table(tmp_path, "# made by hand\na;b\n1;x\n# not a row\n#2;y\n")
    assert found.frame.rows() == [("1", "x"), ("#2", "y")]
    assert checks(found) == ["schema.text_above", "schema.comments"]


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ('a,b\n15" oak,1\n12" "fir",2\n', '15" oak'),
        ('a,b\n"says ""hi""",1\nx,2\n', 'says "hi"'),
        ('a,b\n"says \\"hot\\" now",1\n"and \\"cold\\"",2\n', 'says "hot" now'),
        ('a,b\n "padded, quoted", 1\n x, 2\n', "padded, quoted"),
        ("a,b\n" + "x" * 200_000 + ",1\ny,2\n", "x" * 200_000),
        ('a,b\n"two\nlines",1\nx,2\n', "two\nlines"),
    ],
)
def test_marks_and_long_cells_stay_in_their_cell(tmp_path: Path, content: str, first: str) -> None:
    assert table(tmp_path, content).frame["a"][0] == first


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "3.4,1.5,setosa\n4.4,2.5,virginica\n3.5,1.4,setosa\n5.1,1.1,virginica\n",
            "line 1: looks like data",
        ),
        ("k;p\n0;a;1\n1;b;2\n", "line 2: 3 fields; expected 2 as in the header"),
        ('a,b\n"open,1\nx,2\n', "line 2: a quote that is not closed"),
        ('a,b\n"x"y,1\nz,2\n', "line 2: a quote that is not closed, or text after a closed one"),
        (gzip.compress(b"a,b\n1,2\n"), "gzip content.*name it .gz"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_line(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        table(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "read", "columns", "first"),
    [
        ("1,2\n3,4\n", ReadSpec(header=False), ["column_1", "column_2"], (1, 2)),
        ("1,2\n3,4\n", ReadSpec(header=["p", "q"]), ["p", "q"], (1, 2)),
        ("5,a\n3,a\n", ReadSpec(header=True), ["5", "a"], (3, "a")),
        ("x, y\nz\np,q\n1,2\n", ReadSpec(skip=2), ["p", "q"], (1, 2)),
        ("p,q\n%no\n1,2\n", ReadSpec(comment="%"), ["p", "q"], (1, 2)),
        ('p,q\n15" "oak,2\n', ReadSpec(quote="none"), ["p", "q"], ('15" "oak', 2)),
        ("p;q\n1.234;x\n5.678;x\n", ReadSpec(thousands="."), ["p", "q"], (1234, "x")),
        (
            "p,q\n01/02/2024,x\n",
            ReadSpec(dates="day_first"),
            ["p", "q"],
            (datetime(2024, 2, 1), "x"),
        ),
    ],
)
def test_what_the_spec_states_is_taken(
    tmp_path: Path, content: str, read: ReadSpec, columns: list[str], first: tuple[Any, ...]
) -> None:
    found = table(tmp_path, content, read=read)
    assert found.frame.columns == columns
    assert found.frame.row(0) == first


def test_an_end_in_capitals_is_an_end(tmp_path: Path) -> None:
    assert table(tmp_path, gzip.compress(b"a,b\n1,2\n"), "T.CSV.GZ").frame.rows() == [(1, 2)]


def test_one_bad_byte_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    content = "a,b\n" + "Málaga,1\n" * 30
    found = table(tmp_path, content.encode() + b"caf\xff,2\n")
    assert found.frame["a"][0] == "Málaga"
    assert checks(found) == ["schema.bad_byte"]
    assert "line 32 (byte 0xFF)" in found.findings[0].message
    latin = table(tmp_path, content.encode("cp1252"))
    assert latin.frame["a"][0] == "Málaga"
    assert "'Málaga,1'" in latin.findings[0].message


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a": ["19,47", "5,1"], "b": ["950", "2.155"]}, {"a": [19.47, 5.1], "b": [950, 2155]}),
        ({"a": ["1,234.5", "5"], "b": ["950", "2,155"]}, {"a": [1234.5, 5.0], "b": [950, 2155]}),
        ({"a": ["0,125", "0,949"], "b": ["1", "2"]}, {"a": [0.125, 0.949], "b": [1, 2]}),
        (
            {"a": ["12 345", "1 000"], "b": ["1'234", "12'345"]},
            {"a": [12345, 1000], "b": [1234, 12345]},
        ),
        ({"a": ["(1,234.5)", "5"], "b": ["1", "2"]}, {"a": [-1234.5, 5.0], "b": [1, 2]}),
        ({"a": ["1.0", "2.0"], "b": ["1", "2"]}, {"a": [1, 2], "b": [1, 2]}),
    ],
)
def test_numbers_are_written_in_one_way_in_a_file(
    tmp_path: Path, columns: dict[str, list[str]], expected: dict[str, list[float]]
) -> None:
    pl.DataFrame(columns).write_csv(tmp_path / "n.csv", separator=";")
    assert load(tmp_path / "n.csv", None, WORDS).frame.to_dict(as_series=False) == expected


def test_what_can_be_read_in_two_ways_is_told(tmp_path: Path) -> None:
    found = table(tmp_path, "p;q\n" + "1.234;x\n2.500;y\n" * 5)
    assert checks(found) == ["schema.ambiguous_number"]
    assert found.frame["p"][0] == 1.234
    found = table(tmp_path, "d,q\n" + "01/02/2024,x\n03/04/2024,y\n" * 5)
    assert checks(found) == ["schema.ambiguous_date"]
    assert "2024-01-02 or 2024-02-01" in found.findings[0].message


@pytest.mark.parametrize(
    "word", ["None", "n/a", "#N/A", "-", "(null)", "<NA>", "\\N", "nil", "missing", "."]
)
def test_a_word_among_numbers_is_missing(tmp_path: Path, word: str) -> None:
    lines = [f"{word if at % 7 == 0 else at * 1.5},{at}" for at in range(60)]
    found = table(tmp_path, "\n".join(["x,y", *lines]))
    assert found.frame["x"].dtype == pl.Float64
    assert found.frame["x"].null_count() == 9
    assert checks(found) == ["value.missing_word"]
    assert found.forms["x"].words == [word]


def test_a_letter_among_few_numbers_is_a_value(tmp_path: Path) -> None:
    assert table(tmp_path, "w,y\n" + "1,0\n2,1\nA,0\n" * 20).frame[
        "w"
    ].unique().sort().to_list() == ["1", "2", "A"]


def test_units_that_differ_stay_text(tmp_path: Path) -> None:
    found = table(tmp_path, 'x;y\n"$1,200.00";1\n"€1,200.00";2\n')
    assert found.frame["x"].dtype == pl.String
    assert checks(found) == ["schema.mixed_unit"]
    found = table(tmp_path, "x;y\n12 %;1\n0.12;2\n")
    assert found.frame["x"].dtype == pl.String
    assert checks(found) == ["schema.mixed_unit"]


def test_whole_numbers_beyond_64_bits_stay_apart(tmp_path: Path) -> None:
    numbers = [11898508762506083000 + 7 * at for at in range(50)]
    pl.DataFrame({"id": numbers}, schema={"id": pl.UInt64}).write_parquet(tmp_path / "u.parquet")
    pl.DataFrame({"id": numbers}, schema={"id": pl.UInt64}).write_csv(tmp_path / "u.csv")
    small = pl.DataFrame({"id": range(5)}).with_columns(pl.col("id").cast(pl.Decimal(20, 0)))
    small.write_parquet(tmp_path / "d.parquet")
    for name in ("u.parquet", "u.csv"):
        assert load(tmp_path / name).frame["id"].to_list() == [str(number) for number in numbers]
    assert load(tmp_path / "d.parquet").frame["id"].to_list() == list(range(5))


def test_whole_floats_and_bytes_are_what_they_mean(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"n": [1.0, None, 3.0], "h": [0.5, 1.0, None], "b": ["é".encode(), b"x", None]}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    found = load(tmp_path / "t.parquet").frame
    assert found.rows() == [(1, 0.5, "é"), (None, 1.0, "x"), (3, None, None)]
    assert found.dtypes == [pl.Int64, pl.Float64, pl.String]


def test_numbers_that_a_typed_format_holds_as_text_stay_text(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["1.5", "2.25"], "b": ["1,234.5", "2"], "c": ["12", "7"]}).write_parquet(
        tmp_path / "t.parquet"
    )
    assert load(tmp_path / "t.parquet").frame.dtypes == [pl.String, pl.Float64, pl.String]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("date", ["20220131", "20221231"], datetime(2022, 1, 31)),
        ("order_date", ["44592", "44600"], datetime(2022, 1, 31)),
        ("createdAt", ["1643587200000", "1643587300000"], datetime(2022, 1, 31)),
        ("ts", ["1643587200.0", "1643587201.5"], datetime(2022, 1, 31)),
        ("when", ["2022-1-31", "2022-11-5"], datetime(2022, 1, 31)),
        ("when", ["2022-01-31 00:00:00 UTC", "2022-11-05 01:00:00 UTC"],
         datetime(2022, 1, 31, tzinfo=UTC)),
        ("when", ["Mon Jan 31 00:00:00 +0000 2022", "Tue Feb 01 00:00:00 +0000 2022"],
         datetime(2022, 1, 31, tzinfo=UTC)),
        ("when", ["01/31/22", "12/31/99"], datetime(2022, 1, 31)),
    ],
)  # fmt: skip
def test_times_are_told(tmp_path: Path, name: str, values: list[str], expected: datetime) -> None:
    found = table(tmp_path, "\n".join([f"{name},x", *(f"{value},1" for value in values)]))
    assert found.frame[name][0] == expected


def test_times_with_and_without_a_zone_are_told_of(tmp_path: Path) -> None:
    found = table(tmp_path, "at,x\n2024-01-01T10:00:00Z,1\n2024-01-01T10:00:00,2\n")
    assert found.frame["at"].dtype == pl.String
    assert checks(found) == ["schema.mixed_zone"]


def test_the_order_of_day_and_month_is_one_in_a_system(tmp_path: Path) -> None:
    days = [f"{day:02d}/{month:02d}/2024" for day in (3, 9, 28) for month in range(1, 13)]
    pl.DataFrame({"at": days, "y": [0, 1] * 18}).write_csv(tmp_path / "t.csv")
    pl.DataFrame({"at": ["09/08/2024", "03/02/2024"], "y": [0, 1]}).write_csv(tmp_path / "h.csv")
    pl.DataFrame({"when": ["05/04/2024"], "who": ["a"]}).write_csv(tmp_path / "e.csv")
    events = {"e": EventTable(source="e.csv", time="when")}
    data = Data(source="t.csv", holdout="h.csv", events=events)
    found = read_sources(with_root(System(name="a", goal=Goal(target="y"), data=data), tmp_path))
    assert found.frame["at"][-2:].to_list() == [datetime(2024, 8, 9), datetime(2024, 2, 3)]
    assert found.events["e"]["when"].to_list() == [datetime(2024, 4, 5)]


def test_a_time_in_parts_is_a_column(tmp_path: Path) -> None:
    frame = pl.DataFrame({"year": [2024, 2023], "month": [2, 12], "day": [29, 31], "y": [0, 1]})
    frame.write_parquet(tmp_path / "t.parquet")
    data = Data(source="t.parquet", time=["year", "month", "day"])
    system = with_root(System(name="a", goal=Goal(target="y"), data=data), tmp_path)
    assert read_sources(system).frame["year-month-day"].to_list() == [
        datetime(2024, 2, 29),
        datetime(2023, 12, 31),
    ]
    frame.with_columns(day=pl.lit(31)).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="row 1: year 2024, month 2, day 31"):
        read_sources(system)


def test_parts_of_a_folder_are_written_alike(tmp_path: Path) -> None:
    folder = tmp_path / "zips"
    folder.mkdir()
    (folder / "a.csv").write_text("zip,y\n00501,1\n90210,0\n")
    (folder / "b.csv").write_text("zip,y\n501,1\n90210,0\n")
    with pytest.raises(InputError, match=r"b.csv: column 'zip' holds '501', in a.csv '00501'"):
        load(folder, None, WORDS)
    folder = tmp_path / "commas"
    folder.mkdir()
    (folder / "a.csv").write_text("x;y\n1.25;1\n")
    (folder / "b.csv").write_text("x;y\n1,25;1\n")
    with pytest.raises(InputError, match=r"b.csv: column 'x' holds '1,25', in a.csv '1.25'"):
        load(folder, None, WORDS)
    folder = tmp_path / "hive"
    (folder / "day=2024-01-31").mkdir(parents=True)
    (folder / "day=2024-02-01").mkdir()
    for part in folder.iterdir():
        pl.DataFrame({"x": [1]}).write_parquet(part / "p.parquet")
    assert load(folder).frame.rows() == [(1, datetime(2024, 1, 31)), (1, datetime(2024, 2, 1))]


def test_blanks_mean_nothing_in_any_format(tmp_path: Path) -> None:
    frame = pl.DataFrame({" job ": [" clerk", "cook "], "y": ["Yes", "Yes "]})
    for name, write in (
        ("t.parquet", frame.write_parquet),
        ("t.ndjson", frame.write_ndjson),
        ("t.csv", frame.write_csv),
    ):
        write(tmp_path / name)
        assert load(tmp_path / name).frame.to_dict(as_series=False) == {
            "job": ["clerk", "cook"],
            "y": ["Yes", "Yes"],
        }


def test_values_that_differ_by_case_are_told_of(tmp_path: Path) -> None:
    assert checks(table(tmp_path, "y,x\nYes,1\nyes,2\nno,3\n")) == ["value.spelling"]


REFUSED = {
    "15-excel-exports/index-no-name.csv": "line 2: 5 fields",
    "17-parquet-folders/int-and-text": "column 'zip'",
    "17-parquet-folders/date-and-text": "column 'd'",
    "17-parquet-folders/zones": "column 'd'",
    "17-parquet-folders/one-more-column": "extra",
    "17-parquet-folders/only-empty": "no rows",
    "22-gzip-members/no-suffix.csv": "name it .gz",
    "25-no-header/flowers.data.csv": "looks like data",
    "30-frames-flags-and-folders/folder": "d.csv: column 'x'",
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_files_of_the_field_trial_that_are_refused(name: str) -> None:
    if not (FIELD / name).exists():
        pytest.skip(f"no {FIELD / name}")
    with pytest.raises(InputError, match=REFUSED[name]):
        load(FIELD / name, None, WORDS)


READ = {
    "01-inch-quote/many.csv": (600, ["String", "String", "Float64", "Int64", "String"]),
    "01-inch-quote/two.csv": (600, ["String", "String", "Float64", "Int64", "String"]),
    "02-backslash-quote/plain.csv": (500, ["Int64", "String", "Int64", "String", "String"]),
    "03-german-numbers/faelle.csv": (600, ["String", "Int64", "Float64", "Float64", "String"]),
    "03-german-numbers/quote.csv": (400, ["String", "Float64", "Int64", "String"]),
    "03-german-numbers/espaces.csv": (500, ["String", "Int64", "Int64", "String"]),
    "10-one-bad-byte/bad.csv": (600, ["String", "Int64", "String", "String"]),
    "11-flows-infinity/flows-header-again.csv": (
        800,
        ["Int64", "Int64", "Float64", "Float64", "String"],
    ),
    "15-excel-exports/blank-lines.csv": (500, ["String", "Float64", "Int64", "String"]),
    "15-excel-exports/empty-rows-below.csv": (500, ["String", "Float64", "Int64", "String"]),
    "15-excel-exports/mac.csv": (500, ["String", "Float64", "Int64", "String"]),
    "15-excel-exports/sep-line.csv": (500, ["String", "Float64", "Int64", "String"]),
    "15-excel-exports/total-line.csv": (500, ["String", "Float64", "Int64", "String"]),
    "15-excel-exports/trailing-separator.csv": (500, ["String", "Float64", "Int64", "String"]),
    "15-excel-exports/utf16.txt": (500, ["String", "Float64", "Int64", "String"]),
    "16-long-text/long-first.csv.gz": (300, ["Int64", "String", "String"]),
    "17-parquet-folders/binary-strings.parquet": (300, ["Int64", "Float64", "String", "String"]),
    "17-parquet-folders/categorical": (400, ["Int64", "Float64", "String", "String"]),
    "22-gzip-members/t.CSV.GZ": (600, ["Float64", "String", "String"]),
    "26-label-types/grades-pandas.csv": (400, ["Float64", "String", "Int64"]),
    "27-space-before-quote/comma.csv": (400, ["String", "Int64", "Float64", "String"]),
}


@pytest.mark.parametrize("name", list(READ))
def test_files_of_the_field_trial_that_are_read(name: str) -> None:
    if not (FIELD / name).exists():
        pytest.skip(f"no {FIELD / name}")
    rows, dtypes = READ[name]
    found = load(FIELD / name, None, WORDS)
    assert (found.frame.height, [str(dtype) for dtype in found.frame.dtypes]) == (rows, dtypes)


@pytest.mark.parametrize("sign", ["\x0c", "\x0b", "\u2028", "\x85", "\x1c"])
def test_only_a_line_break_ends_a_line(tmp_path: Path, sign: str) -> None:
    found = table(tmp_path, f"Rep{sign}ort\na;b;c\n" + LINES)
    assert found.frame.shape == (30, 3)
    assert found.frame.columns == ["a", "b", "c"]
    assert table(tmp_path, f'"a{sign}x";b;c\n' + LINES).frame.height == 30


@pytest.mark.parametrize(
    "content",
    [
        "2024-01-01,1.5\n2024-01-02,2.5\n2024-01-03,0.5\n",
        "A001,1.5,1\nA002,2.5,2\nA003,3.5,7\n",
        "Alice,30\nBob,25\nCarol,41\n",
        "5.1,?,3\n4.2,2,1\n1.0,7,9\n",
        "$5.10,a\n$6.00,b\n",
        "p,x,s\ne,y,f\np,x,f\ne,x,s\n" * 5,
        "vhigh,vhigh,2,2,small,low,unacc\nvhigh,low,5more,2,small,low,unacc\nlow,vhigh,2,4,big,low,acc\n",
    ],
)
def test_a_first_line_like_the_others_is_no_header(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="line 1: looks like data"):
        table(tmp_path, content)


@pytest.mark.parametrize(
    "header", ["country,2019,2020", "id,2024", "0,1,2", "name,x,p,q", "x1,x2", "n,%"]
)
def test_ordinary_names_are_a_header(tmp_path: Path, header: str) -> None:
    width = header.count(",") + 1
    rows = "".join(",".join([f"w{at}", *[f"{at}.5"] * (width - 1)]) + "\n" for at in range(5))
    if header == "0,1,2":
        rows = "".join(f"{at}.5,{at},7\n" for at in range(5))
    assert table(tmp_path, header + "\n" + rows).frame.height == 5


def test_a_semicolon_goes_before_the_commas_of_decimals(tmp_path: Path) -> None:
    found = table(tmp_path, "name;price, EUR\n" + "".join(f"n{at};{at},5\n" for at in range(20)))
    assert found.frame.columns == ["name", "price, EUR"]
    assert found.frame["price, EUR"][3] == 3.5


def test_totals_and_comments_that_are_as_wide_as_the_table(tmp_path: Path) -> None:
    found = table(
        tmp_path, "name,amount\n" + "".join(f"n{at},{at}.5\n" for at in range(9)) + "Total,450.0\n"
    )
    assert found.frame.height == 9
    assert checks(found) == ["schema.total_line"]
    found = table(tmp_path, "p,q\n%a,b\n1,2\n", read=ReadSpec(comment="%"))
    assert found.frame.rows() == [(1, 2)]
    found = table(tmp_path, "x,y\n1,2\n\ufeffx, y\n3,4\n")
    assert found.frame.rows() == [(1, 2), (3, 4)]


def test_grouped_numbers_too_long_for_floats_stay_apart(tmp_path: Path) -> None:
    found = table(tmp_path, 'a;b\n"12,345,678,901,234,567,890";1\n"12,345,678,901,234,567,891";2\n')
    assert found.frame["a"].n_unique() == 2
    assert checks(found) == ["schema.long_integer"]


def test_folders_of_hive_are_read_as_one(tmp_path: Path) -> None:
    for at, name in enumerate(["month=09", "month=10", "month=__HIVE_DEFAULT_PARTITION__"]):
        (tmp_path / "h" / name).mkdir(parents=True)
        pl.DataFrame({"x" if at else " x": [at]}).write_parquet(tmp_path / "h" / name / "p.parquet")
    (tmp_path / "h" / "month=10" / "._p.parquet").write_bytes(b"no table")
    assert sorted(load(tmp_path / "h").frame.rows()) == [(0, "09"), (1, "10"), (2, None)]


def test_bytes_that_are_no_text_are_told_of(tmp_path: Path) -> None:
    pl.DataFrame({"b": [b"\xff", b"x"], "x": [1, 2]}).write_parquet(tmp_path / "t.parquet")
    assert checks(load(tmp_path / "t.parquet")) == ["schema.nested"]


def test_what_contradicts_a_statement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"data.read.dates: day_first, but 'd' can only be read the other way"
    ):
        table(tmp_path, "d,x\n01/31/2024,1\n", read=ReadSpec(dates="day_first"))


def test_lists_in_quotes_do_not_make_thousands_of_others(tmp_path: Path) -> None:
    found = table(tmp_path, "tags,x,y\n" + "".join(f'"{at},1",1.10{at},a\n' for at in range(9)))
    assert found.frame["x"][:2].to_list() == [1.1, 1.101]


@pytest.mark.parametrize(
    ("name", "values", "check"),
    [
        ("season", ["2000-01", "2001-02", "2009-10"], None),
        ("version", ["1.1.10", "2.2.10", "3.1.10"], "schema.number_like"),
        ("code", ["07", "7", "8"], "value.spelling"),
        ("weight", [f"{at}.5 kg" for at in range(30)], "schema.number_like"),
        ("price", [f"USD {at}" for at in range(30)], "schema.number_like"),
        ("at", ["2024-01-05"] * 30 + ["0000-00-00"], "schema.mixed_type"),
        ("at", [f"{day:02}/01/2024" for day in range(1, 31)] + ["31/02/2024"], "schema.mixed_type"),
        ("at", ["2024-01-05"] * 9 + ["31/01/2024"] * 9, "schema.mixed_times"),
        ("at", ["31/01/2024"] * 9 + ["01/31/2024"] * 9, "schema.mixed_times"),
        ("number", ["078-05-1120", "219-09-9999", "457-55-5462"], None),
        ("region", ["Nord"] * 9 + ["Total", "West"], "value.total_rows"),
    ],
)
def test_what_stays_text_is_told_where_it_looks_like_more(
    tmp_path: Path, name: str, values: list[str], check: str | None
) -> None:
    found = table(tmp_path, "\n".join([f"{name},x", *(f"{value},1" for value in values)]) + "\n")
    assert found.frame[name].dtype == pl.String
    assert checks(found) == ([check] if check else [])


@pytest.mark.parametrize(
    ("name", "values", "first"),
    [
        ("date_id", [40_000 + at for at in range(30)], datetime(2009, 7, 6)),
        (
            "processing_time",
            [1_700_000_000.5 + at for at in range(30)],
            datetime(2023, 11, 14, 22, 13, 20, 500_000),
        ),
    ],
)
def test_numbers_that_become_times_by_their_name_are_told(
    tmp_path: Path, name: str, values: list[float], first: datetime
) -> None:
    found = table(tmp_path, f"{name},x\n" + "".join(f"{value},a\n" for value in values))
    assert found.frame[name][0] == first
    assert checks(found) == ["schema.counted_time"]
    pl.DataFrame({name: values}).write_parquet(tmp_path / "t.parquet")
    assert checks(load(tmp_path / "t.parquet")) == ["schema.counted_time"]


def test_years_of_two_digits_may_come_first(tmp_path: Path) -> None:
    days = "".join(
        f"{year}-{month:02}-{day:02},a\n"
        for year in (23, 24)
        for month in (1, 2)
        for day in (3, 28)
    )
    found = table(tmp_path, "d,x\n" + days)
    assert checks(found) == ["schema.ambiguous_date", "schema.two_digit_year"]
    assert "day_first or year_first" in found.findings[0].message
    stated = table(tmp_path, "d,x\n" + days, read=ReadSpec(dates="year_first"))
    assert stated.frame["d"][1] == datetime(2023, 1, 28)
    assert checks(stated) == ["schema.two_digit_year"]
    proven = table(tmp_path, "d,x\n99-01-28,a\n01-02-03,b\n")
    assert proven.frame["d"].to_list() == [datetime(1999, 1, 28), datetime(2001, 2, 3)]
    assert checks(table(tmp_path, "d,x\n28-01-99,a\n03-02-01,b\n")) == ["schema.two_digit_year"]


def test_a_count_in_another_unit_is_no_time() -> None:
    for written, good, bad in (
        ("epoch_s", 1_700_000_000, 1_700_000_000_000),
        ("serial", 45_000, 1_700_000_000),
    ):
        column = [Column(name="t", dtype="datetime", kind="datetime", written=written)]
        assert conform(pl.DataFrame({"t": [good]}), column, [], "rows")["t"][0].year == 2023
        with pytest.raises(InputError, match=f"row 1, column 't'.*or {written} as in training"):
            conform(pl.DataFrame({"t": [bad]}), column, [], "rows")


def test_stated_thousands_that_no_column_has_are_refused(tmp_path: Path) -> None:
    system = System(
        name="s",
        goal=Goal(target="y"),
        data=Data(source="t.csv", read=ReadSpec(thousands="'"), missing=WORDS),
    )
    (tmp_path / "t.csv").write_text("x;y\n1,5;a\n2,5;b\n")
    with pytest.raises(InputError, match=r"data.read.thousands: .*, but no column has numbers"):
        read_sources(with_root(system, tmp_path))
    (tmp_path / "t.csv").write_text("x;y\n1'234;a\n2'500;b\n")
    assert read_sources(with_root(system, tmp_path)).frame["x"].to_list() == [1234, 2500]


def test_what_a_folder_holds_beside_its_tables_is_told(tmp_path: Path) -> None:
    for name in ("h/2024/a.csv", "h/b.csv", "h/c.csv.bz2", "h/README.md", "h/_SUCCESS"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x,y\n1,a\n")
    found = load(tmp_path / "h")
    assert found.frame.height == 1
    assert checks(found) == ["schema.passed_over"]
    assert found.findings[0].evidence["names"] == ["2024", "c.csv.bz2"]


def test_a_pattern_over_partitions_has_their_columns(tmp_path: Path) -> None:
    for day in ("2024-01-01", "2024-01-02"):
        (tmp_path / "h" / f"day={day}").mkdir(parents=True)
        pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "h" / f"day={day}" / "p.parquet")
    for path in ("h", "h/*/*.parquet"):
        assert load(tmp_path / path).frame["day"].dt.day().to_list() == [1, 2]


def test_lines_of_json_say_what_they_should_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="null where a value is missing"):
        table(tmp_path, '{"x": NaN}\n', "t.ndjson")


def test_a_request_in_another_locale_is_refused_not_multiplied() -> None:
    column = [Column(name="p", dtype="number", kind="numeric", written="comma_decimal")]
    assert conform(pl.DataFrame({"p": ["1.234,5", "1.234"]}), column, [], "rows")[
        "p"
    ].to_list() == [1234.5, 1234.0]
    assert conform(pl.DataFrame({"p": ["12.5", "1.25"]}), column, [], "rows")["p"].to_list() == [
        12.5,
        1.25,
    ]
    with pytest.raises(InputError, match=r"row 2, column 'p': the value '1.234'"):
        conform(pl.DataFrame({"p": ["12.5", "1.234"]}), column, [], "rows")


def test_a_zero_byte_in_a_name_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a\0b": [1]}).write_ndjson(tmp_path / "t.ndjson")
    with pytest.raises(InputError, match="without a zero byte"):
        load(tmp_path / "t.ndjson")
    with pytest.raises(InputError, match="without a zero byte"):
        look_at("here", pl.DataFrame({"a\0b": [1]}), WORDS)


@pytest.mark.parametrize("header", [None, ["a", "b"]])
def test_a_file_of_blank_fields_is_refused(tmp_path: Path, header: list[str] | None) -> None:
    (tmp_path / "blank.csv").write_text(";\n;\n")
    with pytest.raises(InputError, match="no value in any line; expected a header line and rows"):
        sniff(tmp_path / "blank.csv", ReadSpec(separator=";", header=header))
