"""Rows of raw columns only: their windows are read from the store, or missing where it is gone."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import headrace
from headrace.clock import ManualClock
from headrace.errors import InputError, WorkError
from headrace.log import open_log
from headrace.serve.service import Service
from headrace.store import Pusher, Store, WindowReader, open_store
from headrace.store.backends.lmdb import LmdbStore
from headrace.store.keys import entity_key
from headrace.store.read import read_state
from headrace.store.store import Changes
from tests.redis_server import RedisServer
from tests.serve.running import Running, within
from tests.store.test_live import at, event, spec

NAMES = ["clicks_1h", "clicks_7d", "clicks_all", "spent_1d", "kinds_all"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = spec(tmp_path_factory.mktemp("shop"))
    system = headrace.load(folder)
    headrace.run(system)
    headrace.materialize(system)
    return folder


def row(user: int, minute: int = 21_000, **more: Any) -> dict[str, Any]:
    return {"at": at(minute).isoformat(), "user": user, "item": "a", "x": 0.5, **more}


def expected(folder: Path, rows: list[dict[str, Any]]) -> list[float]:
    """By the offline path: the tables and the log together, and the bundle in this process."""
    frame = pl.DataFrame([{**one, "at": datetime.fromisoformat(one["at"])} for one in rows])
    told = headrace.window_features(headrace.load(folder), frame).to_dicts()
    found: list[dict[str, Any]] = headrace.open("shop@champion", folder).predict(told)
    return [one["prediction"] for one in found]


def test_windows_are_read_by_key_and_an_event_is_seen_by_the_next_row(shop: Path) -> None:
    rows = [row(user) for user in range(8)] + [row(999), row(3, clicks_1h=5)]

    async def asked(
        service: Service, client: httpx.AsyncClient
    ) -> tuple[list[Any], list[Any], list[Any]]:
        before = (await client.post("/predict", json={"rows": rows})).json()["predictions"]
        told = {
            "id": 9001,
            "time": at(20_990).isoformat(),
            "user": 1,
            "item": "a",
            "kind": "buy",
            "price": 2.0,
        }
        refused = [
            await client.post("/events", json={"events": [told | {"kind": "visits"}]}),
            await client.post("/events", json={"events": [told | {"kind": "clicks"}]}),
            await client.post(
                "/events/clicks", json={"events": [told, told | {"id": 9002, "time": "soon"}]}
            ),
        ]
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        some = [told, *(event(9002 + number, 0, at=now) for number in range(300))]
        taken = await client.post("/events/clicks", json={"events": some})
        after = (await client.post("/predict", json={"rows": later})).json()["predictions"]
        return before, after, [*refused, taken]

    later = [
        one | {"at": (datetime.now(UTC) + timedelta(minutes=5)).replace(tzinfo=None).isoformat()}
        for one in rows[:9]
    ]
    offline, unseen = expected(shop, rows[:9]), expected(shop, later)
    before, after, answers = within([str(shop)], asked)
    assert [one["prediction"] for one in before[:9]] == pytest.approx(offline)
    assert "imputed" not in before[0]
    assert before[9]["prediction"] != before[3]["prediction"]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 200], [
        answer.text for answer in answers
    ]
    assert "kind visits; expected one of: clicks" in answers[0].text
    assert "no 'kind'" in answers[1].text
    told = [one["prediction"] for one in after]
    assert told == pytest.approx(expected(shop, later))
    assert told[1] != pytest.approx(unseen[1])
    assert told[2] == pytest.approx(unseen[2])


def test_a_key_or_a_time_that_is_none_is_the_rows_own_fault(shop: Path) -> None:
    async def asked(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
        rows = [
            row(1),
            {**row(1), "user": "abc"},
            {**row(1), "at": "soon"},
            {**row(1), "user": None},
        ]
        return await asyncio.gather(
            *(client.post("/predict", json={"rows": [one]}) for one in rows)
        )

    answers = within([str(shop)], asked)
    assert [answer.status_code for answer in answers] == [200, 422, 422, 200]
    assert "the key 'user': the value 'abc'" in answers[1].text
    assert "row 1, column 'at': the value 'soon'" in answers[2].text


def test_predictions_are_logged_with_what_they_were_made_from(shop: Path) -> None:
    with Running(shop) as service:
        answer = httpx.post(service.url + "/predict", json={"rows": [row(1), row(2)]}).json()
        assert httpx.post(service.url + "/predict", json={"rows": [{}]}).status_code == 422
        assert service.stop() == 128 + signal.SIGTERM  # as asked, after all was written
    from headrace.serve.models.system import ServedSystem

    log = ServedSystem(headrace.load(shop)).log().read("predictions")
    kept = log.filter(pl.col("id").is_in([one["prediction_id"] for one in answer["predictions"]]))
    payloads = [json.loads(one) for one in kept["payload"]]
    assert [one["answer"]["prediction"] for one in payloads] == [
        one["prediction"] for one in answer["predictions"]
    ]
    assert all(set(NAMES) <= one["row"].keys() for one in payloads)
    assert payloads[0]["row"]["user"] == 1
    assert [(one["model"], one["version"], one["arm"]) for one in payloads] == [
        ("shop", 1, "champion")
    ] * 2
    again = headrace.open("shop@1", shop).predict([one["row"] for one in payloads])
    assert [one["prediction"] for one in again] == [one["answer"]["prediction"] for one in payloads]


def test_a_killed_process_loses_no_more_than_the_stated_moment(shop: Path) -> None:
    with Running(shop) as service:
        with httpx.Client() as client:
            ids = [
                client.post(service.url + "/predict", json={"rows": [row(at_)]}).json()[
                    "predictions"
                ][0]["prediction_id"]
                for at_ in range(30)
            ]
        service.wait(
            lambda: "headrace_logged_total 30.0" in httpx.get(service.url + "/metrics").text
        )
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
    from headrace.serve.models.system import ServedSystem

    assert set(ids) <= set(ServedSystem(headrace.load(shop)).log().read()["id"].to_list())


def test_a_store_that_is_gone_or_silent_is_not_waited_for(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "no")
    try:
        folder = tmp_path / "shop"
        folder.mkdir()
        spec(folder, f"store: {server.url}\nserve: {{store_timeout_ms: 20}}")
        system = headrace.load(folder)
        headrace.run(system)
        headrace.materialize(system)
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
            assert 'headrace_default_rows_total{model="shop"}' in page
            service.stop()
        assert "store_lost" in service.rest
    finally:
        server.kill()


def keys_of(folder: Path, user: int) -> tuple[Store, list[bytes]]:
    """Where an entity stands in the store of a system, opened beside those that serve it."""
    store = LmdbStore(folder / ".headrace" / "online")
    reader, stand = WindowReader(store), read_state(store)
    names = reader.names([row(user)])
    return store, [
        entity_key(stand.prefix, at, name) for at, name in enumerate(names) if name is not None
    ]


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"garbage" * 20, id="garbage"),
        pytest.param("half", id="half"),
        pytest.param(b"", id="empty", marks=SLOW),
        pytest.param(b"\xff" * 400, id="huge", marks=SLOW),
        pytest.param(b"\0" * 3, id="short", marks=SLOW),
    ],
)
def test_an_entity_whose_bytes_are_damaged_spoils_no_other(
    shop: Path, tmp_path: Path, content: bytes | str
) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    others = [row(user) for user in (2, 3, 4)]
    with Running(folder) as service, httpx.Client(base_url=service.url) as client:
        whole = client.post("/predict", json={"rows": others}).json()["predictions"]
        store, keys = keys_of(folder, 1)
        with closing(store):
            puts = {}
            for key in keys:
                (value,) = store.read([key])
                puts[key] = (
                    (value or b"")[: len(value or b"") // 2]
                    if isinstance(content, str)
                    else content
                )
            store.write(Changes(puts=puts))
        answer = client.post("/predict", json={"rows": [others[0], row(1), *others[1:]]})
        assert answer.status_code == 200
        found = answer.json()["predictions"]
        assert set(found[1]["imputed"]) == set(NAMES)
        assert not any("imputed" in one for one in [found[0], *found[2:]])
        assert [one["prediction"] for one in [found[0], *found[2:]]] == [
            one["prediction"] for one in whole
        ]
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        for number, user in enumerate((1, 2)):
            pushed = client.post(
                "/events/clicks", json={"events": [event(9_500 + number, user, at=now)]}
            )
            assert pushed.status_code == 200, pushed.text
            assert pushed.json()["stored"], pushed.text
        assert (
            "imputed" in client.post("/predict", json={"rows": [row(1)]}).json()["predictions"][0]
        )
    headrace.materialize(headrace.load(folder))
    assert "imputed" not in client_once(folder, row(1))


def client_once(folder: Path, one: dict[str, Any]) -> dict[str, Any]:
    async def asked(service: Service, client: httpx.AsyncClient) -> dict[str, Any]:
        found: dict[str, Any] = (await client.post("/predict", json={"rows": [one]})).json()[
            "predictions"
        ][0]
        return found

    return within([str(folder)], asked)


def test_a_store_that_is_removed_and_filled_anew_is_followed(shop: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    with Running(folder) as service, httpx.Client(base_url=service.url, timeout=20) as client:

        def asked() -> dict[str, Any]:
            found: dict[str, Any] = client.post("/predict", json={"rows": [row(1)]}).json()[
                "predictions"
            ][0]
            return found

        before = asked()
        shutil.rmtree(folder / ".headrace" / "online")
        assert set(asked()["imputed"]) == set(NAMES)
        again = "import headrace, sys; headrace.materialize(headrace.load(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", again, str(folder)], check=True)
        service.wait(lambda: "imputed" not in asked())
        assert asked()["prediction"] == before["prediction"]


@pytest.mark.parametrize("share", [pytest.param(0.0, marks=SLOW), 0.5])
def test_a_store_that_is_cut_off_ends_no_process(shop: Path, tmp_path: Path, share: float) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    file = folder / ".headrace" / "online" / "data.mdb"
    with Running(folder) as service, httpx.Client(base_url=service.url, timeout=20) as client:
        assert (
            "imputed"
            not in client.post("/predict", json={"rows": [row(1)]}).json()["predictions"][0]
        )
        os.truncate(file, int(file.stat().st_size * share) // 4096 * 4096)
        for _ in range(20):
            answer = client.post("/predict", json={"rows": [row(1)]})
            assert set(answer.json()["predictions"][0]["imputed"]) == set(NAMES)
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        assert (
            client.post("/events/clicks", json={"events": [event(9_600, 1, at=now)]}).status_code
            == 503
        )
        assert service.process.poll() is None
    again = "import headrace, sys; headrace.materialize(headrace.load(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", again, str(folder)], capture_output=True, text=True, check=False
    )
    assert (
        done.returncode == 0
        or "remove the folder; `headrace materialize DIR` refills it" in done.stderr
    )


def test_a_clock_that_is_ahead_is_told_and_empties_no_window(shop: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    with pytest.raises(InputError, match="in the future"):
        headrace.push(
            "clicks",
            event(9_700, 2, at=at(21_000).isoformat()),
            folder,
            datetime(2099, 1, 1, tzinfo=UTC),
        )
    whole = client_once(folder, row(1))
    ahead = time.time_ns() // 1000 + 10 * 365 * 86_400 * 10**6
    system = headrace.load(folder)
    online = Pusher(open_store(system), open_log(system), ManualClock(ahead))
    online.push("clicks", [event(9_701, 2, at=at(21_000).isoformat())], ahead)
    found = client_once(folder, row(1))
    assert set(found["imputed"]) == set(NAMES)
    with pytest.raises(WorkError, match=r"ahead of this machine's clock.*materialize"):
        headrace.push("clicks", event(9_702, 2, at=at(21_000).isoformat()), folder)
    headrace.materialize(system)
    assert client_once(folder, row(1))["prediction"] == whole["prediction"]


def test_a_server_that_forgot_everything_is_no_fault_of_the_events(tmp_path: Path) -> None:
    import redis

    server = RedisServer(tmp_path)
    try:
        folder = tmp_path / "shop"
        folder.mkdir()
        spec(folder, f"store: {server.url}")
        headrace.run(headrace.load(folder))
        headrace.materialize(headrace.load(folder))
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()

        async def asked(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
            redis.Redis.from_url(server.url).flushall()
            return [
                await client.post("/events/clicks", json={"events": [event(9_800, 1, at=now)]}),
                await client.post("/predict", json={"rows": [row(1)]}),
            ]

        pushed, predicted = within([str(folder)], asked)
        assert pushed.status_code == 503
        assert "materialize" in pushed.text
        assert set(predicted.json()["predictions"][0]["imputed"]) == set(NAMES)
    finally:
        server.kill()


@pytest.mark.parametrize(
    "what",
    ["garbage", *(pytest.param(one, marks=SLOW) for one in ("cut", "another type", "one key"))],
)
def test_a_server_whose_values_were_changed_is_told_and_fails_nobody(
    tmp_path: Path, what: str
) -> None:
    import redis

    server = RedisServer(tmp_path)
    try:
        folder = tmp_path / "shop"
        folder.mkdir()
        spec(folder, f"store: {server.url}")
        headrace.run(headrace.load(folder))
        headrace.materialize(headrace.load(folder))
        client = redis.Redis.from_url(server.url)
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()

        async def asked(service: Service, http: httpx.AsyncClient) -> list[httpx.Response]:
            for key in client.keys("*"):
                if client.type(key) != b"string" or (
                    what == "one key" and b"stand" not in key.lower()
                ):
                    continue
                if what == "another type":
                    client.delete(key)
                    client.sadd(key, "x")
                else:
                    client.set(key, b"garbage" if what != "cut" else (client.get(key) or b"")[:5])
            return [
                await http.post("/predict", json={"rows": [row(1)]}),
                await http.post(
                    "/events/clicks",
                    json={"events": [event(9_900, 1, at=now), event(1, 2, at=now)]},
                ),
                await http.post("/predict", json={"rows": [row(1)]}),
            ]

        before, pushed, after = within([str(folder)], asked)
        assert (before.status_code, after.status_code) == (200, 200)
        assert pushed.status_code in (200, 503)
        if what != "one key":
            assert set(before.json()["predictions"][0]["imputed"]) == set(NAMES)
    finally:
        server.kill()
