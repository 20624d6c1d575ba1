"""Rows that bring raw columns only: their window features are read from the store, or do without where it is gone."""

import asyncio
import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import millrace
from millrace.serve.service import Service
from tests.redis_server import RedisServer
from tests.serve.running import Running, within
from tests.test_live import at, event, spec

NAMES = ["clicks_1h", "clicks_7d", "clicks_all", "spent_1d", "kinds_all"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = spec(tmp_path_factory.mktemp("shop"))
    system = millrace.load(folder)
    millrace.run(system)
    millrace.materialize(system)
    return folder


def row(user: int, minute: int = 21_000, **more: Any) -> dict[str, Any]:
    return {"at": at(minute).isoformat(), "user": user, "item": "a", "x": 0.5, **more}


def expected(folder: Path, rows: list[dict[str, Any]]) -> list[float]:
    """By the offline path: the tables and the log together, and the bundle in this process."""
    frame = pl.DataFrame([{**one, "at": datetime.fromisoformat(one["at"])} for one in rows])
    told = millrace.window_features(millrace.load(folder), frame).to_dicts()
    found: list[dict[str, Any]] = millrace.open("shop@champion", folder).predict(told)
    return [one["prediction"] for one in found]


def test_windows_are_read_by_key_and_an_event_is_seen_by_the_next_row(shop: Path) -> None:
    rows = [row(user) for user in range(8)] + [row(999), row(3, clicks_1h=5)]

    async def asked(service: Service, client: httpx.AsyncClient) -> tuple[list[Any], list[Any], list[Any]]:
        before = (await client.post("/predict", json={"rows": rows})).json()["predictions"]
        told = {"id": 9001, "time": at(20_990).isoformat(), "user": 1, "item": "a", "kind": "buy", "price": 2.0}
        refused = [
            await client.post("/events", json={"events": [told | {"kind": "visits"}]}),
            await client.post("/events", json={"events": [told | {"kind": "clicks"}]}),
            await client.post("/events/clicks", json={"events": [told, told | {"id": 9002, "time": "soon"}]}),
        ]
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        some = [told, *(event(9002 + number, 0, at=now) for number in range(300))]
        taken = await client.post("/events/clicks", json={"events": some})
        after = (await client.post("/predict", json={"rows": later})).json()["predictions"]
        return before, after, [*refused, taken]

    later = [
        one | {"at": (datetime.now(UTC) + timedelta(minutes=5)).replace(tzinfo=None).isoformat()} for one in rows[:9]
    ]
    offline, unseen = expected(shop, rows[:9]), expected(shop, later)
    before, after, answers = within([str(shop)], asked)
    assert [one["prediction"] for one in before[:9]] == pytest.approx(offline)
    assert "imputed" not in before[0] and before[9]["prediction"] != before[3]["prediction"]  # what a row brings stays
    assert [answer.status_code for answer in answers] == [422, 422, 422, 200], [answer.text for answer in answers]
    assert "kind visits; expected one of: clicks" in answers[0].text and "no 'kind'" in answers[1].text
    told = [one["prediction"] for one in after]
    assert told == pytest.approx(expected(shop, later))
    assert told[1] != pytest.approx(unseen[1]) and told[2] == pytest.approx(unseen[2])


def test_a_key_or_a_time_that_is_none_is_the_rows_own_fault(shop: Path) -> None:
    async def asked(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
        rows = [row(1), {**row(1), "user": "abc"}, {**row(1), "at": "soon"}, {**row(1), "user": None}]
        return await asyncio.gather(*(client.post("/predict", json={"rows": [one]}) for one in rows))

    answers = within([str(shop)], asked)
    assert [answer.status_code for answer in answers] == [200, 422, 422, 200]
    assert "the key 'user': the value 'abc'" in answers[1].text
    assert "row 1, column 'at': the value 'soon'" in answers[2].text


def test_predictions_are_logged_with_what_they_were_made_from(shop: Path) -> None:
    with Running(shop) as service:
        answer = httpx.post(service.url + "/predict", json={"rows": [row(1), row(2)]}).json()
        assert httpx.post(service.url + "/predict", json={"rows": [{}]}).status_code == 422
        assert service.stop() == -signal.SIGTERM  # as asked, after all was written
    from millrace.serve.home import Home

    log = Home(millrace.load(shop)).log().read("predictions")
    kept = log.filter(pl.col("id").is_in([one["prediction_id"] for one in answer["predictions"]]))
    payloads = [json.loads(one) for one in kept["payload"]]
    assert [one["answer"]["prediction"] for one in payloads] == [one["prediction"] for one in answer["predictions"]]
    assert all(set(NAMES) <= one["row"].keys() for one in payloads) and payloads[0]["row"]["user"] == 1
    assert [(one["model"], one["version"], one["arm"]) for one in payloads] == [("shop", 1, "champion")] * 2
    again = millrace.open("shop@1", shop).predict([one["row"] for one in payloads])
    assert [one["prediction"] for one in again] == [one["answer"]["prediction"] for one in payloads]


def test_a_killed_process_loses_no_more_than_the_stated_moment(shop: Path) -> None:
    with Running(shop) as service:
        with httpx.Client() as client:
            ids = [
                client.post(service.url + "/predict", json={"rows": [row(at_)]}).json()["predictions"][0][
                    "prediction_id"
                ]
                for at_ in range(30)
            ]
        service.wait(lambda: "millrace_logged_total 30.0" in httpx.get(service.url + "/metrics").text)
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
    from millrace.serve.home import Home

    assert set(ids) <= set(Home(millrace.load(shop)).log().read()["id"].to_list())


def test_a_store_that_is_gone_or_silent_is_not_waited_for(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "no")
    try:
        folder = tmp_path / "shop"
        folder.mkdir()
        spec(folder, f"store: {server.url}\nserve: {{store_timeout_ms: 20}}")
        system = millrace.load(folder)
        millrace.run(system)
        millrace.materialize(system)
        with Running(folder) as service, httpx.Client() as client:

            def ask() -> dict[str, Any]:
                answer = client.post(service.url + "/predict", json={"rows": [row(3)]})
                assert answer.status_code == 200
                (found,) = answer.json()["predictions"]
                return dict(found)

            first = ask()
            assert "imputed" not in first
            silent = server._process.pid
            os.kill(silent, signal.SIGSTOP)
            began = time.monotonic()
            assert all(ask()["imputed"] == sorted(NAMES) for _ in range(20))
            assert time.monotonic() - began < 5  # not the seconds that a client library would wait
            os.kill(silent, signal.SIGCONT)
            service.wait(lambda: "imputed" not in ask())
            server.kill()
            assert all(ask()["imputed"] == sorted(NAMES) for _ in range(5))
            server.start()
            service.wait(lambda: "imputed" not in ask())
            assert ask()["prediction"] == first["prediction"]
            page = client.get(service.url + "/metrics").text
            assert 'millrace_default_rows_total{model="shop"}' in page
            service.stop()
        assert "store_lost" in service.rest
    finally:
        server.kill()
