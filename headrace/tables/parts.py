"""Whether the text files of a folder write a column in one way."""

from pathlib import Path

import polars as pl
import polars.selectors as cs

from headrace.errors import Finding, InputError
from headrace.tables import numbers
from headrace.tables.scan import Scan
from headrace.tables.types import Candidate, clean

_SAMPLE = 1_000
_ZEROS = r"^0\d"


def parts_disagree(source: Scan, found: list[Candidate], missing: list[str]) -> list[Finding]:
    """Findings for columns that are text because one file writes words where others write numbers.

    Raises `InputError`, which names the file and the column, where a file writes the same numbers
    in another way: with a decimal comma, or codes without the zeros in front.
    """
    names = [
        one.column.name for one in found if one.typed is not None and one.typed.dtype == pl.String
    ]
    if not (source.parts and names):
        return []
    parts = {
        file: clean(frame.select(cs.by_name(*names)).head(_SAMPLE).collect(), missing)
        for file, frame in source.parts.items()
    }
    return [
        finding
        for name in names
        for finding in _of_column(name, {file: one[name] for file, one in parts.items()})
    ]


def _of_column(name: str, parts: dict[Path, pl.Series]) -> list[Finding]:
    present = {
        file: part.drop_nulls() for file, part in parts.items() if part.null_count() < len(part)
    }
    plain = {
        file: part
        for file, part in present.items()
        if part.cast(pl.Float64, strict=False).null_count() == 0
    }
    zeros = {file: part for file, part in plain.items() if part.str.contains(_ZEROS).any()}
    counted = {file: part for file, part in plain.items() if file not in zeros}
    if zeros and counted:
        width = max(int(str(part.str.len_chars().max())) for part in zeros.values())
        for file, part in counted.items():
            if int(str(part.str.len_chars().min())) < width:
                found = f"column {name!r} holds {part[0]!r}, in {next(iter(zeros)).name} {_with_zero(zeros)!r}"
                raise InputError(
                    str(file),
                    found,
                    "the same zeros in front in every part",
                    "write the parts alike",
                )
    others = {file: part for file, part in present.items() if file not in plain}
    if not plain or not others:
        return []
    for file, part in others.items():
        if numbers.reading_of(part, False).styles:
            found = f"column {name!r} holds {part[0]!r}, in {next(iter(plain)).name} {next(iter(plain.values()))[0]!r}"
            raise InputError(
                str(file),
                found,
                "numbers written in one way in every part",
                "write the parts alike",
            )
    file, part = next(iter(others.items()))
    word = part.filter(part.cast(pl.Float64, strict=False).is_null())[0]
    message = f"{name!r} holds words in {file.name}, such as {word!r}, and numbers alone in other parts: it is text"
    return [
        Finding(
            "schema.parts_differ", [name], "warning", message, {"file": str(file), "example": word}
        )
    ]


def _with_zero(zeros: dict[Path, pl.Series]) -> str:
    part = next(iter(zeros.values()))
    return str(part.filter(part.str.contains(_ZEROS))[0])
