"""Every route of the service: the endpoints of a path, one for each HTTP method."""

from collections.abc import Mapping

from headrace.serve.api import (
    events,
    feedback,
    inference,
    invocations,
    pages,
    predict,
    rank,
    rollout,
)
from headrace.serve.service import Endpoint

ROUTES: Mapping[str, list[Endpoint]] = {
    **predict.ROUTES,
    **rank.ROUTES,
    **events.ROUTES,
    **feedback.ROUTES,
    **rollout.ROUTES,
    **inference.ROUTES,
    **invocations.ROUTES,
    **pages.ROUTES,
}
