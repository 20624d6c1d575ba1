"""Running the service: one process, or several behind one socket that replace those that die."""

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
from headrace.serve.models.sources import check, resolve_model
from headrace.serve.routes import ROUTES
from headrace.serve.service import Service
from headrace.spec import ServeSpec

GRACE_S = 10
"""Seconds in which requests under way are answered when a process ends."""


class ServicePlan(Struct, frozen=True):
    """The plan of a service, which each of its processes gets.

    `models` are the references of `headrace serve`, as seen from `folder`. Several processes leave
    their counts in the folder `ledger`, and end when their `parent` has ended.
    """

    models: list[str]
    folder: Path
    settings: ServeSpec
    ledger: Path | None = None
    parent: int | None = None


def make_service(plan: ServicePlan) -> Service:
    """Make the service of one process; raises `HeadraceError` where there is nothing to serve."""
    # `log_event` reports what matters.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    sources = [resolve_model(model, plan.folder) for model in plan.models]
    return Service(sources, plan.settings, ROUTES, plan.ledger, plan.parent)


class _Application:
    """The service as an ASGI application, of which uvicorn uses only the beginning and the end."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"]
            if kind != "lifespan.startup":
                await self.service.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return
            try:
                self.service.start()
            except Exception as error:
                name = type(error).__name__
                log_event("error", "not_started", error=name, why=str(error)[:500])
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})


def _make_application(plan: ServicePlan) -> _Application:
    """Make the application of one process; uvicorn calls this in each."""
    return _Application(make_service(plan))


def _make_connection(config: Any, server_state: Any, **_: Any) -> Connection:
    """Make a connection in the place of uvicorn's own."""
    shared = config.loaded_app.service.connections
    # uvicorn ends these when it stops, and waits until none is left.
    shared.open = server_state.connections
    return Connection(shared)


def make_plan(models: list[str], folder: Path, **settings: Any) -> ServicePlan:
    """Make the plan of `serve`.

    Parameters:
        models: references of models, as `headrace serve` takes them.
        folder: the folder from which they are seen.
        settings: fields of `ServeSpec`; those that are not None replace the ones in the spec of
            the first model's system.

    Raises `HeadraceError` where there is nothing to serve.
    """
    sources = [resolve_model(model, folder) for model in models]
    for source in sources:
        check(source)
    system = sources[0].system
    stated = ServeSpec() if system is None else system.spec.serve
    changes = {name: value for name, value in settings.items() if value is not None}
    paths = [_make_absolute(model) for model in models]
    return ServicePlan(paths, folder.resolve(), structs.replace(stated, **changes))


def serve(models: list[str], folder: Path, open: bool = False, **settings: Any) -> None:
    """Serve models until a signal ends the process; requests under way are answered first.

    Parameters:
        models, folder, settings: see `make_plan`.
        open: whether everybody in a network may ask without a token.

    Raises `HeadraceError` where there is nothing to serve, or the address cannot be listened on.
    """
    plan = make_plan(models, folder, **settings)
    workers = plan.settings.workers
    _check_open(plan, open)
    listener = _open_socket(plan.settings.host, plan.settings.port)
    host, port = listener.getsockname()[:2]
    ledger = None
    if workers > 1:
        ledger = Path(tempfile.mkdtemp(prefix="headrace-serve-"))
        plan = structs.replace(plan, ledger=ledger, parent=os.getpid())

    config = _build_config(plan)
    log_event("info", "listening", url=f"http://{host}:{port}", models=models, workers=workers)
    try:
        if not _run(config, listener, plan):
            do = "the line before this one says why"
            raise WorkError("the service", "did not start", "", do)
    finally:
        listener.close()
        if ledger is not None:
            shutil.rmtree(ledger, ignore_errors=True)


def _build_config(plan: ServicePlan) -> Any:
    """Build uvicorn's settings: it starts and ends processes, and leaves requests to us."""
    import uvicorn

    return uvicorn.Config(
        partial(_make_application, plan),
        factory=True,
        interface="asgi3",
        workers=plan.settings.workers,
        lifespan="on",
        http=_make_connection,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        backlog=2048,
    )


def _run(config: Any, listener: socket.socket, plan: ServicePlan) -> bool:
    """Run the processes until they end; return whether the service has started."""
    if plan.settings.workers == 1:
        from headrace.serve.server import Server

        server = Server(config)
        server.run([listener])
        return bool(server.started)

    from headrace.serve.workers import Workers

    sources = [resolve_model(model, plan.folder) for model in plan.models]
    systems = [source.system for source in sources if source.system is not None]
    supervisor = Workers(config, [listener], [system.workspace for system in systems])
    supervisor.run()
    return not supervisor.failed


def _check_open(plan: ServicePlan, open: bool) -> None:
    """Raise `InputError` where a whole network would be let in, and nobody has asked for that."""
    sources = [resolve_model(model, plan.folder) for model in plan.models]
    systems = [source.system for source in sources if source.system is not None]
    is_guarded = any(read_tokens(system.workspace) for system in systems)
    if not (open or is_guarded or is_loopback(plan.settings.host)):
        raise InputError(
            "--host",
            f"{plan.settings.host}, which other machines can reach, without tokens",
            "a token",
            "`headrace token NAME` makes one; --open lets everybody in",
        )


def _open_socket(host: str, port: int) -> socket.socket:
    """Open the socket that all processes share; raises `WorkError` for an address in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        found = f"cannot be listened on ({error.strerror})"
        raise WorkError(f"{host}:{port}", found, "a free --port") from None
    listener.set_inheritable(True)
    return listener


def _make_absolute(model: str) -> str:
    """Return a path as an absolute one, for processes of another folder; any other as it is."""
    path = Path(model)
    return str(path.resolve()) if path.exists() else model
