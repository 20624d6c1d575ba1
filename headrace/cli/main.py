"""The command `headrace`: its menu, and how errors and signals end it."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from headrace._version import __version__
from headrace.cli import build, events, models, rollout, service, signals, start
from headrace.errors import HeadraceError

COMMANDS = (
    start.up,
    start.init,
    build.run,
    events.materialize,
    events.push,
    events.features,
    build.explore,
    models.predict,
    models.verify,
    service.serve,
    service.token,
    rollout.status,
    rollout.feedback,
    models.runs,
    models.report,
    models.promote,
    models.rollback,
    models.history,
    build.clean,
    build.schema,
    models.eject,
    models.migrate,
    start.demo,
)
"""The commands in the order in which `--help` shows them."""
LOG_COMMANDS = (events.repair,)
ROLLOUT_COMMANDS = (
    rollout.start,
    rollout.next_,
    rollout.pause,
    rollout.resume,
    rollout.arms,
    rollout.stop,
    rollout.promote,
    rollout.plan,
    rollout.run,
    rollout.shadow,
)


def make_app() -> typer.Typer:
    """Build the typer application of all commands."""
    app = typer.Typer(
        help=(
            "Headrace: one spec takes a table to a tested model that predicts the same everywhere."
        ),
        callback=_read_options,
        no_args_is_help=True,
        context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    _add_commands(app, COMMANDS)

    # `headrace log repair`
    log = typer.Typer(help="Maintain the log of a system.", no_args_is_help=True)
    _add_commands(log, LOG_COMMANDS)
    app.add_typer(log, name="log")
    steer = typer.Typer(
        help="Steer a rollout by hand; each step is recorded.", no_args_is_help=True
    )
    _add_commands(steer, ROLLOUT_COMMANDS)
    app.add_typer(steer, name="rollout")
    return app


def _add_commands(app: typer.Typer, commands: tuple[Callable[..., None], ...]) -> None:
    for command in commands:
        # a short help of its own is not cut to one line
        first, _, _ = (command.__doc__ or "").partition("\n\n")
        name = command.__name__.rstrip("_")
        app.command(name, short_help=" ".join(first.split()))(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"headrace {__version__}")
        raise typer.Exit


def _read_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Read the options that stand before a command; `--version` has ended the process by now."""


def main() -> None:
    """Run a command and exit with its status.

    0      success
    1      the work failed, a gate refused, or the reader of the output is gone
    2      wrong usage or bad input; 1 and 2 print one line on stderr for a `HeadraceError`
    128+N  ended by the signal N
    """
    signals.end_in_time()
    try:
        make_app()()
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the interpreter flushes stdout at its end, and would complain of the pipe again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception:
        # a library that was being imported may turn the interrupt into an error of its own
        if signals.was_interrupted():
            sys.exit(128 + signal.SIGINT)
        raise
