"""The arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")
]
DirArgument = Annotated[Path, typer.Argument(help="Use the system.yaml in this folder.")]
ModelArgument = Annotated[
    str,
    typer.Argument(
        help="Use this model: NAME@VERSION, NAME@champion, or the folder of a bundle or a system."
    ),
]
SystemArgument = Annotated[
    str, typer.Argument(metavar="NAME|DIR", help="Name the system, or give its folder.")
]
DirOption = Annotated[
    Path, typer.Option("--dir", help="Look names up in the workspace of this folder.")
]
AliasOption = Annotated[str, typer.Option(help="Choose the alias: champion, challenger or shadow.")]
WhyOption = Annotated[str, typer.Option(help="Record this reason.")]
TableArgument = Annotated[
    str,
    typer.Argument(
        help="Read this table: csv, tsv, parquet, ndjson, arrow; a folder, URL or database."
    ),
]
TargetOption = Annotated[str | None, typer.Option(help="Predict this column.")]
TrialsOption = Annotated[
    int | None, typer.Option(min=0, help="End the search after this many trials.")
]
SecondsOption = Annotated[
    float | None, typer.Option(min=0.1, help="End the search after this many seconds.")
]
YesFlag = Annotated[bool, typer.Option("--yes", help="Ask nothing; accept what the data suggests.")]
