"""Requests by somebody who means harm: large bodies, other sites' pages, no token, odd HTTP."""

import asyncio
import json
import random
import shutil
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from headrace.errors import InputError
from headrace.registry.journal import write_aliases
from headrace.serve import add_token
from headrace.serve.http import slices
from headrace.serve.http.messages import Problem
from headrace.serve.http.tokens import Tokens
from headrace.serve.models import repository
from headrace.serve.models.repository import Repository
from headrace.serve.models.served import ServedModel
from headrace.serve.models.sources import ModelSource
from headrace.serve.run import serve
from headrace.serve.service import Service
from headrace.workspace import Workspace
from tests.conftest import Runs
from tests.serve.running import Running, ask, within
from tests.serve.test_service import bodied, folder_of, rows

MB = 1 << 20


def of_size(begin: bytes, piece: bytes, end: bytes, size: int = 15 * MB) -> bytes:
    return begin + piece * (size // len(piece)) + end


BODIES: dict[str, tuple[str, str, bytes]] = {
    "CSV of one column": ("/invocations", "text/csv", of_size(b"a\n", b"1\n", b"")),
    "CSV of many columns": ("/invocations", "text/csv", of_size(b"a", b",a", b"\n1\n")),
    "CSV of five columns": (
        "/invocations",
        "text/csv",
        of_size(b"x,z,big,colour,code\n", b"1,2,3,red,5\n", b""),
    ),
    "CSV of quotes": ("/invocations", "text/csv", of_size(b"x\n", b'"', b"\n")),
    "CSV of empty lines": ("/invocations", "text/csv", of_size(b"x\n", b"\n", b"")),
    "dataframe_split": (
        "/invocations",
        "application/json",
        of_size(b'{"dataframe_split":{"columns":["x"],"data":[', b"[1],", b"[1]]}}"),
    ),
    "records": (
        "/invocations",
        "application/json",
        of_size(b'{"dataframe_records":[', b"{},", b"{}]}"),
    ),
    "instances": ("/invocations", "application/json", of_size(b'{"instances":[', b"1,", b"1]}")),
    "inputs": ("/invocations", "application/json", of_size(b'{"inputs":{"x":[', b"1,", b"1]}}")),
    "nested lists": (
        "/v2/models/binary/infer",
        "application/json",
        of_size(
            b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[',
            b"[[1]],",
            b"[[1]]]}]}",
        ),
    ),
    "a deep list": (
        "/v2/models/binary/infer",
        "application/json",
        b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":'
        + b"[" * 7 * MB
        + b"]" * 7 * MB
        + b"}]}",
    ),
    "many tensors": (
        "/v2/models/binary/infer",
        "application/json",
        of_size(b'{"inputs":[', b'{"name":"x","shape":[],"datatype":"FP64","data":[]},', b"{}]}"),
    ),
    "a quoted break in the header": (
        "/invocations",
        "text/csv",
        of_size(b'"a\n"', b",", b"\n1\n", 2 * MB),
    ),
    "short rows of many columns": (
        "/invocations",
        "text/csv",
        ",".join(f"c{at}" for at in range(1_000)).encode() + b"\n" + b"1\n" * 9_900,
    ),
    "a long name": (
        "/predict",
        "application/json",
        of_size(b'{"rows":[],"', b"x", b'":[1]}', 14 * MB),
    ),
    "many dimensions": (
        "/v2/models/binary/infer",
        "application/json",
        b'{"inputs":[{"name":"x","shape":[1'
        + b",9223372036854775783" * 45_000
        + b'],"datatype":"FP64","data":[1]}]}',
    ),
    "outputs again and again": (
        "/v2/models/binary/infer",
        "application/json",
        b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP64","data":[1]}],"outputs":['
        + b'{"name":"prediction"},' * 30_000
        + b'{"name":"prediction"}]}',
    ),
    "broken at its end": (
        "/predict",
        "application/json",
        b'{"rows":[' + (b'{"colour":"' + b"[" * 1_900_000 + b'"},') * 8 + b",nul]}",
    ),
    "empty rows": ("/predict", "application/json", of_size(b'{"rows":[', b"{},", b"{}]}")),
    "rows of many columns": (
        "/predict",
        "application/json",
        of_size(b'{"rows":[{', b'"abcdefgh":1,', b'"a":1}]}'),
    ),
    "a long text": (
        "/predict",
        "application/json",
        of_size(b'{"rows":[{"colour":"', b"x", b'"}]}'),
    ),
    "no JSON": ("/predict", "application/json", of_size(b"", b"\xff", b"")),
    "blanks": ("/predict", "application/json", of_size(b"", b" ", b"")),
    "escapes": ("/predict", "application/json", of_size(b'{"rows":[{"colour":"', b"\\\\", b'"}]}')),
    "events": ("/events", "application/json", of_size(b'{"events":[', b"{},", b"{}]}")),
}


class Beside:
    """Somebody else's requests, one after the other, and how long the slowest waited."""

    def __init__(self, url: str) -> None:
        self.worst, self.statuses, self._ends = 0.0, set[int](), threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url,))

    def _ask(self, url: str) -> None:
        body = bodied(rows(1))
        with httpx.Client(timeout=60) as client:
            while not self._ends.is_set():
                begin = time.perf_counter()
                self.statuses.add(client.post(url + "/predict", content=body).status_code)
                self.worst = max(self.worst, time.perf_counter() - begin)

    def __enter__(self) -> "Beside":
        self._thread.start()
        time.sleep(0.3)
        self.worst = 0.0
        return self

    def __exit__(self, *_: Any) -> None:
        self._ends.set()
        self._thread.join()


def memory_mb(process: int) -> float:
    (line,) = [
        one
        for one in Path(f"/proc/{process}/status").read_text().splitlines()
        if one.startswith("VmHWM")
    ]
    return int(line.split()[1]) / 1024


@pytest.mark.slow
def test_nobody_waits_for_a_large_body(runs: Runs) -> None:
    """The others wait 0.2 s at most on a machine with a core to spare; here it may be shared."""
    with Running(folder_of(runs("binary", "gbdt"))) as service:
        before = memory_mb(service.process.pid)
        for name, (path, kind, body) in BODIES.items():
            with Beside(service.url) as other:
                answer = httpx.post(
                    service.url + path, content=body, headers={"content-type": kind}, timeout=60
                )
            assert answer.status_code in (400, 413, 422, 200), name
            assert other.statuses == {200}, f"{name}: {other.worst:.2f} s"
            assert other.worst < 1.0, f"{name}: {other.worst:.2f} s"
        assert memory_mb(service.process.pid) - before < 12 * 16


@pytest.mark.parametrize(
    "name", [name for name in BODIES if name not in ("a long text", "escapes", "events")]
)
def test_a_hostile_body_is_refused(runs: Runs, name: str) -> None:
    path, kind, body = BODIES[name]
    answer = ask(
        [str(folder_of(runs("binary", "gbdt")))], "POST", path, body, {"content-type": kind}
    )
    assert answer.status_code in (400, 413, 422), answer.text[:200]
    assert "Traceback" not in answer.text
    assert len(answer.content) < 10_000


def test_a_large_body_is_answered_as_many_small_ones(runs: Runs) -> None:
    given = rows(4_000)
    models = [str(runs("binary", "gbdt").bundle)]
    body = bodied(given)
    assert len(body) > slices.WHOLE_BYTES / 2
    padded = body[:-1] + b" " * (2 * MB) + b"}"
    small, large = (
        ask(models, "POST", "/predict", one).json()["predictions"] for one in (body, padded)
    )
    assert [one["prediction"] for one in small] == [one["prediction"] for one in large]
    assert len(small) == 4_000
    given[3_500]["z"] = "abc"
    for one in (bodied(given), bodied(given)[:-1] + b" " * (2 * MB) + b"}"):
        answer = ask(models, "POST", "/predict", one)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["row"] == 3_501
        assert "row 3501" in answer.json()["detail"]


def some(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if depth > 4 or kind < 0.3:
        return chance.choice([1, 2.5, None, True, 'a"b\\', "{[,]}", "", "é\\", -1e3])
    if kind < 0.65:
        return [some(chance, depth + 1) for _ in range(chance.randint(0, 5))]
    return {
        chance.choice(['a"', "b", "c{", "d,", "e\\"]) + str(at): some(chance, depth + 1)
        for at in range(3)
    }


@pytest.mark.parametrize("seed", range(8))
def test_slices_are_decoded_as_the_whole(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the text was changed, so that it is no JSON any more."""
    monkeypatch.setattr(slices, "SLICE_BYTES", 40)
    monkeypatch.setattr(slices, "_SCAN_BYTES", 37)
    chance = random.Random(seed)

    def decoded(body: bytes, sliced: bool) -> Any:
        try:
            if sliced:
                return asyncio.run(slices.decode_in_slices(body, 10**6))
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "no JSON"

    for _ in range(200):
        body = json.dumps(some(chance, 0), ensure_ascii=chance.random() < 0.5).encode()
        if chance.random() < 0.5:
            at = chance.randrange(len(body))
            body = (
                body[:at]
                + chance.choice([b"", b",", b"]", b"}", b"[", b"{", b'"', b"\\", b"1"])
                + body[at + 1 :]
            )
        assert decoded(body, sliced=True) == decoded(body, sliced=False), body
    with pytest.raises(Problem, match="too many values"):
        asyncio.run(slices.decode_in_slices(b"[" + b"1," * 100 + b"1]", 40))


HOSTS = [
    ("127.0.0.1:80", 200), ("localhost", 200), ("[::1]:80", 200), ("10.1.2.3", 200),
    ("LOCALHOST.", 200), ("app.localhost", 200),
    ("evil.example", 403), ("evil.example:80", 403), ("localhost.evil.example", 403),
    ("127.0.0.1.evil.example", 403), ("127.0.0.1@evil.example", 403), ("xn--localhost", 403),
]  # fmt: skip


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_a_page_whose_name_means_this_machine_is_refused(
    runs: Runs, host: str, status: int
) -> None:
    models = [str(folder_of(runs("binary", "gbdt")))]
    for method, path, body in (
        ("POST", "/predict", bodied(rows(1))),
        ("GET", "/metrics", b""),
        ("GET", "/", b""),
    ):
        assert ask(models, method, path, body, {"host": host}).status_code == status


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"]
)
def test_what_a_page_may_send_anywhere_is_not_read(runs: Runs, kind: str) -> None:
    models = [str(folder_of(runs("binary", "gbdt")))]
    headers = {"content-type": kind}
    for browser in (
        {"origin": "http://localhost"},
        {"referer": "http://localhost/"},
        {"sec-fetch-site": "cross-site"},
    ):
        answer = ask(
            models, "POST", "/predict", bodied(rows(1)), headers | {"host": "localhost"} | browser
        )
        assert answer.status_code == 415
        assert "send application/json" in answer.text
    assert (
        ask(models, "POST", "/predict", bodied(rows(1)), headers).status_code == 200
    )  # as `curl -d` sends it


def test_pages_say_what_a_browser_may_do(runs: Runs) -> None:
    models = [str(folder_of(runs("binary", "gbdt")))]
    for path in ("/", "/docs", "/card/binary"):
        headers = ask(models, "GET", path, b"").headers
        policy = headers["content-security-policy"]
        assert all(one in policy for one in ("frame-ancestors", "form-action", "base-uri"))
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health/live HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n", b"400"),
        (b"GET /health/live\r\n\r\n", b""),
        (b"GET /health/live HTTP/0.9\r\n\r\n", b""),
        (b"GET /health/live HTTP/2.0\r\nhost: localhost\r\n\r\n", b""),
        (b"GET /health/live HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n", b"200"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 200_000 + b"\r\n\r\n", b"431"),
    ],
)
def test_odd_http_is_refused(runs: Runs, running: Running, head: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(running.url.rsplit(":", 1)[1])), 10) as wire:
        wire.sendall(head)
        wire.shutdown(socket.SHUT_WR)
        answer = b""
        while part := wire.recv(1 << 16):
            answer += part
    if status:
        assert answer.split()[1] == status
    else:
        assert answer == b"" or answer.split()[1] in (b"400", b"505")
    assert answer == b"" or b"x-content-type-options: nosniff" in answer


@pytest.fixture(scope="module")
def running(runs: Runs) -> Any:
    with Running(folder_of(runs("binary", "gbdt"))) as service:
        yield service


def test_tokens_that_were_read_stay_in_force(runs: Runs, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder_of(runs("binary", "gbdt")), tmp_path / "system"))
    workspace, away = folder / ".headrace", tmp_path / "away"
    token = add_token(Workspace(folder), "me", ["admin"])
    body, mine = bodied(rows(1)), {"authorization": f"Bearer {token}"}
    kept = (workspace / "tokens.json").read_bytes()

    def asked(service: Running) -> tuple[int, int]:
        return tuple(  # type: ignore[return-value]
            httpx.post(service.url + "/predict", content=body, headers=headers).status_code
            for headers in ({}, mine)
        )

    with Running(folder) as service:
        assert asked(service) == (401, 200)
        tokens = workspace / "tokens.json"
        for damage, mend in (
            (lambda: workspace.rename(away), lambda: back(away, workspace)),
            (lambda: tokens.rename(away), lambda: away.rename(tokens)),
            (lambda: tokens.write_bytes(b"torn"), lambda: tokens.write_bytes(kept)),
            (lambda: shutil.rmtree(workspace / "aliases"), lambda: None),
            (lambda: shutil.rmtree(workspace / "bundles"), lambda: None),
        ):
            damage()
            time.sleep(0.5)
            assert asked(service) == (401, 200)
            mend()
            time.sleep(0.5)
            assert asked(service) == (401, 200)
        assert httpx.get(service.url + "/", headers=mine).status_code == 200
        assert httpx.get(service.url + "/card/binary", headers=mine).status_code in (200, 503)


def back(away: Path, workspace: Path) -> None:
    shutil.rmtree(workspace, ignore_errors=True)
    away.rename(workspace)


def test_a_file_of_tokens_that_was_never_readable_lets_nobody_in(tmp_path: Path) -> None:
    known, workspace = Tokens(), Workspace(tmp_path)
    workspace.path.mkdir()
    workspace.tokens.write_bytes(b"torn")
    with pytest.raises(Exception, match="cannot be read"):
        known.read([workspace])
    assert not known.guard().open
    workspace.tokens.write_bytes(b"[]")
    known.read([workspace])
    assert known.guard().open


def test_a_network_is_not_let_in_by_mistake(runs: Runs, tmp_path: Path) -> None:
    bundle = str(runs("binary", "gbdt").bundle)
    for host in ("0.0.0.0", "::", "192.168.1.5"):
        with pytest.raises(InputError, match=r"without tokens.*--open"):
            serve([bundle], tmp_path, host=host, port=0)


def test_a_stranger_who_holds_all_connections_takes_no_token(runs: Runs, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder_of(runs("binary", "gbdt")), tmp_path / "system"))
    token = add_token(Workspace(folder), "me", ["admin"])
    body, mine = bodied(rows(1)), {"authorization": f"Bearer {token}"}
    held: list[socket.socket] = []
    service = Running(folder, before=("prlimit", "--nofile=256"))
    with service, httpx.Client(headers=mine, timeout=20) as client:
        assert client.post(service.url + "/predict", content=body).status_code == 200
        try:
            for _ in range(300):
                one = socket.socket()
                one.settimeout(1)
                held.append(one)
                one.connect(("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
        except OSError:
            pass
        time.sleep(1)
        found = {client.post(service.url + "/predict", content=body).status_code for _ in range(20)}
        for one in held:
            one.close()
        assert found == {200}
        assert httpx.post(service.url + "/predict", content=body).status_code == 401


def test_what_a_row_has_beside_its_columns_is_not_logged(runs: Runs, tmp_path: Path) -> None:
    from headrace.log import Log

    folder = Path(shutil.copytree(folder_of(runs("binary", "gbdt")), tmp_path / "system"))
    shutil.rmtree(folder / ".headrace" / "log", ignore_errors=True)
    (row,) = rows(1)
    with Running(folder) as service:
        answer = httpx.post(service.url + "/predict", content=bodied([row | {"other": "x" * MB}]))
        assert answer.status_code == 200
    record = Log(folder / ".headrace" / "log" / "predictions").read()["payload"][0]
    assert len(record) < 2_000
    assert json.loads(record)["row"]["colour"] == row["colour"]


def test_a_token_is_for_the_system_whose_workspace_holds_it(runs: Runs, tmp_path: Path) -> None:
    folders = [
        Path(shutil.copytree(folder_of(runs(task, "gbdt")), tmp_path / task))
        for task in ("binary", "regression")
    ]
    tokens = [add_token(Workspace(folder), "me", ["predict"]) for folder in folders]
    body = bodied(rows(1))
    for at, token in enumerate(tokens):
        for other, task in enumerate(("binary", "regression")):
            headers = {"authorization": f"Bearer {token}"}
            answer = ask(
                [str(folder) for folder in folders], "POST", f"/predict/{task}", body, headers
            )
            assert answer.status_code == (200 if at == other else 403), answer.text


def test_a_version_that_comes_to_no_end_holds_up_nothing(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(folder_of(runs("binary", "gbdt")), tmp_path / "system"))
    workspace, ends = folder / ".headrace", threading.Event()
    bundles = workspace / "bundles"
    shutil.copytree(bundles / "binary-000001", bundles / "binary-000002")
    load = Repository._load

    def stuck(self: Repository, source: ModelSource, version: int) -> ServedModel:
        if version == 2:
            ends.wait(60)
        return load(self, source, version)

    monkeypatch.setattr(Repository, "_load", stuck)
    monkeypatch.setattr(repository, "LOAD_S", 3.0)

    async def asked(service: Service, client: httpx.AsyncClient) -> list[int]:
        write_aliases(Workspace(folder), "binary", {"champion": 2})
        await asyncio.sleep(0.5)
        found = [(await client.post("/predict", content=bodied(rows(1)))).status_code]
        token = add_token(Workspace(folder), "me", ["predict"])
        await asyncio.sleep(0.5)
        found.append((await client.post("/predict", content=bodied(rows(1)))).status_code)
        headers = {"authorization": f"Bearer {token}"}
        write_aliases(Workspace(folder), "binary", {"champion": 2, "challenger": 1})
        await asyncio.sleep(0.5)
        answer = await client.post(
            "/predict/binary@challenger", content=bodied(rows(1)), headers=headers
        )
        found.append(answer.status_code)
        await asyncio.sleep(2.5)
        answer = await client.post("/predict", content=bodied(rows(1)), headers=headers)
        assert answer.headers["x-headrace-version"] == "1"
        return found

    try:
        assert within([str(folder)], asked) == [200, 401, 200]
    finally:
        ends.set()


def test_binary_tensors_are_counted_before_they_are_read(runs: Runs) -> None:
    head = {
        "inputs": [
            {
                "name": f"n{at}",
                "shape": [9_000, 1],
                "datatype": "BOOL",
                "parameters": {"binary_data_size": 9_000},
            }
            for at in range(500)
        ]
    }
    text = json.dumps(head).encode()
    headers = {"inference-header-content-length": str(len(text))}
    models = [str(folder_of(runs("binary", "gbdt")))]
    answer = ask(models, "POST", "/v2/models/binary/infer", text + bytes(9_000 * 500), headers)
    assert answer.status_code == 413
    assert "values" in answer.text


def test_small_pieces_of_a_body_take_no_more_memory_than_it(runs: Runs) -> None:
    body = bodied(rows(1))[:-1] + b" " * 400_000 + b"}"
    with Running(folder_of(runs("binary", "gbdt"))) as service:
        httpx.post(service.url + "/predict", content=body)
        before = memory_mb(service.process.pid)
        pieces = (
            b"".join(b"2\r\n%b\r\n" % body[at : at + 2].ljust(2) for at in range(0, len(body), 2))
            + b"0\r\n\r\n"
        )
        with socket.create_connection(
            ("127.0.0.1", int(service.url.rsplit(":", 1)[1])), 20
        ) as wire:
            head = (
                b"POST /predict HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            wire.sendall(head + pieces)
            assert b" 200 " in wire.recv(1 << 16)
        assert memory_mb(service.process.pid) - before < 25


@pytest.mark.parametrize(
    "authorization", [b"Basic \xe9\xe9\xe9\xe9", b"Basic =", b"Bearer \xff", b"Basic", b"x" * 9_000]
)
def test_an_odd_authorization_is_no_fault_of_ours(
    runs: Runs, tmp_path: Path, authorization: bytes
) -> None:
    folder = Path(shutil.copytree(folder_of(runs("binary", "gbdt")), tmp_path / "system"))
    add_token(Workspace(folder), "me", ["admin"])

    async def asked(service: Service, client: httpx.AsyncClient) -> int:
        headers = [(b"authorization", authorization)]
        return (await client.post("/predict", content=bodied(rows(1)), headers=headers)).status_code

    assert within([str(folder)], asked) == 401


def test_only_the_place_of_a_row_is_counted_anew(runs: Runs) -> None:
    given = rows(3_000)
    given[2_500]["z"] = "see row 7"
    answer = ask([str(runs("binary", "gbdt").bundle)], "POST", "/predict", bodied(given))
    assert "row 2501, column 'z': the value 'see row 7'" in answer.json()["detail"]


def test_a_form_of_curl_is_json_for_every_door(runs: Runs) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    models = [str(folder_of(runs("binary", "gbdt")))]
    body = json.dumps({"dataframe_records": rows(1)}).encode()
    assert ask(models, "POST", "/invocations", body, headers).status_code == 200
    empty = b'{"rows":[' + b" " * 300_000 + b"]}" + b" " * MB
    assert ask(models, "POST", "/predict", empty, headers).json()["predictions"] == []


def test_an_unfinished_request_holds_up_no_end(runs: Runs) -> None:
    with Running(folder_of(runs("binary", "gbdt"))) as service:
        wire = socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), 10)
        with closing(wire):
            wire.sendall(
                b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n"
            )
            time.sleep(0.3)
            begin = time.monotonic()
            service.process.terminate()
            service.process.wait(30)
            assert time.monotonic() - begin < 12
