"""Writes the first spec of a system, from its table and from a person's answers."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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


class _Table(NamedTuple):
    """A table: its address as the spec states it, and where it is read now."""

    stated: str
    address: str


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
    holdout = None if answers.holdout == NONE else answers.holdout
    with _locate({"source": data, "holdout": holdout}, path.parent) as located:
        text = _EDITORS + _design(located, answers, path, ask)
    _write(path, text)
    return path, text


def hand_over(table: Any, target: Any, folder: Path, answers: dict[str, Any]) -> System:
    """Make a system of a table in memory; its spec is written anew each time, until it is edited.

    Parameters: `answers`, by the names of `Answers`; its `holdout` may be a table, too. Raises
    `InputError` where the folder has a spec that somebody wrote, and as `init` does; then the
    folder stays as it was.
    """
    path = folder.absolute() / SPEC_NAME
    _refuse_folder(path)
    known = list(Answers.__struct_fields__)
    for name in answers:
        if name not in known:
            raise InputError("fit", f"no argument {name!r}", ", ".join(known), nearest(name, known))
    if target is None:
        raise InputError("fit", "no target", "the name of the column to predict")

    texts = _to_texts({**answers, "target": target, "holdout": None})
    named = Answers(**{"name": derive_name(str(target)), **texts})
    with _locate({"source": table, "holdout": answers.get("holdout")}, path.parent) as located:
        text = _EDITORS + _GENERATED + _design(located, named, path, None)
    _write(path, text)
    return spec.load(path)


def _refuse_folder(path: Path) -> None:
    """Raise `InputError` where a file is in the way, or the spec at `path` is somebody's own."""
    for part in path.parents:
        if part.is_file():
            raise InputError("fit", f"{part} is a file", "a folder to work in")
    if path.exists() and _GENERATED not in path.read_text(encoding="utf-8"):
        do = f"run it with headrace.run({str(path.parent)!r}), or give fit another folder="
        raise InputError(str(path), "a spec that a person wrote", "a folder without a spec", do)


@contextmanager
def _locate(given: dict[str, Any], home: Path) -> Iterator[dict[str, _Table]]:
    """Locate tables by name; those in memory become files of the workspace after the block.

    If the block raises, the workspace stays as it was.
    """
    frames = Workspace(home).frames
    located = {}
    drafts = {}
    with tempfile.TemporaryDirectory(prefix="headrace-") as draft:
        for name, table in given.items():
            if isinstance(table, str | Path):
                stated = _relative_source(home, str(table))
                address = stated if tables.is_remote(stated) else str(Path(table).absolute())
                located[name] = _Table(stated, address)
            elif table is not None:
                drafts[name] = Path(draft) / f"{name}.parquet"
                _store(table, name, drafts[name])
                stated = (frames / f"{name}.parquet").relative_to(home).as_posix()
                located[name] = _Table(stated, str(drafts[name]))
        yield located
        for name, file in drafts.items():
            with tables.atomic_file(frames / f"{name}.parquet") as target:
                shutil.copyfile(file, target)


def _store(table: Any, name: str, file: Path) -> None:
    """Store a table of Python in a file; raises `InputError` for anything else."""
    frame = tables.to_polars(table, name)
    if frame is None:
        expected = "a Polars, pandas or Arrow table, or a path"
        raise InputError(name, f"data of type {type(table).__name__}", expected)
    if frame.is_empty():
        raise InputError(name, "a table without rows", "at least one row")
    tables.sink(frame.lazy(), file)


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
            texts[name] = value if name == "read" else spec.format_label(value)
    return texts


def _design(located: dict[str, _Table], answers: Answers, path: Path, ask: Ask | None) -> str:
    """Write the text of a spec whose file will be `path`, for its tables by name."""
    home = path.parent
    source = located["source"]
    read = spec.parse_read_flags(answers.read)
    missing = spec.Data(source="").missing
    table = tables.read_table(source.address, answers.query, home, read, missing)

    if "holdout" in located:
        # reading it now shows whether the run will be able to
        tables.read_table(located["holdout"].address, None, home, read, [""])
        answers = structs.replace(answers, holdout=located["holdout"].stated)

    text = render_spec(interview(table.frame, source.stated, answers, ask))
    # parsing it now guarantees that the file is valid
    spec.parse(text.encode(), path)
    return text


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
