"""Writes the first spec of a system, from its table and from a person's answers."""

import json
from pathlib import Path
from typing import Any

from msgspec import structs

from headrace import spec, tables
from headrace.design.commented import render_spec
from headrace.design.interview import derive_name, interview
from headrace.design.parsers import NONE
from headrace.design.questions import Answers, Ask
from headrace.errors import InputError, nearest
from headrace.spec import System
from headrace.workspace import SPEC_NAME, Workspace

_EDITORS = f"# yaml-language-server: $schema={Workspace(Path()).schema.as_posix()}\n"
"""By this line editors find the schema: they complete fields and mark errors."""
_GENERATED = (
    "# headrace.fit wrote this file and will write it again; to edit it, delete this line.\n"
)


def init(
    data: Any, answers: Answers, folder: Path = Path(), ask: Ask | None = None
) -> tuple[Path, str]:
    """Write a first `system.yaml` for a table into `folder`; return its path and text.

    `data` is a file or an address, that of a database with `answers.query`; or a Polars, pandas or
    Arrow table, which is stored in the workspace. Questions that `answers` leaves open go to `ask`;
    without `ask` the data decides. Raises `InputError` where the table cannot be read or lacks a
    named column, and where the folder has a spec already.
    """
    path = folder.absolute() / SPEC_NAME
    if path.exists():
        raise InputError(
            str(path), "exists already", "a folder without a spec", "choose another --dir"
        )
    text = _EDITORS + _design(data, answers, path, ask)
    _write(path, text)
    return path, text


def hand_over(table: Any, target: str, folder: Path, answers: dict[str, Any]) -> System:
    """Make a system of a table in memory; its spec is written anew each time, until it is edited.

    Parameters: `answers`, by the names of `Answers`; its `holdout` may be a table, too. Raises
    `InputError` where the folder has a spec that somebody wrote, and as `init` does.
    """
    path = folder.absolute() / SPEC_NAME
    if path.exists() and _GENERATED not in path.read_text(encoding="utf-8"):
        do = f"run it with headrace.run({str(folder)!r}), or give fit another folder="
        raise InputError(str(path), "a spec that a person wrote", "a folder without a spec", do)

    known = list(Answers.__struct_fields__)
    for name in answers:
        if name not in known:
            raise InputError("fit", f"no argument {name!r}", ", ".join(known), nearest(name, known))
    named = {"name": derive_name(target), **_to_texts(answers)}
    holdout = answers.get("holdout")
    if holdout is not None and not isinstance(holdout, str | Path):
        named["holdout"] = str(_store(holdout, Workspace(path.parent), "holdout"))

    text = _EDITORS + _GENERATED + _design(table, Answers(target=target, **named), path, None)
    _write(path, text)
    return spec.load(path)


def _to_texts(answers: dict[str, Any]) -> dict[str, Any]:
    """Write answers as a person would type them.

    >>> _to_texts({"time": ["year", "month"], "latency_ms": 20, "group": None})
    {'time': 'year,month', 'latency_ms': '20'}
    """
    texts: dict[str, Any] = {}
    for name, value in answers.items():
        if isinstance(value, list) and name != "read":
            texts[name] = ",".join(map(str, value))
        elif value is not None:
            texts[name] = value if name == "read" else str(value)
    return texts


def _design(data: Any, answers: Answers, path: Path, ask: Ask | None) -> str:
    """Write the text of a spec whose file will be `path`."""
    home = path.parent
    if not isinstance(data, str | Path):
        data = _store(data, Workspace(home), "source")
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
    return text


def _store(table: Any, workspace: Workspace, name: str) -> Path:
    """Store a table of Python in a workspace; raises `InputError` for anything else."""
    frame = tables.to_polars(table, name)
    if frame is None:
        expected = "a Polars, pandas or Arrow table, or a path"
        raise InputError(name, f"data of type {type(table).__name__}", expected)
    workspace.make()
    path = workspace.frames / f"{name}.parquet"
    tables.sink(frame.lazy(), path)
    return path


def _write(path: Path, text: str) -> None:
    workspace = Workspace(path.parent)
    with tables.atomic_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
    workspace.make()
    with tables.atomic_file(workspace.schema) as draft:
        draft.write_text(json.dumps(spec.schema(), indent=2), encoding="utf-8")


def _relative_source(home: Path, source: str) -> str:
    """Return a path relative to `home` where it lies below it, else absolute; keep addresses."""
    if tables.is_remote(source):
        return source
    file = Path(source).absolute()
    return file.relative_to(home).as_posix() if file.is_relative_to(home) else file.as_posix()
