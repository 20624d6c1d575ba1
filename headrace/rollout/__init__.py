"""Rollouts: pure decisions about which arm a unit gets, and what its outcomes have shown.

What is imported here is light; the statistics, in `statistics` and `policies`, need NumPy.
"""

from headrace.rollout.by_hand import start, steer
from headrace.rollout.evidence import Evidence, RolloutDecision
from headrace.rollout.routing import Weights, encode_routing, read_routing, read_weights
from headrace.rollout.stages import judge, step
from headrace.rollout.state import Arm, Phase, Plan, Rollout, begin

__all__ = [
    "Arm",
    "Evidence",
    "Phase",
    "Plan",
    "Rollout",
    "RolloutDecision",
    "Weights",
    "begin",
    "encode_routing",
    "judge",
    "read_routing",
    "read_weights",
    "start",
    "steer",
    "step",
]
