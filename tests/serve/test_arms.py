"""Who gets which arm, what is logged of it, and who answers where an arm fails."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import headrace
from headrace.clock import SYSTEM
from headrace.errors import InputError
from headrace.log import Log
from headrace.log.segment import JUDGED
from headrace.outcomes import read_id
from headrace.registry import make_plan, read_rollout, record_decision
from headrace.rollout import Rollout, start, steer
from headrace.rollout.assign import find_arm, locate
from headrace.serve import add_token
from headrace.serve.service import Service
from headrace.spec import Stage, System
from tests.rollout_system import NAME, SPEC, body_of, copy_system, make_row, write_spec
from tests.serve.running import within

NOW = SYSTEM.now_us()
Do = Callable[[Service, httpx.AsyncClient], Awaitable[Any]]


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path))


def begin(system: System, challenger: int = 2, stage: Stage = "test") -> Rollout:
    """Start a rollout, as a person does."""
    record = read_rollout(system)
    assert record.champion is not None
    plan = make_plan(system, record)
    decision = start(plan, None, (record.champion, challenger), NOW, stage)
    record_decision(system, decision, record, "person")
    assert decision.after is not None
    return decision.after


def arm_of(rollout: Rollout, unit: str) -> str:
    return find_arm(rollout.phase.division, locate(rollout.phase.salt.encode(), unit))


def users_of(rollout: Rollout, arm: str, count: int) -> list[str]:
    """The first users who have an arm."""
    found = (str(one) for one in range(10_000) if arm_of(rollout, str(one)) == arm)
    return [next(found) for _ in range(count)]


def serve(system: System, do: Do) -> Any:
    return within([str(system.root)], do)


def logged(system: System) -> list[dict[str, Any]]:
    """What was logged of predictions, their payloads decoded."""
    return [json.loads(one) for one in Log(system.workspace.predictions).read()["payload"]]


def test_a_unit_gets_the_arm_of_its_point_wherever_it_comes_from(system: System) -> None:
    rollout = begin(system)
    users = [str(one) for one in range(40)]

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for user in users:
            expected = arm_of(rollout, user)
            version = {"champion": 1, "challenger": 2}[expected]
            column = await client.post("/predict", content=body_of(make_row(int(user))))
            text = await client.post("/predict", content=body_of(make_row(user)))
            header = await client.post(
                "/predict/ads",
                content=body_of(make_row("other")),
                headers={"x-headrace-unit": user},
            )
            for reply in (column, text, header):
                assert reply.headers["x-headrace-arm"] == expected
                assert reply.headers["x-headrace-version"] == str(version)
                one = reply.json()["predictions"][0]
                parts = read_id(one["prediction_id"])
                assert (parts.version, parts.arm) == (version, {"champion": 1}.get(expected, 2))

    serve(system, ask)
    for one in logged(system):
        assert one["arm"] == arm_of(rollout, one["unit"])
        assert (one["phase"], one["propensity"]) == (rollout.phase.number, 0.5)
    assert len({one["unit"] for one in logged(system)}) == len(users)


def test_the_answer_is_that_of_the_arms_own_version(system: System) -> None:
    rollout = begin(system)
    rows = [
        make_row(user) for arm in ("champion", "challenger") for user in users_of(rollout, arm, 3)
    ]
    models = {
        arm: headrace.open(f"{NAME}@{version}", system.root)
        for arm, version in (("champion", 1), ("challenger", 2))
    }

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for row in rows:
            reply = (await client.post("/predict", content=body_of(row))).json()
            expected = models[arm_of(rollout, row["user"])].predict([row])[0]
            assert reply["predictions"][0]["prediction"] == expected["prediction"]

    serve(system, ask)


def test_a_request_of_several_units_is_split_and_answered_whole(system: System) -> None:
    rollout = begin(system)
    users = [str(one) for one in range(12)]
    rows = [make_row(user) for user in users]

    async def ask(service: Service, client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/predict", content=body_of(*rows))

    reply = serve(system, ask)
    assert reply.status_code == 200
    assert set(reply.headers["x-headrace-arm"].split(",")) == {"champion", "challenger"}
    assert set(reply.headers["x-headrace-version"].split(",")) == {"1", "2"}
    models = {version: headrace.open(f"{NAME}@{version}", system.root) for version in (1, 2)}
    for user, row, one in zip(users, rows, reply.json()["predictions"], strict=True):
        assert one["arm"] == arm_of(rollout, user)
        assert one["version"] == {"champion": 1, "challenger": 2}[one["arm"]]
        assert one["prediction"] == models[one["version"]].predict([row])[0]["prediction"]
        assert one["row"] == row["row"]
    assert {(one["unit"], one["arm"]) for one in logged(system)} == {
        (user, arm_of(rollout, user)) for user in users
    }


def test_a_row_without_a_unit_gets_the_champion_and_is_not_judged(system: System) -> None:
    begin(system)
    row = make_row("x")
    del row["user"]

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for body in (row, row | {"user": None}, row | {"user": ""}):
            reply = await client.post("/predict", content=body_of(body))
            assert reply.headers["x-headrace-version"] == "1"
            assert read_id(reply.json()["predictions"][0]["prediction_id"]).arm == 0
        service.repository.record_counts()
        assert service.metrics.counts["headrace_unassigned", NAME] == 3

    serve(system, ask)
    assert all("phase" not in one for one in logged(system))


def test_aliases_and_versions_go_where_they_say_and_are_not_judged(system: System) -> None:
    rollout = begin(system)
    (user,) = users_of(rollout, "challenger", 1)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for ref, version in (("ads@champion", "1"), ("ads@1", "1"), ("ads@challenger", "2")):
            reply = await client.post(f"/predict/{ref}", content=body_of(make_row(user)))
            assert reply.headers["x-headrace-version"] == version
            assert read_id(reply.json()["predictions"][0]["prediction_id"]).arm == 0

    serve(system, ask)
    assert all("phase" not in one for one in logged(system))


def test_tensors_and_invocations_take_arms_as_predict_does(system: System) -> None:
    rollout = begin(system)
    (user,) = users_of(rollout, "challenger", 1)
    row = make_row(user)
    names = ("x", "z", "city", "user")

    async def ask(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
        tensors = [
            {
                "name": name,
                "shape": [1, 1],
                "datatype": "FP64" if name in "xz" else "BYTES",
                "data": [row[name]],
            }
            for name in names
        ]
        infer = await client.post("/v2/models/ads/infer", json={"inputs": tensors})
        split = {"columns": list(row), "data": [list(row.values())]}
        invoke = await client.post("/invocations", json={"dataframe_split": split})
        return [infer, invoke]

    for reply in serve(system, ask):
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-headrace-arm"] == "challenger"
        assert reply.headers["x-headrace-version"] == "2"
    assert [one["unit"] for one in logged(system)] == [user, user]


def test_the_champion_answers_for_a_challenger_that_wants_another_column(system: System) -> None:
    """Version 3 needs a column that no client sends."""
    rollout = begin(system, challenger=3)
    users = users_of(rollout, "challenger", 5)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for user in users:
            reply = await client.post("/predict", content=body_of(make_row(user)))
            assert reply.status_code == 200
            assert reply.headers["x-headrace-version"] == "1"
            assert reply.headers["x-headrace-arm"] == "challenger"
        service.repository.record_counts()
        counts = service.metrics.counts
        assert counts["headrace_arm_failures", NAME, "challenger", "unread"] == 5

    serve(system, ask)
    for one in logged(system):
        assert (one["arm"], one["failed"], one["version"]) == ("challenger", "unread", 1)


def test_the_champion_answers_for_a_challenger_that_raises(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = begin(system)
    own = users_of(rollout, "challenger", 4)
    others = users_of(rollout, "champion", 4)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        challenger = next(
            one for (_, version), one in service.repository._ready.items() if version == 2
        )

        def fail(rows: Any) -> Any:
            raise RuntimeError("Non-zero status code returned while running Gather node")

        monkeypatch.setattr(challenger.predictor, "predict_dicts", fail)
        monkeypatch.setattr(challenger.predictor, "predict_typed", fail)
        bodies = [body_of(make_row(user)) for user in own + others]
        replies = await asyncio.gather(*(client.post("/predict", content=one) for one in bodies))
        assert [one.status_code for one in replies] == [200] * 8
        assert {one.headers["x-headrace-version"] for one in replies} == {"1"}
        mixed = await client.post(
            "/predict", content=body_of(make_row(own[0]), make_row(others[0]))
        )
        assert mixed.status_code == 200
        service.repository.record_counts()
        failures = service.metrics.counts["headrace_arm_failures", NAME, "challenger", "errors"]
        assert failures == 5

    serve(system, ask)


def test_a_row_that_nobody_can_read_is_refused_as_ever(system: System) -> None:
    rollout = begin(system)
    (user,) = users_of(rollout, "challenger", 1)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        row = make_row(user) | {"x": "much"}
        reply = await client.post("/predict", content=body_of(row))
        assert reply.status_code == 422
        assert "column 'x'" in reply.text

    serve(system, ask)


def test_a_challenger_that_cannot_be_loaded_is_answered_for(system: System) -> None:
    rollout = begin(system)
    graph = system.workspace.bundle(NAME, 2) / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-9] + b"different")
    (user,) = users_of(rollout, "challenger", 1)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        reply = await client.post("/predict", content=body_of(make_row(user)))
        assert (reply.status_code, reply.headers["x-headrace-version"]) == (200, "1")
        service.repository.record_counts()
        failures = service.metrics.counts["headrace_arm_failures", NAME, "challenger", "errors"]
        assert failures == 1

    serve(system, ask)


def test_a_service_follows_the_phases_of_a_rollout(system: System) -> None:
    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        async def versions() -> set[str]:
            found = set()
            for user in range(20):
                reply = await client.post("/predict", content=body_of(make_row(user)))
                found.add(reply.headers["x-headrace-version"])
            return found

        assert await versions() == {"1"}
        begin(system)
        await service.repository.follow()
        while await versions() != {"1", "2"}:
            await service.repository.follow()
        record = read_rollout(system)
        record_decision(system, steer(record.rollout, "stop", NOW), record, "person")
        await service.repository.follow()
        assert await versions() == {"1"}

    serve(system, ask)


def test_a_torn_routing_file_changes_nothing(system: System) -> None:
    rollout = begin(system)
    (user,) = users_of(rollout, "challenger", 1)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for content in ('{"format": 1, "rol', '{"format": 99, "rollout": null}'):
            system.workspace.routing(NAME).write_text(content)
            await service.repository.follow()
            reply = await client.post("/predict", content=body_of(make_row(user)))
            assert reply.headers["x-headrace-arm"] == "challenger"

    serve(system, ask)


def test_sealed_segments_have_what_is_judged_as_columns(system: System) -> None:
    rollout = begin(system)

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        for user in range(30):
            await client.post("/predict", content=body_of(make_row(user)))

    serve(system, ask)
    log = Log(system.workspace.predictions, segment=1)
    with log.append_lock():
        log.seal()
    table = pl.read_parquet(next(system.workspace.predictions.glob("*.parquet")))
    assert set(JUDGED) < set(table.columns)
    for row in table.iter_rows(named=True):
        payload = json.loads(row["payload"])
        for name in ("version", "arm", "phase", "propensity", "unit"):
            assert row[name] == payload[name]
        assert row["arm"] == arm_of(rollout, row["unit"])
        assert row["prediction"] == payload["answer"]["prediction"]


def test_rows_of_a_segment_go_to_another_system(ads_template: Path, tmp_path: Path) -> None:
    """Rio has a model of its own; a rollout of the others goes on."""
    first = copy_system(
        ads_template, tmp_path / "one", segments=[{"where": "city == 'rio'", "model": "rio"}]
    )
    other = tmp_path / "rio"
    other.mkdir()
    (other / "rows.csv").write_bytes((first / "rows.csv").read_bytes())
    write_spec(other, SPEC | {"name": "rio"})
    headrace.run(other)
    begin(headrace.load(first))
    rows = [make_row(f"u{user}") for user in range(20)]

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        reply = await client.post("/predict", content=body_of(*rows))
        assert set(reply.headers["x-headrace-model"].split(",")) == {"ads", "rio"}
        own = headrace.open("rio@champion", other)
        for row, one in zip(rows, reply.json()["predictions"], strict=True):
            if row["city"] == "rio":
                assert one["prediction"] == own.predict([row])[0]["prediction"]
            else:
                assert one["arm"] in ("champion", "challenger")
        single = await client.post(
            "/predict", content=body_of(next(row for row in rows if row["city"] == "rio"))
        )
        assert single.headers["x-headrace-model"] == "rio"

    within([str(first), str(other)], ask)
    with pytest.raises(InputError, match="'rio' is not served"):
        within([str(first)], ask)


def test_a_rollout_is_seen_and_steered_over_http(system: System) -> None:
    begin(system)
    token = add_token(system.workspace, "operator", ["admin", "predict"])
    weak = add_token(system.workspace, "client", ["predict"])

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        own = {"authorization": f"Bearer {token}"}
        other = {"authorization": f"Bearer {weak}"}
        stop = {"do": "stop", "why": "enough"}
        assert (await client.post("/rollout/ads", json=stop)).status_code == 401
        assert (await client.post("/rollout/ads", json=stop, headers=other)).status_code == 403
        assert (await client.get("/rollout", headers=other)).status_code == 200
        assert (await client.post("/rollout/no", json=stop, headers=own)).status_code == 404
        odd = await client.post("/rollout/ads", json={"do": "fly"}, headers=own)
        assert odd.status_code == 400
        shares = {"do": "arms", "arms": {"challenger": 3}}
        refused = await client.post("/rollout/ads", json=shares, headers=own)
        assert (refused.status_code, "champion: -2" in refused.text) == (422, True)
        done = await client.post("/rollout/ads", json=stop, headers=own)
        assert (done.status_code, done.json()["action"]) == (200, "stop")

    serve(system, ask)
    assert headrace.history(NAME, system.root)[-1].why == "by hand: enough"
