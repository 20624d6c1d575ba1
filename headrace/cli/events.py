"""Commands about events and their windows: `features`, `materialize`, `push`, `log repair`."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.options import DirArgument, JsonFlag
from headrace.cli.output import parse_time, print_result, progress_bar
from headrace.errors import InputError


def features(
    dirs: Annotated[
        list[Path] | None, typer.Argument(help="Folders with a system.yaml, as a rule one.")
    ] = None,
    rows: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="IN OUT", help="Compute the windows of the rows of a table file into another."
        ),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Read them from the online store.")
    ] = False,
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
        print_result(
            {"features": msgspec.to_builtins(listed)}, as_json, text.describe_features(listed)
        )
        return
    if len(systems) > 1:
        raise InputError("--rows", f"{len(systems)} folders", "one system")
    source, target = rows
    frame = tables.load(source, systems[0].data.read, systems[0].data.missing).frame
    tables.sink(headrace.window_features(systems[0], frame, online).lazy(), target)
    document = {"rows": frame.height, "output": str(target.absolute())}
    print_result(document, as_json, f"window features of {frame.height:,} rows in {target}")


def materialize(
    dir: DirArgument = Path(),
    until: Annotated[
        str | None, typer.Option(help="The last moment of which history counts (ISO 8601, UTC).")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fill the online store with the events of the past, so that window features can be read from it."""
    import msgspec

    import headrace

    with progress_bar() as progress:
        bar = progress.add_task("materializing", total=None)

        def watch(stage: str, detail: str) -> None:
            progress.update(bar, description=f"{stage} {detail}".strip())

        filled = headrace.materialize(headrace.load(dir), parse_time("--until", until), watch=watch)
    lines = [
        f"{name:<16} {rows:,} events, history until {filled.watermarks[name] or '-'}"
        for name, rows in filled.events.items()
    ]
    print_result(msgspec.to_builtins(filled), as_json, "\n".join([*lines, f"in {filled.store}"]))


def push(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A table file of events.")],
    kind: Annotated[
        str | None, typer.Option(help="Which of data.events; left out where there is one.")
    ] = None,
    now: Annotated[
        str | None, typer.Option(help="From when they are known (ISO 8601, UTC) in place of now.")
    ] = None,
    dir: Annotated[Path, typer.Option("--dir", help="The folder with system.yaml.")] = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Tell of events: into the log, from which models are trained, and into the online store."""
    import headrace
    from headrace import tables

    system = headrace.load(dir)
    known = list(system.data.events)
    if kind is None and len(known) != 1:
        raise InputError(
            "--kind",
            "left out",
            f"one of: {', '.join(known)}" if known else "data.events in the spec",
        )
    told = tables.load(source, system.data.read, system.data.missing).frame
    count = headrace.push(kind or known[0], told, dir, parse_time("--now", now))
    print_result(
        {"kind": kind or known[0], "events": count},
        as_json,
        f"{count:,} events of {kind or known[0]}",
    )


def repair(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Make a damaged log usable again: what is whole goes on, what is not is set aside."""
    import headrace

    done = headrace.repair_log(dir)
    print_result({"done": done}, as_json, "\n".join(done) or "nothing is damaged")
