"""Commands about the service: `serve`, `token`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.options import DirOption, JsonFlag
from headrace.cli.output import print_result


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
    workers: Annotated[int | None, typer.Option(min=1, help="Run so many processes.")] = None,
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

    The service follows its aliases: `headrace promote` and `rollback` take effect at once. The spec
    of the first model's system has the values of options that are left out, under `serve:`.
    """
    from headrace.serve import serve as serve_forever

    # the service ends in its own time: see `signals.end_in_time`
    signal.set_wakeup_fd(-1)
    serve_forever(
        models, dir, open, port=port, host=host, workers=workers, hosts=allow_host or None
    )


def token(
    name: Annotated[
        str, typer.Argument(help="Name the token; it replaces an earlier one of this name.")
    ],
    scopes: Annotated[
        str, typer.Option(help="Allow these, separated by commas: predict, write, admin.")
    ] = "predict",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Make a token for the service of a system; from the first one on, the service requires one.

    The token is shown once; only its hash is stored. A service that starts without
    .headrace/tokens.json answers everybody.
    """
    import headrace
    from headrace.serve import add_token

    allowed = [scope.strip() for scope in scopes.split(",")]
    secret = add_token(headrace.load(dir).workspace, name, allowed)
    print_result({"name": name, "token": secret}, as_json, secret)
