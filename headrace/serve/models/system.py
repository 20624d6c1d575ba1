"""The system that a model is served from: its spec, and the store and the log of its workspace."""

import subprocess
from pathlib import Path

from headrace.log import Log, sealer
from headrace.serve.models.windows import Windows
from headrace.spec import System, load, parse_duration_us
from headrace.store import Pusher, WindowReader, open_pusher, open_store
from headrace.tables import Column
from headrace.windows import list_keys
from headrace.workspace import SPEC_NAME, Workspace

PREDICTIONS = "predictions"
"""The kind of a logged prediction."""
COUNTS = "counts"
"""The kind of a record of what was counted of arms."""
_PATIENCE_S = 1.0
"""Seconds that pushed events wait for another process that writes."""


class ServedSystem:
    """A system and its workspace, as the service uses them."""

    def __init__(self, spec: System) -> None:
        self.spec = spec
        self.workspace = spec.workspace

    def windows(self, columns: list[Column]) -> Windows | None:
        """Return a reader of the window features among a model's columns; None without such."""
        names = frozenset(column.name for column in columns if column.window)
        if not names:
            return None
        time = self.spec.data.time_column
        times = [column for column in columns if column.name == time]
        return Windows(names, time, times[0] if times else None, self._open_reader)

    @property
    def unit(self) -> str | None:
        """The column of the units of rollouts; None where there is none."""
        return None if self.spec.rollout is None else self.spec.rollout.unit

    @property
    def keys(self) -> list[Column]:
        """The columns that hold the keys of windows."""
        names: dict[str, None] = {}
        for window in self.spec.features.windows:
            names |= dict.fromkeys(list_keys(window))
        return [Column(name=name, dtype="string", kind="categorical") for name in names]

    def open_pusher(self) -> Pusher:
        """Open the store for pushed events; raises `InputError` where it was never filled."""
        return open_pusher(self.spec, _PATIENCE_S)

    def log(self) -> Log:
        """Open the log of predictions; another process seals its full files."""
        return self._open_log(self.workspace.predictions)

    def outcome_log(self) -> Log:
        """Open the log of outcomes; another process seals its full files."""
        return self._open_log(self.workspace.outcomes)

    def count_log(self) -> Log:
        """Open the log of what is counted of the arms of rollouts."""
        return self._open_log(self.workspace.counts)

    def _open_log(self, folder: Path) -> Log:
        limit = self.spec.log.retention
        retention_us = None if limit is None else parse_duration_us(limit)
        sealers: list[subprocess.Popen[bytes]] = []

        def seal() -> None:
            """Start a process that seals, unless one is at work.

            That one takes files that become full while it runs; what it misses, the next one takes.
            """
            sealers[:] = [process for process in sealers if process.poll() is None]
            if not sealers:
                sealers.append(sealer.start(folder, retention_us))

        return Log(folder, self.spec.log.fsync, retention=retention_us, full=seal)

    def _open_reader(self) -> WindowReader:
        """Open the store for reading; raises `HeadraceError` where it cannot be reached."""
        return WindowReader(open_store(self.spec, self.spec.serve.store_timeout_ms / 1e3))


def find_system(bundle: Path) -> ServedSystem | None:
    """Return the system in whose workspace a bundle's folder lies; None where it lies in none."""
    workspace = Workspace.containing(bundle)
    if workspace is None or not (workspace.root / SPEC_NAME).exists():
        return None
    return ServedSystem(load(workspace.root))
