"""Numbers and times in other clothes: read where every value is, kept as text where one is not, and
served alike.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.spec import ReadSpec
from headrace.tables import Column, conform, load, numbers, times
from headrace.tables.candidates import find_candidates
from headrace.tables.types import infer_locale, settle


def infer(column: pl.Series, order: str | None = None) -> tuple[pl.Series, str | None]:
    """The column as it is read alone, and the form in which it was written."""
    found = find_candidates(column.to_frame(), column.dtype == pl.String)
    frame, forms, _ = settle(found, infer_locale(found, ReadSpec(dates=order)))  # type: ignore[arg-type]
    return frame.to_series(), forms[column.name].form if column.name in forms else None


@pytest.mark.parametrize(
    ("values", "form", "expected"),
    [
        (["1,234", "5", "12,345,678.5"], "comma_groups", [1234, 5, 12345678.5]),
        (["12 %", "3.5%", None], "comma_groups %", [12, 3.5, None]),
        (["$1,200.50", "$3"], "comma_groups $", [1200.5, 3]),
        (["3,14", "2,5", "10"], "comma_decimal", [3.14, 2.5, 10]),
        (["1.234,50 €", "2,00 €"], "comma_decimal €", [1234.5, 2]),
        (["0,125", "0,949"], "comma_decimal", [0.125, 0.949]),
        (["12 345", "1 000", "7"], "blank_groups", [12345, 1000, 7]),
        (["12\u202f345,5", "0,5"], "blank_groups_comma", [12345.5, 0.5]),
        (["12\u00a0345", "1\u00a0000"], "blank_groups", [12345, 1000]),
        (["1'234", "12’345.5"], "apostrophe_groups", [1234, 12345.5]),
        (["(1,234)", "5,000.5"], "comma_groups", [-1234, 5000.5]),
        (["−1,234.5", "5"], "comma_groups", [-1234.5, 5]),
    ],
)
def test_numbers(values: list[Any], form: str, expected: list[Any]) -> None:
    found, written = infer(pl.Series("x", values))
    assert written == form
    assert found.to_list() == expected
    assert [value and numbers.parse_value(value, form) for value in values] == expected


@pytest.mark.parametrize(
    ("values", "form", "first"),
    [
        (["31/12/2024", "01/02/2024"], "%d/%m/%Y", datetime(2024, 12, 31)),
        (["12/31/2024", "01/02/2024"], "%m/%d/%Y", datetime(2024, 12, 31)),
        (["31.12.2024 23:59", "1.2.2024 00:00"], "%d.%m.%Y %H:%M", datetime(2024, 12, 31, 23, 59)),
        (["Jan 5, 2024", "Dec 31, 2023"], "%b %d, %Y", datetime(2024, 1, 5)),
        (["2024/01/05 10:00:01", None], "%Y/%m/%d %H:%M:%S", datetime(2024, 1, 5, 10, 0, 1)),
        (
            ["1/5/2024 11:30 PM", "1/15/2024 1:00 AM"],
            "%m/%d/%Y %I:%M %p",
            datetime(2024, 1, 5, 23, 30),
        ),
        (["12/31/24", "01/02/25"], "%m/%d/%y", datetime(2024, 12, 31)),
        (["31.12.69", "01.02.68"], "%d.%m.%y", datetime(1969, 12, 31)),
        (["23-Apr-23", "17-Aug-24"], "%d-%b-%y", datetime(2023, 4, 23)),
        (["2022-1-5", "2022-12-31"], "%Y-%m-%d", datetime(2022, 1, 5)),
        (["2022-01", "2022-12"], "%Y-%m", datetime(2022, 1, 1)),
    ],
)
def test_times(values: list[Any], form: str, first: datetime) -> None:
    found, written = infer(pl.Series("month", values))
    assert written == form
    assert found[0] == first
    assert times.parse_value(values[0], form) == first


@given(
    moment=st.datetimes(datetime(1985, 1, 1), datetime(2045, 1, 1)),
    form=st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_epochs_by_name_and_range(moment: datetime, form: str) -> None:
    seconds = int(moment.replace(tzinfo=UTC, microsecond=0).timestamp())
    ticks = seconds * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[form]
    found, written = infer(pl.Series("created_at", [ticks, ticks + 1]))
    assert written == f"epoch_{form}"
    assert found[0] == moment.replace(microsecond=0)
    assert times.parse_value(ticks, f"epoch_{form}") == moment.replace(microsecond=0)
    assert infer(pl.Series("amount", [ticks]))[1] is None


@pytest.mark.parametrize(
    "values",
    [
        ["1,234", "many"],
        ["31/12/2024", "soon"],
        ["A-12", "B-7"],
        ["007", "010"],
        ["1,2,3", "4,5"],
        ["%"],
        ["€ x"],
        ["$1,200.00", "€1,200.00"],
        ["12 %", "0.12"],
        ["0,1,234"],
    ],
)
def test_what_is_not_all_of_one_form_stays_text(values: list[str]) -> None:
    found, written = infer(pl.Series("x", values))
    assert written is None
    assert found.to_list() == values


def test_a_value_of_another_form_is_null() -> None:
    assert numbers.parse(pl.Series(["1,234", "12.3.4", "$5"]), "comma_groups").to_list() == [
        1234,
        None,
        None,
    ]
    with pytest.raises(ValueError, match="1,23,4"):
        numbers.parse_value("1,23,4", "comma_groups")


def test_a_table_keeps_how_it_was_written_and_requests_may_write_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        'price;day;at\n"1,200.5";31/12/2024;1700000000\n"5";01/12/2024;1700003600\n'
    )
    table = load(tmp_path / "t.csv")
    forms = {name: form.form for name, form in table.forms.items()}
    assert forms == {"price": "comma_groups", "day": "%d/%m/%Y", "at": "epoch_s"}
    columns = [
        Column(name="price", dtype="number", kind="numeric", written="comma_groups"),
        Column(name="day", dtype="datetime", kind="datetime", written="%d/%m/%Y"),
        Column(name="at", dtype="datetime", kind="datetime", written="epoch_s"),
    ]
    asked = pl.DataFrame(
        {
            "price": ["1,200.5", "5"],
            "day": ["31/12/2024", "01/12/2024"],
            "at": [1700000000, 1700003600],
        }
    )
    assert conform(asked, columns, [""], "rows").equals(table.frame)
    assert conform(table.frame, columns, [""], "rows").equals(table.frame)
    with pytest.raises(InputError, match=r"row 1, column 'price': the value 'dear'"):
        conform(asked.with_columns(price=pl.lit("dear")), columns, [""], "rows")


def test_vectors_are_lists_of_one_length() -> None:
    column = [Column(name="v", dtype="vector", kind="vector", width=2)]
    found = conform(pl.DataFrame({"v": [[1, 2], None]}), column, [""], "rows")
    assert found.schema["v"] == pl.Array(pl.Float32, 2)
    assert found["v"].to_list() == [[1.0, 2.0], None]
    with pytest.raises(InputError, match=r"row 2, column 'v'.*expected 2 numbers"):
        conform(pl.DataFrame({"v": [[1.0, 2.0], [1.0]]}), column, [""], "rows")
