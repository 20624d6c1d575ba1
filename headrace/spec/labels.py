"""Classes as text, the same in every room."""

from typing import Any


def label_text(label: Any) -> str:
    """Return a class as text: `1.0` and `1` are one class, and `True` is `true`.

    >>> label_text(1.0), label_text(1), label_text(True), label_text("yes")
    ('1', '1', 'true', 'yes')
    """
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)
