"""Every prediction is in the log as it was asked for and answered; what waits for a slow disk is
bounded.
"""

import asyncio
import json
import shutil
from pathlib import Path

import httpx
import pytest

from headrace.log import Log
from headrace.serve.api.answer import encode_predictions
from headrace.serve.models import recorder
from headrace.serve.service import Service
from headrace.tables import exclusive_lock
from tests.conftest import Runs, make_table
from tests.serve.running import within
from tests.serve.test_service import folder_of, rows


def test_more_than_may_wait_for_the_disk_is_lost_and_counted(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "system"
    shutil.copytree(folder_of(runs("binary", "gbdt")), folder, ignore=shutil.ignore_patterns("log"))
    with (folder / "system.yaml").open("a") as file:
        file.write("\nlog: {fsync: true}\n")
    monkeypatch.setattr(recorder, "FLUSH_BYTES", 10_000)
    monkeypatch.setattr(recorder, "MAX_BYTES", 20_000)
    given = make_table(5, seed=3).to_dicts()
    log = folder / ".headrace" / "log" / "predictions"

    async def asked(service: Service, client: httpx.AsyncClient) -> tuple[list[str], int, int]:
        ids: list[str] = []

        async def ask(count: int = 5) -> None:
            body = json.dumps({"rows": given[:count]}, default=str)
            answer = (await client.post("/predict", content=body)).json()
            ids.extend(one["prediction_id"] for one in answer["predictions"])

        with exclusive_lock(log / "writer.lock"):  # the disk hangs
            await ask()
            await asyncio.sleep(2 * recorder.FLUSH_S)
            for _ in range(50):
                await ask()
        await service.recorder.close()
        await ask(2)  # and is well again
        await service.recorder.close()
        counts = service.metrics.counts
        return ids, int(counts["headrace_logged",]), int(counts["headrace_log_lost",])

    ids, logged, lost = within([str(folder)], asked)
    kept = Log(log).read()
    assert len(ids) == 51 * 5 + 2 == logged + lost
    assert 5 < lost < 250
    assert kept["id"].to_list() == [*ids[: logged - 2], *ids[-2:]]
    told = [json.loads(payload) for payload in kept["payload"]]
    assert [one["answer"]["prediction_id"] for one in told] == kept["id"].to_list()
    assert [one["row"]["x"] for one in told] == [
        row["x"] for row in [*given * (logged // 5), *given[:2]]
    ]


def test_predictions_are_logged_alike_whatever_the_protocol(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "system"
    shutil.copytree(
        folder_of(runs("multiclass", "gbdt")), folder, ignore=shutil.ignore_patterns("log")
    )
    given = rows(2)

    async def asked(service: Service, client: httpx.AsyncClient) -> list[str]:
        named = (await client.post("/predict", json={"rows": given})).json()["predictions"]
        assert (
            await client.post("/invocations", json={"dataframe_records": given})
        ).status_code == 200
        path = "/v2/models/multiclass"
        known = (await client.get(path)).json()["inputs"]
        inputs = [
            {**one, "shape": [2, 1], "data": [row[one["name"]] for row in given]} for one in known
        ]
        answer = await client.post(path + "/infer", json={"inputs": inputs})
        outputs = {one["name"]: one["data"] for one in answer.json()["outputs"]}
        return [*(one["prediction_id"] for one in named), *outputs["prediction_id"]]

    ids = within([str(folder)], asked)
    kept = Log(folder / ".headrace" / "log" / "predictions").read()
    told = [json.loads(payload) for payload in kept["payload"]]
    assert len(told) == 6
    assert [one["answer"]["prediction_id"] for one in told] == kept["id"].to_list()
    assert [*kept["id"][:2], *kept["id"][4:]] == ids
    answers = [(one["answer"]["prediction"], one["answer"]["probabilities"]) for one in told]
    assert answers[:2] == answers[2:4] == answers[4:]
    assert [one["row"]["x"] for one in told] == [row["x"] for row in given] * 3
    assert {(one["model"], one["version"], one["arm"]) for one in told} == {
        ("multiclass", 1, "champion")
    }


def test_a_request_without_rows_writes_nothing(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "system"
    shutil.copytree(folder_of(runs("binary", "gbdt")), folder, ignore=shutil.ignore_patterns("log"))

    async def asked(service: Service, client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/predict", json={"rows": []})

    assert within([str(folder)], asked).json()["predictions"] == []
    assert not (folder / ".headrace" / "log").exists()


def test_the_id_of_a_prediction_is_ours_also_where_a_table_calls_its_ids_so() -> None:
    told = json.loads(encode_predictions(["0661"], [{"prediction_id": 7, "prediction": 0.5}]))
    assert told == [{"prediction_id": "0661", "prediction": 0.5}]
