"""Prints results, a document or lines, on stdout, and progress on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headrace.errors import InputError


def print_result(document: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a document as JSON if `as_json`, else its text for people."""
    import msgspec

    print(msgspec.json.encode(document).decode() if as_json else text)


@contextmanager
def progress_bar() -> Iterator[Any]:
    """Show a progress bar on stderr while the block runs, if stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    # in a file or a pipe the bar would be noise
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield progress


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
