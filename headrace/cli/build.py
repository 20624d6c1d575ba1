"""Commands that build a system: `init`, `explore`, `run`, `demo`, `clean`, `schema`."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.options import DirArgument, JsonFlag
from headrace.cli.output import print_result, progress_bar
from headrace.errors import InputError


def init(
    data: Annotated[
        str,
        typer.Argument(
            help="A table: csv, tsv, parquet, ndjson, arrow; a folder, a URL, or a database."
        ),
    ],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    positive: Annotated[str | None, typer.Option(help="The value that is the event.")] = None,
    metric: Annotated[str | None, typer.Option(help="What decides between models.")] = None,
    secondary: Annotated[
        str | None, typer.Option(help="Metrics that must not get worse, by commas.")
    ] = None,
    costs: Annotated[
        str | None, typer.Option(help="Of a false alarm and a miss, such as 1:5.")
    ] = None,
    id: Annotated[str | None, typer.Option(help="The column that names each row.")] = None,
    time: Annotated[
        str | None, typer.Option(help="The column of each row's time, or of its parts.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="The column whose rows stay on one side of a split.")
    ] = None,
    label_delay: Annotated[
        str | None, typer.Option(help="How long until an outcome is known, such as 7d.")
    ] = None,
    prediction: Annotated[str | None, typer.Option(help="online or batch.")] = None,
    latency_ms: Annotated[
        str | None, typer.Option(help="Within how long 99 of 100 rows are answered.")
    ] = None,
    throughput: Annotated[
        str | None, typer.Option(help="Predictions a second at the peak.")
    ] = None,
    sensitive: Annotated[
        str | None, typer.Option(help="Columns that name groups of people, by commas.")
    ] = None,
    holdout: Annotated[
        str | None, typer.Option(help="A table of its own that serves as the test split.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="The rows of a database, such as sqlite:///shop.db.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The system's name; from the file's name if left out.")
    ] = None,
    read: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE", help="How a text is written: separator=;, header=false, …"
        ),
    ] = None,
    dir: Annotated[Path, typer.Option(help="Where system.yaml goes.")] = Path(),
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: take what the data suggests.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask what a design review asks, infer the rest, and write a first, commented system.yaml.

    Each option answers its question; - says that there is none. Away from a terminal nothing is
    asked.
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
        print(
            "Enter takes what stands in brackets; - says that there is none; Ctrl-C writes nothing.",
            file=sys.stderr,
        )
    path, text = headrace.init(data, answers, dir, _ask if asks else None)
    print_result(
        {"spec": str(path)},
        as_json,
        f"{text}\nWrote {path}\nNext: headrace run {os.path.relpath(path.parent)}",
    )


def _ask(question: Any) -> str:
    """Puts a question of the interview at the terminal; Enter takes what is suggested."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    if question.problem:
        console.print(Text(f"  {question.problem}", style="red"))
    else:
        console.print(Text(f"\n{question.text}", style="bold"))
        console.print(
            Text(f"  one of: {', '.join(question.known)}\n" if question.known else "", style="dim"),
            end="",
        )
    said: str = console.input(Text(f"  [{question.suggestion}: {question.why}] "))
    return said


def explore(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Look at the data: columns, their relation to the target, leaks, the split."""
    import msgspec

    import headrace
    from headrace.report import text

    with progress_bar() as progress:
        progress.add_task("exploring", total=None)
        result = headrace.explore(headrace.load(dir))
    document = msgspec.to_builtins(result.document) | {"path": str(result.path)}
    print_result(document, as_json, text.describe_exploration(result.document, result.path))


def run(
    dir: DirArgument = Path(),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do it all again, whatever is kept of earlier runs.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole flow: bundle, gates, promotion and report.

    What was done before is not done again.
    """
    import headrace

    _run(headrace.load(dir), as_json, fresh)


def demo(
    name: Annotated[
        str, typer.Argument(help="Which story: income, bikes, intents or flights.")
    ] = "income",
    dir: Annotated[
        Path | None, typer.Option(help="Where to put it; ./headrace-NAME if left out.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a whole story on real data."""
    import headrace

    known = _stories()
    if name not in known:
        raise InputError("demo", f"no story {name!r}", "one of: " + ", ".join(sorted(known)))
    folder = (dir or Path(f"headrace-{name}")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for file in known[name].iterdir():
        if file.is_file() and not (folder / file.name).exists():
            (folder / file.name).write_bytes(file.read_bytes())
    _run(headrace.load(folder), as_json)


def _stories() -> dict[str, Path]:
    """The examples that came with the package, or stand in the source tree."""
    here = Path(__file__).parent.parent
    home = next(
        (place for place in (here / "examples", here.parent / "examples") if place.is_dir()), None
    )
    return {path.parent.name: path.parent for path in home.glob("*/system.yaml")} if home else {}


def _run(system: Any, as_json: bool, fresh: bool = False) -> None:
    import msgspec

    import headrace
    from headrace.flow import STAGES
    from headrace.report import text

    with progress_bar() as progress:
        bar = progress.add_task(f"running {system.name}", total=len(STAGES))

        def watch(stage: str, detail: str) -> None:
            progress.update(
                bar, description=f"{stage} {detail}".strip(), completed=STAGES.index(stage)
            )

        result = headrace.run(system, watch, fresh)
    document = msgspec.to_builtins(result.document)
    public = {
        name: document[name]
        for name in (
            "run", "model", "bundle", "report", "cached", "metric", "metrics", "gates", "promoted", "alias", "findings",
            "seconds",
        )
    }  # fmt: skip
    print_result(public, as_json, text.describe_run(result.document))
    if not result.document.promoted:
        raise typer.Exit(1)


def clean(
    dir: DirArgument = Path(),
    most: Annotated[float, typer.Option(min=0.0, help="Gigabytes to leave of the cache.")] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Shrink the cache of a system; bundles, runs and the record of decisions stay."""
    import headrace

    left = headrace.clean(headrace.load(dir), round(most * 2**30))
    print_result({"bytes": left}, as_json, f"the cache holds {left / 2**20:.1f} MB")


def schema() -> None:
    """Print the JSON schema of system.yaml."""
    from headrace.spec import schema as spec_schema

    print(json.dumps(spec_schema(), indent=2))
