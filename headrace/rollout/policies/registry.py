"""The policies that move shares, by their names in the spec."""

from headrace.rollout.policies.epsilon import EpsilonGreedy
from headrace.rollout.policies.linucb import LinUcb
from headrace.rollout.policies.policy import Policy
from headrace.rollout.policies.thompson import Thompson
from headrace.spec import ExperimentSpec


def make_policy(spec: ExperimentSpec) -> Policy | None:
    """Return the policy of a test; None for fixed shares."""
    if spec.policy == "thompson":
        return Thompson()
    if spec.policy == "epsilon":
        return EpsilonGreedy(spec.explore)
    if spec.policy == "linucb":
        return LinUcb()
    return None
