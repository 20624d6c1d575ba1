"""The document of a run is the same read from its JSON, whatever of it is not decided yet."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect, structs

from headrace.bundle.evaluation import Evaluation
from headrace.run.document import BundleDocument, RunDocument, StageReport, describe_flow

PLAIN: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.AnyType: st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    inspect.NoneType: st.none(),
    inspect.BoolType: st.booleans(),
    inspect.StrType: st.text(max_size=3),
}


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Any value of a type, as JSON has it."""
    match kind:
        case inspect.Metadata():
            return values_of(kind.type)
        case inspect.UnionType():
            return st.one_of([values_of(one) for one in kind.types])
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.IntType():
            return st.integers(kind.ge or 0, kind.le or 2**53)
        case inspect.FloatType():
            least, most = kind.ge if kind.gt is None else kind.gt, kind.lt or kind.le
            return st.floats(
                least,
                most,
                allow_nan=False,
                allow_infinity=False,
                exclude_min=kind.gt is not None,
                exclude_max=kind.lt is not None,
            )
        case inspect.CollectionType():
            return st.lists(values_of(kind.item_type), max_size=2)
        case inspect.DictType():
            return st.dictionaries(values_of(kind.key_type), values_of(kind.value_type), max_size=2)
        case inspect.StructType():
            fields = {one.name: values_of(one.type) for one in kind.fields}
            left_out = {one.name for one in kind.fields if not one.required}
            return st.fixed_dictionaries(
                {name: one for name, one in fields.items() if name not in left_out},
                optional={name: one for name, one in fields.items() if name in left_out},
            )
    return PLAIN[type(kind)]


TOLD = values_of(inspect.type_info(RunDocument))
ROWS = {"train": 1_000, "validation": 200, "test": 300, "purged": 4, "fitted": 1_200}
LEAST: dict[str, Any] = {
    "task": "binary",
    "metric": {
        "name": "roc_auc",
        "higher_is_better": True,
        "validation": None,
        "test": 0.75,
        "baseline": None,
    },
    "metrics": {"test": {"roc_auc": 0.75, "f1": None}},
    "intervals": {"roc_auc": [0.5, None]},
    "curves": {},
    "threshold": None,
    "candidates": [
        {
            "family": "gbdt",
            "value": None,
            "seconds": 1.0,
            "origin": "search",
            "weight": 1.0,
            "params": None,
            "encode": {},
        }
    ],
    "winner": {"family": "gbdt", "members": []},
    "rows": ROWS,
    "columns": [
        {"name": "x", "dtype": "number", "kind": "numeric"},
        {"name": "y", "dtype": "string", "kind": "ignored"},
    ],
    "findings": [
        {"check": check, "columns": [], "severity": "info", "message": ""}
        for check in ("leak.target", "split.time", "window.no_match")
    ],
    "gates": [
        {"gate": "roc_auc > 0.7", "value": 0.75, "bound": 0.7, "passed": True, "why": ""},
        {"gate": "f1 > 0.7", "value": None, "bound": 0.7, "passed": False, "why": ""},
    ],
    "seconds": {"tables": 0.5},
    "split": "time",
}


TEXTS = ["who", "name", "created", "target", "source", "spec_hash", "code_version", "method"]
LISTS = ["features", "slices", "fairness", "classes", "decisions", "borders", "timeline"]


def least() -> RunDocument:
    """A document of which as little is decided as can be."""
    told: dict[str, Any] = dict.fromkeys(("thresholds", "comparison"))
    told |= dict.fromkeys([*TEXTS, "resolved"], "") | dict.fromkeys(LISTS, ())
    told |= {"parity": 0.0, "importances": {}, "bands": {}, "fingerprints": {}}
    return msgspec.convert({**told, **LEAST}, RunDocument)


@settings(max_examples=30)
@given(TOLD)
def test_a_document_is_the_same_read_from_its_json(told: Any) -> None:
    document = msgspec.convert(told, RunDocument)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)  # as `run.json` is written
    assert msgspec.json.decode(text, type=RunDocument) == document


@settings(max_examples=20)
@given(TOLD)
def test_the_part_in_a_bundle_is_what_readers_of_a_bundle_expect(told: Any) -> None:
    document = msgspec.convert(told, RunDocument)
    part = document.as_bundle()
    text = msgspec.json.encode(part)
    assert set(msgspec.json.decode(text)) == set(BundleDocument.__struct_fields__)
    assert msgspec.json.decode(text, type=BundleDocument) == part
    evaluation = msgspec.json.decode(text, type=Evaluation)
    assert evaluation.metric.name == document.metric.name
    assert evaluation.metrics == document.metrics
    assert [one.value for one in evaluation.candidates] == [
        one.value for one in document.candidates
    ]


def test_what_is_not_decided_yet_is_none_and_what_is_left_out_has_its_default() -> None:
    document = msgspec.json.decode(msgspec.json.encode(least()), type=RunDocument)
    assert document == least()
    for name in ("promoted", "alias", "before", "champion", "comparison", "thresholds"):
        assert getattr(document, name) is None, name
    assert (document.run, document.cached, document.flow) == ("", False, [])
    assert document.metrics["test"]["f1"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "clustering"}, r"Invalid enum value 'clustering' - at `\$.task`"),
        ({"task": None}, r"got `null` - at `\$.task`"),
        ({"parity": None}, r"Expected `float`, got `null` - at `\$.parity`"),
        ({"rows": {"train": 1}}, r"missing required field `validation` - at `\$.rows`"),
        ({"promoted": "yes"}, r"Expected `bool \| null`, got `str` - at `\$.promoted`"),
    ],
)
def test_a_document_of_another_form_is_told_with_its_place(
    change: dict[str, Any], words: str
) -> None:
    told = {**msgspec.to_builtins(least()), **change}
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.json.decode(msgspec.json.encode(told), type=RunDocument)


def test_the_flow_counts_what_the_document_tells() -> None:
    flow = describe_flow(least())
    assert flow[0] == StageReport("tables", "1,504 rows × 2 columns", 0.5)
    assert {one.name: one.what for one in flow[1:]} == {
        "split": "by time: 1,000 / 200 / 300",
        "features": "1 input column",
        "explore": "2 findings",
        "train": "1 candidate and the baseline",
        "refit": "gbdt on 1,200 rows",
        "evaluate": "test ROC AUC 0.750",
        "gates": "1 of 2 passed",
        "bundle": "checked: the graph predicts the same as its trainer",
    }
    assert {one.seconds for one in flow[1:]} == {0.0}


@pytest.mark.parametrize(
    ("promoted", "alias", "what"),
    [
        (True, "champion", "promoted to champion"),
        (True, "challenger", "promoted to challenger"),
        (True, None, "waits for the rollout of another version"),
        (False, None, "refused"),
    ],
)
def test_the_flow_ends_with_the_verdict_once_there_is_one(
    promoted: bool, alias: str | None, what: str
) -> None:
    last = describe_flow(structs.replace(least(), promoted=promoted, alias=alias))[-1]
    assert (last.name, last.what) == ("registry", what)
