"""The command `headrace`: its menu, and what becomes of errors and signals."""

import os
import signal
import sys

import typer

from headrace.cli import build, events, models, service, signals
from headrace.errors import HeadraceError

COMMANDS = (
    build.init,
    build.run,
    events.materialize,
    events.push,
    events.features,
    build.explore,
    models.predict,
    models.verify,
    service.serve,
    service.token,
    models.runs,
    models.promote,
    models.rollback,
    models.history,
    build.clean,
    build.schema,
    models.migrate,
    build.demo,
)
"""The menu, in the order in which `--help` shows it."""
LOG_COMMANDS = (events.repair,)


def make_app() -> typer.Typer:
    """Makes the typer application of all commands."""
    app = typer.Typer(
        help="Headrace: one spec takes a table to a tested model that predicts the same everywhere.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for command in COMMANDS:
        app.command()(command)

    log = typer.Typer(help="The log of a system: events and predictions.", no_args_is_help=True)
    for command in LOG_COMMANDS:
        log.command()(command)
    app.add_typer(log, name="log")
    return app


def main() -> None:
    """Runs a command: a `HeadraceError` becomes one line on stderr and its exit code, a signal 128 and its number."""
    signals.end_in_time()
    try:
        make_app()()
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception:
        if signals.was_interrupted():  # a library that was being loaded made another error of it
            sys.exit(128 + signal.SIGINT)
        raise
