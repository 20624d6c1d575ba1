"""The service answers as the predictor does, and says what is wrong."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

import millrace
from millrace.serve import app
from tests.conftest import Runs, make_table


def ask(bundle: Any, method: str, path: str, content: bytes = b"") -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=app(millrace.open(bundle)))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, content=content)

    return asyncio.run(call())


def rows(count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(json.dumps(make_table(count, seed=3).to_dicts(), default=str))
    return made


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_predictions_have_the_one_shape(runs: Runs, task: str) -> None:
    bundle = runs(task, "gbdt").bundle
    given = rows(3)
    answer = ask(bundle, "POST", "/predict", json.dumps({"rows": given}).encode())
    assert answer.status_code == 200 and answer.headers["x-millrace-model"] == task
    document = answer.json()
    assert (document["model"], document["version"]) == (task, 1)
    ids = [one.pop("prediction_id") for one in document["predictions"]]
    assert sorted(ids) == ids and len(set(ids)) == 3
    assert document["predictions"] == millrace.open(bundle).predict(given)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/predict", b"not json", 400, "cannot be read"),
        ("POST", "/predict", b'{"rows": [1]}', 400, "Expected `object`"),
        ("POST", "/predict", b'{"row": []}', 400, "unknown field"),
        ("POST", "/predict", b'{"rows": ' + b"[" * 100_000, 400, "cannot be read"),
        ("POST", "/predict", b'{"rows": [{}]}', 422, "row 1, column 'x': no such column"),
        ("POST", "/nowhere", b"", 404, "no such route"),
        ("GET", "/predict", b"", 405, "GET is not allowed"),
    ],
)
def test_what_is_wrong_is_said(runs: Runs, method: str, path: str, body: bytes, status: int, words: str) -> None:
    answer = ask(runs("binary", "gbdt").bundle, method, path, body)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert words in answer.text and "Traceback" not in answer.text
    assert answer.json()["status"] == status


def test_a_bad_value_is_named_by_row_and_column(runs: Runs) -> None:
    given = rows(3)
    given[1]["z"] = "abc"
    answer = ask(runs("binary", "gbdt").bundle, "POST", "/predict", json.dumps({"rows": given}).encode())
    assert answer.status_code == 422
    assert "row 2, column 'z': the value 'abc' (str); expected a number" in answer.json()["detail"]


def test_no_rows_and_a_body_beyond_the_limit(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = runs("binary", "gbdt").bundle
    assert ask(bundle, "POST", "/predict", b'{"rows": []}').json()["predictions"] == []
    monkeypatch.setattr("millrace.serve.service.MOST_BODY_BYTES", 100)
    assert ask(bundle, "POST", "/predict", b" " * 101).status_code == 413


def test_a_live_service_is_verified_over_http(runs: Runs) -> None:
    bundle = runs("multiclass", "gbdt").bundle
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "millrace.cli", "serve", str(bundle), "--port", str(port)]
    service = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/ready").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        result = millrace.verify(bundle, url=f"http://127.0.0.1:{port}")
        assert result.passed, result.findings
        assert "verify.parity" in [finding.check for finding in result.findings]
    finally:
        os.kill(service.pid, signal.SIGINT)
        service.wait(timeout=30)
