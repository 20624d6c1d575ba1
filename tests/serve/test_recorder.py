"""What waits for a slow disk is bounded, and what is lost is told."""

import asyncio
import json
import shutil
from pathlib import Path

import httpx
import pytest

from millrace.events import Log
from millrace.serve import recorder
from millrace.serve.service import Service
from millrace.tables import alone
from tests.conftest import Runs, make_table
from tests.serve.running import within
from tests.serve.test_service import folder_of


def test_more_than_may_wait_for_the_disk_is_lost_and_counted(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "system"
    shutil.copytree(folder_of(runs("binary", "gbdt")), folder, ignore=shutil.ignore_patterns("log"))
    with (folder / "system.yaml").open("a") as file:
        file.write("\nlog: {fsync: true}\n")
    monkeypatch.setattr(recorder, "MOST_BYTES", 20_000)
    rows = make_table(5, seed=3).to_dicts()
    log = folder / ".millrace" / "log" / "predictions"

    async def asked(service: Service, client: httpx.AsyncClient) -> tuple[list[str], int, int]:
        ids: list[str] = []

        async def ask(count: int = 5) -> None:
            body = json.dumps({"rows": rows[:count]}, default=str)
            answer = (await client.post("/predict", content=body)).json()
            ids.extend(one["prediction_id"] for one in answer["predictions"])

        with alone(log / "writer.lock"):  # the disk hangs
            await ask()
            await asyncio.sleep(2 * recorder.FLUSH_S)
            for _ in range(50):
                await ask()
        await service.recorder.close()
        await ask(2)  # and is well again
        await service.recorder.close()
        counts = service.meter.counts
        return ids, int(counts["millrace_logged",]), int(counts["millrace_log_lost",])

    ids, logged, lost = within([str(folder)], asked)
    kept = Log(log).read()
    assert len(ids) == 51 * 5 + 2 == logged + lost and 5 < lost < 250
    assert kept["id"].to_list() == [*ids[: logged - 2], *ids[-2:]]
    told = [json.loads(payload) for payload in kept["payload"]]
    assert [one["answer"]["prediction_id"] for one in told] == kept["id"].to_list()
    assert [one["row"]["x"] for one in told] == [row["x"] for row in [*rows * (logged // 5), *rows[:2]]]
