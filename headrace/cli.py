"""The command line: parse, call one public function, print."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.errors import Finding, HeadraceError, InputError

app = typer.Typer(
    help="Headrace: one spec takes a table to a tested model that predicts the same everywhere.",
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
_IN_ORDER_S = 1.5
_interrupted: list[bool] = []
_STAGES = (
    "tables", "events", "spec", "split", "features", "explore", "train", "refit", "evaluate", "gates", "bundle",
    "registry", "report",
)  # fmt: skip


@app.command()
def init(
    data: Annotated[
        str, typer.Argument(help="A table: csv, tsv, parquet, ndjson, arrow; a folder, a URL, or a database.")
    ],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    positive: Annotated[str | None, typer.Option(help="The value that is the event.")] = None,
    metric: Annotated[str | None, typer.Option(help="What decides between models.")] = None,
    secondary: Annotated[str | None, typer.Option(help="Metrics that must not get worse, by commas.")] = None,
    costs: Annotated[str | None, typer.Option(help="Of a false alarm and a miss, such as 1:5.")] = None,
    id: Annotated[str | None, typer.Option(help="The column that names each row.")] = None,
    time: Annotated[str | None, typer.Option(help="The column of each row's time, or of its parts.")] = None,
    group: Annotated[str | None, typer.Option(help="The column whose rows stay on one side of a split.")] = None,
    label_delay: Annotated[str | None, typer.Option(help="How long until an outcome is known, such as 7d.")] = None,
    prediction: Annotated[str | None, typer.Option(help="online or batch.")] = None,
    latency_ms: Annotated[str | None, typer.Option(help="Within how long 99 of 100 rows are answered.")] = None,
    throughput: Annotated[str | None, typer.Option(help="Predictions a second at the peak.")] = None,
    sensitive: Annotated[str | None, typer.Option(help="Columns that name groups of people, by commas.")] = None,
    holdout: Annotated[str | None, typer.Option(help="A table of its own that serves as the test split.")] = None,
    query: Annotated[str | None, typer.Option(help="The rows of a database, such as sqlite:///shop.db.")] = None,
    name: Annotated[str | None, typer.Option(help="The system's name; from the file's name if left out.")] = None,
    read: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=VALUE", help="How a text is written: separator=;, header=false, …"),
    ] = None,
    dir: Annotated[Path, typer.Option(help="Where system.yaml goes.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take what the data suggests.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask what a design review asks, infer the rest, and write a first, commented system.yaml.

    Each option answers its question; - says that there is none. Away from a terminal nothing is asked.
    """
    import headrace
    from headrace.design import Answers

    answers = Answers(
        target=target, task=task, positive=positive, metric=metric, secondary=secondary, costs=costs, id=id, time=time,
        group=group, label_delay=label_delay, prediction=prediction, latency_ms=latency_ms, throughput=throughput,
        sensitive=sensitive, holdout=holdout, query=query, name=name,
        read=read or [],
    )  # fmt: skip
    asks = not (yes or as_json) and sys.stdin.isatty() and sys.stderr.isatty()
    if asks:
        print("Enter takes what stands in brackets; - says that there is none; Ctrl-C writes nothing.", file=sys.stderr)
    path, text = headrace.init(data, answers, dir, _ask if asks else None)
    _print({"spec": str(path)}, as_json, f"{text}\nWrote {path}\nNext: headrace run {os.path.relpath(path.parent)}")


def _ask(question: Any) -> str:
    """Puts a question of the interview at the terminal; Enter takes what is suggested."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    if question.problem:
        console.print(Text(f"  {question.problem}", style="red"))
    else:
        console.print(Text(f"\n{question.text}", style="bold"))
        console.print(Text(f"  one of: {', '.join(question.known)}\n" if question.known else "", style="dim"), end="")
    said: str = console.input(Text(f"  [{question.suggestion}: {question.why}] "))
    return said


@app.command()
def run(
    dir: DirArgument = Path(),
    fresh: Annotated[bool, typer.Option("--fresh", help="Do it all again, whatever is kept of earlier runs.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole flow: bundle, gates, promotion and report. What was done before is not done again."""
    import headrace

    _run(headrace.load(dir), as_json, fresh)


@app.command()
def materialize(
    dir: DirArgument = Path(),
    until: Annotated[str | None, typer.Option(help="The last moment of which history counts (ISO 8601, UTC).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fill the online store with the events of the past, so that window features can be read from it."""
    import msgspec

    import headrace

    with _progress() as progress:
        bar = progress.add_task("materializing", total=None)

        def watch(stage: str, detail: str) -> None:
            progress.update(bar, description=f"{stage} {detail}".strip())

        filled = headrace.materialize(headrace.load(dir), _moment("--until", until), watch=watch)
    lines = [
        f"{name:<16} {rows:,} events, history until {filled.watermarks[name] or '-'}"
        for name, rows in filled.events.items()
    ]
    _print(msgspec.to_builtins(filled), as_json, "\n".join([*lines, f"in {filled.store}"]))


_log = typer.Typer(help="The log of a system: events and predictions.", no_args_is_help=True)
app.add_typer(_log, name="log")


@_log.command()
def repair(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Make a damaged log usable again: what is whole goes on, what is not is set aside."""
    import headrace

    done = headrace.repair_log(dir)
    _print({"done": done}, as_json, "\n".join(done) or "nothing is damaged")


@app.command()
def push(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A table file of events.")],
    kind: Annotated[str | None, typer.Option(help="Which of data.events; left out where there is one.")] = None,
    now: Annotated[str | None, typer.Option(help="From when they are known (ISO 8601, UTC) in place of now.")] = None,
    dir: Annotated[Path, typer.Option("--dir", help="The folder with system.yaml.")] = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Tell of events: into the log, from which models are trained, and into the online store."""
    import headrace
    from headrace import tables

    system = headrace.load(dir)
    known = list(system.data.events)
    if kind is None and len(known) != 1:
        raise InputError("--kind", "left out", f"one of: {', '.join(known)}" if known else "data.events in the spec")
    told = tables.load(source, system.data.read, system.data.missing).frame
    count = headrace.push(kind or known[0], told, dir, _moment("--now", now))
    _print({"kind": kind or known[0], "events": count}, as_json, f"{count:,} events of {kind or known[0]}")


@app.command()
def features(
    dirs: Annotated[list[Path] | None, typer.Argument(help="Folders with a system.yaml, as a rule one.")] = None,
    rows: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="IN OUT", help="Compute the windows of the rows of a table file into another."),
    ] = None,
    online: Annotated[bool, typer.Option("--online", help="Read them from the online store.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the features of systems, or compute the window features of given rows."""
    import msgspec

    import headrace
    from headrace import tables
    from headrace.report import text

    systems = [headrace.load(dir) for dir in dirs or [Path()]]
    if rows is None:
        listed = headrace.catalogue(systems)
        _print({"features": msgspec.to_builtins(listed)}, as_json, text.catalogue(listed))
        return
    if len(systems) > 1:
        raise InputError("--rows", f"{len(systems)} folders", "one system")
    source, target = rows
    frame = tables.load(source, systems[0].data.read, systems[0].data.missing).frame
    tables.sink(headrace.window_features(systems[0], frame, online).lazy(), target)
    document = {"rows": frame.height, "output": str(target.absolute())}
    _print(document, as_json, f"window features of {frame.height:,} rows in {target}")


def _moment(option: str, said: str | None) -> Any:
    from datetime import datetime

    try:
        return None if said is None else datetime.fromisoformat(said)
    except ValueError:
        raise InputError(option, f"{said!r}", "a time such as 2026-01-31T12:00") from None


@app.command()
def explore(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Look at the data: columns, their relation to the target, leaks, the split."""
    import headrace
    from headrace.report import text

    with _progress() as progress:
        progress.add_task("exploring", total=None)
        result = headrace.explore(headrace.load(dir))
    document = result.document | {"path": str(result.path)}
    _print(document, as_json, text.explored(document))


@app.command()
def predict(
    model: ModelArgument,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A table file.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the predictions go.")],
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Predict a table file into another."""
    import headrace
    from headrace.predict import Tally, predict_file

    predictor, tally = headrace.open(model, dir), Tally()
    with _progress() as progress:
        bar = progress.add_task(f"predicting {source.name}", total=None)

        def watch(done: int) -> None:
            progress.update(bar, description=f"{done:,} rows")

        rows = predict_file(predictor, source, target, watch, tally)
    document = {"model": f"{predictor.name}@{predictor.version}", "rows": rows, "output": str(target.absolute())}
    document |= {"imputed": dict(tally.imputed), "unseen": dict(tally.unseen)}
    if told := tally.told():
        print(f"warning: {told}", file=sys.stderr)
    _print(document, as_json, f"{rows:,} predictions of {document['model']} in {target}")


@app.command()
def verify(
    model: ModelArgument,
    url: Annotated[str | None, typer.Option(help="Ask this live service instead of the bundle's own graph.")] = None,
    sources: Annotated[
        bool, typer.Option("--sources", help="Read the tables that the bundle names, also of a stranger's.")
    ] = False,
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Re-assess a bundle: checksums, parity, metrics, latency."""
    import headrace

    with _progress() as progress:
        progress.add_task(f"verifying {model}", total=None)
        result = headrace.verify(model, dir, url, sources)
    lines = [
        f"{'ok    ' if one.severity != 'error' else 'FAILED'}  {one.check:<16} {one.message}" for one in result.findings
    ]
    document = {"bundle": result.bundle, "passed": result.passed, "findings": [_plain(one) for one in result.findings]}
    _print(document, as_json, "\n".join(lines))
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def serve(
    models: Annotated[list[str], typer.Argument(help="Bundles, NAME@ALIAS, NAME@VERSION, or the folder of a system.")],
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    host: Annotated[str | None, typer.Option(help="The address to bind to; this machine alone if left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    open: Annotated[
        bool, typer.Option("--open", help="Let everybody in who reaches the address, without a token.")
    ] = False,
    allow_host: Annotated[list[str] | None, typer.Option(help="A further name by which the service is asked.")] = None,
    dir: DirOption = Path(),
) -> None:
    """Serve models over HTTP: POST /predict, the Open Inference Protocol, /docs.

    An alias is followed: `headrace promote` and `rollback` take effect at once. What is left out stands under `serve:`
    in the spec of the first model's system.
    """
    from headrace.serve import serve as serve_forever

    signal.set_wakeup_fd(-1)  # the service ends in its own time
    serve_forever(models, dir, open, port=port, host=host, workers=workers, hosts=allow_host or None)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Whose token it is; one of the same name is replaced.")],
    scopes: Annotated[str, typer.Option(help="What it is for, by commas: predict, write, admin.")] = "predict",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Make a token for the service of a system. From the first one on, the service asks for one.

    It is shown once; only its hash is kept. Without .headrace/tokens.json a service that is started lets everybody in.
    """
    import headrace
    from headrace.serve import add_token

    made = add_token(headrace.load(dir).workspace, name, [one.strip() for one in scopes.split(",")])
    _print({"name": name, "token": made}, as_json, made)


@app.command()
def runs(
    dir: DirArgument = Path(),
    models: Annotated[list[str] | None, typer.Argument(help="Models to compare with the first of them.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the runs of a system, or compare some: specs, metrics on the same test rows, curves."""
    import msgspec

    import headrace
    from headrace.report import text

    if models:
        found = headrace.compare(models, dir)
        _print(found.document | {"page": str(found.page)}, as_json, text.side_by_side(found.document, found.page))
        return
    listed = headrace.runs(dir)
    _print({"runs": msgspec.to_builtins(listed)}, as_json, text.listed(listed))


@app.command()
def promote(
    model: ModelArgument,
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Let an alias stand for a version, by hand; it is recorded."""
    import headrace

    _decided(headrace.promote(model, alias, why, dir), as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="The system's name.")],
    alias: AliasOption = "champion",
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Put an alias back to the version that it stood for before."""
    import headrace

    _decided(headrace.rollback(name, alias, why, dir), as_json)


@app.command()
def history(
    name: Annotated[str, typer.Argument(help="The system's name.")], dir: DirOption = Path(), as_json: JsonFlag = False
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
    import headrace

    left = headrace.clean(headrace.load(dir), round(most * 2**30))
    _print({"bytes": left}, as_json, f"the cache holds {left / 2**20:.1f} MB")


@app.command()
def schema() -> None:
    """Print the JSON schema of system.yaml."""
    from headrace.spec import schema as spec_schema

    print(json.dumps(spec_schema(), indent=2))


@app.command()
def demo(
    name: Annotated[str, typer.Argument(help="Which story: income, bikes, intents or flights.")] = "income",
    dir: Annotated[Path | None, typer.Option(help="Where to put it; ./headrace-NAME if left out.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a whole story on real data."""
    import headrace

    stories = _stories()
    if name not in stories:
        raise InputError("demo", f"no story {name!r}", "one of: " + ", ".join(sorted(stories)))
    folder = (dir or Path(f"headrace-{name}")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for file in stories[name].iterdir():
        if file.is_file() and not (folder / file.name).exists():
            (folder / file.name).write_bytes(file.read_bytes())
    _run(headrace.load(folder), as_json)


def _stories() -> dict[str, Path]:
    """The examples that came with the package, or stand in the source tree."""
    here = Path(__file__).parent
    home = next((place for place in (here / "examples", here.parent / "examples") if place.is_dir()), None)
    return {path.parent.name: path.parent for path in home.glob("*/system.yaml")} if home else {}


def _run(system: Any, as_json: bool, fresh: bool = False) -> None:
    import headrace
    from headrace.report import text

    with _progress() as progress:
        bar = progress.add_task(f"running {system.name}", total=len(_STAGES))

        def watch(stage: str, detail: str) -> None:
            progress.update(bar, description=f"{stage} {detail}".strip(), completed=_STAGES.index(stage))

        result = headrace.run(system, watch, fresh)
    document = result.document
    public = {
        name: document[name]
        for name in (
            "run", "model", "bundle", "report", "cached", "metric", "metrics", "gates", "promoted", "alias", "findings",
            "seconds",
        )
    }  # fmt: skip
    _print(public, as_json, text.told(document))
    if not document["promoted"]:
        raise typer.Exit(1)


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
    """The entry point: a `HeadraceError` becomes one line on stderr and its exit code, a signal 128 and its number."""
    _end_in_time()
    try:
        app()
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception:
        if _interrupted:  # a library that was being loaded made another error of it
            sys.exit(128 + signal.SIGINT)
        raise


def _interrupt(*_: object) -> None:
    _interrupted.append(True)
    raise KeyboardInterrupt


def _end_in_time() -> None:
    """Lets a signal end what is under way in order, and, where that takes too long, at once.

    A library that is at work in C does not hear of it before it returns: a thread does, by the file that the
    interpreter writes each signal to.
    """
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def watch() -> None:
        while True:
            (number,) = os.read(heard, 1)
            if number in (signal.SIGINT, signal.SIGTERM):
                time.sleep(_IN_ORDER_S)
                os._exit(128 + number)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
