"""Strict decoding of plain data into the tree, reporting every problem at once with its path."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from headrace.errors import InputError, SpecError, nearest
from headrace.spec.data import ReadSpec
from headrace.spec.gates import parse_gate
from headrace.spec.system import System


def decode(data: Any, where: str = "system.yaml") -> System:
    """Turns parsed YAML or JSON into a `System`.

    Raises `SpecError` naming the path, what was found, what is allowed and the nearest known name:

    >>> decode({"name": "ads", "goal": {"traget": "y", "target": "y"}, "data": {"source": "a.csv"}})
    Traceback (most recent call last):
    headrace.errors.SpecError: system.yaml: goal.traget: unknown field; expected one of: target, task, positive, \
label_delay, metric, secondary, decision; did you mean 'target'?
    """
    if problems := find_problems(data, System):
        raise SpecError(where, "\n  ".join(problems) if len(problems) > 1 else problems[0])
    system = msgspec.convert(data, System)
    for index, text in enumerate(system.gates):
        parse_gate(text, f"{where}: gates[{index}]")
    return system


def find_problems(data: Any, tree: type[msgspec.Struct]) -> list[str]:
    """Everything that is wrong with plain data that shall become a tree."""
    problems: list[str] = []
    _walk(data, tree, "", problems)
    return problems


def parse_read_flags(told: list[str]) -> ReadSpec:
    """The branch `data.read` as it is stated at the command line; raises `InputError` where it is
    not one.

    >>> parse_read_flags(["header=a,b"]).header
    ['a', 'b']
    """
    found = split_read_flags(told)
    if problems := find_problems(found, ReadSpec):
        raise InputError("--read", problems[0])
    return msgspec.convert(found, ReadSpec)


def split_read_flags(told: list[str]) -> dict[str, Any]:
    """How a text table is written, as the branch `data.read`: `separator=;`, `header=false`,
    `header=a,b,c`.

    >>> split_read_flags(["separator=;", "skip=2", "header=false"])
    {'separator': ';', 'skip': 2, 'header': False}
    """
    found: dict[str, Any] = {}
    for one in told:
        name, equals, value = one.partition("=")
        if not equals:
            raise InputError(
                "--read", repr(one), "a field of data.read and its value, such as separator=;"
            )
        if name == "header":
            found[name] = {"true": True, "false": False}.get(value, value.split(","))
        else:
            found[name] = (
                int(value)
                if name == "skip" and value.isdecimal()
                else {"tab": "\t"}.get(value, value)
            )
    return found


def _walk(value: Any, annotation: Any, path: str, problems: list[str]) -> None:
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if get_origin(bare) in (Union, types.UnionType):
        options = [option for option in get_args(bare) if option is not types.NoneType]
        if value is None and len(options) < len(get_args(bare)):
            return
        if len(options) == 1:
            return _walk(value, options[0], path, problems)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _walk_struct(value, bare, path, problems)
    if get_origin(bare) is list and isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, get_args(bare)[0], f"{path}[{index}]", problems)
    elif get_origin(bare) is dict and isinstance(value, dict):
        for key, item in value.items():
            _check(key, get_args(bare)[0], f"{path}.{key} (the name)", problems)
            _walk(item, get_args(bare)[1], f"{path}.{key}", problems)
        return
    _check(value, annotation, path, problems)


def _walk_struct(value: Any, struct: type[msgspec.Struct], path: str, problems: list[str]) -> None:
    if not isinstance(value, dict):
        problems.append(
            f"{path or 'the document'}: found {_show(value)}; expected fields ({', '.join(_names(struct))})"
        )
        return
    hints = get_type_hints(struct, include_extras=True)
    names = _names(struct)
    for key, item in value.items():
        at = f"{path}.{key}" if path else str(key)
        if key in names:
            _walk(item, hints[key], at, problems)
        else:
            hint = nearest(str(key), names)
            problems.append(
                f"{at}: unknown field; expected one of: {', '.join(names)}{'; ' + hint if hint else ''}"
            )
    for field in msgspec.structs.fields(struct):
        if field.required and field.name not in value:
            at = f"{path}.{field.name}" if path else field.name
            problems.append(f"{at}: missing; expected {_allowed(hints[field.name])}")


def _check(value: Any, annotation: Any, path: str, problems: list[str]) -> None:
    """A leaf, or a list whose items were walked before and whose own bounds remain."""
    if any(problem.startswith(f"{path}[") for problem in problems):
        return
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        allowed = get_args(annotation) if get_origin(annotation) is Literal else ()
        hint = nearest(str(value), [str(option) for option in allowed]) if allowed else ""
        problems.append(
            f"{path}: found {_show(value)}; expected {_allowed(annotation)}{'; ' + hint if hint else ''}"
        )


def _names(struct: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(struct)]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    types.NoneType: "null",
}


def _allowed(annotation: Any) -> str:
    """The annotation in words, bounds and patterns included."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return " ".join([_allowed(args[0]), *filter(None, map(_bounds, args[1:]))])
    if origin is Literal:
        return "one of: " + ", ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " or ".join(_allowed(option) for option in args)
    if origin is list:
        return f"a list of {_allowed(args[0])}"
    if origin is dict:
        return "a mapping"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return f"fields ({', '.join(_names(annotation))})"
    return _WORDS.get(annotation, str(annotation))


def _bounds(meta: msgspec.Meta) -> str:
    words = [
        f"{sign} {bound}"
        for sign, bound in ((">=", meta.ge), (">", meta.gt), ("<=", meta.le), ("<", meta.lt))
        if bound is not None
    ]
    if meta.pattern and "us|ms" in meta.pattern:
        words.append("such as 30s, 5min, 1h, 7d" + (" or all" if "all" in meta.pattern else ""))
    elif meta.pattern:
        words.append(f"matching {meta.pattern}")
    if meta.min_length is not None:
        words.append(f"of at least {meta.min_length}")
    if meta.max_length is not None:
        words.append(f"of at most {meta.max_length}")
    return " and ".join(words)
