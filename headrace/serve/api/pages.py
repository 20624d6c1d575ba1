"""Pages for people and Prometheus: the models, how to ask them, their cards, and the metrics."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.report import docs_page, service_page
from headrace.serve.api.inference import list_outputs
from headrace.serve.api.openapi import build_document
from headrace.serve.http.messages import JSON, Headers, Problem, Reply, Request, json_reply
from headrace.serve.metrics.exposition import CONTENT_TYPE
from headrace.serve.models.arms import ModelRoute
from headrace.serve.models.served import ServedModel
from headrace.serve.service import Endpoint, Service
from headrace.tables import Column

_MAX_CATEGORIES = 200
"""Categories of a column that a form offers."""
_DASHBOARD = Path(__file__).parent.parent / "metrics" / "grafana.json"
_HTML = (b"content-type", b"text/html; charset=utf-8")
_NO_REFERRER = (b"referrer-policy", b"no-referrer")
_CARD_POLICY = (
    b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    b"frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
)
"""A bundle may be a stranger's: nothing in its card runs."""


async def show_home(service: Service, request: Request, path: str) -> Reply:
    """Show the models, each with a form to try it."""
    routes = service.repository.routes
    models = [_describe_model(service, name, routes[name]) for name in service.repository.names]
    return _build_page(lambda nonce: service_page(models, nonce))


async def show_docs(service: Service, request: Request, path: str) -> Reply:
    """Show how to ask the service, with examples that can be sent."""
    document = build_document(service)
    return _build_page(lambda nonce: docs_page(document, nonce))


async def show_openapi(service: Service, request: Request, path: str) -> Reply:
    """Return the OpenAPI document, which says the same to programs."""
    return json_reply(build_document(service))


async def show_card(service: Service, request: Request, ref: str) -> Reply:
    """Show the model card of a model."""
    route = await service.find_route(ref)
    service.check_system(request, route.served.system)
    headers = [_HTML, (b"content-security-policy", _CARD_POLICY), _NO_REFERRER]
    return Reply(200, headers, route.served.bundle.read("card.html"))


async def show_metrics(service: Service, request: Request, path: str) -> Reply:
    """Return the metrics of all processes for Prometheus."""
    return Reply(200, [(b"content-type", CONTENT_TYPE)], service.ledger.page())


async def show_dashboard(service: Service, request: Request, path: str) -> Reply:
    """Return a dashboard of the metrics for Grafana."""
    return Reply(200, [JSON], _DASHBOARD.read_bytes())


async def refuse_icon(service: Service, request: Request, path: str) -> Reply:
    """Refuse the icon, which does not exist and which browsers ask for."""
    raise Problem(404, "no_such_path", "There is no icon")


def _describe_model(service: Service, name: str, route: ModelRoute) -> dict[str, Any]:
    """Return the values of a model that its part of the page shows."""
    served = route.served
    evaluation = served.bundle.evaluation
    metric = evaluation.metric.name
    versions: dict[str, int] = {}
    for ref, other in service.repository.routes.items():
        if ref.partition("@")[0] == name and "@" in ref:
            versions[ref] = other.served.version
    return {
        "name": name,
        "version": served.version,
        "arm": route.arm,
        "created": served.bundle.manifest.created,
        "task": served.predictor.session.metadata["task"],
        "metric": metric,
        "value": evaluation.metrics["test"].get(metric),
        "routes": versions,
        "columns": [_describe_column(served, column) for column in served.inputs],
        "outputs": [output["name"] for output in list_outputs(served)],
        "event": served.predictor.scored[0] if served.predictor.is_binary else None,
        "target": served.predictor.target,
    }


def _describe_column(served: ServedModel, column: Column) -> dict[str, Any]:
    """Return the values of a column that the form shows, with that of a golden request."""
    examples = served.bundle.examples
    example = examples[0]["request"] if examples else {}
    return {
        "name": column.name,
        "kind": column.kind,
        "dtype": column.dtype,
        "optional": column.name in served.optional,
        "categories": (column.categories or [])[:_MAX_CATEGORIES],
        "value": example.get(column.name),
    }


def _build_page(render: Callable[[str], str]) -> Reply:
    """Render a page whose own scripts run, and no others: they carry the nonce of the reply."""
    # Each reply has its own: a nonce that is known beforehand would let injected scripts run.
    nonce = secrets.token_urlsafe(16)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'nonce-{nonce}'; connect-src 'self'; frame-ancestors 'none'; "
        "form-action 'self'; base-uri 'none'"
    )
    headers: Headers = [
        _HTML,
        (b"content-security-policy", policy.encode()),
        (b"cache-control", b"no-store"),
        _NO_REFERRER,
    ]
    return Reply(200, headers, render(nonce).encode())


ROUTES = {
    "/": [Endpoint("page", "GET", "predict", show_home)],
    "/docs": [Endpoint("page", "GET", "predict", show_docs)],
    "/openapi.json": [Endpoint("page", "GET", "predict", show_openapi)],
    "/card/": [Endpoint("page", "GET", "predict", show_card)],
    "/metrics": [Endpoint("metrics", "GET", "admin", show_metrics)],
    "/grafana.json": [Endpoint("page", "GET", "admin", show_dashboard)],
    "/favicon.ico": [Endpoint("page", "GET", None, refuse_icon)],
}
