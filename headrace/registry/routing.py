"""Keeps the routing file of a system as its journal says."""

from contextlib import suppress

from headrace.rollout import Rollout, encode_routing
from headrace.tables import atomic_file
from headrace.workspace import Workspace


def heal_routing(workspace: Workspace, name: str, rollout: Rollout | None) -> None:
    """Write the routing file of a system, unless it says this already.

    A system that never had a rollout gets no file.
    """
    path = workspace.routing(name)
    content = encode_routing(rollout)
    current = None
    with suppress(FileNotFoundError):
        current = path.read_bytes()
    if current == content or (current is None and rollout is None):
        return
    with atomic_file(path) as draft:
        draft.write_bytes(content)
