"""`GET /rollout`: the status of a rollout. `POST /rollout/NAME`: what an operator asks of it.

    POST /rollout/ads        {"do": "next" | "pause" | "resume" | "arms" | "stop" | "promote",
                              "why": "…", "arms": {"challenger": 0.3}}
    ──> the line of the journal

The service knows neither statistics nor the registry: the status is what the controller wrote last,
and what is asked is done by the command `headrace rollout`, in a process of its own.
"""

import asyncio
import sys
from typing import Any, Literal

import msgspec
from msgspec import Struct

from headrace.serve.http.messages import JSON, Problem, Reply, Request, json_reply
from headrace.serve.models.system import ServedSystem
from headrace.serve.service import Endpoint, Service, decode_body

_LIMIT_S = 30.0
_MOST_LETTERS = 1_000


class Steering(Struct, forbid_unknown_fields=True):
    """The body of a request to `/rollout/NAME`."""

    do: Literal["next", "pause", "resume", "arms", "stop", "promote"]
    why: str = ""
    arms: dict[str, float] = {}


_decode = msgspec.json.Decoder(Steering).decode


async def report(service: Service, request: Request, name: str) -> Reply:
    """Return the status of the rollout of a system, the first one where a path names none."""
    system = _find_system(service, name)
    service.check_system(request, system)
    path = system.workspace.rollout_status(system.spec.name)
    try:
        return Reply(200, [JSON], path.read_bytes())
    except FileNotFoundError:
        nothing = {"name": system.spec.name, "rollout": None}
        return json_reply(nothing)


async def steer(service: Service, request: Request, name: str) -> Reply:
    """Steer the rollout of a system by hand, as `headrace rollout` does."""
    steering: Steering = decode_body(_decode, request.body)
    system = _find_system(service, name)
    service.check_system(request, system)
    if len(steering.why) > _MOST_LETTERS or "\0" in steering.why:
        detail = f"{len(steering.why)} letters; at most {_MOST_LETTERS}, and no NUL"
        raise Problem(422, "rollout", "The reason cannot be recorded", detail)
    shares = [f"{arm}={share!r}" for arm, share in steering.arms.items()]
    if steering.do == "arms" and not shares:
        raise Problem(422, "invalid_rows", "The rollout cannot be steered so", "no `arms`")
    given = shares if steering.do == "arms" else []
    why = ["--why", steering.why] if steering.why else []
    folder = str(system.workspace.root.resolve())
    command = ["rollout", steering.do, *given, *why, "--dir", folder, "--json"]
    status, output, error = await _run(command)
    if status:
        problem = error.strip().removeprefix("error: ")
        raise Problem(422, "rollout", "The rollout cannot be steered so", problem)
    return Reply(200, [JSON], output.encode())


async def _run(command: list[str]) -> tuple[int, str, str]:
    """Run a command of Headrace in a process of its own; return its status and its output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "headrace", *command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, error = await asyncio.wait_for(process.communicate(), _LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, "", f"it took longer than {_LIMIT_S:g} s"
    return process.returncode or 0, output.decode(), error.decode()


def _find_system(service: Service, name: str) -> ServedSystem:
    systems = service.repository.list_systems()
    if not name and systems:
        return next(iter(systems.values()))
    if name not in systems:
        detail = f"{name[:60]!r}; one of: {', '.join(systems) or 'none'}"
        raise Problem(404, "no_such_model", "There is no such system", detail)
    return systems[name]


ROUTES: dict[str, Any] = {
    "/rollout": [Endpoint("rollout", "GET", "predict", report)],
    "/rollout/": [
        Endpoint("rollout", "GET", "predict", report),
        Endpoint("rollout", "POST", "admin", steer),
    ],
}
