"""Every route of the service."""

from collections.abc import Mapping

from headrace.serve.api import events, inference, invocations, pages, predict
from headrace.serve.service import Action

ACTIONS: Mapping[str, list[Action]] = {
    **predict.ACTIONS,
    **events.ACTIONS,
    **inference.ACTIONS,
    **invocations.ACTIONS,
    **pages.ACTIONS,
}
