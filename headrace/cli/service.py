"""Commands about the service: `serve`, `token`."""

import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.options import DirOption, JsonFlag
from headrace.cli.output import open_page, print_result
from headrace.clock import SYSTEM

_START_S = 60


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Serve these: bundles, NAME@ALIAS, NAME@VERSION, or the folder of a system."
        ),
    ],
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Listen on this port.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Listen on this address, such as 0.0.0.0 for other machines.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Run this many processes.")] = None,
    open: Annotated[
        bool,
        typer.Option("--open", help="Answer everybody who reaches the address, without a token."),
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Answer requests for this host name, too.")
    ] = None,
    dir: DirOption = Path(),
) -> None:
    """Serve models over HTTP: POST /predict, the Open Inference Protocol, /docs.

    The service follows its aliases: `headrace promote` and `rollback` take effect at once. Options
    that are left out are taken from `serve:` in the spec of the first model's system.
    """
    from headrace.serve import serve as serve_forever

    # the service ends in its own time: see `signals.end_in_time`
    signal.set_wakeup_fd(-1)
    serve_forever(
        models, dir, open, port=port, host=host, workers=workers, hosts=allow_host or None
    )


def serve_and_open(folder: Path, port: int, or_free: bool) -> None:
    """Serve the system of a folder, and open its page as soon as it answers.

    Parameters: `or_free`, whether a port that is taken may be replaced by a free one.
    """
    from headrace.serve import serve as serve_forever

    port = _pick_port(port, or_free)
    address = f"http://127.0.0.1:{port}"
    threading.Thread(target=_open_when_ready, args=(address,), daemon=True).start()
    signal.set_wakeup_fd(-1)  # see `serve`
    serve_forever([str(folder)], Path(), False, port=port)


def _pick_port(port: int, or_free: bool) -> int:
    """Return a port, or a free one where it is taken."""
    for wanted in (port, 0) if or_free else ():
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])
    return port


def _open_when_ready(address: str) -> None:
    """Open the page of a service that is about to start, and say where it is."""
    from urllib.request import urlopen

    deadline = SYSTEM.monotonic_s() + _START_S
    while SYSTEM.monotonic_s() < deadline:
        with suppress(OSError), urlopen(f"{address}/health/ready", timeout=1):
            print(f"Serving at {address}/ until Ctrl-C", flush=True)
            open_page(address)
            return
        time.sleep(0.1)


def token(
    name: Annotated[
        str, typer.Argument(help="Name the token; it replaces an earlier one of this name.")
    ],
    scopes: Annotated[
        str, typer.Option(help="Allow these scopes, separated by commas: predict, write, admin.")
    ] = "predict",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Make a token for the service of a system; once one exists, the service requires a token.

    The token is shown once; only its hash is stored. While no token
    exists, the service answers everybody.
    """
    import headrace
    from headrace.serve import add_token

    allowed = [scope.strip() for scope in scopes.split(",")]
    secret = add_token(headrace.load(dir).workspace, name, allowed)
    print_result({"name": name, "token": secret}, as_json, secret)
