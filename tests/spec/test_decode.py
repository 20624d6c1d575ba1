from typing import Any, get_type_hints

import msgspec
import pytest

from headrace.errors import SpecError
from headrace.spec import System, dump, schema
from headrace.spec.decode import decode

GOOD: dict[str, Any] = {"name": "ads", "goal": {"target": "y"}, "data": {"source": "a.csv"}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gaol": {}}, ["gaol: unknown field", "did you mean 'goal'?"]),
        (
            {"goal": {"target": "y", "task": "binry"}},
            ["goal.task: found 'binry'", "binary", "did you mean 'binary'?"],
        ),
        ({"goal": {}}, ["goal.target: missing", "expected text"]),
        ({"goal": None}, ["goal: found None", "target"]),
        ({"split": {"test": 1.5}}, ["split.test: found 1.5", "< 1.0"]),
        ({"split": {"gap": "3 weeks"}}, ["split.gap: found '3 weeks'", "30s"]),
        ({"seed": "seven"}, ["seed: found 'seven'", "a whole number"]),
        ({"seed": 1.5}, ["seed: found 1.5", "a whole number"]),
        ({"name": "../up"}, ["name: found '../up'"]),
        (
            {"models": {"candidates": ["gbdt", "gmb"]}},
            ["models.candidates[1]: found 'gmb'", "linear"],
        ),
        ({"models": {"candidates": []}}, ["models.candidates: found []", "at least 1"]),
        (
            {"features": {"columns": {"x": {"kind": "number"}}}},
            ["features.columns.x.kind", "numeric"],
        ),
        (
            {"features": {"windows": [{"name": "w", "events": "e"}]}},
            ["features.windows[0].key: missing"],
        ),
        (
            {"data": {"source": "a", "events": {"b c": {"source": "x", "time": "t"}}}},
            ["data.events.b c (the name)"],
        ),
        ({"rollout": {"strategy": "ab"}}, ["rollout.strategy: unknown field", "stages"]),
    ],
)
def test_each_problem_names_path_found_and_allowed(
    change: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SpecError) as caught:
        decode(GOOD | change)
    for word in words:
        assert word in str(caught.value)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        decode(GOOD | {"seed": -1, "split": {"by": "tme"}})
    assert "seed" in str(caught.value)
    assert "split.by" in str(caught.value)


def test_a_spec_survives_yaml() -> None:
    system = decode(
        GOOD | {"features": {"windows": [{"name": "w", "events": "e", "key": "k", "over": ["1h"]}]}}
    )
    assert decode(msgspec.yaml.decode(dump(system))) == system


def test_the_json_schema_knows_every_field() -> None:
    document = schema()
    fields = document["$defs"]["System"]["properties"]
    assert set(fields) == {field.name for field in msgspec.structs.fields(System)}
    assert document["$defs"]["System"]["additionalProperties"] is False


def test_every_field_is_described_and_its_examples_are_valid() -> None:
    document = schema()
    named = {one.__name__: one for one in branches_of(System)}
    checked = 0
    for name, branch in document["$defs"].items():
        hints = get_type_hints(named[name], include_extras=True)
        for field, described in branch["properties"].items():
            assert described["description"].endswith((".", ";", "`.")), (name, field)
            for example in described.get("examples", []):
                msgspec.convert(example, hints[field])
                checked += 1
    assert checked > 80


def branches_of(branch: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """A class of the tree, and all that its fields hold."""
    found: list[type[msgspec.Struct]] = []
    for info in msgspec.inspect.multi_type_info([branch]):
        stack: list[Any] = [info]
        while stack:
            one = stack.pop()
            if isinstance(one, msgspec.inspect.StructType) and one.cls not in found:
                found.append(one.cls)
                stack += [field.type for field in one.fields]
            elif isinstance(one, msgspec.inspect.Metadata):
                stack.append(one.type)
            elif isinstance(one, msgspec.inspect.UnionType):
                stack += one.types
            elif isinstance(one, msgspec.inspect.ListType):
                stack.append(one.item_type)
            elif isinstance(one, msgspec.inspect.DictType):
                stack += [one.key_type, one.value_type]
    return found
