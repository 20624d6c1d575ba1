"""The result of `explore`: a description of the data, without learning anything."""

from pathlib import Path

import msgspec
from msgspec import Struct, structs

from headrace import spec, tables
from headrace.errors import Finding
from headrace.explore import balance, relations
from headrace.report import count_words, show_exploration
from headrace.run.leaks import leak_columns, training_rows
from headrace.run.prepare import Prepared
from headrace.spec import Goal
from headrace.tables import Column
from headrace.workspace import Workspace


class PartCounts(Struct, frozen=True):
    """The number of rows of each part."""

    train: int
    validation: int
    test: int


class ExplorationDocument(Struct, frozen=True):
    """A description of the data: the schema of `explore.json`.

    `why` holds the reason of each field that was inferred, `balance` the share of each class (or
    the target's quantiles), `relations` the share of the target that each column explains alone.
    """

    name: str
    goal: Goal
    why: dict[str, str]
    rows: PartCounts
    balance: dict[str, float]
    columns: list[Column]
    relations: dict[str, float]
    findings: list[Finding]


class Exploration(Struct, frozen=True):
    """The result of an exploration: its document, and the `explore.json` that holds it."""

    path: Path
    document: ExplorationDocument

    def __repr__(self) -> str:
        document = self.document
        rows = sum(structs.astuple(document.rows))
        findings = count_words(len(document.findings), "finding")
        columns = count_words(len(document.columns), "column")
        return f"Exploration({document.name}: {rows:,} rows × {columns}, {findings})"

    def _repr_html_(self) -> str:
        return show_exploration(self.document)


def write_exploration(prepared: Prepared, workspace: Workspace) -> Exploration:
    """Describe prepared rows, and write `explore.json` into the workspace.

    The workspace is given, because rows out of the cache do not know their folder.
    """
    data = prepared.data
    parts = data.parts
    labels = [spec.format_label(label) for label in data.target.classes]
    trained = training_rows(data, leak_columns(data.columns))
    document = ExplorationDocument(
        name=data.system.name,
        goal=data.system.goal,
        why=prepared.reasons,
        rows=PartCounts(len(parts.train), len(parts.validation), len(parts.test)),
        balance=balance(data.y, labels),
        columns=data.columns,
        relations=relations(trained, data.y[parts.train], data.target.task),
        findings=prepared.findings,
    )
    workspace.make()
    path = workspace.explored
    with tables.atomic_file(path) as draft:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
    return Exploration(path, document)
