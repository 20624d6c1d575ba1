"""The command line: parse, call one public function, print."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from millrace.errors import Finding, InputError, MillraceError

app = typer.Typer(
    help="Millrace: one spec takes a table to a tested model that predicts the same everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
DirArgument = Annotated[Path, typer.Argument(help="The folder with system.yaml.")]
ModelArgument = Annotated[str, typer.Argument(help="A bundle's folder, NAME@VERSION or NAME@champion.")]
DirOption = Annotated[Path, typer.Option("--dir", help="The folder whose workspace names are looked up in.")]
AliasOption = Annotated[str, typer.Option(help="champion, challenger or shadow.")]
WhyOption = Annotated[str, typer.Option(help="The reason, for the record.")]
_STAGES = (
    "tables", "events", "spec", "split", "features", "explore", "train", "refit", "evaluate", "gates", "bundle",
    "registry", "report",
)  # fmt: skip


@app.command()
def init(
    data: Annotated[str, typer.Argument(help="A table: csv, tsv, parquet, ndjson, arrow; a folder, or a database.")],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    time: Annotated[str | None, typer.Option(help="The column with the time of each row.")] = None,
    id: Annotated[str | None, typer.Option(help="The column that names each row.")] = None,
    group: Annotated[str | None, typer.Option(help="The column whose rows stay on one side of a split.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="A table of its own that serves as the test split.")] = None,
    query: Annotated[str | None, typer.Option(help="The rows of a database, such as sqlite:///shop.db.")] = None,
    name: Annotated[str | None, typer.Option(help="The system's name; from the file's name if left out.")] = None,
    dir: Annotated[Path, typer.Option(help="Where system.yaml goes.")] = Path(),
    yes: Annotated[
        bool, typer.Option("--yes", help="Take what the data suggests (no questions are asked yet either way).")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Look at a table and write a first, commented system.yaml."""
    import millrace
    from millrace.spec import Answers

    answers = Answers(
        target=target, time=time, id=id, group=group, holdout=str(holdout) if holdout else None, query=query, name=name
    )
    path, text = millrace.init(data, answers, dir)
    _print({"spec": str(path)}, as_json, f"{text}\nWrote {path}\nNext: millrace run {os.path.relpath(path.parent)}")


@app.command()
def run(
    dir: DirArgument = Path(),
    fresh: Annotated[bool, typer.Option("--fresh", help="Do it all again, whatever is kept of earlier runs.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole flow: bundle, gates, promotion and report. What was done before is not done again."""
    import millrace

    _run(millrace.load(dir), as_json, fresh)


@app.command()
def explore(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Look at the data: columns, their relation to the target, leaks, the split."""
    import millrace

    with _progress() as progress:
        progress.add_task("exploring", total=None)
        result = millrace.explore(millrace.load(dir))
    document = result.document | {"path": str(result.path)}
    _print(document, as_json, _explored(document))


def _explored(document: dict[str, Any]) -> str:
    """What the data is like, for a terminal; columns by what they say of the target."""
    from millrace.report import number

    relations, rows = document["relations"], document["rows"]
    width = max(len(column["name"]) for column in document["columns"])
    shares = list(document["balance"].items())
    text = ", ".join(
        f"{name} {share:.1%}" if document["goal"]["task"] != "regression" else f"{name} {number(share)}"
        for name, share in shares[:8]
    )
    more = f" and {len(shares) - 8} more" if len(shares) > 8 else ""
    lines = [
        f"{document['goal']['target']}: {document['goal']['task']}, {text}{more}",
        f"rows: {rows['train']:,} train, {rows['validation']:,} validation, {rows['test']:,} test",
        "",
        f"{'column':<{width}}  {'kind':<11}  missing  different  explains  why",
    ]
    for column in sorted(document["columns"], key=lambda column: -relations.get(column["name"], -1.0)):
        share = relations.get(column["name"])
        told = "" if share is None else f"{share:.1%}"
        lines.append(
            f"{column['name']:<{width}}  {column['kind']:<11}  {column['missing']:>7.1%}  {column['distinct']:>9,}  "
            f"{told:>8}  {column['why']}"
        )
    lines += ["", *(f"{one['severity']}: {one['check']}: {one['message']}" for one in document["findings"])]
    return "\n".join([*lines, f"\nWrote {document['path']}"])


@app.command()
def predict(
    model: ModelArgument,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A table file.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the predictions go.")],
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Predict a table file into another."""
    import millrace
    from millrace.predict import predict_file

    predictor = millrace.open(model, dir)
    with _progress() as progress:
        bar = progress.add_task(f"predicting {source.name}", total=None)
        rows = predict_file(predictor, source, target, lambda done: progress.update(bar, description=f"{done:,} rows"))
    document = {"model": f"{predictor.name}@{predictor.version}", "rows": rows, "output": str(target.absolute())}
    _print(document, as_json, f"{rows:,} predictions of {document['model']} in {target}")


@app.command()
def verify(
    model: ModelArgument,
    url: Annotated[str | None, typer.Option(help="Ask this live service instead of the bundle's own graph.")] = None,
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Re-assess a bundle: checksums, parity, metrics, latency."""
    import millrace

    with _progress() as progress:
        progress.add_task(f"verifying {model}", total=None)
        result = millrace.verify(model, dir, url)
    lines = [
        f"{'ok    ' if one.severity != 'error' else 'FAILED'}  {one.check:<16} {one.message}" for one in result.findings
    ]
    document = {"bundle": result.bundle, "passed": result.passed, "findings": [_plain(one) for one in result.findings]}
    _print(document, as_json, "\n".join(lines))
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def serve(
    model: ModelArgument,
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="The address to bind to.")] = "127.0.0.1",
    dir: DirOption = Path(),
) -> None:
    """Serve POST /predict."""
    import millrace
    from millrace.serve import serve as serve_forever

    predictor = millrace.open(model, dir)
    print(f"{predictor.name}@{predictor.version} on http://{host}:{port}/predict", file=sys.stderr)
    serve_forever(predictor, host, port)


@app.command()
def runs(
    dir: DirArgument = Path(),
    models: Annotated[list[str] | None, typer.Argument(help="Models to compare with the first of them.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the runs of a system, or compare some: specs, metrics on the same test rows, curves."""
    import msgspec

    import millrace

    if models:
        found = millrace.compare(models, dir)
        _print(found.document | {"page": str(found.page)}, as_json, _side_by_side(found.document, found.page))
        return
    listed = millrace.runs(dir)
    _print({"runs": msgspec.to_builtins(listed)}, as_json, _listed(listed))


def _listed(runs: Any) -> str:
    from millrace.report import number

    lines = [f"{'model':<20}  {'created (UTC)':<19}  {'spec':<12}  {'test':>9}  {'baseline':>9}  family"]
    for one in runs:
        stands = f"  {', '.join(one.aliases)}" if one.aliases else "" if one.promoted else "  refused"
        lines.append(
            f"{one.model:<20}  {one.created[:19]:<19}  {one.spec_hash:<12}  {number(one.test):>9}  "
            f"{number(one.baseline):>9}  {one.family}{stands}"
        )
    return "\n".join(lines) if runs else "no runs yet; the next one is `millrace run`"


def _side_by_side(found: dict[str, Any], page: Path) -> str:
    from millrace.report import number, verdicts

    models = found["models"]
    lines = [*verdicts(found), "", f"on {found['rows']:,} test rows that all have", ""]
    lines.append(f"{'':<22}" + "".join(f"{model:>18}" for model in models))
    for name, values in found["metrics"].items():
        lines.append(f"{name:<22}" + "".join(f"{number(value):>18}" for value in values))
    lines += ["", "asked differently:" if found["spec"] else "the specs are the same"]
    lines += [f"  {one['field']}: " + " | ".join(map(str, one["values"])) for one in found["spec"]]
    return "\n".join([*lines, "", f"Wrote {page}"])


@app.command()
def promote(
    model: ModelArgument,
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Let an alias stand for a version, by hand; it is recorded."""
    import millrace

    _decided(millrace.promote(model, alias, why, dir), as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="The system's name.")],
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Put an alias back to the version that it stood for before."""
    import millrace

    _decided(millrace.rollback(name, alias, why, dir), as_json)


@app.command()
def history(
    name: Annotated[str, typer.Argument(help="The system's name.")], dir: DirOption = Path(), as_json: JsonFlag = False
) -> None:
    """Every decision about what is live: promoted, refused, rolled back, by whom and why."""
    import msgspec

    import millrace

    decisions = millrace.history(name, dir)
    lines = [
        f"{one.at[:19]}  {one.action:<8}  {one.alias} {one.before or '-'} -> {one.version}"
        f"  {one.by} ({one.who})  {one.why}"
        for one in decisions
    ]
    _print({"name": name, "decisions": msgspec.to_builtins(decisions)}, as_json, "\n".join(lines))


def _decided(decision: Any, as_json: bool) -> None:
    import msgspec

    before = "nothing" if decision.before is None else f"version {decision.before}"
    _print(
        msgspec.to_builtins(decision), as_json, f"{decision.alias} is version {decision.version} now; it was {before}"
    )


@app.command()
def clean(
    dir: DirArgument = Path(),
    most: Annotated[float, typer.Option(min=0.0, help="Gigabytes to leave of the cache.")] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Shrink the cache of a system; bundles, runs and the record of decisions stay."""
    import millrace

    left = millrace.clean(millrace.load(dir), round(most * 2**30))
    _print({"bytes": left}, as_json, f"the cache holds {left / 2**20:.1f} MB")


@app.command()
def schema() -> None:
    """Print the JSON schema of system.yaml."""
    from millrace.spec import schema as spec_schema

    print(json.dumps(spec_schema(), indent=2))


@app.command()
def demo(
    name: Annotated[str, typer.Argument(help="Which story: income.")] = "income",
    dir: Annotated[Path | None, typer.Option(help="Where to put it; ./millrace-NAME if left out.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a whole story on real data."""
    import millrace

    stories = _stories()
    if name not in stories:
        raise InputError("demo", f"no story {name!r}", "one of: " + ", ".join(sorted(stories)))
    folder = (dir or Path(f"millrace-{name}")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for file in stories[name].iterdir():
        if file.is_file() and not (folder / file.name).exists():
            (folder / file.name).write_bytes(file.read_bytes())
    _run(millrace.load(folder), as_json)


def _stories() -> dict[str, Path]:
    """The examples that came with the package, or stand in the source tree."""
    here = Path(__file__).parent
    home = next((place for place in (here / "examples", here.parent / "examples") if place.is_dir()), None)
    return {path.parent.name: path.parent for path in home.glob("*/system.yaml")} if home else {}


def _run(system: Any, as_json: bool, fresh: bool = False) -> None:
    import millrace

    with _progress() as progress:
        bar = progress.add_task(f"running {system.name}", total=len(_STAGES))

        def watch(stage: str, detail: str) -> None:
            progress.update(bar, description=f"{stage} {detail}".strip(), completed=_STAGES.index(stage))

        result = millrace.run(system, watch, fresh)
    document = result.document
    public = {
        name: document[name]
        for name in (
            "run", "model", "bundle", "report", "cached", "metric", "metrics", "gates", "promoted", "alias", "findings",
            "seconds",
        )
    }  # fmt: skip
    _print(public, as_json, _told(document))
    if not document["promoted"]:
        raise typer.Exit(1)


def _told(run: dict[str, Any]) -> str:
    """What a run did, for a terminal."""
    from millrace.report import number, promotion

    metric, rows = run["metric"], run["rows"]
    low, high = run["intervals"][metric["name"]]
    lines = [f"{stage['name']:<9} {stage['seconds']:6.2f} s  {stage['what']}" for stage in run["flow"]]
    if run["cached"]:
        lines = ["Nothing has changed since this run; --fresh does it again.", *lines]
    lines += [f"{one['severity']}: {one['message']}" for one in run["findings"]]
    lines += [f"{'passed' if one['passed'] else 'FAILED'}: {one['gate']} ({one['why']})" for one in run["gates"]]
    lines += [
        "",
        f"{run['model']}: {run['winner']['family']} predicts {run['target']}",
        "  " + promotion(run),
        f"  {metric['name']}  validation {number(metric['validation'])}  test {number(metric['test'])}"
        f" ({number(low)} to {number(high)})  baseline {number(metric['baseline'])}  {rows['test']:,} test rows",
        "",
        f"  bundle  {run['bundle']}",
        f"  report  {run['report']}",
        f"  next    millrace verify {os.path.relpath(run['bundle'])}",
    ]
    return "\n".join(lines)


def _plain(finding: Finding) -> dict[str, Any]:
    import msgspec

    built: dict[str, Any] = msgspec.to_builtins(finding)
    return built


def _print(document: dict[str, Any], as_json: bool, text: str) -> None:
    import msgspec

    print(msgspec.json.encode(document).decode() if as_json else text)


@contextmanager
def _progress() -> Iterator[Any]:
    """A progress bar on a terminal's stderr, gone when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def main() -> None:
    """The entry point: a `MillraceError` becomes one line on stderr and its exit code."""
    try:
        app()
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
