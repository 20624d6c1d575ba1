"""The `System` tree: every decision about a system is one of these fields.

Only fields that work are here; a field enters the tree with the feature that makes it work.
A value of `None` means "inferred"; the resolved spec in each bundle holds the inferred value.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from headrace.spec.addresses import check_address
from headrace.spec.data import Data
from headrace.spec.evaluate import Evaluate
from headrace.spec.features import FeaturesSpec
from headrace.spec.goal import Goal
from headrace.spec.log import LogSpec
from headrace.spec.models import Models
from headrace.spec.node import Name, Node, Positive
from headrace.spec.serve import ServeSpec
from headrace.spec.split import SplitSpec
from headrace.workspace import Workspace


class Requirements(Node, frozen=True):
    """Requirements on speed; each that is stated is a gate.

    `latency_p99_ms` bounds the time for a single row: no slower candidate is chosen, and `verify`
    measures it. `throughput_rps` is the number of predictions a second on this machine's cores: of
    single rows where `prediction` is `online`, of tables where it is `batch`.
    """

    prediction: Literal["online", "batch"] = "online"
    latency_p99_ms: Positive | None = None
    throughput_rps: Positive | None = None


class System(Node, frozen=True, dict=True):
    """The whole spec of a system.

    `gates` are the conditions that a model must meet before it goes live (see `spec.gates`).
    `store` is the online store of window features: LMDB in the workspace, or
    `redis://HOST:PORT/NUMBER`.

    >>> System(name="ads", goal=Goal(target="clicked"), data=Data(source="ads.parquet")).split.test
    0.15
    """

    name: Name
    goal: Goal
    data: Data
    requirements: Requirements = Requirements()
    features: FeaturesSpec = FeaturesSpec()
    split: SplitSpec = SplitSpec()
    models: Models = Models()
    evaluate: Evaluate = Evaluate()
    gates: list[str] = []
    serve: ServeSpec = ServeSpec()
    store: str | None = None
    log: LogSpec = LogSpec()
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 7

    def __post_init__(self) -> None:
        """Refuse addresses with secrets in them: every bundle holds a copy of the spec."""
        for where, address in self.addresses().items():
            check_address(address, where)

    def addresses(self) -> dict[str, str]:
        """Return the addresses of all tables and of the online store, by field."""
        by_field = {
            "data.source": self.data.source,
            "data.holdout": self.data.holdout,
            "store": self.store,
        }
        for name, table in self.data.events.items():
            by_field[f"data.events.{name}.source"] = table.source
        return {field: address for field, address in by_field.items() if address is not None}

    @cached_property
    def root(self) -> Path:
        """The folder from which relative paths start: that of the spec's file.

        It is not a field: it is neither saved nor hashed.
        """
        return Path.cwd()

    @cached_property
    def workspace(self) -> Workspace:
        """The folder of the system's state: bundles, runs, logs."""
        return Workspace(self.root)
