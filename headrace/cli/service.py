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
        typer.Argument(help="Bundles, NAME@ALIAS, NAME@VERSION, or the folder of a system."),
    ],
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to bind to; this machine alone if left out.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    open: Annotated[
        bool,
        typer.Option("--open", help="Let everybody in who reaches the address, without a token."),
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name by which the service is asked.")
    ] = None,
    dir: DirOption = Path(),
) -> None:
    """Serve models over HTTP: POST /predict, the Open Inference Protocol, /docs.

    An alias is followed: `headrace promote` and `rollback` take effect at once. What is left out
    stands under `serve:` in the spec of the first model's system.
    """
    from headrace.serve import serve as serve_forever

    signal.set_wakeup_fd(-1)  # the service ends in its own time
    serve_forever(
        models, dir, open, port=port, host=host, workers=workers, hosts=allow_host or None
    )


def token(
    name: Annotated[
        str, typer.Argument(help="Whose token it is; one of the same name is replaced.")
    ],
    scopes: Annotated[
        str, typer.Option(help="What it is for, by commas: predict, write, admin.")
    ] = "predict",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Make a token for the service of a system. From the first one on, the service asks for one.

    It is shown once; only its hash is kept. Without .headrace/tokens.json a service that is started
    lets everybody in.
    """
    import headrace
    from headrace.serve import add_token

    made = add_token(headrace.load(dir).workspace, name, [one.strip() for one in scopes.split(",")])
    print_result({"name": name, "token": made}, as_json, made)
