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
    SystemArgument,
    WhyOption,
)
from headrace.cli.output import open_page, print_result, progress_bar


def predict(
    model: ModelArgument,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Read this table file.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Write the predictions to this table file.")
    ],
    keep: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,…|all", help="Copy these columns of INPUT to OUTPUT as well."),
    ] = None,
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Predict the rows of a table file, and write the predictions to another."""
    import headrace
    from headrace.predict import GapCounter, predict_file

    predictor = headrace.open(model, dir)
    gaps = GapCounter()
    with progress_bar() as progress:
        bar = progress.add_task(f"predicting {source.name}", total=None)

        def watch(done: int) -> None:
            progress.update(bar, description=f"{done:,} rows")

        columns = [name.strip() for name in keep.split(",")] if keep else []
        rows = predict_file(predictor, source, target, watch, gaps, columns)
    document = {
        "model": f"{predictor.name}@{predictor.version}",
        "rows": rows,
        "output": str(target.absolute()),
        "imputed": dict(gaps.imputed),
        "unseen": dict(gaps.unseen),
    }
    if message := gaps.message():
        print(f"warning: {message}", file=sys.stderr)
    print_result(document, as_json, f"{rows:,} predictions of {document['model']} in {target}")


def verify(
    model: ModelArgument,
    url: Annotated[
        str | None, typer.Option(help="Check this live service instead of the bundle's own graph.")
    ] = None,
    sources: Annotated[
        bool,
        typer.Option(
            "--sources", help="Read the tables that the bundle names, even if someone else made it."
        ),
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(envvar="HEADRACE_TOKEN", help="Send this token to the live service."),
    ] = None,
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Check a bundle again: checksums, parity, metrics, latency."""
    import msgspec

    import headrace

    with progress_bar() as progress:
        progress.add_task(f"verifying {model}", total=None)
        result = headrace.verify(model, dir, url, sources, token)
    lines = []
    for finding in result.findings:
        word = "FAILED" if finding.severity == "error" else "ok    "
        lines.append(f"{word}  {finding.check:<16} {finding.message}")
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
        list[str] | None, typer.Argument(help="Compare these models with the first one.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the runs of a system, or compare models: specs, metrics on the same rows, curves."""
    import msgspec

    import headrace
    from headrace.report import text

    if models:
        comparison = headrace.compare(models, dir)
        document = msgspec.to_builtins(comparison.document) | {"page": str(comparison.page)}
        lines = text.describe_comparison(comparison.document, comparison.page)
        print_result(document, as_json, lines)
        return
    entries = headrace.runs(dir)
    print_result({"runs": msgspec.to_builtins(entries)}, as_json, text.describe_runs(entries))


def report(
    model: Annotated[
        str,
        typer.Argument(metavar="[MODEL|DIR]", help="Use this model, or this system's last run."),
    ] = ".",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Open the report of a model or of a system's last run in the browser."""
    import headrace

    page = headrace.find_report(model, dir).absolute()
    if not as_json:
        open_page(page.as_uri())
    print_result({"report": str(page)}, as_json, str(page))


def promote(
    model: ModelArgument,
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Set an alias to a version by hand, and record it."""
    import headrace

    _print_decision(headrace.promote(model, alias, why, dir), as_json)


def rollback(
    name: SystemArgument,
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Set an alias back to the version that it had before, and record it."""
    import headrace

    _print_decision(headrace.rollback(name, alias, why, dir), as_json)


def history(
    name: SystemArgument = ".",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """List every decision about what is live: promote, refuse or rollback, by whom and why."""
    import msgspec

    import headrace

    decisions = headrace.history(name, dir)
    lines = []
    for decision in decisions:
        lines.append(
            f"{decision.at[:19]}  {decision.action:<8}  {decision.alias} "
            f"{decision.before or '-'} -> {decision.version}"
            f"  {decision.by} ({decision.who})  {decision.why}"
        )
    document = {"name": name, "decisions": msgspec.to_builtins(decisions)}
    print_result(document, as_json, "\n".join(lines))


def eject(
    model: ModelArgument,
    to: Annotated[Path, typer.Option("--to", help="Write into this new folder.")],
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Write a plain script that refits a model without Headrace, a Dockerfile and a CI job.

    The script needs scikit-learn, LightGBM and Polars alone. It is run once, and must predict the
    test rows as the bundle does.
    """
    import headrace

    with progress_bar() as progress:
        progress.add_task(f"ejecting {model}", total=None)
        done = headrace.eject(model, to, dir)
    document = {"folder": str(done.folder.absolute()), "checked": done.checked}
    print_result(document, as_json, f"{done.checked}\nWrote {done.folder}")


def migrate(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Migrate a workspace from before the product was called Headrace."""
    import headrace

    done = headrace.migrate(dir)
    print_result({"done": done}, as_json, "\n".join(done) or "nothing to do")


def _print_decision(decision: Any, as_json: bool) -> None:
    import msgspec

    before = "none" if decision.before is None else f"version {decision.before}"
    print_result(
        msgspec.to_builtins(decision),
        as_json,
        f"{decision.alias} is now version {decision.version} (before: {before})",
    )
