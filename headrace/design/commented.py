"""YAML with the reason beside each value."""

import json
import re
from typing import Any

FieldValues = dict[tuple[str, ...], tuple[Any, str]]
"""Values by their path in the spec, each with its reason; `{}` is a branch whose reason stands beside its name."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML does not take as it is, and JSON's quoting leaves as it is."""
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def render_spec(said: FieldValues) -> str:
    r"""The YAML text; branches stand in the order of their first value.

    >>> print(render_spec({("goal", "target"): ("y", ""), ("seed",): (7, "why"), ("goal", "by"): (2, "")}), end="")
    goal:
      target: "y"
      by: 2
    seed: 7  # why
    """
    return "".join(f"{line}\n" for line in _lines(said, ""))


def _lines(said: FieldValues, indent: str) -> list[str]:
    lines = []
    for name in dict.fromkeys(path[0] for path in said):
        value, reason = said.get((name,), ({}, ""))
        below = {path[1:]: one for path, one in said.items() if path[0] == name and len(path) > 1}
        shown = "" if below else f" {yaml(value)}"
        lines.append(f"{indent}{yaml(name)}:{shown}" + (f"  # {_remark(reason)}" if reason else ""))
        lines += _lines(below, indent + "  ")
    return lines


def yaml(value: Any) -> str:
    """A value on one line; JSON's quoting is YAML's where a bare word would be read as something
    else.

    >>> yaml({"by": "cost", "of": ["a b", "no", 1.5]})
    '{by: cost, of: ["a b", "no", 1.5]}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{yaml(key)}: {yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(value, ensure_ascii=False))


def _remark(reason: str) -> str:
    """A reason on one line, whatever values it quotes."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in reason).split())
