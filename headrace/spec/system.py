"""The `System` tree: every decision about a system is one of these fields.

Only fields that work are here; a field enters the tree with the feature that makes it work.
A value of `None` means "inferred", and the resolved spec in each bundle holds what was inferred.
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
    """What the system must hold beside its quality: each that is stated is a gate.

    Single rows in `latency_p99_ms`: no slower candidate is chosen, and `verify` measures it.
    `throughput_rps` predictions a second on this machine's cores: row by row where the prediction
    is `online`, as tables in `batch`.
    """

    prediction: Literal["online", "batch"] = "online"
    latency_p99_ms: Positive | None = None
    throughput_rps: Positive | None = None


class System(Node, frozen=True, dict=True):
    """The whole spec of a system. `gates` say what a model must show before it goes live (see
    `spec.gates`).

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
        """Refuses addresses with secrets in them: the spec stands in every bundle."""
        for where, address in self.addresses().items():
            check_address(address, where)

    def addresses(self) -> dict[str, str]:
        """Where tables are and the online store is, by their fields."""
        named = {
            "data.source": self.data.source,
            "data.holdout": self.data.holdout,
            "store": self.store,
        }
        named |= {
            f"data.events.{name}.source": table.source for name, table in self.data.events.items()
        }
        return {where: address for where, address in named.items() if address is not None}

    @cached_property
    def root(self) -> Path:
        """The folder that relative paths start from: the spec file's own.

        Not a field: never saved or hashed.
        """
        return Path.cwd()

    @cached_property
    def workspace(self) -> Workspace:
        """Where state lives: bundles, runs, logs."""
        return Workspace(self.root)
