"""The shadow: the challenger scores what was logged, and answers nobody.

    log/predictions ──> rows and the champion's answers ──> the challenger ──> log/shadow

It is a process of its own, at idle priority: requests pay nothing for it. Where it is more than
`MOST_BEHIND_US` behind it skips what it has missed. Windows that only the challenger has are read
from the online store as it scores; a row that it scores too late for that is not compared.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from headrace import spec
from headrace.bundle import open_bundle
from headrace.clock import SYSTEM, US_PER_S, Clock
from headrace.errors import InputError
from headrace.log import Cursor, Log, Record, RecordBatch, follow, time_in_id
from headrace.registry import read_rollout
from headrace.rollout import Rollout
from headrace.rollout.assign import SPACE, locate
from headrace.serve.metrics.metrics import Metrics
from headrace.serve.models.served import ServedModel
from headrace.serve.models.system import ServedSystem
from headrace.spec import System

SHADOW = "shadow"
SHADOW_COUNTS = "shadow_counts"
"""The kinds of the records: scores of rows, and counts."""
MOST_BEHIND_US = 60 * US_PER_S
MOST_STALE_US = US_PER_S
"""A window that is read later is not what it was when the champion answered."""
_CHUNK = 256
_TIMED_EVERY = 64
_PAUSE_S = 0.2
_LEAST_PAUSE_S = 1.0
_PARENT = "HEADRACE_CONTROLLER"
"""The variable with the id of the controller, which may be gone before this process looks."""


class _Answer(Struct):
    prediction_id: str
    prediction: float | str | None = None
    decision: Any = None


class _Logged(Struct):
    """What is read of the payload of a logged prediction."""

    version: int
    row: dict[str, Any]
    answer: _Answer
    unit: str | None = None
    phase: int | None = None


class ShadowCounts(Struct):
    """What a shadow did with the rows that were logged.

    `position` is how far the log of predictions was read. `stale` rows came too late for the
    windows, `skipped` ones were not looked at; `changed` are those with another decision. Seconds
    are of single rows, both versions one after the other.
    """

    phase: int
    position: int = 0
    scored: int = 0
    unread: int = 0
    errors: int = 0
    stale: int = 0
    skipped: int = 0
    changed: int = 0
    champion_s: list[float] = []
    challenger_s: list[float] = []


_decode = msgspec.json.Decoder(_Logged).decode
_decode_counts = msgspec.json.Decoder(ShadowCounts).decode
_encode = msgspec.json.encode


class Shadow:
    """Scores logged rows with the challenger of a rollout, a part of the log at a time."""

    def __init__(self, system: System, rollout: Rollout, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._rollout = rollout
        self._salt = f"shadow/{rollout.phase.salt}".encode()
        stage = rollout.spec.stages.shadow
        self._share = SPACE if stage is None else int(stage.share * SPACE)
        served = ServedSystem(system)
        workspace = system.workspace
        self._challenger, self._champion = (
            ServedModel(open_bundle(workspace.bundle(system.name, version)), served, Metrics())
            for version in (rollout.challenger, rollout.champion)
        )
        self._challenger.warm()
        self._own_windows = self._challenger.window_names - self._champion.window_names
        self._predictions = Log(workspace.predictions)
        self._log = Log(workspace.shadow)
        self._row_id = system.data.id
        begin = self._find_begin()
        self._at = Cursor(begin, begin)

    def _find_begin(self) -> int:
        """Return where to read on: behind what another process of this phase has scored."""
        done = self._log.read(SHADOW_COUNTS)["payload"].to_list()
        own = [_decode_counts(payload) for payload in done]
        positions = [one.position for one in own if one.phase == self._rollout.phase.number]
        since = self._predictions.find_position(self._rollout.phase.since_us)
        return max([since, *positions])

    def score_new(self) -> int:
        """Score what was logged since the last time, append the scores; return how many.

        The scores of a table and how far it was read are appended at once: a process that is killed
        in between has appended neither.
        """
        total = 0
        for table, after in follow(self._predictions, self._at, judged=False):
            counts = ShadowCounts(self._rollout.phase.number, after.position)
            batches: list[RecordBatch | Record] = []
            logged = self._select(table, counts)
            for start in range(0, len(logged), _CHUNK):
                self._score(logged[start : start + _CHUNK], counts, batches)
            now_us = self._clock.now_us()
            batches.append(Record("", now_us, now_us, SHADOW_COUNTS, _encode(counts)))
            with self._log.append_lock():
                self._log.append(batches)
            self._at = after
            total += counts.scored
        return total

    def _select(self, table: Any, counts: ShadowCounts) -> list[_Logged]:
        """Select the champion's rows that are to be scored, and are not too old."""
        now_us = self._clock.now_us()
        selected = []
        for id_, payload in table.select("id", "payload").iter_rows():
            time_us = time_in_id(id_)
            if time_us < self._rollout.phase.since_us:
                continue
            if locate(self._salt, id_) >= self._share:
                continue
            if now_us - time_us > MOST_BEHIND_US:
                counts.skipped += 1
                continue
            logged = _decode(payload)
            if logged.version != self._rollout.champion:
                continue
            if self._own_windows and now_us - time_us > MOST_STALE_US:
                counts.stale += 1
                continue
            selected.append(logged)
        return selected

    def _score(
        self,
        logged: Sequence[_Logged],
        counts: ShadowCounts,
        batches: list[RecordBatch | Record],
    ) -> None:
        """Score some rows together; where that fails, one by one."""
        rows = [one.row for one in logged]
        try:
            _, predictions = self._challenger.answer(rows)
        except Exception as error:
            if len(logged) > 1:
                for one in logged:
                    self._score([one], counts, batches)
            elif isinstance(error, InputError):
                counts.unread += 1
            else:
                counts.errors += 1
            return
        counts.scored += len(logged)
        pairs = list(zip(logged, predictions, strict=True))
        counts.changed += sum(1 for one, own in pairs if own.get("decision") != one.answer.decision)
        batches.append(self._make_batch(pairs))
        if counts.scored % _TIMED_EVERY < len(logged):
            self._time(rows[0], counts)

    def _make_batch(self, pairs: list[tuple[_Logged, dict[str, Any]]]) -> RecordBatch:
        """Return the scores of rows beside the champion's, as records."""
        columns = (
            [one.answer.prediction for one, _ in pairs],
            [one.unit for one, _ in pairs],
            [
                {
                    "prediction_id": one.answer.prediction_id,
                    "prediction": own["prediction"],
                    "row_id": None if self._row_id is None else one.row.get(self._row_id),
                }
                for one, own in pairs
            ],
        )
        head = {"version": self._rollout.challenger, "phase": self._rollout.phase.number}
        return RecordBatch(
            len(pairs),
            SHADOW,
            _encode(head)[:-1],
            ["champion", "unit", "answer"],
            "prediction_id",
            memoryview(b",".join(_encode(column) for column in columns)),
        )

    def _time(self, row: dict[str, Any], counts: ShadowCounts) -> None:
        """Time both versions on one row, one after the other."""
        for model, seconds in (
            (self._champion, counts.champion_s),
            (self._challenger, counts.challenger_s),
        ):
            start_s = self._clock.monotonic_s()
            try:
                model.answer([row])
            except Exception:
                return
            seconds.append(self._clock.monotonic_s() - start_s)


def run_shadow(folder: Path) -> None:
    """Score until the shadow stage of the live rollout is over, or the controller is gone."""
    _give_way()
    system = spec.load(folder)
    parent = int(os.environ.get(_PARENT, os.getppid()))
    rollout = read_rollout(system).rollout
    if rollout is None or rollout.stage != "shadow":
        return
    shadow = Shadow(system, rollout)
    while os.getppid() == parent:
        current = read_rollout(system).rollout
        if current is None or current.phase != rollout.phase:
            return
        if not shadow.score_new():
            time.sleep(_PAUSE_S)


def _give_way() -> None:
    """Run only when nobody else wants the processor."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        os.nice(19)


class ShadowKeeper:
    """Keeps the process of the shadow alive for as long as a rollout is in that stage."""

    def __init__(self, system: System) -> None:
        self._folder = str(system.root.resolve())
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = -_LEAST_PAUSE_S

    def tick(self, rollout: Rollout | None) -> None:
        """Start the process if it is needed and does not run; it ends by itself."""
        if rollout is None or rollout.stage != "shadow":
            return
        if self._process is not None and self._process.poll() is None:
            return
        now_s = SYSTEM.monotonic_s()
        if now_s - self._started_s < _LEAST_PAUSE_S:
            return
        self._started_s = now_s
        command = [sys.executable, "-P", "-m", "headrace", "rollout", "shadow", self._folder]
        environment = os.environ | {_PARENT: str(os.getpid())}
        self._process = subprocess.Popen(command, env=environment)
