"""Prints results, a document or lines, on stdout, and progress on stderr."""

import os
import shutil
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace.errors import InputError

_COLOURS = {
    "bold green": r"(?m)^(passed|ok)\b|Promoted to champion.*",
    "bold red": r"(?m)^(FAILED|error)\b|Refused: .*",
    "yellow": r"(?m)^warning\b",
}
"""The styles of verdicts in the text of a result, by pattern."""


def print_result(document: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a document as JSON if `as_json`, else its text for people, verdicts in colour."""
    import msgspec

    if as_json:
        print(msgspec.json.encode(document).decode())
    elif sys.stdout.isatty():
        _print_colours(text)
    else:
        print(text)


def _print_colours(text: str) -> None:
    """Print text at a terminal: what passed in green, what failed in red."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    coloured = Text(text)
    for style, pattern in _COLOURS.items():
        coloured.highlight_regex(pattern, style)
    console.print(coloured, soft_wrap=True)


def command_name() -> str:
    """Return the words by which the user starts this command in this shell and folder.

    That is `headrace` where the shell finds it, else a path such as `.venv/bin/headrace`.
    """
    program = Path(sys.argv[0])
    if program.name != "headrace":
        return f"{_name_program(Path(sys.executable))} -m headrace"
    return _name_program(program)


def _name_program(program: Path) -> str:
    found = shutil.which(program.name)
    if found is not None and Path(found).absolute() == program.absolute():
        return program.name
    return os.path.relpath(program)


@contextmanager
def progress_bar() -> Iterator[Any]:
    """Show a progress bar on stderr while the block runs, if stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    # a bar of two lines would leave its first line behind
    one_line = Column(no_wrap=True, overflow="ellipsis")
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=16),
        TextColumn("{task.description}", table_column=one_line),
        TimeElapsedColumn(),
    )
    # in a file or a pipe the bar would be noise
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield progress


def open_page(address: str) -> bool:
    """Open a page in the browser of whoever sits at this machine; say whether it was opened."""
    # on a server `webbrowser` would start a browser of text in the middle of the terminal
    has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    if sys.platform == "linux" and not has_screen:
        return False
    return webbrowser.open(address)


def parse_time(option: str, text: str | None) -> Any:
    """Parse the time of an option; raise `InputError` where it is not a time.

    >>> parse_time("--until", "2026-01-31T12:00").isoformat()
    '2026-01-31T12:00:00'
    >>> parse_time("--until", "yesterday")
    Traceback (most recent call last):
    headrace.errors.InputError: --until: 'yesterday'; expected a time such as 2026-01-31T12:00
    """
    from datetime import datetime

    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise InputError(option, f"{text!r}", "a time such as 2026-01-31T12:00") from None
