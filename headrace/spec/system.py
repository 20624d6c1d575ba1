"""The `System` tree: every decision about a system is one of these fields.

Only fields that work are here; a field enters the tree with the feature that makes it work.
A value of `None` means "inferred"; the resolved spec in each bundle holds the inferred value.
"""

import html
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headrace.clock import DAY_US
from headrace.errors import SpecError
from headrace.spec.addresses import check_address
from headrace.spec.data import Data
from headrace.spec.duration import parse_duration_us
from headrace.spec.evaluate import Evaluate
from headrace.spec.features import FeaturesSpec
from headrace.spec.goal import Goal
from headrace.spec.log import LogSpec
from headrace.spec.models import Models
from headrace.spec.node import Name, Node, Positive, about
from headrace.spec.rollout import LOSS, RolloutSpec
from headrace.spec.serve import ServeSpec
from headrace.spec.split import SplitSpec
from headrace.workspace import Workspace


class Requirements(Node, frozen=True):
    """Requirements on speed; each that is stated is a gate."""

    prediction: Annotated[
        Literal["online", "batch"],
        about("How predictions are requested: row by row, or a table at a time.", "batch"),
    ] = "online"
    latency_p99_ms: Annotated[
        Positive | None,
        about(
            "The limit on the 99th percentile of the latency of a single row, in milliseconds: no "
            "slower candidate is chosen, and `verify` measures it.",
            20,
        ),
    ] = None
    throughput_rps: Annotated[
        Positive | None, about("The predictions per second on this machine's cores.", 4000)
    ] = None


class System(Node, frozen=True, dict=True):
    """The whole spec of a system.

    >>> System(name="ads", goal=Goal(target="clicked"), data=Data(source="ads.parquet")).split.test
    0.15
    """

    name: Annotated[Name, about("The name of the system and of its models.", "ads")]
    goal: Annotated[Goal, about("What to predict, and the metric that decides.")]
    data: Annotated[Data, about("The table of rows, and tables of events.")]
    requirements: Annotated[Requirements, about("Requirements on speed.")] = Requirements()
    features: Annotated[FeaturesSpec, about("The columns that the model sees.")] = FeaturesSpec()
    split: Annotated[SplitSpec, about("How rows are divided into train and test.")] = SplitSpec()
    models: Annotated[Models, about("The models that compete.")] = Models()
    evaluate: Annotated[Evaluate, about("Further checks on the test rows.")] = Evaluate()
    gates: Annotated[
        list[str],
        about(
            "What must hold before a model goes live: "
            "`SPLIT.METRIC OP NUMBER|champion|baseline [± margin]`.",
            ["test.roc_auc > baseline", "test.roc_auc >= champion ± 0.002"],
        ),
    ] = []
    serve: Annotated[ServeSpec, about("The service.")] = ServeSpec()
    rollout: Annotated[
        RolloutSpec | None,
        about(
            "How a version whose gates pass proves itself on live traffic; if left out, it is "
            "champion at once."
        ),
    ] = None
    store: Annotated[
        str | None,
        about(
            "The online store of window features; LMDB in the workspace if left out.",
            "redis://:${REDIS_PASSWORD}@localhost:6379/0",
        ),
    ] = None
    log: Annotated[LogSpec, about("The log of events and predictions.")] = LogSpec()
    seed: Annotated[
        int, Meta(ge=0, lt=2**31), about("The seed of everything that is drawn at random.", 11)
    ] = 7

    def __post_init__(self) -> None:
        """Refuse addresses with secrets in them: every bundle holds a copy of the spec."""
        for where, address in self.addresses().items():
            check_address(address, where)
        if self.rollout is not None:
            _check_log(self.rollout, self)
            _check_arms(self.rollout, self.name)
            _check_losses(self.rollout, self.goal)

    @property
    def outcome_delay_us(self) -> int:
        """How long after its prediction an outcome counts in a rollout, in microseconds."""
        within = self.rollout.within if self.rollout is not None else None
        delay = within or self.goal.label_delay
        return 0 if delay is None else parse_duration_us(delay)

    def __repr__(self) -> str:
        task = self.goal.task or "a task to be inferred"
        return f"System({self.name}: {self.goal.target}, {task}, from {self.data.source})"

    def _repr_html_(self) -> str:
        title = html.escape(repr(self))
        spec = html.escape(msgspec.yaml.encode(self).decode())
        return f"<h4>{title}</h4><details><summary>spec</summary><pre>{spec}</pre></details>"

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


def _check_arms(rollout: RolloutSpec, name: str) -> None:
    """Refuse arms of another system."""
    test = rollout.stages.test
    for arm in {} if test is None else test.arms:
        owner, at, _ = arm.partition("@")
        if at and owner != name:
            where = "rollout.stages.test.arms"
            raise SpecError(where, f"{arm!r} is of another system", f"a version of {name}")


def _check_losses(rollout: RolloutSpec, goal: Goal) -> None:
    """Refuse the loss of a ranking, whose scores are near no outcome."""
    if goal.task == "ranking" and any(metric.of == LOSS for metric in rollout.metrics):
        raise SpecError(
            "rollout.metrics",
            "the loss of a prediction, with task ranking",
            "what comes of a row, such as {name: clicks, of: clicked}",
            "a score of a ranking is near no outcome",
        )


def _check_log(rollout: RolloutSpec, system: System) -> None:
    """Refuse a rollout whose predictions are not logged, or are gone before it judges them."""
    if not system.serve.log:
        raise SpecError(
            "serve.log",
            "false, and there is a rollout",
            "true: a rollout judges what was logged",
            "leave it out",
        )
    if system.log.retention is None or rollout.stages.test is None:
        return
    spans = [metric.span_us for metric in rollout.metrics]
    needed = parse_duration_us(rollout.stages.test.most) + max(spans) + system.outcome_delay_us
    if parse_duration_us(system.log.retention) < needed:
        raise SpecError(
            "log.retention",
            f"{system.log.retention}, shorter than a test with its outcomes",
            "at least rollout.stages.test.most + per + within, "
            f"which is {needed / DAY_US:.4g} days",
        )
