"""Running the service: one process, or several behind one socket that are started again when they die."""

import logging
import os
import shutil
import socket
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from headrace.errors import InputError, WorkError
from headrace.serve.http.connection import Connection
from headrace.serve.http.sites import is_loopback
from headrace.serve.http.tokens import read_tokens
from headrace.serve.log_event import log_event
from headrace.serve.models.repository import check, resolve_model
from headrace.serve.routes import ROUTES
from headrace.serve.service import Service
from headrace.spec import ServeSpec

GRACE_S = 10


class ServicePlan(Struct, frozen=True):
    """What a process of the service needs to know: which models (by the names that a person gave,
    seen from `folder`), how, where the processes leave what they count, and which process has
    started them.
    """

    models: list[str]
    folder: Path
    settings: ServeSpec
    ledger: Path | None = None
    parent: int | None = None


def make_service(plan: ServicePlan) -> Service:
    """The service of one process; raises `HeadraceError` where there is nothing to serve."""
    logging.getLogger("uvicorn.error").setLevel(
        logging.CRITICAL
    )  # what matters is told by `log_event`
    sources = [resolve_model(model, plan.folder) for model in plan.models]
    return Service(sources, plan.settings, ROUTES, plan.ledger, plan.parent)


class _Hosted:
    """A service as uvicorn runs it: it is told when the service begins and ends (ASGI's lifespan)."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                try:
                    self.service.start()
                except Exception as error:
                    log_event(
                        "error", "not_started", error=type(error).__name__, why=str(error)[:500]
                    )
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.service.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _hosted(plan: ServicePlan) -> _Hosted:
    return _Hosted(make_service(plan))


def _connection(config: Any, server_state: Any, **_: Any) -> Connection:
    shared = config.loaded_app.service.connections
    shared.open = server_state.connections  # which uvicorn tells to end
    return Connection(shared)


def make_plan(models: list[str], folder: Path, **settings: Any) -> ServicePlan:
    """What `serve` will do: as the spec of the first model's system says, but for the `settings`
    that are not none.

    Raises `HeadraceError` where there is nothing to serve.
    """
    sources = [resolve_model(model, folder) for model in models]
    for source in sources:
        check(source)
    system = sources[0].system
    stated = ServeSpec() if system is None else system.spec.serve
    said = {name: value for name, value in settings.items() if value is not None}
    return ServicePlan(
        [_absolute(model) for model in models], folder.resolve(), structs.replace(stated, **said)
    )


def serve(models: list[str], folder: Path, open: bool = False, **settings: Any) -> None:
    """Serves models until it is told to stop; requests that are under way are answered first.

    Parameters: see `make_plan`; `open` says that others may ask over the network without a token.
    Raises `HeadraceError` where there is nothing to serve, or no socket.
    """
    import uvicorn

    plan = make_plan(models, folder, **settings)
    _check_open(plan, open)
    listening = _socket(plan.settings.host, plan.settings.port)
    host, port = listening.getsockname()[:2]
    ledger = Path(tempfile.mkdtemp(prefix="headrace-serve-")) if plan.settings.workers > 1 else None
    plan = structs.replace(
        plan, ledger=ledger, parent=os.getpid() if plan.settings.workers > 1 else None
    )
    config = uvicorn.Config(
        partial(_hosted, plan),
        factory=True,
        interface="asgi3",
        workers=plan.settings.workers,
        lifespan="on",
        http=_connection,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        backlog=2048,
    )
    log_event(
        "info",
        "listening",
        url=f"http://{host}:{port}",
        models=models,
        workers=plan.settings.workers,
    )
    try:
        if plan.settings.workers == 1:
            from headrace.serve.server import Server

            server = Server(config)
            server.run([listening])
            if not server.started:
                raise WorkError(
                    "the service", "did not start", "", "the line before this one says why"
                )
        else:
            from headrace.serve.workers import Workers

            workers = Workers(config, [listening])
            workers.run()
            if workers.failed:
                raise WorkError(
                    "the service", "did not start", "", "the line before this one says why"
                )
    finally:
        listening.close()
        if ledger is not None:
            shutil.rmtree(ledger, ignore_errors=True)


def _check_open(plan: ServicePlan, open: bool) -> None:
    """Raises `InputError` where everybody in a network would be let in, and nobody said so."""
    systems = [
        source.system for source in (resolve_model(model, plan.folder) for model in plan.models)
    ]
    guarded = any(system is not None and read_tokens(system.workspace) for system in systems)
    if not (open or guarded or is_loopback(plan.settings.host)):
        raise InputError(
            "--host",
            f"{plan.settings.host}, which others reach, and no token is asked for",
            "a token",
            "`headrace token NAME` makes one; --open lets everybody in",
        )


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise WorkError(
            f"{host}:{port}", f"cannot be listened on ({error.strerror})", "a free --port"
        ) from None
    listening.set_inheritable(True)
    return listening


def _absolute(model: str) -> str:
    return str(Path(model).resolve()) if Path(model).exists() else model
