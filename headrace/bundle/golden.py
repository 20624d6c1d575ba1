"""Compare a reply with the golden one of a bundle's examples."""

from typing import Any

from headrace.spec import format_label

TOLERANCE = 1e-5


def same_reply(found: Any, golden: Any, scale: float = 1.0) -> bool:
    """Say whether a reply equals the golden one, numbers within the tolerance.

    A number may be off by the tolerance times the largest of 1, its size and the `scale`. A label
    may be another one whose probability is as close. Fields that only the reply has do not count.

    >>> same_reply({"prediction": 0.5000001, "prediction_id": "7"}, {"prediction": 0.5})
    True
    >>> same_reply({"prediction": 10.2}, {"prediction": 10.0}, scale=68_000.0)
    True
    """
    if isinstance(golden, dict):
        return isinstance(found, dict) and all(
            name in found
            and (same_reply(found[name], value, scale) or _is_tie(name, found, golden))
            for name, value in golden.items()
        )
    if isinstance(golden, float) and isinstance(found, int | float):
        return bool(abs(found - golden) <= TOLERANCE * max(1.0, abs(golden), scale))
    return bool(found == golden)


def _is_tie(name: str, found: dict[str, Any], golden: dict[str, Any]) -> bool:
    """Say whether two predicted labels have probabilities that cannot be told apart."""
    probabilities = golden.get("probabilities")
    if name != "prediction" or not isinstance(probabilities, dict):
        return False
    own = probabilities.get(format_label(found[name]), float("inf"))
    best = probabilities.get(format_label(golden[name]), float("inf"))
    return bool(abs(own - best) <= TOLERANCE)
