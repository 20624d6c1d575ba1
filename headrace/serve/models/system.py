"""The workspace that models are served from: its aliases, its online store, its log."""

import subprocess
from pathlib import Path

from headrace.log import Log, sealer
from headrace.serve.models.windows import Windows
from headrace.spec import System, duration_us, load
from headrace.store import Pusher, WindowReader, open_pusher, open_store
from headrace.tables import Column
from headrace.windows import window_keys
from headrace.workspace import Workspace

PREDICTIONS = "predictions"
"""The kind of a logged prediction."""


_PATIENCE_S = 1.0
"""How long pushed events wait for another process that writes."""


class ServedSystem:
    """A system's workspace."""

    def __init__(self, spec: System) -> None:
        self.spec, self.workspace = spec, spec.workspace

    def windows(self, columns: list[Column]) -> Windows | None:
        """Reads the windows among the columns of a model from the online store; none where there are none."""
        names = frozenset(column.name for column in columns if column.window)
        time = self.spec.data.time_column
        times = [column for column in columns if column.name == time]
        return Windows(names, time, times[0] if times else None, self._reader) if names else None

    @property
    def keys(self) -> list[Column]:
        """The columns by which windows are read."""
        windows = self.spec.features.windows
        names = dict.fromkeys(key for window in windows for key in window_keys(window))
        return [Column(name=name, dtype="string", kind="categorical") for name in names]

    def online(self) -> Pusher:
        """Takes events that are pushed; raises `InputError` where the store was never filled."""
        return open_pusher(self.spec, _PATIENCE_S)

    def log(self) -> Log:
        """The log of predictions; a process beside this one seals it."""
        kept, folder = self.spec.log.retention, self.workspace.predictions
        retention = None if kept is None else duration_us(kept)
        sealers: list[subprocess.Popen[bytes]] = []

        def full() -> None:
            sealers[:] = [one for one in sealers if one.poll() is None]
            if (
                not sealers
            ):  # one that is at work takes what is full when it comes to it, or the next one does
                sealers.append(sealer.start(folder, retention))

        return Log(folder, self.spec.log.fsync, retention=retention, full=full)

    def _reader(self) -> WindowReader:
        return WindowReader(open_store(self.spec, self.spec.serve.store_timeout_ms / 1e3))


def find_system(bundle: Path) -> ServedSystem | None:
    """The workspace of a bundle's folder; none where it does not lie in one."""
    workspace = Workspace.containing(bundle)
    if workspace is None or not (workspace.root / "system.yaml").exists():
        return None
    return ServedSystem(load(workspace.root))
