"""The HTTP service: models by name, version and alias, over the protocols that clients speak."""

from headrace.serve.http.tokens import SCOPES, add_token
from headrace.serve.models.ids import Named, read_id
from headrace.serve.run import Plan, app, serve

__all__ = [
    "SCOPES",
    "Named",
    "Plan",
    "add_token",
    "app",
    "read_id",
    "serve",
]
