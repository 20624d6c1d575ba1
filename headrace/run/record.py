"""Write what a run leaves: its bundle, `run.json` and the report."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import polars.selectors as cs
from msgspec import Struct, structs

from headrace import bundle, registry, report, tables
from headrace.predict import Predictor
from headrace.predict import open as open_model
from headrace.registry import Decision
from headrace.run.document import RunDocument, StageResults, describe_flow
from headrace.run.evaluation import Tested
from headrace.run.judge import ChampionComparison
from headrace.workspace import BundleName

GOLDEN_ROWS = 5


class Run(Struct, frozen=True):
    """A finished run: its model, bundle, report and document (the content of `run.json`)."""

    model: str
    bundle: Path
    report: Path
    document: RunDocument

    def open(self) -> Predictor:
        """Open the model for predicting, whether it was promoted or not."""
        return open_model(self.bundle)

    def __repr__(self) -> str:
        metric = self.document.metric
        value = report.format_number(metric.test)
        state = "promoted" if self.document.promoted else "refused"
        family = self.document.winner.family
        return f"Run({self.model}: {family}, test {metric.name} {value}, {state})"

    def _repr_html_(self) -> str:
        return report.show_run(self.document)


def write_bundle(document: RunDocument, results: StageResults, tested: Tested) -> RunDocument:
    """Write the next version of the system's bundle, with its test rows and their predictions.

    Return the document with the names of the bundle, and of the report that is still to come.
    """
    data = results.data
    system = data.system
    schema = tested.predictor.schema
    test = data.frame[data.parts.test]
    plain = [name for name, dtype in test.schema.items() if tables.dtype_of(dtype) != "nested"]
    test = test.select(cs.by_name(*plain))
    inputs = [column.name for column in schema.columns]
    answers = tested.answers
    if system.data.id:
        inputs.append(system.data.id)
        answers = answers.select(~cs.by_name(system.data.id))

    golden = test.head(GOLDEN_ROWS).select(cs.by_name(*inputs)).to_dicts()
    requests = msgspec.json.decode(msgspec.json.encode(golden))  # as a service gets them
    replies = tested.predictor.predict(requests)
    scores = tested.predictor.scores(tested.answers)
    examples = [
        {"request": request, "reply": reply}
        for request, reply in zip(requests, replies, strict=True)
    ]
    files = bundle.build_files(
        bundle.Parts(
            system=results.resolved,
            schema=schema,
            model=results.model.model,
            profile=bundle.build_profile(
                data.frame[data.parts.train],
                schema.columns,
                scores,
            ),
            examples=examples,
            evaluation=document.as_bundle(),
            card=report.render_card(document),
        )
    )

    system.workspace.claim()
    name = bundle.write_bundle(
        system.workspace.bundles,
        bundle.Contents(
            name=system.name,
            files=files,
            holdout=bundle.join_answers(test, answers),
            spec_hash=document.spec_hash,
            data=document.fingerprints,
            code_version=document.code_version,
            scale=results.model.scale,
        ),
        registry.last_version(system.workspace, system.name),
    )

    when = document.created.replace("-", "").replace(":", "").replace(" ", "-")[:15]
    run = f"{name.folder}-{when}"
    return structs.replace(
        document,
        run=run,
        model=f"{name.name}@{name.version}",
        bundle=str(system.workspace.bundles / name.folder),
        report=str(system.workspace.runs / run / "report.html"),
    )


def bundle_of(document: RunDocument) -> BundleName:
    """Return the name of the bundle of a run."""
    name = BundleName.parse(Path(document.bundle).name)
    assert name is not None
    return name


def write_run(document: RunDocument) -> str:
    """Write the `run.json` of a run whose model is not released yet; return the run's name."""
    folder = Path(document.report).parent
    with tables.atomic_folder(folder.parent) as draft:
        _write_document(draft, document)
        tables.publish_folder(draft, folder)
    return document.run


def finish_run(
    document: RunDocument,
    decision: Decision,
    comparison: ChampionComparison | None,
    seconds: Mapping[str, float],
) -> Run:
    """Write the report of a run whose model was promoted or refused, and its `run.json` anew.

    Parameters: `comparison` with the champion of the decision; `seconds` of each stage.
    """
    promoted = decision.action in ("promote", "wait")
    document = structs.replace(
        document,
        gates=msgspec.convert(decision.evidence, list[registry.Result]),
        promoted=promoted,
        alias=decision.alias if decision.action == "promote" else None,
        before=decision.before,
        comparison=comparison,
        seconds=dict(seconds),
    )
    document = structs.replace(document, flow=describe_flow(document))
    page = Path(document.report)
    with tables.atomic_file(page) as draft:
        draft.write_text(report.render_report(document), encoding="utf-8")
    _write_document(page.parent, document)
    return as_run(document)


def as_run(document: RunDocument) -> Run:
    """Return the run that a document describes."""
    return Run(document.model, Path(document.bundle), Path(document.report), document)


def _write_document(folder: Path, document: RunDocument) -> None:
    with tables.atomic_file(folder / "run.json") as draft:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
