"""The arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")
]
DirArgument = Annotated[Path, typer.Argument(help="The folder with system.yaml.")]
ModelArgument = Annotated[
    str, typer.Argument(help="A bundle's folder, NAME@VERSION or NAME@champion.")
]
DirOption = Annotated[
    Path, typer.Option("--dir", help="The folder whose workspace names are looked up in.")
]
AliasOption = Annotated[str, typer.Option(help="champion, challenger or shadow.")]
WhyOption = Annotated[str, typer.Option(help="The reason, for the record.")]
