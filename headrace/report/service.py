"""Renders the pages of the service: the served models, and the reference of its API.

Scripts in them carry a nonce; the pages fetch nothing from elsewhere.
"""

from typing import Any

from headrace.report.page import load_template


def service_page(models: list[dict[str, Any]], nonce: str) -> str:
    """Render the served models, each with a form to try it."""
    page: str = load_template("service.html").render(models=models, nonce=nonce)
    return page


def docs_page(document: dict[str, Any], nonce: str) -> str:
    """Render an OpenAPI document for people: each path, with an example that can be sent."""
    page: str = load_template("docs.html").render(document=document, nonce=nonce)
    return page
