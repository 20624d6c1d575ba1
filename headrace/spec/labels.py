"""Classes as text, the same in every room."""

from typing import Any


def format_label(label: Any) -> str:
    """Return a class as text: `1.0` and `1` are one class, and `True` is `true`.

    >>> format_label(1.0), format_label(1), format_label(True), format_label("yes")
    ('1', '1', 'true', 'yes')
    """
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)
