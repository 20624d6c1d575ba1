"""The first spec of a system, from a look at its table and from what a person says."""

from pathlib import Path

from msgspec import structs

from headrace import spec, tables
from headrace.design.commented import render_spec
from headrace.design.interview import interview
from headrace.design.questions import NONE, Answers, Ask
from headrace.errors import InputError


def init(
    data: str | Path, answers: Answers, folder: Path = Path(), ask: Ask | None = None
) -> tuple[Path, str]:
    """Writes a first `system.yaml` for a table (a database's with `answers.query`) into `folder`
    and returns its path and text.

    What `answers` leaves open is put to `ask`, or inferred where there is none. Raises `InputError`
    where the table cannot be read, lacks a named column, or a spec stands there already.
    """
    home = folder.absolute()
    path = home / "system.yaml"
    if path.exists():
        raise InputError(
            str(path), "a spec stands there already", "a folder without one", "choose another --dir"
        )
    source, query = _seen_from(home, str(data)), answers.query
    read = spec.parse_read_flags(answers.read)
    found = source if tables.is_remote(source) else str(Path(data).absolute())
    table = tables.read_table(found, query, home, read, spec.Data(source="").missing)
    if answers.holdout not in (None, NONE):
        held = _seen_from(home, answers.holdout)
        tables.read_table(
            str(home / held) if not tables.is_remote(held) else held, None, home, read, [""]
        )
        answers = structs.replace(answers, holdout=held)
    text = render_spec(interview(table.frame, source, answers, ask))
    spec.parse(text.encode(), path)  # what is written is valid
    with tables.atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path, text


def _seen_from(home: Path, source: str) -> str:
    """A path as a spec in `home` names it; an address as it is."""
    if tables.is_remote(source):
        return source
    file = Path(source).absolute()
    return file.relative_to(home).as_posix() if file.is_relative_to(home) else file.as_posix()
