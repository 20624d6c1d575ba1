"""The HTTP service: models by name, version and alias, over the protocols that clients speak."""

from headrace.serve.http.tokens import SCOPES, add_token
from headrace.serve.models.ids import PredictionId, read_id
from headrace.serve.run import ServicePlan, make_service, serve

__all__ = [
    "SCOPES",
    "PredictionId",
    "ServicePlan",
    "add_token",
    "make_service",
    "read_id",
    "serve",
]
