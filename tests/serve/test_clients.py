"""Clients as others wrote them, unchanged, each in an environment of its own."""

import json
import os
import signal
import socket
import subprocess
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import headrace
from tests.conftest import Runs
from tests.serve.running import Running
from tests.serve.test_service import folder_of, rows

Python = Callable[..., Path]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Makes environments with some packages; a test is skipped where the registry has them not."""

    def make(*packages: str) -> Path:
        home = tmp_path_factory.mktemp("environment")
        venv.create(home, with_pip=True)
        found = home / "bin" / "python"
        done = subprocess.run(
            [found, "-m", "pip", "install", "--quiet", *packages], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip(f"{packages} cannot be installed")
        return found

    return make


def run(found: Path, script: str, *arguments: str) -> Any:
    done = subprocess.run(
        [found, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


TRITON = """
import json, sys
import numpy as np, tritonclient.http as triton
client, name, rows = triton.InferenceServerClient(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(name)
assert client.is_model_ready(name, "1") and not client.is_model_ready("nothing")
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
told = client.get_model_metadata(name)
types = {
    "FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "FP32": np.float32, "BYTES": np.object_
}
found = []
for binary in (True, False):
    inputs = []
    for one in told["inputs"]:
        values = [row[one["name"]] for row in rows]
        if one["datatype"] == "BYTES":
            values = ["" if value is None else str(value) for value in values]
        elif one["datatype"] == "FP64":
            values = [float("nan") if value is None else value for value in values]
        array = np.array(values, types[one["datatype"]]).reshape(-1, 1)
        tensor = triton.InferInput(one["name"], array.shape, one["datatype"])
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    wanted = [triton.InferRequestedOutput("prediction", binary_data=binary)]
    answer = client.infer(name, inputs, request_id="7", outputs=wanted)
    assert answer.get_response()["id"] == "7" and answer.as_numpy("prediction_id") is None
    found.append(answer.as_numpy("prediction").ravel().tolist())
    answer = client.infer(name, inputs, model_version="1")
    found.append(answer.as_numpy("prediction").ravel().tolist())
try:
    client.infer(name, inputs[:1])
except triton.InferenceServerException as error:
    assert "no such column" in str(error), error
plain = lambda one: one.decode() if isinstance(one, bytes) else one
print(json.dumps([list(map(plain, some)) for some in found]))
"""


def whole(count: int) -> list[dict[str, Any]]:
    """Rows without a missing number, which JSON tensors have no word for."""
    return [row for row in rows(3 * count) if row["x"] is not None][:count]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_triton(runs: Runs, python: Python, task: str) -> None:
    folder = folder_of(runs(task, "gbdt"))
    given = whole(5)
    with Running(folder) as service:
        url = service.url.removeprefix("http://")
        found = run(python("tritonclient[http]"), TRITON, url, task, json.dumps(given))
    expected = [one["prediction"] for one in headrace.open(f"{task}@1", folder).predict(given)]
    assert all(
        one == pytest.approx(expected) if task != "multiclass" else one == expected for one in found
    )


KSERVE = """
import asyncio, json, sys
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
async def ask():
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=1, timeout=20))
    url, name, tensors = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    assert await client.is_server_live(url) and await client.is_server_ready(url)
    assert await client.is_model_ready(url, name)
    fields = ("name", "shape", "datatype", "data")
    inputs = [InferInput(*(one[field] for field in fields)) for one in tensors]
    answer = await client.infer(url, InferRequest(name, inputs, request_id="7"), model_name=name)
    print(json.dumps([one.data for one in answer.outputs if one.name == "prediction"][0]))
asyncio.run(ask())
"""


@pytest.mark.slow
def test_kserve(runs: Runs, python: Python) -> None:
    folder = folder_of(runs("binary", "gbdt"))
    given = whole(3)
    with Running(folder) as service:
        tensors = tensors_of(service, given)
        found = run(python("kserve"), KSERVE, service.url, "binary", json.dumps(tensors))
    expected = [one["prediction"] for one in headrace.open("binary@1", folder).predict(given)]
    assert found == pytest.approx(expected)


def tensors_of(service: Running, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as tensors, by what the service says of its model."""
    told = httpx.get(service.url + "/v2/models/binary").json()["inputs"]
    return [
        {**one, "shape": [len(given), 1], "data": [row[one["name"]] for row in given]}
        for one in told
    ]


@pytest.mark.slow
def test_mlserver(runs: Runs, python: Python, tmp_path: Path) -> None:
    folder = folder_of(runs("binary", "gbdt"))
    given = whole(3)
    found = python("mlserver", "uvloop<0.22")
    with Running(folder) as service:
        lines = [json.dumps({"inputs": tensors_of(service, [row])}) for row in given]
        (tmp_path / "in.txt").write_text("\n".join(lines) + "\n")
        files = ["-i", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.txt")]
        command = [
            str(found.parent / "mlserver"),
            "infer",
            "-u",
            service.url.removeprefix("http://"),
            "-m",
            "binary",
        ]
        done = subprocess.run(
            [*command, *files], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in (tmp_path / "out.txt").read_text().splitlines()]
    told.sort(key=lambda one: one.get("parameters", {}).get("batch_internal_id", one["id"]))
    predicted = [
        tensor["data"][0]
        for one in told
        for tensor in one["outputs"]
        if tensor["name"] == "prediction"
    ]
    expected = [one["prediction"] for one in headrace.open("binary@1", folder).predict(given)]
    assert sorted(predicted) == pytest.approx(sorted(expected))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_body_gets_the_answer_that_mlflow_gives(runs: Runs, python: Python, task: str) -> None:
    """MLflow serves the same bundle with Headrace as a library."""
    run_ = runs(task, "gbdt")
    given = [{name: value for name, value in row.items() if name != "row"} for row in whole(4)]
    columns = list(given[0])
    split = {"columns": columns, "data": [[row[name] for name in columns] for row in given]}
    lines = [
        ",".join("" if row[name] is None else str(row[name]) for name in columns) for row in given
    ]
    csv = "\n".join([",".join(columns), *lines])
    bodies: list[tuple[str, bytes]] = [
        ("application/json", json.dumps({"dataframe_split": split}).encode()),
        ("application/json", json.dumps({"dataframe_records": given}).encode()),
        ("text/csv", csv.encode()),
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(headrace.__file__).parent.parent
    found = python("mlflow", "pandas", str(home))
    command = [
        str(found),
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(run_.bundle),
        "--env-manager",
        "local",
    ]
    environment = {"PATH": f"{found.parent}:/usr/bin:/bin"}
    silent = subprocess.DEVNULL
    peer = subprocess.Popen(
        [*command, "-p", str(port)],
        env=environment,
        stdout=silent,
        stderr=silent,
        start_new_session=True,
    )
    try:
        with Running(run_.bundle) as service:
            url = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 90
            while True:
                try:
                    if httpx.get(url + "/ping").status_code == 200:
                        break
                except httpx.TransportError:
                    assert time.monotonic() < end
                    time.sleep(0.5)
            for kind, body in bodies:
                theirs, ours = (
                    httpx.post(
                        one + "/invocations",
                        content=body,
                        headers={"content-type": kind},
                        timeout=30,
                    )
                    for one in (url, service.url)
                )
                assert theirs.status_code == ours.status_code == 200, (theirs.text, ours.text)
                for a, b in zip(
                    theirs.json()["predictions"], ours.json()["predictions"], strict=True
                ):
                    assert a.keys() == b.keys()
                    for name, value in a.items():
                        assert b[name] == (
                            pytest.approx(value) if isinstance(value, float) else value
                        )
    finally:
        os.killpg(peer.pid, signal.SIGTERM)
        peer.wait()
