"""What people and Prometheus look at: what is served, how it is asked, its model cards, what was counted."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.report import docs_page, service_page
from headrace.serve.api.inference import outputs_of
from headrace.serve.api.openapi import document_of
from headrace.serve.http.messages import JSON, Headers, Problem, Reply, Request, json_reply
from headrace.serve.metrics.exposition import CONTENT_TYPE
from headrace.serve.models.repository import ModelRoute
from headrace.serve.service import Endpoint, Service

_MOST_VALUES = 200
_CARD_POLICY = (
    b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    b"form-action 'none'; base-uri 'none'"
)
"""A bundle may be a stranger's: nothing in its card runs."""


async def home(service: Service, request: Request, path: str) -> Reply:
    """What is served, with a form to try it."""
    routes = [(name, service.repository.routes[name]) for name in service.repository.names]
    return _page(
        lambda nonce: service_page([_told(service, name, route) for name, route in routes], nonce)
    )


async def docs(service: Service, request: Request, path: str) -> Reply:
    """How it is asked, with examples that can be sent."""
    return _page(lambda nonce: docs_page(document_of(service), nonce))


async def openapi(service: Service, request: Request, path: str) -> Reply:
    """The same for programs."""
    return json_reply(document_of(service))


async def card(service: Service, request: Request, ref: str) -> Reply:
    """The model card of what is served."""
    route = await service.route(ref)
    service.allow_system(request, route.served.system)
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", _CARD_POLICY),
        (b"referrer-policy", b"no-referrer"),
    ]
    return Reply(200, headers, route.served.bundle.read("card.html"))


async def metrics(service: Service, request: Request, path: str) -> Reply:
    """What was counted."""
    return Reply(200, [(b"content-type", CONTENT_TYPE)], service.ledger.page())


def _told(service: Service, name: str, route: ModelRoute) -> dict[str, Any]:
    """What the page shows of a model."""
    served = route.served
    manifest, examples = served.bundle.manifest, served.bundle.examples
    shown = [
        ref for ref in service.repository.routes if ref.partition("@")[0] == name and "@" in ref
    ]
    example = examples[0]["request"] if examples else {}
    columns = [
        {
            "name": column.name,
            "kind": column.kind,
            "dtype": column.dtype,
            "optional": column.name in served.optional,
            "categories": (column.categories or [])[:_MOST_VALUES],
            "value": example.get(column.name),
        }
        for column in served.inputs
    ]
    evaluation = served.bundle.evaluation
    metric = evaluation.metric.name
    return {
        "name": name,
        "version": served.version,
        "arm": route.arm,
        "created": manifest.created,
        "task": served.predictor.session.metadata["task"],
        "metric": metric,
        "value": evaluation.metrics["test"].get(metric),
        "routes": {ref: service.repository.routes[ref].served.version for ref in shown},
        "columns": columns,
        "outputs": [one["name"] for one in outputs_of(served)],
    }


def _page(render: Callable[[str], str]) -> Reply:
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    )
    headers: Headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy.encode()),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
    ]
    return Reply(200, headers, render(nonce).encode())


async def dashboard(service: Service, request: Request, path: str) -> Reply:
    """A dashboard of what is counted, for Grafana."""
    return Reply(
        200, [JSON], (Path(__file__).parent.parent / "metrics" / "grafana.json").read_bytes()
    )


async def nothing(service: Service, request: Request, path: str) -> Reply:
    """There is no icon; browsers ask."""
    raise Problem(404, "no_such_path", "There is no icon")


ROUTES = {
    "/": [Endpoint("page", "GET", "predict", home)],
    "/docs": [Endpoint("page", "GET", "predict", docs)],
    "/openapi.json": [Endpoint("page", "GET", "predict", openapi)],
    "/card/": [Endpoint("page", "GET", "predict", card)],
    "/metrics": [Endpoint("metrics", "GET", "admin", metrics)],
    "/grafana.json": [Endpoint("page", "GET", "admin", dashboard)],
    "/favicon.ico": [Endpoint("page", "GET", None, nothing)],
}
