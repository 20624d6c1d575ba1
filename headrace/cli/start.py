"""Commands with which a system begins: `up`, `init`, `demo`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.build import run_system
from headrace.cli.options import (
    JsonFlag,
    SecondsOption,
    TableArgument,
    TargetOption,
    TrialsOption,
    YesFlag,
)
from headrace.cli.output import command_name, print_result
from headrace.cli.service import serve_and_open
from headrace.errors import InputError
from headrace.workspace import SPEC_NAME, is_system


def to_text(value: float | None) -> str | None:
    """Write the number of a flag as an answer of the interview."""
    return None if value is None else f"{value:g}"


def up(
    data: TableArgument,
    target: TargetOption = None,
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Listen on this port; if left out, 8080 or a free one."
        ),
    ] = None,
    dir: Annotated[
        Path | None, typer.Option(help="Work in this folder; if left out, one named after DATA.")
    ] = None,
    yes: YesFlag = False,
) -> None:
    """Take a table to a served model: write the spec, run it, serve the model, open its page.

    All decisions are written to system.yaml. If the folder already has one, that spec is used.
    """
    import headrace
    from headrace.design import Answers, derive_name

    folder = dir or Path(derive_name(data))
    if not is_system(folder):
        answers = Answers(target=target, trials=to_text(trials), seconds=to_text(seconds), yes=True)
        path, _ = headrace.init(data, answers, folder, _find_person(yes))
        print(f"Wrote {os.path.relpath(path)}", file=sys.stderr)

    system = headrace.load(folder)
    _refuse_other(system, data, target)
    is_promoted = run_system(system, as_json=False, next_steps=False)
    if not is_promoted and "champion" not in system.workspace.read_aliases(system.name):
        raise typer.Exit(1)
    serve_and_open(folder, port if port is not None else system.serve.port, port is None)


def _refuse_other(system: Any, data: str, target: str | None) -> None:
    """Refuse a folder whose spec is about another table or target than those asked for."""
    where = os.path.relpath(system.root / SPEC_NAME)
    do = "choose another --dir, or edit the spec"
    stated = system.data.source
    is_same = stated == data or (system.root / stated).resolve() == Path(data).resolve()
    if not is_same:
        raise InputError(where, f"a spec of the table {stated}", f"one of {data}", do)
    if target not in (None, system.goal.target):
        found = f"a spec that predicts {system.goal.target!r}"
        raise InputError(where, found, f"one that predicts {target!r}", do)


def init(
    data: TableArgument,
    target: TargetOption = None,
    task: Annotated[
        str | None, typer.Option(help="State the task: binary, multiclass, regression or ranking.")
    ] = None,
    positive: Annotated[str | None, typer.Option(help="Name the positive class.")] = None,
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
        typer.Option(help="Name the column of times, or the columns of its parts: year,month,…"),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Keep rows with the same value of this column on one side of a split; "
            "of a ranking: the query."
        ),
    ] = None,
    label_delay: Annotated[
        str | None, typer.Option(help="State how long until an outcome is known, such as 7d.")
    ] = None,
    prediction: Annotated[
        str | None, typer.Option(help="State how predictions are requested: online or batch.")
    ] = None,
    latency_ms: Annotated[
        str | None,
        typer.Option(help="Bound the 99th percentile of the latency per row, in milliseconds."),
    ] = None,
    throughput: Annotated[
        str | None, typer.Option(help="State the predictions per second at peak load.")
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
        str | None, typer.Option(help="Name the system; if left out, it is named after the file.")
    ] = None,
    read: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE", help="Describe a text table: separator=;, header=false, …"
        ),
    ] = None,
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    dir: Annotated[Path, typer.Option(help="Write system.yaml into this folder.")] = Path(),
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a first, commented system.yaml from a table and a few questions.

    Each option answers a question; - means none. Questions that nobody answers are decided from the
    data. Questions are asked only at a terminal.
    """
    import headrace
    from headrace.design import Answers

    answers = Answers(
        target=target, task=task, positive=positive, metric=metric, secondary=secondary,
        costs=costs, id=id, time=time, group=group, label_delay=label_delay,
        prediction=prediction, latency_ms=latency_ms, throughput=throughput,
        sensitive=sensitive, holdout=holdout, query=query, name=name, read=read or [],
        trials=to_text(trials), seconds=to_text(seconds), yes=yes,
    )  # fmt: skip
    path, text = headrace.init(data, answers, dir, _find_person(yes or as_json))
    next_step = f"Next: {command_name()} run {os.path.relpath(path.parent)}"
    print_result({"spec": str(path)}, as_json, f"{text}\nWrote {path}\n{next_step}")


def _find_person(is_batch: bool) -> Any:
    """Return the function that asks whoever sits at the terminal; None where nobody is asked."""
    if is_batch or not sys.stdin.isatty() or not sys.stderr.isatty():
        return None
    hint = "Enter accepts the value in brackets; - means none; Ctrl-C quits without writing."
    print(hint, file=sys.stderr)
    return _ask


def _ask(question: Any) -> str:
    """Ask a question of the interview at the terminal; Enter takes the suggestion.

    It looks like this; a refused answer is followed by the reason, and the prompt again:

        Which column should be predicted?
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


_STORY = "story.py"


def demo(
    name: Annotated[
        str, typer.Argument(help="Choose the example: income, bikes, intents, flights, rollout.")
    ] = "income",
    dir: Annotated[
        Path | None, typer.Option(help="Copy it into this folder; ./headrace-NAME if left out.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run an example, from its table to the report, or to the end of its story."""
    import headrace

    known = _find_stories()
    if name not in known:
        raise InputError("demo", f"no example {name!r}", "one of: " + ", ".join(sorted(known)))
    folder = (dir or Path(f"headrace-{name}")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for file in known[name].iterdir():
        # a file that a person has changed stays as it is
        if file.is_file() and not (folder / file.name).exists():
            (folder / file.name).write_bytes(file.read_bytes())
    if (folder / _STORY).exists():
        _run_story(folder)
    elif not run_system(headrace.load(folder), as_json):
        raise typer.Exit(1)


def _run_story(folder: Path) -> None:
    """Run the script of an example that is more than one run."""
    import subprocess

    done = subprocess.run([sys.executable, "-P", str(folder / _STORY), str(folder)], check=False)
    if done.returncode:
        raise typer.Exit(1)


def _find_stories() -> dict[str, Path]:
    """Find the folders of the examples by name: in the installed package, or in a checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "examples", package.parent / "examples"):
        if folder.is_dir():
            return {path.parent.name: path.parent for path in folder.glob("*/system.yaml")}
    return {}
