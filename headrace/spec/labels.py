"""A class as text, the same wherever it is named."""

from typing import Any


def label_text(label: Any) -> str:
    """A class as text: `1.0` and `1` are one class, `True` is `true`."""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)
