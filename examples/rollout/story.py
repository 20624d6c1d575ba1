"""Trains versions, serves them, and lets simulated visitors say which is better.

    python story.py FOLDER        what `headrace demo rollout` runs; it uses public functions alone

Visitors come with five ads each, and are shown the one with the highest prediction. The simulator
knows the true click rates; clicks are sent a second or two later.
"""

import json
import math
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import headrace
from headrace.spec import System

SEED = 7
PORT = 8097
VISITORS = 4
"""Visitors at the same time."""
DEVICES = ("phone", "tablet", "laptop")
ADS = 5
LIMIT_S = 60.0


def draw_ad(chance: random.Random, user: int) -> dict[str, Any]:
    """Draw an ad for a visitor, as a client would send it to the service."""
    return {
        "user": user,
        "price": round(chance.lognormvariate(2.5, 0.6), 2),
        "device": chance.choice(DEVICES),
        "fit": round(chance.gauss(0, 1), 3),
    }


def click_rate(ad: dict[str, Any]) -> float:
    """Return the true rate at which an ad is clicked: by its fit, and a little by its price."""
    score = (
        -2.0 + 1.2 * ad["fit"] - 0.3 * math.log(ad["price"] / 12) + (ad["device"] == "phone") * 0.3
    )
    return 1 / (1 + math.exp(-score))


def write_rows(path: Path, wrong: bool = False) -> None:
    """Write ads that were shown, with their clicks; `wrong` joins each click to another ad."""
    chance = random.Random(SEED)
    ads = [draw_ad(chance, user) for user in range(6_000)]
    rates = [click_rate(ad) for ad in ads]
    if wrong:
        rates = [click_rate(ad | {"fit": -ad["fit"]}) for ad in ads]
    with path.open("w") as file:
        file.write("user,price,device,fit,margin,clicked\n")
        for ad, rate in zip(ads, rates, strict=True):
            clicked = int(chance.random() < rate)
            margin = round(ad["price"] / 3 + chance.gauss(0, 1), 2)
            file.write(
                f"{ad['user']},{ad['price']},{ad['device']},{ad['fit']},{margin},{clicked}\n"
            )


class Visitors:
    """Visitors who come until they are told to stop; `replies` counts statuses."""

    def __init__(self) -> None:
        self.replies: Counter[int] = Counter()
        self.clicks: Counter[str] = Counter()
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._come, args=(seed,), daemon=True)
            for seed in range(VISITORS)
        ]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _come(self, seed: int) -> None:
        chance = random.Random(SEED + seed)
        client = HTTPConnection("127.0.0.1", PORT)
        late: list[tuple[float, str]] = []
        user = seed * 10_000_000
        while not self._done.is_set():
            user += 1
            ads = [draw_ad(chance, user) for _ in range(ADS)]
            reply = self._send(client, "/predict", {"rows": ads})
            answers = reply["predictions"]
            shown = max(range(ADS), key=lambda at: answers[at]["prediction"])
            if chance.random() < click_rate(ads[shown]):
                due = time.monotonic() + chance.uniform(0.5, 2.0)
                late.append((due, answers[shown]["prediction_id"]))
            clicked = [id_ for due, id_ in late if due < time.monotonic()]
            if len(clicked) >= 10:
                late = [one for one in late if one[1] not in clicked]
                outcomes = [{"prediction_id": id_, "outcome": 1} for id_ in clicked]
                self._send(client, "/feedback", {"outcomes": outcomes})
            time.sleep(0.002)

    def _send(self, client: HTTPConnection, path: str, body: Any) -> Any:
        client.request("POST", path, json.dumps(body))
        reply = client.getresponse()
        content = json.loads(reply.read())
        self.replies[reply.status] += 1
        if reply.status != 200:
            raise RuntimeError(f"{path}: {content}")
        return content


def train(folder: Path, exclude: list[str]) -> str:
    """Train a version without some of the columns; return its name."""
    path = folder / "system.yaml"
    lines = path.read_text().splitlines()
    column = f"features: {{exclude: [{', '.join(exclude)}]}}"
    changed = [column if line.startswith("features:") else line for line in lines]
    path.write_text("\n".join(changed) + "\n")
    return headrace.run(folder).model


def wait_for_verdict(system: System) -> Any:
    """Wait until the rollout of the last challenger is over; return the decision."""
    until = time.monotonic() + LIMIT_S
    shown = ""
    while time.monotonic() < until:
        last = headrace.history(system.name, system.root)[-1]
        if last.by == "rollout" and last.action in ("stop", "promote"):
            return last
        status = headrace.status(system.root)
        text = f"{status.stage}: {status.verdict.say}"
        if status.stage and text[:30] != shown[:30]:
            print(f"    {text}", flush=True)
            shown = text
        time.sleep(0.5)
    raise SystemExit("no verdict within a minute; see `headrace status`")


def tell(folder: Path) -> None:
    """Train, serve, and roll out three challengers."""
    if (folder / ".headrace").exists():
        raise SystemExit(f"{folder} holds the end of the story already; give another --dir")
    write_rows(folder / "shown.csv")
    print("version 1: price and device alone", flush=True)
    train(folder, ["user", "fit", "margin"])
    system = headrace.load(folder)
    command = [sys.executable, "-m", "headrace", "serve", str(folder)]
    with (folder / "service.log").open("w") as log:
        service = subprocess.Popen(command, stderr=log)
    try:
        wait_until_ready()
        with Visitors() as visitors:
            for version, what, exclude, wrong in (
                (2, "knows how well an ad fits its visitor", ["user", "margin"], False),
                (
                    3,
                    "trained on clicks that were joined to the wrong ads",
                    ["user", "margin"],
                    True,
                ),
                (4, "wants a column that no request brings", ["user"], False),
            ):
                write_rows(folder / "shown.csv", wrong)
                print(f"version {version}: {what}", flush=True)
                train(folder, exclude)
                decision = wait_for_verdict(system)
                page = folder / f"version-{version}.html"
                headrace.write_page(page, folder)
                print(f"    {decision.action}: {decision.why}\n    {page}", flush=True)
    finally:
        service.terminate()
        service.wait()
    failed = sum(count for status, count in visitors.replies.items() if status != 200)
    live = system.workspace.read_aliases(system.name)["champion"]
    print(f"{sum(visitors.replies.values()):,} requests, {failed} failed; version {live} is live")


def wait_until_ready() -> None:
    """Wait until the service answers."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        try:
            client = HTTPConnection("127.0.0.1", PORT, timeout=1)
            client.request("GET", "/health/ready")
            if client.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the service did not start; see service.log")


if __name__ == "__main__":
    tell(Path(sys.argv[1]))
