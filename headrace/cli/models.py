"""Commands about models: `predict`, `verify`, `runs`, `promote`, `rollback`, `history`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.options import (
    AliasOption,
    DirArgument,
    DirOption,
    JsonFlag,
    ModelArgument,
    WhyOption,
)
from headrace.cli.output import print_result, progress_bar


def predict(
    model: ModelArgument,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A table file.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the predictions go.")],
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Predict a table file into another."""
    import headrace
    from headrace.predict import GapCounter, predict_file

    predictor, tally = headrace.open(model, dir), GapCounter()
    with progress_bar() as progress:
        bar = progress.add_task(f"predicting {source.name}", total=None)

        def watch(done: int) -> None:
            progress.update(bar, description=f"{done:,} rows")

        rows = predict_file(predictor, source, target, watch, tally)
    document = {
        "model": f"{predictor.name}@{predictor.version}",
        "rows": rows,
        "output": str(target.absolute()),
    }
    document |= {"imputed": dict(tally.imputed), "unseen": dict(tally.unseen)}
    if message := tally.message():
        print(f"warning: {message}", file=sys.stderr)
    print_result(document, as_json, f"{rows:,} predictions of {document['model']} in {target}")


def verify(
    model: ModelArgument,
    url: Annotated[
        str | None, typer.Option(help="Ask this live service instead of the bundle's own graph.")
    ] = None,
    sources: Annotated[
        bool,
        typer.Option(
            "--sources", help="Read the tables that the bundle names, also of a stranger's."
        ),
    ] = False,
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Re-assess a bundle: checksums, parity, metrics, latency."""
    import msgspec

    import headrace

    with progress_bar() as progress:
        progress.add_task(f"verifying {model}", total=None)
        result = headrace.verify(model, dir, url, sources)
    lines = [
        f"{'ok    ' if one.severity != 'error' else 'FAILED'}  {one.check:<16} {one.message}"
        for one in result.findings
    ]
    document = {
        "bundle": result.bundle,
        "passed": result.passed,
        "findings": msgspec.to_builtins(result.findings),
    }
    print_result(document, as_json, "\n".join(lines))
    if not result.passed:
        raise typer.Exit(1)


def runs(
    dir: DirArgument = Path(),
    models: Annotated[
        list[str] | None, typer.Argument(help="Models to compare with the first of them.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the runs of a system, or compare some: specs, metrics on the same test rows, curves."""
    import msgspec

    import headrace
    from headrace.report import text

    if models:
        found = headrace.compare(models, dir)
        print_result(
            msgspec.to_builtins(found.document) | {"page": str(found.page)},
            as_json,
            text.describe_comparison(found.document, found.page),
        )
        return
    listed = headrace.runs(dir)
    print_result({"runs": msgspec.to_builtins(listed)}, as_json, text.describe_runs(listed))


def promote(
    model: ModelArgument,
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Let an alias stand for a version, by hand; it is recorded."""
    import headrace

    _print_decision(headrace.promote(model, alias, why, dir), as_json)


def rollback(
    name: Annotated[str, typer.Argument(help="The system's name.")],
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Put an alias back to the version that it stood for before."""
    import headrace

    _print_decision(headrace.rollback(name, alias, why, dir), as_json)


def history(
    name: Annotated[str, typer.Argument(help="The system's name.")],
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Every decision about what is live: promoted, refused, rolled back, by whom and why."""
    import msgspec

    import headrace

    decisions = headrace.history(name, dir)
    lines = [
        f"{one.at[:19]}  {one.action:<8}  {one.alias} {one.before or '-'} -> {one.version}"
        f"  {one.by} ({one.who})  {one.why}"
        for one in decisions
    ]
    print_result(
        {"name": name, "decisions": msgspec.to_builtins(decisions)}, as_json, "\n".join(lines)
    )


def migrate(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Take over a workspace from before the product was called Headrace."""
    import headrace

    done = headrace.migrate(dir)
    print_result({"done": done}, as_json, "\n".join(done) or "nothing to do")


def _print_decision(decision: Any, as_json: bool) -> None:
    import msgspec

    before = "nothing" if decision.before is None else f"version {decision.before}"
    print_result(
        msgspec.to_builtins(decision),
        as_json,
        f"{decision.alias} is version {decision.version} now; it was {before}",
    )
