"""`/rank` puts candidates in order as the predictor does, and logs what it returned."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

import headrace
from headrace.log import Log
from headrace.outcomes import read_id
from headrace.serve.service import Service
from headrace.spec import System
from tests.conftest import Runs
from tests.rollout_system import NAME, copy_system, make_row
from tests.serve.running import ask, within
from tests.serve.test_arms import arm_of, begin, users_of
from tests.serve.test_features import expected, row, shop
from tests.serve.test_service import rows

__all__ = ["shop"]


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path))


def list_of(user: object, count: int = 5) -> dict[str, Any]:
    """A context of a user, and candidates."""
    made = [make_row(user, seed) for seed in range(count)]
    context = {"user": user, "city": made[0]["city"]}
    candidates = [{name: one[name] for name in one if name not in context} for one in made]
    return {"context": context, "candidates": candidates}


def logged(system: System) -> list[dict[str, Any]]:
    return [json.loads(one) for one in Log(system.workspace.predictions).read()["payload"]]


def test_the_order_is_that_of_the_predictor(runs: Runs) -> None:
    bundle = runs("regression", "gbdt").bundle
    given = rows(20)
    context = {"z": given[0]["z"]}
    candidates = [{name: one[name] for name in one if name != "z"} for one in given]
    body = {"context": context, "candidates": candidates, "k": 7}
    reply = ask([str(bundle)], "POST", "/rank", json.dumps(body).encode()).json()
    assert (reply["model"], reply["version"]) == ("regression", 1)
    ids = [one.pop("prediction_id") for one in reply["items"]]
    assert reply["items"] == headrace.open(bundle).rank(context, candidates, 7)
    assert len({reply["list_id"], *ids}) == 8


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"candidates": [{}]}, 422, "candidate 1, column 'z': no such column"),
        ({"context": {"z": 1}, "candidates": [{"z": 1}]}, 422, "in the context as well"),
        ({"candidates": [], "k": 0}, 400, "k is 0; expected 1 or more"),
        ({"candidates": None}, 400, "Expected `array`"),
        ({"context": {}}, 400, "missing required field `candidates`"),
        ({"candidates": [{}] * 30}, 413, "30, at most 20"),
    ],
)
def test_a_list_that_cannot_be_ordered_is_a_problem(
    runs: Runs, body: dict[str, Any], status: int, words: str
) -> None:
    bundle = str(runs("binary", "gbdt").bundle)
    reply = ask([bundle], "POST", "/rank/binary", json.dumps(body).encode(), max_rows=20)
    assert reply.status_code == status
    assert words in reply.text


def test_a_model_of_classes_ranks_nothing(runs: Runs) -> None:
    body = json.dumps({"candidates": rows(2)}).encode()
    reply = ask([str(runs("multiclass", "gbdt").bundle)], "POST", "/rank", body)
    assert reply.status_code == 422
    assert "one number" in reply.text


def test_no_candidates_are_no_items(runs: Runs) -> None:
    bundle = str(runs("binary", "gbdt").bundle)
    reply = ask([bundle], "POST", "/rank", b'{"candidates": []}')
    assert (reply.status_code, reply.json()["items"]) == (200, [])


def test_a_list_has_the_arm_of_its_unit_and_is_logged_row_by_row(system: System) -> None:
    rollout = begin(system)
    users = [users_of(rollout, arm, 1)[0] for arm in ("champion", "challenger")]

    async def send(service: Service, client: httpx.AsyncClient) -> list[Any]:
        replies = []
        for user in users:
            replies.append(await client.post("/rank", json=list_of(user) | {"k": 3}))
            assert replies[-1].headers["x-headrace-arm"] == arm_of(rollout, user)
        service.repository.record_counts()
        return [reply.json() for reply in replies]

    replies = within([str(system.root)], send)
    records = logged(system)
    assert len(records) == 6
    for user, reply in zip(users, replies, strict=True):
        assert reply["version"] == {"champion": 1, "challenger": 2}[arm_of(rollout, user)]
        model = headrace.open(f"{NAME}@{reply['version']}", system.root)
        asked = list_of(user)
        assert [
            {name: one[name] for name in ("candidate", "position", "score")}
            for one in reply["items"]
        ] == model.rank(asked["context"], asked["candidates"], 3)
        own = [one for one in records if one["unit"] == user]
        assert {one["arm"] for one in own} == {arm_of(rollout, user)}
        for item, one in zip(reply["items"], own, strict=True):
            assert one["row"] == asked["context"] | asked["candidates"][item["candidate"]]
            assert one["answer"] == {
                "prediction": item["score"],
                "list_id": reply["list_id"],
                "position": item["position"],
                "prediction_id": item["prediction_id"],
            }
            assert read_id(item["prediction_id"]).arm == {"champion": 1}.get(one["arm"], 2)


def test_a_list_without_a_unit_is_the_champions_and_not_judged(system: System) -> None:
    begin(system)
    body = list_of("x")
    del body["context"]["user"]

    async def send(service: Service, client: httpx.AsyncClient) -> None:
        reply = await client.post("/rank", json=body)
        assert reply.headers["x-headrace-version"] == "1"
        assert read_id(reply.json()["items"][0]["prediction_id"]).arm == 0

    within([str(system.root)], send)
    assert all("phase" not in one for one in logged(system))


def test_the_champion_orders_a_list_where_its_arm_fails(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = begin(system)
    (user,) = users_of(rollout, "challenger", 1)

    async def send(service: Service, client: httpx.AsyncClient) -> None:
        challenger = next(
            one for (_, version), one in service.repository._ready.items() if version == 2
        )

        def fail(*given: Any) -> Any:
            raise RuntimeError("Non-zero status code returned while running Gather node")

        monkeypatch.setattr(challenger.predictor, "score_list", fail)
        reply = await client.post("/rank", json=list_of(user))
        assert (reply.status_code, reply.headers["x-headrace-version"]) == (200, "1")
        service.repository.record_counts()
        failures = service.metrics.counts["headrace_arm_failures", NAME, "challenger", "errors"]
        assert failures == 5

    within([str(system.root)], send)


def test_the_gaps_of_a_list_are_counted_as_those_of_rows(runs: Runs) -> None:
    given = rows(6)
    del given[1]["x"], given[2]["x"], given[2]["colour"]
    given[3]["colour"] = "a colour of no training row"
    given[4]["z"] = None

    def count(path: str, body: dict[str, Any]) -> dict[str, float]:
        async def send(service: Service, client: httpx.AsyncClient) -> dict[str, float]:
            assert (await client.post(path, json=body)).status_code == 200
            counts = service.metrics.counts
            return {
                " ".join(key): counts[key]
                for key in list(counts)
                if key[0] in ("headrace_imputed", "headrace_unseen")
            }

        counted: dict[str, float] = within([str(runs("regression", "gbdt").bundle)], send)
        return counted

    by_row = count("/predict", {"rows": given})
    assert by_row
    assert count("/rank", {"candidates": given}) == by_row


def test_the_store_is_read_for_candidates_as_for_rows(shop: Path) -> None:
    one_user = [row(4, item=item) for item in "abc"]
    own = {name: one_user[0][name] for name in ("at", "user", "x")}
    by_context = {"context": own, "candidates": [{"item": one["item"]} for one in one_user]}
    users = [row(user) for user in range(5)]
    shared = {name: users[0][name] for name in ("at", "item", "x")}
    by_candidate = {"context": shared, "candidates": [{"user": one["user"]} for one in users]}

    async def send(service: Service, client: httpx.AsyncClient) -> list[Any]:
        return [
            (await client.post("/rank", json=body)).json() for body in (by_context, by_candidate)
        ]

    first, second = within([str(shop)], send)
    for reply, told in ((first, expected(shop, one_user)), (second, expected(shop, users))):
        scores = {one["candidate"]: one["score"] for one in reply["items"]}
        assert [scores[at] for at in range(len(told))] == pytest.approx(told)


def test_the_store_is_read_once_for_a_long_list(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"item": "a", "x": at / 2500} for at in range(2500)]
    own = {name: row(4)[name] for name in ("at", "user")}

    async def send(service: Service, client: httpx.AsyncClient) -> Any:
        served = service.repository.routes["shop"].served
        windows = served._windows
        assert windows is not None
        read, calls = windows.read, []

        def count(rows: Any) -> Any:
            calls.append(len(rows))
            return read(rows)

        monkeypatch.setattr(windows, "read", count)
        reply = await client.post("/rank", json={"context": own, "candidates": many, "k": 1})
        blank = {" user ": own["user"], "at": own["at"]}
        hidden = await client.post("/rank", json={"context": blank, "candidates": many[:1]})
        plain = await client.post("/rank", json={"context": own, "candidates": many[:1]})
        return calls, reply.status_code, hidden.json(), plain.json()

    calls, status, hidden, plain = within([str(shop)], send)
    assert (calls[0], status) == (2500, 200)
    assert hidden["items"][0]["score"] == plain["items"][0]["score"]
