"""The pages of the service: what is served, and how it is asked. Scripts in them carry a nonce;
nothing is fetched from elsewhere.
"""

from typing import Any

from headrace.report.page import template
from headrace.report.words import label, number


def service_page(models: list[dict[str, Any]], nonce: str) -> str:
    """What is served: a card for each model, with a form to try it."""
    page: str = template("service.html").render(
        models=models, nonce=nonce, label=label, number=number
    )
    return page


def docs_page(document: dict[str, Any], nonce: str) -> str:
    """An OpenAPI document for people: every path, with an example that can be sent."""
    page: str = template("docs.html").render(document=document, nonce=nonce)
    return page
