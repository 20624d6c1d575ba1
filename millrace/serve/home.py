"""The workspace that models are served from: its aliases, its online store, its log."""

from pathlib import Path

from millrace import events, spec
from millrace.events import Reader
from millrace.serve.windows import Windows
from millrace.spec import System
from millrace.tables import Column

PREDICTIONS = "predictions"
"""The kind of a logged prediction, and the folder of the log that holds them: they would drown the events."""


class Home:
    """A system's workspace."""

    def __init__(self, system: System) -> None:
        self.system, self.workspace = system, system.workspace

    def windows(self, names: frozenset[str]) -> Windows:
        """Reads windows from the online store."""
        return Windows(names, self.system.data.time, self._reader)

    @property
    def keys(self) -> list[Column]:
        """The columns by which windows are read."""
        windows = self.system.features.windows
        names = dict.fromkeys(key for window in windows for key in events.keys_of(window))
        return [Column(name=name, dtype="string", kind="categorical") for name in names]

    def online(self) -> events.Online:
        """Takes events that are pushed; raises `InputError` where the store was never filled."""
        return events.online_of(self.system)

    def log(self) -> events.Log:
        """The log of predictions."""
        kept = self.system.log.retention
        retention = None if kept is None else spec.duration_us(kept)
        return events.Log(self.workspace / "log" / PREDICTIONS, self.system.log.fsync, retention=retention)

    def _reader(self) -> Reader:
        return Reader(events.store_of(self.system, self.system.serve.store_timeout_ms / 1e3))


def home_of(bundle: Path) -> Home | None:
    """The workspace of a bundle's folder; none where it does not lie in one."""
    bundles = bundle.resolve().parent
    workspace = bundles.parent
    if (workspace.name, bundles.name) != (".millrace", "bundles") or not (workspace.parent / "system.yaml").exists():
        return None
    return Home(spec.load(workspace.parent))
