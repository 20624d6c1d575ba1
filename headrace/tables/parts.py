"""A check that the text files of a folder write each column in one way.

column     a.csv     b.csv     in a table of both
price      1.25      1,25      an error: the same numbers, in two ways
zip        00501     501       an error: the same codes, with and without zeros in front
size       12        large     text, and a finding: numbers here, words there
name       Ann       Bob       text
"""

from pathlib import Path

import polars as pl
import polars.selectors as cs

from headrace.errors import Finding, InputError
from headrace.tables import numbers
from headrace.tables.candidates import Candidate, clean
from headrace.tables.scan import Scan

_SAMPLE = 1_000
_ZEROS = r"^0\d"

Parts = dict[Path, pl.Series]
"""The first values of a column in each file."""


def check_parts(source: Scan, candidates: list[Candidate], missing: list[str]) -> list[Finding]:
    """Report columns that are text because one file has words in them and another has numbers.

    Raises `InputError` that names the file and the column if a file writes the same numbers in
    another way: with a decimal comma, or codes without the zeros in front.
    """
    names = [
        candidate.column.name
        for candidate in candidates
        if candidate.typed is not None and candidate.typed.dtype == pl.String
    ]
    if not source.parts or not names:
        return []

    frames = {
        file: clean(frame.select(cs.by_name(*names)).head(_SAMPLE).collect(), missing)
        for file, frame in source.parts.items()
    }
    findings = []
    for name in names:
        present = {file: frame[name].drop_nulls() for file, frame in frames.items()}
        parts = {file: part for file, part in present.items() if len(part)}
        findings += _check_column(name, parts)
    return findings


def _check_column(name: str, parts: Parts) -> list[Finding]:
    """Check one column; each part has values, and none of them is missing."""
    plain = {file: part for file, part in parts.items() if not _beyond_numbers(part).any()}
    wordy = {file: part for file, part in parts.items() if file not in plain}
    _check_zeros(name, plain)
    if not plain or not wordy:
        return []

    # The same numbers written in two ways would make the column text without a reason.
    plain_file, plain_part = next(iter(plain.items()))
    for file, part in wordy.items():
        if numbers.reading_of(part, False).styles:
            raise InputError(
                str(file),
                f"column {name!r} holds {part[0]!r}, in {plain_file.name} {plain_part[0]!r}",
                "numbers written in one way in every part",
                "write all parts the same way",
            )

    file, part = next(iter(wordy.items()))
    word = part.filter(_beyond_numbers(part))[0]
    message = (
        f"{name!r} holds words in {file.name}, such as {word!r}, "
        "and only numbers in other parts: it is read as text"
    )
    evidence = {"file": str(file), "example": word}
    return [Finding("schema.parts_differ", [name], "warning", message, evidence)]


def _beyond_numbers(part: pl.Series) -> pl.Series:
    """Mark the values that are no numbers as every machine reads them."""
    return part.cast(pl.Float64, strict=False).is_null()


def _check_zeros(name: str, plain: Parts) -> None:
    """Check that codes have zeros in front in every file, or in none; else `InputError`."""
    padded = {file: part for file, part in plain.items() if part.str.contains(_ZEROS).any()}
    if not padded:
        return
    width = max(int(str(part.str.len_chars().max())) for part in padded.values())
    padded_file, padded_part = next(iter(padded.items()))
    example = str(padded_part.filter(padded_part.str.contains(_ZEROS))[0])
    # A file of codes that are as long as the padded ones may well have no zero in front.
    for file, part in plain.items():
        if file not in padded and int(str(part.str.len_chars().min())) < width:
            raise InputError(
                str(file),
                f"column {name!r} holds {part[0]!r}, in {padded_file.name} {example!r}",
                "the same leading zeros in every part",
                "write all parts the same way",
            )
