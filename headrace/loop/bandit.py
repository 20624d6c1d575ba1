"""Publishes the shares of a policy: it learns from closed rows alone, never from pending ones."""

import msgspec
import numpy as np

from headrace.outcomes.reader import ClosedUnits
from headrace.rollout import Rollout, Weights
from headrace.rollout.policies.policy import Feedback, Policy, with_floor
from headrace.rollout.policies.registry import make_policy
from headrace.rollout.statistics.look import scale_all
from headrace.spec import ExperimentSpec, RolloutMetric, parse_duration_us
from headrace.tables import atomic_file
from headrace.workspace import Workspace


class Bandit:
    """The policy of a test, with what it has learned from the rows of the current phase."""

    def __init__(self, rollout: Rollout, test: ExperimentSpec, policy: Policy) -> None:
        self._rollout = rollout
        self._test = test
        self._policy = policy
        self._metric = _find_goal(rollout)
        self._names = [arm.name for arm in rollout.phase.arms]
        self._state = policy.start(len(self._names), len(test.context))
        self._number = 0
        self._due_us = 0

    @property
    def phase(self) -> int:
        """The number of the phase whose shares it moves."""
        return self._rollout.phase.number

    def learn(self, closed: ClosedUnits) -> None:
        """Learn from rows that have closed for the goal."""
        if closed.phase != self.phase or closed.metric != self._metric.name:
            return
        counts = ~np.isnan(closed.value)
        value = scale_all(self._metric, closed.value[counts])
        if self._metric.wants_less:
            value = 1.0 - value
        width = len(self._test.context)
        context = np.zeros((int(counts.sum()), width))
        if width and closed.context is not None:
            rows = [one for one, known in zip(closed.context, counts, strict=True) if known]
            context = np.array(rows, dtype=np.float64).reshape(len(rows), width)
        self._state = self._policy.update(self._state, Feedback(closed.arm[counts], value, context))

    def weigh(self) -> Weights:
        """Return the next shares to publish."""
        seed = self.phase * 1_000_003 + self._number
        shares = with_floor(
            self._policy.weigh(self._state, [0.0] * len(self._test.context), seed),
            self._test.floor,
        )
        self._number += 1
        state = self._state if self._test.policy == "linucb" else None
        return Weights(
            self.phase, self._number, dict(zip(self._names, shares.tolist(), strict=True)), state
        )

    def publish(self, workspace: Workspace, now_us: int) -> None:
        """Publish shares where it is time to."""
        if now_us < self._due_us:
            return
        self._due_us = now_us + parse_duration_us(self._test.every)
        with atomic_file(workspace.weights(self._rollout.name)) as draft:
            draft.write_bytes(msgspec.json.encode(self.weigh()))


def make_bandit(rollout: Rollout) -> Bandit | None:
    """Make the bandit of a rollout's phase; None where its shares are fixed."""
    test = rollout.spec.stages.test
    if rollout.stage != "test" or test is None or rollout.phase.policy == "split":
        return None
    policy = make_policy(test)
    return None if policy is None else Bandit(rollout, test, policy)


def _find_goal(rollout: Rollout) -> RolloutMetric:
    """Return the first goal, by which a policy learns."""
    goals = [metric for metric in rollout.spec.metrics if metric.role == "goal"]
    return goals[0] if goals else rollout.spec.metrics[0]
