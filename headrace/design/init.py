"""Writes the first spec of a system, from its table and from a person's answers."""

from pathlib import Path

from msgspec import structs

from headrace import spec, tables
from headrace.design.commented import render_spec
from headrace.design.interview import interview
from headrace.design.parsers import NONE
from headrace.design.questions import Answers, Ask
from headrace.errors import InputError
from headrace.workspace import SPEC_NAME


def init(
    data: str | Path, answers: Answers, folder: Path = Path(), ask: Ask | None = None
) -> tuple[Path, str]:
    """Write a first `system.yaml` for a table into `folder`; return its path and text.

    `data` is a file or an address, that of a database with `answers.query`. Questions that
    `answers` leaves open go to `ask`; without `ask` the data decides. Raises `InputError` where the
    table cannot be read or lacks a named column, and where the folder has a spec already.
    """
    home = folder.absolute()
    path = home / SPEC_NAME
    if path.exists():
        raise InputError(
            str(path), "there is a spec already", "a folder without one", "choose another --dir"
        )

    source = _relative_source(home, str(data))
    address = source if tables.is_remote(source) else str(Path(data).absolute())
    read = spec.parse_read_flags(answers.read)
    table = tables.read_table(address, answers.query, home, read, spec.Data(source="").missing)

    if answers.holdout not in (None, NONE):
        holdout = _relative_source(home, answers.holdout)
        # reading it now shows whether the run will be able to
        address = holdout if tables.is_remote(holdout) else str(home / holdout)
        tables.read_table(address, None, home, read, [""])
        answers = structs.replace(answers, holdout=holdout)

    text = render_spec(interview(table.frame, source, answers, ask))
    # parsing it now guarantees that the file is valid
    spec.parse(text.encode(), path)
    with tables.atomic_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path, text


def _relative_source(home: Path, source: str) -> str:
    """Return a path relative to `home` where it lies below it, else absolute; keep addresses."""
    if tables.is_remote(source):
        return source
    file = Path(source).absolute()
    return file.relative_to(home).as_posix() if file.is_relative_to(home) else file.as_posix()
