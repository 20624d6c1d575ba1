"""Compare a reply with the golden one of a bundle's examples."""

from typing import Any

TOLERANCE = 1e-5


def same_reply(found: Any, golden: Any) -> bool:
    """Say whether a reply equals the golden one, numbers within the tolerance.

    Fields that only the reply has do not count.

    >>> same_reply({"prediction": 0.5000001, "prediction_id": "7"}, {"prediction": 0.5})
    True
    """
    if isinstance(golden, dict):
        return isinstance(found, dict) and all(
            name in found and same_reply(found[name], value) for name, value in golden.items()
        )
    if isinstance(golden, float) and isinstance(found, int | float):
        return bool(abs(found - golden) <= TOLERANCE * max(1.0, abs(golden)))
    return bool(found == golden)
