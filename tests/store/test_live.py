"""Features over time as a user has them: a spec, its tables, what is pushed, and what is killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import headrace
from headrace.errors import InputError, SpecError
from headrace.log import open_log
from headrace.run import resume
from headrace.store.push import _pusher
from headrace.store.window_features import window_features
from tests.command import run_command
from tests.redis_server import RedisServer

START = datetime(2024, 3, 1)
WINDOWS = """
    - {name: clicks, events: clicks, key: user, over: [1h, 7d, all], owner: ads,
       description: How active a user is}
    - {name: spent, events: clicks, key: user, aggregate: sum, of: price, where: kind == 'buy',
       over: [1d]}
    - {name: kinds, events: clicks, key: [user, item], aggregate: distinct, of: kind, over: [all]}
"""


def tables(folder: Path) -> None:
    chance = np.random.default_rng(5)
    count = 600
    minutes = np.sort(chance.integers(0, 20_000, 3000))
    clicks = pl.DataFrame(
        {
            "click": np.arange(3000),
            "at": [START + timedelta(minutes=int(one)) for one in minutes],
            "user": chance.integers(0, 20, 3000),
            "item": chance.choice(["a", "b", "c"], 3000),
            "kind": chance.choice(["view", "buy"], 3000, p=[0.8, 0.2]),
            "price": chance.integers(1, 100, 3000) / 4,
        }
    )
    clicks.write_parquet(folder / "clicks.parquet")
    rows = pl.DataFrame(
        {
            "id": np.arange(count),
            "at": [
                START + timedelta(minutes=int(one))
                for one in np.sort(chance.integers(5000, 20_000, count))
            ],
            "user": chance.integers(0, 20, count),
            "item": chance.choice(["a", "b", "c"], count),
            "x": chance.normal(size=count),
        }
    )
    rows = rows.with_columns(y=(pl.col("x") + pl.Series(chance.normal(size=count)) > 0))
    rows.write_csv(folder / "rows.csv")


def spec(folder: Path, more: str = "", id: str = "id: click, ") -> Path:
    tables(folder)
    (folder / "system.yaml").write_text(f"""
name: shop
goal: {{target: y}}
data:
  source: rows.csv
  id: id
  time: at
  events:
    clicks: {{source: clicks.parquet, time: at, {id}}}
features:
  windows:{WINDOWS}
split: {{by: time}}
models: {{candidates: [linear], search: {{trials: 0}}}}
{more}""")
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return spec(tmp_path)


def event(click: int, minute: int, user: int = 1, **more: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=minute)
    return {
        "click": click,
        "at": at.isoformat(),
        "user": user,
        "item": "a",
        "kind": "buy",
        "price": 2.0,
        **more,
    }


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def row(minute: int, user: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"at": [at(minute)], "user": [user], "item": ["a"]})


@pytest.mark.parametrize(
    "convert", [lambda table: table, pl.DataFrame.to_pandas, pl.DataFrame.to_arrow]
)
def test_what_is_pushed_is_seen_online_and_in_training(
    shop: Path, convert: Callable[[pl.DataFrame], Any]
) -> None:
    system = headrace.load(shop)
    filled = headrace.materialize(system)
    assert filled.events == {"clicks": 3000}
    asked = row(21_000)
    columns = ["clicks_1h", "clicks_7d", "clicks_all", "spent_1d", "kinds_all"]
    before = headrace.window_features(system, asked).select(columns)
    assert headrace.window_features(system, asked, online=True).select(columns).equals(before)
    assert headrace.push("clicks", event(9001, 20_990), shop, now=at(20_991)) == 1
    many = pl.DataFrame([event(9002 + more, 20_992) for more in range(3)])
    assert headrace.push("clicks", convert(many), shop, now=at(20_993)) == 3
    offline = headrace.window_features(system, asked).select(columns)
    assert headrace.window_features(system, asked, online=True).select(columns).equals(offline)
    assert offline["clicks_1h"][0] == before["clicks_1h"][0] + 4
    assert offline["spent_1d"][0] == before["spent_1d"][0] + 8.0
    early = headrace.window_features(
        system, row(20_992)
    )  # known, but for the three that came a minute later
    assert early["clicks_1h"][0] == before["clicks_1h"][0] + 1


def test_a_push_makes_a_run_see_more_and_another_kind_does_not(shop: Path) -> None:
    system = headrace.load(shop)
    first = headrace.run(system).document
    assert headrace.run(system).document.cached
    headrace.materialize(system)
    headrace.push("clicks", event(9001, 10, user=3), shop, now=at(100))
    assert resume.cache_keys(system).position == 1
    again = headrace.run(system).document
    assert not again.cached
    assert again.fingerprints["log"] == "1"
    assert first.fingerprints == {
        name: one for name, one in again.fingerprints.items() if name != "log"
    }
    held = headrace.open("shop@2", shop)
    assert held.version == 2
    found = pl.read_parquet(Path(again.bundle) / "holdout.parquet")
    expected = window_features(system, found.select("at", "user", "item"))
    assert found["clicks_all"].to_list() == expected["clicks_all"].to_list()


def test_verify_replays_the_holdout_and_says_why_where_it_cannot(shop: Path) -> None:
    system = headrace.load(shop)
    headrace.materialize(system)
    headrace.push("clicks", [event(5, 30), event(9001, 5)], shop, now=at(12_000))
    bundle = headrace.run(system).bundle

    def replay(model: str | Path = "shop@1", folder: Path = shop) -> Any:
        return next(
            one for one in headrace.verify(model, folder).findings if one.check == "verify.online"
        )

    assert (
        replay().message
        == "90 holdout rows replayed through the online store: all windows agree (5)"
    )
    moved = shop / "elsewhere"
    bundle.rename(moved)
    assert "outside the workspace" in replay(moved).message
    moved.rename(bundle)
    clicks = pl.read_parquet(shop / "clicks.parquet")
    clicks.head(2000).write_parquet(shop / "clicks.parquet")
    assert "since then clicks changed" in replay().message
    (shop / "clicks.parquet").unlink()
    assert "the events are not here" in replay().message


def test_verify_finds_windows_that_the_online_path_does_not_give(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headrace.run(headrace.load(shop))
    real = headrace.store.WindowReader.row

    def wrong(self: Any, *asked: Any) -> dict[str, Any]:
        return real(self, *asked) | {"clicks_1h": 77}

    monkeypatch.setattr("headrace.store.WindowReader.row", wrong)
    result = headrace.verify("shop@1", shop)
    (found,) = [one for one in result.findings if one.check == "verify.online"]
    assert (found.severity, found.columns, result.passed) == ("error", ["clicks_1h"], False)


PUSHES = """
import sys
from datetime import datetime, timedelta
import headrace
folder, first = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
at = first
while True:
    moment = datetime(2024, 6, 1) + timedelta(seconds=at)
    rest = {"at": moment, "item": "a", "kind": "buy", "price": 1.0}
    told = [{"click": at + more, "user": more, **rest} for more in (1, 2)]
    headrace.push("clicks", told, folder, now=moment)
    at += 2
    print(at, flush=True)
"""


@pytest.fixture(params=["lmdb", "redis"])
def store_line(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "lmdb":
        yield ""
    else:
        server = RedisServer(tmp_path_factory.mktemp("redis"))
        yield f"store: {server.url}\n"
        server.kill()


@pytest.mark.parametrize("id", ["id: click, ", ""])
def test_killed_pushes_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, store_line: str, id: str
) -> None:
    spec(tmp_path, store_line, id)
    system = headrace.load(tmp_path)
    headrace.materialize(system)
    before = {user: _count(system, user) for user in (1, 2)}
    acknowledged = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", PUSHES, str(tmp_path), str(100_000 + acknowledged)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(10):
            process.stdout.readline()
        time.sleep(0.05 * np.random.default_rng(acknowledged).random())
        process.kill()
        process.stdout.read()
        process.wait()
        process.stdout.close()
        log = open_log(system).read("clicks")
        clicks = log["payload"].str.json_path_match("$.click").cast(pl.Int64)
        acknowledged = max(clicks.to_list()) - 100_000
        _pusher(tmp_path.resolve()).catch_up(0)
        assert log.height == acknowledged
        for user in (1, 2):
            assert _count(system, user) == before[user] + acknowledged // 2
    offline = window_features(system, pl.DataFrame({"at": [LATER], "user": [1], "item": ["a"]}))
    assert offline["clicks_all"][0] == _count(system, 1)


LATER = datetime(2025, 1, 1)


def _count(system: headrace.System, user: int) -> int:
    rows = pl.DataFrame({"user": [user], "item": ["a"]})
    found: int = window_features(system, rows, online=True, now=LATER)["clicks_all"][0]
    return found


def test_a_killed_materialize_leaves_the_store_and_goes_on(shop: Path) -> None:
    code = f"""
import importlib, os
import headrace
fill = importlib.import_module("headrace.store.backfill")
fill._ENTITIES, fill._EVENTS = 4, 400
steps = 0
def watch(stage, detail):
    global steps
    if stage == "events":
        steps += 1
        print(detail, flush=True)
        if steps == 4:
            os.kill(os.getpid(), 9)
headrace.materialize(headrace.load({str(shop)!r}), watch=watch)
"""
    said = []
    while True:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        said += done.stdout.split("\n")[:-1]
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        with pytest.raises(InputError, match="nothing in it yet"):
            subprocess_reads(shop)
    total = int(said[-1].split()[-1])
    assert [int(line.split()[0]) for line in said] == list(range(1, total + 1))
    assert (
        subprocess_reads(shop) == window_features(headrace.load(shop), row(21_000))["clicks_all"][0]
    )


def subprocess_reads(folder: Path) -> int:
    """Read in another process: this one may hold the store open from before."""
    code = f"""
import headrace, polars as pl
from datetime import datetime
rows = pl.DataFrame({{"user": [1], "item": ["a"]}})
system = headrace.load({str(folder)!r})
print(headrace.window_features(system, rows, True, datetime(2025, 1, 1))["clicks_all"][0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "nothing in it yet" in done.stderr:
        raise InputError("the online store", "nothing in it yet")
    return int(done.stdout)


def test_the_commands(shop: Path) -> None:
    done = run_command("push", str(shop / "clicks.parquet"), "--dir", str(shop))
    assert done.returncode == 2
    assert "error: the online store: nothing in it yet" in done.stderr
    assert "headrace materialize" in done.stderr
    document = json.loads(
        run_command("materialize", str(shop), "--until", "2024-03-02", "--json").stdout
    )
    known = pl.read_parquet(shop / "clicks.parquet").filter(pl.col("at") <= datetime(2024, 3, 2))
    assert document["events"] == {"clicks": known.height}
    later = pl.read_parquet(shop / "clicks.parquet").filter(pl.col("at") > datetime(2024, 3, 2))
    later.write_ndjson(shop / "later.ndjson")
    done = run_command(
        "push", str(shop / "later.ndjson"), "--now", "2024-03-15", "--dir", str(shop), "--json"
    )
    assert json.loads(done.stdout) == {"kind": "clicks", "events": later.height}
    row(21_000).write_csv(shop / "asked.csv")
    for option in ([], ["--online"]):
        done = run_command(
            "features",
            str(shop),
            "--rows",
            str(shop / "asked.csv"),
            str(shop / "out.parquet"),
            *option,
        )
        assert done.returncode == 0, done.stderr
    online = pl.read_parquet(shop / "out.parquet")
    assert online["clicks_all"][0] == pl.read_parquet(shop / "clicks.parquet").filter(user=1).height
    done = run_command("features", str(shop))
    assert "clicks_1h  how many clicks, by user, in the last 1h, in steps of 5min" in done.stdout
    assert "How active a user is  owner: ads" in done.stdout
    assert run_command("materialize", str(shop), "--until", "soon").returncode == 2


def test_the_catalogue(shop: Path) -> None:
    system = headrace.load(shop)
    first = headrace.catalogue([system])
    assert [one.name for one in first] == [
        "clicks_1h",
        "clicks_7d",
        "clicks_all",
        "spent_1d",
        "kinds_all",
    ]
    assert all(one.distribution is None and one.used_by == [] for one in first)
    headrace.run(system)
    found = {one.name: one for one in headrace.catalogue([system])}
    spent = found["spent_1d"]
    assert (
        spent.definition
        == "sum of price of clicks where kind == 'buy', by user, in the last 1d, in steps of 1h"
    )
    assert spent.inputs == ["clicks: user, price, kind"]
    assert found["kinds_all"].definition == "distinct of kind of clicks, by user and item, ever"
    assert found["clicks_1h"].used_by == ["shop@1 (champion)"]
    assert found["x"].definition.startswith("column, numeric")
    train = pl.read_csv(shop / "rows.csv")["x"]
    assert found["x"].distribution is not None
    assert train.min() <= found["x"].distribution["at"][10] <= train.max()


SHARED = """
owner: people
events:
  clicks: {source: clicks.parquet, time: at, id: click}
windows:
  - {name: recent, events: clicks, key: user, over: [1d]}
  - {name: lately, events: clicks, key: user, over: [1h], owner: ads}
"""


def test_features_of_a_shared_file(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    tables(tmp_path / "shared")
    (tmp_path / "shared" / "users.yaml").write_text(SHARED)
    systems = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        tables(folder)
        (folder / "system.yaml").write_text(
            f"name: {name}\ngoal: {{target: y}}\ndata: {{source: rows.csv, time: at, id: id}}\n"
            "features: {use: [../shared/users.yaml]}\nsplit: {by: time}\n"
            "models: {candidates: [linear], search: {trials: 0}}\n"
        )
        systems.append(headrace.load(folder))
        run = headrace.run(systems[-1])
        assert "recent_1d" in run.document.features or "recent_1d" in str(run.document.columns)
        resolved = headrace.load(run.bundle)
        assert resolved.features.use == []
        assert [window.owner for window in resolved.features.windows] == ["people", "ads"]
    found = {one.name: one for one in headrace.catalogue(systems)}
    assert found["recent_1d"].used_by == ["one@1 (champion)", "two@1 (champion)"]


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        (None, r"features.use\[0\]: .*users.yaml cannot be read"),
        (
            "windows: [{name: a, events: e, kee: user}]",
            r"windows\[0\].kee: unknown field; .* did you mean 'key'",
        ),
        ("windows: [{name: clicks, events: clicks, key: user}]", "a second window 'clicks'"),
        ("events: {clicks: {source: other.parquet, time: at}}", "events 'clicks' differ"),
        ("[", "is not YAML"),
    ],
)
def test_a_shared_file_that_cannot_be(shop: Path, shared: str | None, words: str) -> None:
    text = (
        (shop / "system.yaml")
        .read_text()
        .replace("features:\n", "features:\n  use: [users.yaml]\n")
    )
    (shop / "system.yaml").write_text(text)
    if shared is not None:
        (shop / "users.yaml").write_text(shared)
    with pytest.raises(SpecError, match=words):
        headrace.load(shop)


def test_what_a_user_does_wrong(shop: Path) -> None:
    system = headrace.load(shop)
    with pytest.raises(InputError, match="the online store: nothing in it yet"):
        headrace.window_features(system, row(1), online=True)
    headrace.materialize(system)
    with pytest.raises(InputError, match="the rows: no column 'item'; expected one of: at, user"):
        headrace.window_features(system, row(1).drop("item"), online=True)
    with pytest.raises(InputError, match="the key 'user': the value 'x'"):
        headrace.window_features(system, row(1).with_columns(user=pl.lit("x")), online=True)
    (shop / "system.yaml").write_text(
        (shop / "system.yaml").read_text().replace("[1h, 7d, all]", "[2h]")
    )
    with pytest.raises(InputError, match="no window 'clicks_2h' in it"):
        headrace.window_features(headrace.load(shop), row(1), online=True)
    plain = spec(shop / "..").resolve()
    text = (plain / "system.yaml").read_text()
    (plain / "system.yaml").write_text(
        text[: text.index("features:")] + text[text.index("split:") :]
    )
    with pytest.raises(InputError, match=r"features\.windows: none in this spec"):
        headrace.materialize(headrace.load(plain))


def test_two_workspaces_share_a_server_without_mixing(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        folders = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            folders.append(spec(tmp_path / name, f"store: {server.url}"))
            headrace.materialize(headrace.load(folders[-1]))
        for number in range(3):
            headrace.push("clicks", event(9_000 + number, 1), folders[0])
        headrace.push("clicks", event(9_000, 1), folders[1])
        rows = row(30_000)
        counts = [
            headrace.window_features(headrace.load(folder), rows, online=True)["clicks_all"][0]
            for folder in folders
        ]
        assert counts[0] == counts[1] + 2
    finally:
        server.kill()


@pytest.mark.slow
def test_twenty_killed_fills_end_like_an_undisturbed_one(tmp_path: Path) -> None:
    """The windows change between the kills, as the store of the spec before is still read."""
    disturbed, whole = tmp_path / "disturbed", tmp_path / "whole"
    for folder in (disturbed, whole):
        folder.mkdir()
        spec(folder)
    chance = np.random.default_rng(3)
    text = (disturbed / "system.yaml").read_text()
    changed = text.replace("over: [1h, 7d, all]", "over: [2h, 14d, all]")
    assert changed != text
    fill = "import headrace, sys; headrace.materialize(headrace.load(sys.argv[1]))"
    for kill in range(20):
        (disturbed / "system.yaml").write_text(changed if kill % 3 == 1 else text)
        process = subprocess.Popen(
            [sys.executable, "-c", fill, str(disturbed)], stderr=subprocess.DEVNULL
        )
        time.sleep(float(chance.uniform(0.3, 1.6)))
        process.kill()
        process.wait()
    (disturbed / "system.yaml").write_text(text)
    read = (
        "import headrace, sys, polars as pl; from datetime import datetime\n"
        "s = headrace.load(sys.argv[1])\n"
        "items = ['a'] * 20 + ['b'] * 20 + ['c'] * 20\n"
        "rows = pl.DataFrame({'user': list(range(20)) * 3, 'item': items})\n"
        "print(headrace.window_features(s, rows, True, datetime(2024, 1, 15)).write_csv())"
    )
    told = []
    for folder in (disturbed, whole):
        subprocess.run([sys.executable, "-c", fill, str(folder)], check=True, capture_output=True)
        done = subprocess.run(
            [sys.executable, "-c", read, str(folder)], check=True, capture_output=True, text=True
        )
        told.append(done.stdout)
    assert told[0] == told[1]
    assert told[0].count("\n") > 60


@pytest.mark.slow
def test_a_workspace_that_cannot_be_written_serves_predicts_and_tells(tmp_path: Path) -> None:
    folder = spec(tmp_path)
    headrace.run(headrace.load(folder))
    headrace.materialize(headrace.load(folder))
    rows = folder / "asked.csv"
    rows.write_text("user,item\n1,a\n2,b\n")
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    if subprocess.run(
        ["unshare", "-m", "sh", "-c", mount], check=False, capture_output=True
    ).returncode:
        pytest.skip("no right to mount a folder read-only")
    command = f"{sys.executable} -m headrace"
    served = (
        "import httpx, sys; sys.path.insert(0, '.'); from tests.serve.running import Running\n"
        f"with Running({str(folder)!r}) as service:\n"
        "    row = {'at': '2024-01-15T00:00:00', 'user': 1, 'item': 'a', 'x': 0.5}\n"
        "    answer = httpx.post(service.url + '/predict', json={'rows': [row]})\n"
        "    assert answer.status_code == 200, answer.text\n"
        "    assert 'imputed' not in answer.json()['predictions'][0], answer.text\n"
    )
    (tmp_path.parent / f"{tmp_path.name}-served.py").write_text(served)
    for one in (
        f"{command} history shop --dir {folder}",
        f"{command} features {folder} --rows {rows} /tmp/headrace-{os.getpid()}.csv --online",
        f"{command} runs {folder}",
        f"{command} verify shop@champion --dir {folder}",
        f"{sys.executable} {tmp_path.parent / (tmp_path.name + '-served.py')}",
    ):
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", f"{mount} && {one}"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{one}: {done.stderr[-600:]}"
        assert "Traceback" not in done.stderr, f"{one}: {done.stderr[-600:]}"
