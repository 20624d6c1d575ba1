"""Commands that build a model: `explore`, `run`, `clean`, `schema`."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.options import DirArgument, JsonFlag, SecondsOption, TrialsOption
from headrace.cli.output import command_name, print_result, progress_bar

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
        typer.Option("--fresh", help="Run all stages again, and reuse nothing from earlier runs."),
    ] = False,
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole flow: bundle, gates, promotion and report.

    Stages whose inputs have not changed are not run again. --trials and --seconds override
    models.search in the spec for this run.
    """
    import headrace
    from headrace.spec import with_search

    # the bundle is written and the result printed: only the status says that it is refused
    if not run_system(with_search(headrace.load(dir), trials, seconds), as_json, fresh):
        raise typer.Exit(1)


def run_system(system: Any, as_json: bool, fresh: bool = False, next_steps: bool = True) -> bool:
    """Run a system behind a progress bar and print the result; return whether it was promoted."""
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
    lines = [text.describe_run(result.document)]
    if next_steps:
        lines += _list_next_steps(system)
    print_result(printed, as_json, "\n".join(lines))
    return bool(result.document.promoted)


def _list_next_steps(system: Any) -> list[str]:
    """List the commands that a person is likely to want after a run."""
    folder = os.path.relpath(system.root)
    return [
        f"  next    {command_name()} report {folder}",
        f"          {command_name()} serve {folder}",
    ]


def clean(
    dir: DirArgument = Path(),
    most: Annotated[
        float, typer.Option(min=0.0, help="Leave at most this many gigabytes in the cache.")
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
