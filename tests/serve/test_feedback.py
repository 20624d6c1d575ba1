"""Feedback is durable with the reply, all of it or none, and bad feedback says what is wrong."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

import headrace
from headrace.clock import SYSTEM
from headrace.log import Log
from headrace.serve.service import Service
from headrace.spec import System
from headrace.tables import exclusive_lock
from tests.rollout_system import body_of, copy_system, make_row
from tests.serve.running import within


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path))


def logged(system: System) -> list[tuple[str, dict[str, Any]]]:
    table = Log(system.workspace.outcomes).read()
    return [(id, json.loads(one)) for id, one in table.select("id", "payload").rows()]


def test_outcomes_are_logged_by_prediction_or_by_row(system: System) -> None:
    async def ask(service: Service, client: httpx.AsyncClient) -> str:
        reply = await client.post("/predict", content=body_of(make_row("u")))
        one = reply.json()["predictions"][0]
        id = one["prediction_id"]
        sent = [
            {"prediction_id": id, "outcome": True},
            {"outcomes": [{"id": one["row"], "outcome": 2.5, "name": "paid", "outcome_id": 7}]},
            {"prediction_id": id, "outcome": None, "time": "2026-01-01T00:00:00Z"},
        ]
        for body in sent:
            taken = await client.post("/feedback", json=body)
            assert (taken.status_code, taken.json()) == (200, {"taken": 1}), taken.text
        assert service.metrics.counts["headrace_outcomes", "ads", "taken"] == 3
        return f"{id} {one['row']}"

    id, row = within([str(system.root)], ask).split()
    assert logged(system) == [
        (id, {"by": "prediction", "name": "clicked", "outcome_id": "", "outcome": 1.0}),
        (row, {"by": "row", "name": "paid", "outcome_id": "7", "outcome": 2.5}),
        (id, {"by": "prediction", "name": "clicked", "outcome_id": "", "outcome": None}),
    ]


GOOD = f"{1_700_000_000_000_000:014x}00000101abcdef"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"outcome": 1}, 422, "outcomes[0]: neither id"),
        ({"prediction_id": GOOD, "id": 7, "outcome": 1}, 422, "both"),
        ({"prediction_id": "abc", "outcome": 1}, 422, "outcomes[0].prediction_id: 'abc'"),
        ({"prediction_id": GOOD[:-1] + "!", "outcome": 1}, 422, "28 hexadecimal digits"),
        ({"prediction_id": "f" * 28, "outcome": 1}, 422, "from the future"),
        ({"prediction_id": GOOD[:14] + "0000ff" + GOOD[20:], "outcome": 1}, 422, "version 255"),
        ({"prediction_id": GOOD}, 422, "outcomes[0].outcome: nothing"),
        ({"prediction_id": GOOD, "outcome": "yes"}, 422, "outcome: 'yes'; expected a number"),
        ({"prediction_id": GOOD, "outcome": 1, "time": "soon"}, 422, "time: 'soon'"),
        ({"prediction_id": GOOD, "outcome": 1, "time": "2199-01-01"}, 422, "in the future"),
        ({"prediction_id": GOOD, "outcome": 1, "tyme": 3}, 400, "tyme"),
        ({"outcomes": [], "outcome": 1}, 400, "beside"),
        ({"outcomes": [{"prediction_id": GOOD, "outcome": 1}, {"outcome": 1}]}, 422, "outcomes[1]"),
    ],
)
def test_bad_feedback_is_one_clear_error_and_nothing_is_taken(
    system: System, body: Any, status: int, words: str
) -> None:
    async def ask(service: Service, client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/feedback", json=body)

    reply = within([str(system.root)], ask)
    assert reply.status_code == status
    assert words in reply.json()["detail"]
    assert not system.workspace.outcomes.exists() or logged(system) == []


def test_what_arrives_meanwhile_shares_the_next_append(system: System) -> None:
    """While another process holds the log, requests wait, and one append takes them all."""

    async def ask(service: Service, client: httpx.AsyncClient) -> list[int]:
        lock = exclusive_lock(system.workspace.outcomes / "writer.lock")
        with lock:
            sent = [
                asyncio.ensure_future(
                    client.post("/feedback", json={"prediction_id": GOOD, "outcome": 1})
                )
                for _ in range(20)
            ]
            await asyncio.sleep(0.3)
            assert not any(one.done() for one in sent)
        return [(await one).status_code for one in sent]

    assert within([str(system.root)], ask) == [200] * 20
    assert len(logged(system)) == 20


def test_a_log_that_refuses_is_a_503_and_nothing_is_acknowledged(system: System) -> None:
    system.workspace.log.mkdir(exist_ok=True)
    system.workspace.outcomes.write_text("no folder")

    async def ask(service: Service, client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/feedback", json={"prediction_id": GOOD, "outcome": 1})

    assert within([str(system.root)], ask).status_code == 503


def test_arrival_follows_the_clock(system: System) -> None:
    before = SYSTEM.now_us()

    async def ask(service: Service, client: httpx.AsyncClient) -> None:
        await client.post("/feedback", json={"prediction_id": GOOD, "outcome": 1})

    within([str(system.root)], ask)
    arrived = Log(system.workspace.outcomes).read()["available"].to_physical()[0]
    assert before <= arrived <= SYSTEM.now_us()
