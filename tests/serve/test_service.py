"""The service answers as the predictor does, and says what is wrong."""

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

import headrace
from headrace.errors import InputError
from headrace.log import Log
from headrace.outcomes import read_id
from headrace.serve import add_token
from headrace.serve.service import Service
from headrace.workspace import Workspace
from tests.conftest import Runs, make_table
from tests.serve.running import Running, ask, within


def rows(count: int, seed: int = 3) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(
        json.dumps(make_table(count, seed=seed).to_dicts(), default=str)
    )
    return made


def bodied(given: list[dict[str, Any]]) -> bytes:
    return json.dumps({"rows": given}).encode()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_predictions_have_the_one_shape(runs: Runs, task: str) -> None:
    bundle = runs(task, "gbdt").bundle
    given = rows(3)
    answer = ask([str(bundle)], "POST", "/predict", bodied(given))
    assert answer.status_code == 200
    assert answer.headers["x-headrace-model"] == task
    document = answer.json()
    assert (document["model"], document["version"]) == (task, 1)
    ids = [one.pop("prediction_id") for one in document["predictions"]]
    assert sorted(ids) == ids
    assert len(set(ids)) == 3
    assert {read_id(one).version for one in ids} == {1}
    assert document["predictions"] == headrace.open(bundle).predict(given)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/predict", b"not json", 400, "cannot be read"),
        ("POST", "/predict", b"\xff\xfe", 400, "cannot be read"),
        ("POST", "/predict", b'{"rows": [1]}', 400, "Expected `object`"),
        ("POST", "/predict", b'{"row": []}', 400, "unknown field"),
        (
            "POST",
            "/predict",
            b'{"rows": [{"x": NaN}]}',
            400,
            "NaN in the field 'x' is not JSON: write null",
        ),
        ("POST", "/predict", b'{"rows": ' + b"[" * 100_000, 400, "cannot be read"),
        ("POST", "/predict", b'{"rows": [{}]}', 422, "row 1, column 'z': no such column"),
        ("POST", "/predict/other", b'{"rows": []}', 404, "one of: binary"),
        ("POST", "/predict/binary@7", b'{"rows": []}', 404, "no such version"),
        ("POST", "/predict/binary@01", b'{"rows": []}', 404, "nothing is served under this name"),
        (
            "POST",
            "/predict/binary@\u00b2",
            b'{"rows": []}',
            404,
            "nothing is served under this name",
        ),
        (
            "POST",
            "/v2/models/binary/infer",
            b'{"inputs": [], "outputs": [{"name": "p"}]}',
            400,
            "one of: prediction",
        ),
        (
            "POST",
            "/v2/models/binary/infer",
            b'{"inputs": [{"name": "x", "shape": [1000000000000, 0], '
            b'"datatype": "FP32", "data": []}]}',
            413,
            "at most 10000",
        ),
        (
            "POST",
            "/predict/binary@shadow",
            b'{"rows": []}',
            404,
            "nothing is served under this name",
        ),
        ("POST", "/nowhere", b"", 404, "nothing here"),
        ("GET", "/predict", b"", 405, "GET is not allowed"),
        ("POST", "/v2/models/binary/infer", b"[]", 400, "cannot be read"),
        ("POST", "/v2/models/binary/infer", b'{"inputs": []}', 200, '"model_name":"binary"'),
        ("POST", "/v2/models/other/infer", b'{"inputs": []}', 404, '"error"'),
        ("GET", "/v2/models/other/ready", b"", 404, '"error"'),
        ("POST", "/invocations", b"{}", 400, "one of: dataframe_split"),
        ("POST", "/events", b'{"events": []}', 422, "no served system has event tables"),
    ],
)
def test_what_is_wrong_is_said(
    runs: Runs, method: str, path: str, body: bytes, status: int, words: str
) -> None:
    answer = ask([str(folder_of(runs("binary", "gbdt")))], method, path, body)
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert "Traceback" not in answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def folder_of(run: headrace.Run) -> Path:
    return run.bundle.parent.parent.parent


def test_every_bad_field_is_named_by_row_and_column(runs: Runs) -> None:
    given = rows(4)
    given[1]["z"] = "abc"
    given[3]["big"] = [1]
    del given[3]["flag"]
    answer = ask([str(runs("binary", "gbdt").bundle)], "POST", "/predict", bodied(given))
    assert answer.status_code == 422
    assert "row 2, column 'z': the value 'abc' (str); expected a number" in answer.json()["detail"]
    found = sorted((one["row"], one["column"]) for one in answer.json()["errors"])
    assert found == [(2, "z"), (4, "big"), (4, "flag")]


def test_a_bad_row_spoils_no_request_beside_it(runs: Runs) -> None:
    bundle = runs("binary", "gbdt").bundle
    given = rows(40)
    expected = headrace.open(bundle).predict(given)
    bad = [dict(row) for row in given[:1]]
    bad[0]["z"] = "abc"

    async def all_at_once(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
        bodies = [bodied(bad) if at % 4 == 1 else bodied([row]) for at, row in enumerate(given)]
        return await asyncio.gather(*(client.post("/predict", content=body) for body in bodies))

    for at, answer in enumerate(within([str(bundle)], all_at_once)):
        if at % 4 == 1:
            assert answer.status_code == 422
            assert "row 1" in answer.json()["detail"]
        else:
            (found,) = answer.json()["predictions"]
            assert found["row"] == expected[at]["row"]
            assert found["prediction"] == pytest.approx(expected[at]["prediction"])


def test_rows_that_arrive_together_go_through_the_graph_together(runs: Runs) -> None:
    async def all_at_once(service: Service, client: httpx.AsyncClient) -> list[int]:
        await asyncio.gather(*(client.post("/predict", content=bodied([row])) for row in rows(16)))
        return service.metrics.histograms["headrace_batch_rows", "binary"].counts

    counts = within([str(runs("binary", "gbdt").bundle)], all_at_once)
    assert sum(counts) < 16  # fewer calls than requests


def test_a_column_that_had_holes_may_be_left_out_and_is_told(runs: Runs) -> None:
    bundle = runs("binary", "gbdt").bundle
    given = rows(2)
    expected = headrace.open(bundle).predict([given[0], {**given[1], "x": None, "colour": None}])
    del given[1]["x"], given[1]["colour"]

    async def asked(service: Service, client: httpx.AsyncClient) -> tuple[Any, str]:
        answer = await client.post("/predict", content=bodied(given))
        return answer.json()["predictions"], (await client.get("/metrics")).text

    found, page = within([str(bundle)], asked)
    assert "imputed" not in found[0]
    assert found[1].pop("imputed") == ["colour", "x"]
    assert [one["prediction"] for one in found] == [one["prediction"] for one in expected]
    assert 'headrace_imputed_total{column="x",model="binary"} 1.0' in page


def test_what_was_imputed_is_told_also_beside_a_bad_row(runs: Runs) -> None:
    given = [{name: value for name, value in row.items() if name != "x"} for row in rows(4)]
    given[2]["z"] = "abc"

    async def all_at_once(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(
            *(client.post("/predict", content=bodied([row])) for row in given)
        )

    answers = within([str(runs("binary", "gbdt").bundle)], all_at_once)
    assert [answer.status_code for answer in answers] == [200, 200, 422, 200]
    told = [
        answer.json()["predictions"][0]["imputed"]
        for answer in answers
        if answer.status_code == 200
    ]
    assert told == [["x"]] * 3


def test_a_model_that_was_changed_is_not_served(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "system"
    shutil.copytree(folder_of(runs("binary", "gbdt")), folder)
    model = folder / ".headrace" / "bundles" / "binary-000001" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    for named in (folder, model.parent):
        service = Running(named)
        assert service.process.wait(60) == 2
        service.stop()
        assert "has been changed since it was written" in service.first


def test_every_row_of_the_log_can_be_read_whatever_the_body_looked_like(
    runs: Runs, tmp_path: Path
) -> None:
    folder = tmp_path / "system"
    shutil.copytree(folder_of(runs("binary", "gbdt")), folder)
    row = json.dumps(rows(1)[0])
    bodies = [
        f'{{"rows": [{row}], "\\u0072ows": [{row}]}}',
        f'{{"rows": [], "rows": [{row}]}}',
        f'\n{{ "rows" :\n[ {row} ] }}\n',
        json.dumps({"rows": [{**rows(1)[0], "other": '"]}, [rows": \u00e9'}]}),
    ]

    async def asked(service: Service, client: httpx.AsyncClient) -> list[str]:
        answers = [await client.post("/predict", content=body.encode()) for body in bodies]
        for odd in (b'"\xff"', b'"\\x"', b"01", b'"\n"'):  # in a column that no model reads
            broken = (
                json.dumps({"rows": [{**rows(1)[0], "other": 0}]})
                .encode()
                .replace(b'"other": 0', b'"other": ' + odd)
            )
            assert (await client.post("/predict", content=broken)).status_code == 400, odd
        return [answer.json()["predictions"][0]["prediction_id"] for answer in answers]

    ids = within([str(folder)], asked)
    kept = (
        Log(folder / ".headrace" / "log" / "predictions").read().tail(len(ids))
    )  # others have asked before
    assert kept["id"].to_list() == ids
    assert all(json.loads(one)["row"]["z"] == rows(1)[0]["z"] for one in kept["payload"])


def test_other_sites_are_not_answered(runs: Runs) -> None:
    models = [str(runs("binary", "gbdt").bundle)]
    for origin, status in (
        ("http://evil.example", 403),
        ("null", 403),
        ("http://test.localhost", 200),
    ):
        assert (
            ask(
                models,
                "POST",
                "/predict",
                bodied(rows(1)),
                {"origin": origin, "host": "test.localhost"},
            ).status_code
            == status
        )


def test_what_may_be_left_out_is_no_problem_of_a_bad_row(runs: Runs) -> None:
    given = rows(1)
    del given[0]["x"]
    given[0]["z"] = "abc"
    answer = ask([str(runs("binary", "gbdt").bundle)], "POST", "/predict", bodied(given))
    assert [one["column"] for one in answer.json()["errors"]] == ["z"]


def test_limits(runs: Runs) -> None:
    models = [str(runs("binary", "gbdt").bundle)]
    assert ask(models, "POST", "/predict", b'{"rows": []}').json()["predictions"] == []
    assert ask(models, "POST", "/predict", b" " * 2000, max_body_mb=0.001).status_code == 413
    many = ask(models, "POST", "/predict", bodied(rows(3)), max_rows=2)
    assert many.status_code == 413
    assert "3, at most 2" in many.text
    late = ask(models, "POST", "/predict", bodied(rows(1)), {"x-headrace-deadline-ms": "0"})
    assert late.status_code == 504
    assert (
        ask(
            models, "POST", "/predict", bodied(rows(1)), {"x-headrace-deadline-ms": "soon"}
        ).status_code
        == 400
    )
    assert (
        ask(
            models, "POST", "/predict", bodied(rows(1)), {"x-headrace-deadline-ms": "10000"}
        ).status_code
        == 200
    )


def test_more_than_may_wait_is_refused_and_the_rest_answered(runs: Runs) -> None:
    async def all_at_once(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(
            *(client.post("/predict", content=bodied([row])) for row in rows(60))
        )

    answers = within([str(runs("binary", "gbdt").bundle)], all_at_once, max_waiting=10)
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert all(answer.status_code == 200 for answer in answers if answer not in refused)
    assert len(refused) < 60


def test_models_side_by_side(runs: Runs) -> None:
    folders = [str(folder_of(runs(task, "gbdt"))) for task in ("binary", "regression")]
    given = rows(2)

    async def asked(service: Service, client: httpx.AsyncClient) -> list[httpx.Response]:
        refs = ["", "/binary", "/regression", "/regression@champion", "/regression@1"]
        return [await client.post("/predict" + ref, content=bodied(given)) for ref in refs]

    answers = within(folders, asked)
    assert [answer.json()["model"] for answer in answers] == [
        "binary",
        "binary",
        *["regression"] * 3,
    ]
    assert [answer.headers["x-headrace-arm"] for answer in answers] == ["champion"] * 4 + [""]


def test_a_folder_without_a_champion_says_what_to_do(tmp_path: Path) -> None:
    from tests.conftest import write_system

    service = Running(write_system(tmp_path, "binary", "linear"))
    assert service.process.wait(60) == 2
    service.stop()
    assert "no champion of 'binary' yet" in service.first
    assert "headrace run" in service.first


def test_pages_and_metrics(runs: Runs) -> None:
    folder = str(folder_of(runs("multiclass", "gbdt")))

    async def asked(service: Service, client: httpx.AsyncClient) -> dict[str, httpx.Response]:
        await client.post("/predict", content=bodied(rows(3)))
        paths = [
            "/",
            "/docs",
            "/openapi.json",
            "/card/multiclass",
            "/metrics",
            "/health/live",
            "/health/ready",
            "/ping",
        ]
        return {path: await client.get(path) for path in paths}

    found = within([folder], asked)
    assert all(answer.status_code == 200 for answer in found.values())
    assert found["/health/ready"].json() == {"live": True, "ready": True}
    assert "sandbox" in found["/card/multiclass"].headers["content-security-policy"]
    for page in ("/", "/docs"):
        nonce = re.search(
            r"script-src 'nonce-([^']+)'", found[page].headers["content-security-policy"]
        )
        assert nonce
        assert f'<script nonce="{nonce[1]}">' in found[page].text
        assert not re.search(r'(src|href)="https?://', found[page].text)
    assert (
        'headrace_predictions_total{arm="champion",model="multiclass",version="1"} 3.0'
        in found["/metrics"].text
    )


def test_the_examples_of_the_openapi_document_work(runs: Runs) -> None:
    async def asked(service: Service, client: httpx.AsyncClient) -> dict[str, int]:
        document = (await client.get("/openapi.json")).json()
        statuses = {}
        for path, methods in document["paths"].items():
            for method, one in methods.items():
                body = (
                    one.get("requestBody", {})
                    .get("content", {})
                    .get("application/json", {})
                    .get("example")
                )
                answer = await client.request(method, path, json=body)
                statuses[f"{method} {path}"] = answer.status_code
        return statuses

    statuses = within([str(folder_of(runs("binary", "gbdt")))], asked)
    assert set(statuses.values()) == {200}
    assert len(statuses) == 14


def test_tokens(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "system"
    shutil.copytree(folder_of(runs("binary", "gbdt")), folder)
    predicts, admin = (add_token(Workspace(folder), name, [name]) for name in ("predict", "admin"))
    kept = (folder / ".headrace" / "tokens.json").read_text()
    assert predicts not in kept
    assert admin not in kept
    assert (folder / ".headrace" / "tokens.json").stat().st_mode & 0o077 == 0

    async def asked(service: Service, client: httpx.AsyncClient) -> list[int]:
        async def status(method: str, path: str, said: str | None) -> int:
            headers = {} if said is None else {"authorization": said}
            content = bodied(rows(1)) if method == "POST" else b""
            return (
                await client.request(method, path, content=content, headers=headers)
            ).status_code

        basic = httpx.BasicAuth("any", predicts)._auth_header
        return [
            await status("POST", "/predict", None),
            await status("POST", "/predict", "Bearer wrong"),
            await status("POST", "/predict", f"Bearer {predicts}"),
            await status("GET", "/", basic),
            await status("GET", "/metrics", f"Bearer {predicts}"),
            await status("GET", "/metrics", f"Bearer {admin}"),
            await status("POST", "/events", f"Bearer {predicts}"),
            await status("GET", "/health/ready", None),
        ]

    assert within([str(folder)], asked) == [401, 401, 200, 200, 403, 200, 403, 200]


def test_a_live_service_is_verified_over_http(runs: Runs) -> None:
    bundle = runs("multiclass", "gbdt").bundle
    with Running(bundle) as service:
        result = headrace.verify(bundle, url=service.url)
        assert result.passed, result.findings
        assert "verify.parity" in [finding.check for finding in result.findings]
        version = result.findings[-1]
        assert version.message == f"multiclass@1 answered at {service.url}"


def test_a_verified_service_gets_a_token_and_must_answer_with_the_same_version(
    runs: Runs, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(runs("binary", "linear").bundle.parent.parent.parent, folder)
    secret = add_token(Workspace(folder), "check", ["predict"])
    spec = folder / "system.yaml"
    with Running(folder) as service:
        with pytest.raises(InputError, match=r"status 401.*HEADRACE_TOKEN"):
            headrace.verify(folder, url=service.url)
        assert headrace.verify(folder, url=service.url, token=secret).passed
        for url, token in (("http://[::1", secret), (service.url, "a\nb"), (service.url, "é€")):
            with pytest.raises(InputError, match=r"--url|--token"):
                headrace.verify(folder, url=url, token=token)

    spec.write_text(spec.read_text() + "seed: 12\n")
    other = headrace.run(folder).bundle
    served = headrace.open(folder)
    first = folder / ".headrace" / "bundles" / f"{served.name}-000001"
    with Running(other, options=("--dir", str(folder))) as service:
        result = headrace.verify(first, url=service.url, token=secret)
        assert not result.passed
        assert f"answered at {service.url}, not {served.name}@1" in result.findings[-1].message
