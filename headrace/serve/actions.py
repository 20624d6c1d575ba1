"""Every route of the service."""

from collections.abc import Mapping

from headrace.serve import inference, invocations, pages, predictions, pushes
from headrace.serve.service import Action

ACTIONS: Mapping[str, list[Action]] = {
    **predictions.ACTIONS,
    **pushes.ACTIONS,
    **inference.ACTIONS,
    **invocations.ACTIONS,
    **pages.ACTIONS,
}
