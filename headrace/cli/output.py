"""What commands print: one document or some lines on stdout, progress on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headrace.errors import InputError


def print_result(document: dict[str, Any], as_json: bool, text: str) -> None:
    """Prints a document with `--json`, and its text without."""
    import msgspec

    print(msgspec.json.encode(document).decode() if as_json else text)


@contextmanager
def progress_bar() -> Iterator[Any]:
    """A progress bar on a terminal's stderr, gone when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield progress


def parse_time(option: str, text: str | None) -> Any:
    """Reads the time that an option gives; raises `InputError` where it is none."""
    from datetime import datetime

    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise InputError(option, f"{text!r}", "a time such as 2026-01-31T12:00") from None
