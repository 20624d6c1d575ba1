"""Strict decoding of plain data into the spec's tree.

`msgspec` stops at the first problem. So the tree is walked here once more, to report every problem
at once, each with its path and a hint:

    {"goal": {"traget": "y"}, "seed": "x"}
       │        └ goal.traget: unknown field; …; did you mean 'target'?
       ├ goal.target: missing; expected text
       └ seed: found 'x'; expected a whole number …
"""

import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from headrace.errors import InputError, SpecError, nearest
from headrace.spec.data import ReadSpec
from headrace.spec.gates import parse_gate
from headrace.spec.metrics import METRICS, Metric, describe_metrics
from headrace.spec.system import System

_EXPONENT = re.compile(r"[-+]?[0-9]+e[-+]?[0-9]+")


def decode(data: Any, where: str = "system.yaml") -> System:
    """Turn parsed YAML or JSON into a `System`.

    Raises `SpecError` with, for each problem, its path, what was found, what is allowed, and the
    nearest known name:

    >>> decode({"name": "ads", "goal": {"traget": "y", "target": "y"}, "data": {"source": "a.csv"}})
    Traceback (most recent call last):
    headrace.errors.SpecError: system.yaml: goal.traget: unknown field; \
expected one of: target, task, positive, label_delay, metric, gain, relevant, secondary, \
decision; \
did you mean 'target'?
    """
    if problems := find_problems(data, System):
        raise SpecError(where, "\n  ".join(problems) if len(problems) > 1 else problems[0])
    system = msgspec.convert(data, System)
    for index, text in enumerate(system.gates):
        parse_gate(text, f"{where}: gates[{index}]")
    return system


def find_problems(data: Any, tree: type[msgspec.Struct]) -> list[str]:
    """Describe everything that keeps plain data from being decoded into `tree`."""
    problems: list[str] = []
    _walk(data, tree, "", problems)
    return problems


def parse_read_flags(flags: list[str]) -> ReadSpec:
    """Decode the values of `--read` into the branch `data.read`.

    Raises `InputError` for an unknown field or a wrong value.

    >>> parse_read_flags(["header=a,b"]).header
    ['a', 'b']
    """
    fields = split_read_flags(flags)
    if problems := find_problems(fields, ReadSpec):
        raise InputError("--read", problems[0])
    return msgspec.convert(fields, ReadSpec)


def split_read_flags(flags: list[str]) -> dict[str, Any]:
    """Split values of `--read`, such as `separator=;` and `header=a,b,c`, into fields.

    Raises `InputError` for a flag without `=`. The fields are not checked.

    >>> split_read_flags(["separator=;", "skip=2", "header=false"])
    {'separator': ';', 'skip': 2, 'header': False}
    """
    fields: dict[str, Any] = {}
    for flag in flags:
        name, equals, value = flag.partition("=")
        if not equals:
            expected = "a field of data.read and its value, such as separator=;"
            raise InputError("--read", repr(flag), expected)
        fields[name] = _parse_read_value(name, value)
    return fields


def _parse_read_value(name: str, value: str) -> Any:
    if name == "header":
        return {"true": True, "false": False}.get(value, value.split(","))
    if name == "skip" and value.isdecimal():
        return int(value)
    return "\t" if value == "tab" else value


def _walk(value: Any, annotation: Any, path: str, problems: list[str]) -> None:
    """Append the problems of a value, and of all values in it, to `problems`."""
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if get_origin(inner) in (Union, types.UnionType):
        options = [option for option in get_args(inner) if option is not types.NoneType]
        if value is None and len(options) < len(get_args(inner)):
            return
        # of one option the problems inside can be named, of several it is unknown which was meant
        if len(options) == 1:
            return _walk(value, options[0], path, problems)

    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        return _walk_struct(value, inner, path, problems)
    if get_origin(inner) is list and isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, get_args(inner)[0], f"{path}[{index}]", problems)
    elif get_origin(inner) is dict and isinstance(value, dict):
        for key, item in value.items():
            _check(key, get_args(inner)[0], f"{path}.{key} (the name)", problems)
            _walk(item, get_args(inner)[1], f"{path}.{key}", problems)
        return
    _check(value, annotation, path, problems)


def _walk_struct(value: Any, struct: type[msgspec.Struct], path: str, problems: list[str]) -> None:
    """Append unknown and missing fields, and the problems of the others, to `problems`."""
    names = _field_names(struct)
    if not isinstance(value, dict):
        where = path or "the document"
        problems.append(f"{where}: found {_show(value)}; expected fields ({', '.join(names)})")
        return

    hints = get_type_hints(struct, include_extras=True)
    for key, item in value.items():
        at = f"{path}.{key}" if path else str(key)
        if key in names:
            _walk(item, hints[key], at, problems)
        else:
            problem = f"{at}: unknown field; expected one of: {', '.join(names)}"
            problems.append(_with_hint(problem, nearest(str(key), names)))

    for field in msgspec.structs.fields(struct):
        if field.required and field.name not in value:
            at = f"{path}.{field.name}" if path else field.name
            problems.append(f"{at}: missing; expected {_describe_type(hints[field.name])}")


def _check(value: Any, annotation: Any, path: str, problems: list[str]) -> None:
    """Append a problem for a value that is not of its type or is out of bounds.

    A list whose items have problems is not reported a second time.
    """
    if any(problem.startswith(f"{path}[") for problem in problems):
        return
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        allowed = get_args(annotation) if get_origin(annotation) is Literal else ()
        if _is_metric(annotation):
            allowed = tuple(METRICS)
        hint = nearest(str(value), [str(option) for option in allowed]) if allowed else ""
        if isinstance(value, str) and _EXPONENT.fullmatch(value):
            hint = f"YAML reads such a number only with a point: {value.replace('e', '.0e')}"
        problem = f"{path}: found {_show(value)}; expected {_describe_type(annotation)}"
        problems.append(_with_hint(problem, hint))


def _is_metric(annotation: Any) -> bool:
    """Say whether an annotation is that of a metric's name, or of one that may be left out."""
    options = get_args(annotation) if get_origin(annotation) is not Annotated else ()
    return annotation == Metric or Metric in options


def _with_hint(problem: str, hint: str) -> str:
    return f"{problem}; {hint}" if hint else problem


def _field_names(struct: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(struct)]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_TYPE_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    types.NoneType: "null",
}


def _describe_type(annotation: Any) -> str:
    """Describe an annotation in words, bounds and patterns included.

    >>> _describe_type(list[Annotated[int, msgspec.Meta(ge=1)]] | None)
    'a list of a whole number >= 1 or null'
    """
    origin = get_origin(annotation)
    args = get_args(annotation)
    if annotation == Metric:
        return describe_metrics()
    if origin is Annotated:
        bounds = [_describe_bounds(meta) for meta in args[1:]]
        return " ".join([_describe_type(args[0]), *filter(None, bounds)])
    if origin is Literal:
        return "one of: " + ", ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " or ".join(_describe_type(option) for option in args)
    if origin is list:
        return f"a list of {_describe_type(args[0])}"
    if origin is dict:
        return "a mapping"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return f"fields ({', '.join(_field_names(annotation))})"
    return _TYPE_WORDS.get(annotation, str(annotation))


def _describe_bounds(meta: msgspec.Meta) -> str:
    words = []
    for sign, bound in ((">=", meta.ge), (">", meta.gt), ("<=", meta.le), ("<", meta.lt)):
        if bound is not None:
            words.append(f"{sign} {bound}")
    # the pattern of a duration or a span (see `node.py`) means nothing to most readers
    if meta.pattern and "us|ms" in meta.pattern:
        words.append("such as 30s, 5min, 1h, 7d" + (" or all" if "all" in meta.pattern else ""))
    elif meta.pattern:
        words.append(f"matching {meta.pattern}")
    if meta.min_length is not None:
        words.append(f"of at least {meta.min_length}")
    if meta.max_length is not None:
        words.append(f"of at most {meta.max_length}")
    return " and ".join(words)
