"""Every route of the service: the endpoints of a path, one for each HTTP method."""

from collections.abc import Mapping

from headrace.serve.api import events, inference, invocations, pages, predict
from headrace.serve.service import Endpoint

ROUTES: Mapping[str, list[Endpoint]] = {
    **predict.ROUTES,
    **events.ROUTES,
    **inference.ROUTES,
    **invocations.ROUTES,
    **pages.ROUTES,
}
