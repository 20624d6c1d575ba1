"""Writes a spec as YAML, with the reason for each value in a comment after it."""

import json
import re
from typing import Any

FieldValues = dict[tuple[str, ...], tuple[Any, str]]
"""The value of each field and its reason, by the field's path in the spec.

The value `{}` stands for a branch; its reason is written after the branch's name.
"""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that YAML does not take as they are, and that JSON's quoting leaves as they are."""
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def render_spec(values: FieldValues) -> str:
    r"""Render fields as YAML; branches are in the order of their first field.

    >>> values = {("goal", "target"): ("y", ""), ("seed",): (7, "why"), ("goal", "by"): (2, "")}
    >>> print(render_spec(values), end="")
    goal:
      target: "y"
      by: 2
    seed: 7  # why
    """
    return "".join(f"{line}\n" for line in _render_lines(values, ""))


def _render_lines(values: FieldValues, indent: str) -> list[str]:
    lines = []
    for name in dict.fromkeys(path[0] for path in values):
        value, reason = values.get((name,), ({}, ""))
        below = _select_below(values, name)
        line = f"{indent}{render_value(name)}:"
        if not below:
            line += f" {render_value(value)}"
        if reason:
            line += f"  # {_flatten(reason)}"
        lines.append(line)
        lines += _render_lines(below, indent + "  ")
    return lines


def _select_below(values: FieldValues, branch: str) -> FieldValues:
    """Return the fields below a branch, their paths without its name."""
    below: FieldValues = {}
    for path, value in values.items():
        if path[0] == branch and len(path) > 1:
            below[path[1:]] = value
    return below


def render_value(value: Any) -> str:
    """Render a value as one line of YAML.

    Texts are quoted as in JSON, which YAML reads too, where YAML would read the bare text as
    something else.

    >>> render_value({"by": "cost", "of": ["a b", "no", 1.5]})
    '{by: cost, of: ["a b", "no", 1.5]}'
    """
    if isinstance(value, dict):
        items = [f"{render_value(key)}: {render_value(item)}" for key, item in value.items()]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(render_value, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if isinstance(value, float):
        return _render_float(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _render_float(value: float) -> str:
    """Render a number as YAML 1.1 reads it: with a point before the exponent.

    >>> _render_float(1e-07), _render_float(0.25)
    ('1.0e-07', '0.25')
    """
    text = repr(value)
    if "e" in text and "." not in text:
        return text.replace("e", ".0e")
    return text


def _flatten(reason: str) -> str:
    """Put a reason on one line, whatever values it quotes."""
    printable = "".join(sign if sign.isprintable() else " " for sign in reason)
    return " ".join(printable.split())
