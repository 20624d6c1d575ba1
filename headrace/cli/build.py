"""Commands that build a system: `init`, `explore`, `run`, `demo`, `clean`, `schema`."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.options import DirArgument, JsonFlag
from headrace.cli.output import command_name, print_result, progress_bar
from headrace.errors import InputError

_RUN_FIELDS = (
    "run",
    "model",
    "bundle",
    "report",
    "cached",
    "metric",
    "metrics",
    "gates",
    "promoted",
    "alias",
    "findings",
    "seconds",
)
"""The fields of a run's document that `--json` prints; `run.json` has all of them."""


def init(
    data: Annotated[
        str,
        typer.Argument(
            help="Read this table: csv, tsv, parquet, ndjson, arrow; a folder, URL or database."
        ),
    ],
    target: Annotated[str | None, typer.Option(help="Predict this column.")] = None,
    task: Annotated[
        str | None, typer.Option(help="State the task: binary, multiclass or regression.")
    ] = None,
    positive: Annotated[str | None, typer.Option(help="Name the value that is the event.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="Name the metric that decides between models.")
    ] = None,
    secondary: Annotated[
        str | None, typer.Option(help="List metrics that must not get worse, separated by commas.")
    ] = None,
    costs: Annotated[
        str | None, typer.Option(help="State the costs of a false alarm and a miss, such as 1:5.")
    ] = None,
    id: Annotated[
        str | None, typer.Option(help="Name the column that identifies each row.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="Name the column of times, or of their parts, separated by commas."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Keep rows of one value of this column on one side of a split."),
    ] = None,
    label_delay: Annotated[
        str | None, typer.Option(help="State how long until an outcome is known, such as 7d.")
    ] = None,
    prediction: Annotated[
        str | None, typer.Option(help="State how predictions are requested: online or batch.")
    ] = None,
    latency_ms: Annotated[
        str | None,
        typer.Option(help="Bound the milliseconds in which 99 of 100 rows are answered."),
    ] = None,
    throughput: Annotated[
        str | None, typer.Option(help="State the predictions per second at the peak.")
    ] = None,
    sensitive: Annotated[
        str | None,
        typer.Option(help="List columns that name groups of people, separated by commas."),
    ] = None,
    holdout: Annotated[str | None, typer.Option(help="Use this table as the test split.")] = None,
    query: Annotated[
        str | None,
        typer.Option(help="Select the rows, if DATA is a database such as sqlite:///shop.db."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name the system; the file's name if left out.")
    ] = None,
    read: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE", help="Describe a text table: separator=;, header=false, …"
        ),
    ] = None,
    dir: Annotated[Path, typer.Option(help="Write system.yaml into this folder.")] = Path(),
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: take what the data suggests.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a first, commented system.yaml from a table and a few questions.

    Each option answers a question; - means none. The data decides where nobody answers. Questions
    are only asked at a terminal.
    """
    import headrace
    from headrace.design import Answers

    answers = Answers(
        target=target, task=task, positive=positive, metric=metric, secondary=secondary,
        costs=costs, id=id, time=time, group=group, label_delay=label_delay,
        prediction=prediction, latency_ms=latency_ms, throughput=throughput,
        sensitive=sensitive, holdout=holdout, query=query, name=name, read=read or [], yes=yes,
    )  # fmt: skip
    is_interactive = not (yes or as_json) and sys.stdin.isatty() and sys.stderr.isatty()
    if is_interactive:
        hint = "Enter takes the value in brackets; - means none; Ctrl-C writes nothing."
        print(hint, file=sys.stderr)
    path, text = headrace.init(data, answers, dir, _ask if is_interactive else None)
    next_step = f"Next: {command_name()} run {os.path.relpath(path.parent)}"
    print_result({"spec": str(path)}, as_json, f"{text}\nWrote {path}\n{next_step}")


def _ask(question: Any) -> str:
    """Ask a question of the interview at the terminal; Enter takes the suggestion.

    It looks like this; a refused answer is followed by the reason, and the prompt again:

        Which column shall be predicted?
          one of: id, x, y
          [y: the last column]
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    if question.problem:
        console.print(Text(f"  {question.problem}", style="red"))
    else:
        console.print(Text(f"\n{question.text}", style="bold"))
        if question.known:
            console.print(Text(f"  one of: {', '.join(question.known)}", style="dim"))
    answer: str = console.input(Text(f"  [{question.suggestion}: {question.why}] "))
    return answer


def explore(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Describe the data: columns, their relation to the target, leaks, the split."""
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
        bool,
        typer.Option("--fresh", help="Run all stages again, and reuse nothing of earlier runs."),
    ] = False,
    trials: Annotated[
        int | None, typer.Option(min=0, help="End the search after so many trials.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="End the search after so many seconds.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole flow: bundle, gates, promotion and report.

    Stages whose inputs have not changed are not run again. --trials and --seconds take the place of
    models.search in the spec, for this run.
    """
    import headrace
    from headrace.spec import with_search

    _run(with_search(headrace.load(dir), trials, seconds), as_json, fresh)


def demo(
    name: Annotated[
        str, typer.Argument(help="Choose the example: income, bikes, intents or flights.")
    ] = "income",
    dir: Annotated[
        Path | None, typer.Option(help="Copy it into this folder; ./headrace-NAME if left out.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run an example on real data, from its table to the report."""
    import headrace

    known = _find_stories()
    if name not in known:
        raise InputError("demo", f"no story {name!r}", "one of: " + ", ".join(sorted(known)))
    folder = (dir or Path(f"headrace-{name}")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for file in known[name].iterdir():
        # a file that a person has changed stays as it is
        if file.is_file() and not (folder / file.name).exists():
            (folder / file.name).write_bytes(file.read_bytes())
    _run(headrace.load(folder), as_json)


def _find_stories() -> dict[str, Path]:
    """Find the folders of the examples by name: in the installed package, or in a checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "examples", package.parent / "examples"):
        if folder.is_dir():
            return {path.parent.name: path.parent for path in folder.glob("*/system.yaml")}
    return {}


def _run(system: Any, as_json: bool, fresh: bool = False) -> None:
    """Run a system behind a progress bar and print the result; exit with 1 if it is refused."""
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
    printed = {name: document[name] for name in _RUN_FIELDS}
    print_result(printed, as_json, f"{text.describe_run(result.document)}\n{_next_steps(system)}")
    # the bundle is written and the result printed: only the status says that it is refused
    if not result.document.promoted:
        raise typer.Exit(1)


def _next_steps(system: Any) -> str:
    """Name the commands that a person is likely to want after a run."""
    folder = os.path.relpath(system.root)
    return f"  next    {command_name()} report {folder}\n          {command_name()} serve {folder}"


def clean(
    dir: DirArgument = Path(),
    most: Annotated[
        float, typer.Option(min=0.0, help="Leave so many gigabytes in the cache.")
    ] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Shrink the cache of a system; bundles, runs and the record of decisions stay."""
    import headrace

    size = headrace.clean(headrace.load(dir), round(most * 2**30))
    print_result({"bytes": size}, as_json, f"the cache holds {size / 2**20:.1f} MB")


def schema() -> None:
    """Print the JSON schema of system.yaml."""
    from headrace.spec import schema as spec_schema

    print(json.dumps(spec_schema(), indent=2))
