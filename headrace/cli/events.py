"""Commands about events and their windows: `features`, `materialize`, `push`, `log repair`."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.options import DirArgument, JsonFlag
from headrace.cli.output import parse_time, print_result, progress_bar
from headrace.errors import InputError


def features(
    dirs: Annotated[
        list[Path] | None,
        typer.Argument(help="Use the system.yaml in these folders; usually one."),
    ] = None,
    rows: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="IN OUT",
            help="Compute the window features of the rows in table IN, and write them to OUT.",
        ),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Read the windows from the online store.")
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
        catalogue = headrace.catalogue(systems)
        document = {"features": msgspec.to_builtins(catalogue)}
        print_result(document, as_json, text.describe_features(catalogue))
        return
    # only the catalogue can be of several systems
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
        str | None, typer.Option(help="Use events up to this time (ISO 8601, UTC).")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fill the online store with past events, so that window features can be read from it."""
    import msgspec

    import headrace

    with progress_bar() as progress:
        bar = progress.add_task("materializing", total=None)

        def watch(stage: str, detail: str) -> None:
            progress.update(bar, description=f"{stage} {detail}".strip())

        filled = headrace.materialize(headrace.load(dir), parse_time("--until", until), watch=watch)
    lines = []
    for name, rows in filled.events.items():
        lines.append(f"{name:<16} {rows:,} events, history until {filled.watermarks[name] or '-'}")
    lines.append(f"in {filled.store}")
    print_result(msgspec.to_builtins(filled), as_json, "\n".join(lines))


def push(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Read this table file of events.")],
    kind: Annotated[
        str | None,
        typer.Option(help="Name the table of data.events; not needed if there is only one."),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(help="Make the events visible from this time (ISO 8601, UTC) instead of now."),
    ] = None,
    dir: Annotated[
        Path, typer.Option("--dir", help="Use the system.yaml in this folder.")
    ] = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Ingest events: append them to the log, for training, and update the online store."""
    import headrace
    from headrace import tables

    system = headrace.load(dir)
    known = list(system.data.events)
    if not kind and len(known) != 1:
        expected = f"one of: {', '.join(known)}" if known else "data.events in the spec"
        raise InputError("--kind", "left out", expected)
    name = kind or known[0]
    frame = tables.load(source, system.data.read, system.data.missing).frame
    count = headrace.push(name, frame, dir, parse_time("--now", now))
    print_result({"kind": name, "events": count}, as_json, f"{count:,} events of {name}")


def repair(dir: DirArgument = Path(), as_json: JsonFlag = False) -> None:
    """Repair a damaged log: copy its intact records, and set the damaged files aside."""
    import headrace

    done = headrace.repair_log(dir)
    print_result({"done": done}, as_json, "\n".join(done) or "nothing is damaged")
