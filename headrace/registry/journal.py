"""The journal: every decision about what is live, in order. The aliases follow from it.

A decision is one line of JSON in `registry/NAME.jsonl`. Under a lock, first the line is written and
fsynced, then the aliases that readers follow are replaced:

    ads.jsonl          {"action":"promote","version":1,…}     1. append, fsync
                       {"action":"refuse","version":2,…}
                       {"action":"promote","vers              a torn line: the next decision cuts it
    aliases/ads.json   {"champion":1}                         2. replace
    rollout/ads.json   {"rollout":{"phase":{…},…}}            3. replace, while there is a rollout

So a killed process leaves one of three states: no line; a torn last line, which never counted; or a
line whose files are not replaced yet, which the next decision does. Reading changes nothing.

A journal that was emptied, or restored from an old copy, cannot explain the aliases. Then the live
versions stay, and the next decision goes on from there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from msgspec import Struct

from headrace.errors import DECODE_ERRORS, InputError, WorkError, check_format
from headrace.registry.routing import heal_routing
from headrace.rollout import Rollout
from headrace.tables import atomic_file, exclusive_lock
from headrace.workspace import Alias, Workspace

FORMAT = 2
"""The format of a line. Format 1, which is that of a line without a number, knew no rollouts; its
lines are read as they are."""
Action = Literal[
    "promote", "refuse", "rollback", "wait", "start", "stage", "arms", "pause", "resume", "stop"
]
_OF_ROLLOUTS = ("start", "stage", "arms", "pause", "resume", "stop")


class Decision(Struct, frozen=True, kw_only=True):
    """A decision about a version: it was promoted, refused or rolled back to, or its rollout moved.

    `before` is the version that the alias had until then. `by` says whether gates, a rollout or a
    person decided, `who` is the account, `at` is UTC. `evidence` holds the results of the gates.
    `rollout` is the rollout from then on; a rollout that is over, or superseded, has none.
    """

    action: Action
    version: int
    alias: Alias
    before: int | None
    at: str
    by: Literal["gates", "rollout", "person"]
    who: str
    why: str
    evidence: list[dict[str, Any]] = []
    rollout: Rollout | None = None
    format: int = FORMAT


class _Format(Struct):
    """The one field that lines of every format have, but for the first one."""

    format: int = 1


class Journal:
    """The decisions of one system.

    With `heals`, which only `locked_journal` may ask for, it finishes what a killed process began.
    """

    def __init__(self, workspace: Workspace, name: str, heals: bool = False) -> None:
        self._workspace = workspace
        self._name = name
        self.path = workspace.journal(name)
        self.decisions = self._read(heals)
        live = workspace.read_aliases(name)
        states = list(self._states())
        self.knows_what_is_live = live in states
        self.aliases: dict[Alias, int] = states[-1] if self.knows_what_is_live else live
        """The version of each alias."""
        self.rollout: Rollout | None = None
        """The rollout that is live."""
        self.waiting: int | None = None
        """The newest challenger that has had no rollout."""
        for decision in self.decisions:
            self._follow(decision)
        if heals and live != self.aliases:
            write_aliases(workspace, name, self.aliases)
        if heals:
            heal_routing(workspace, name, self.rollout)

    @property
    def last_version(self) -> int:
        """The highest version that was ever decided about, or is live; 0 where there is none."""
        versions = list(self.aliases.values())
        for decision in self.decisions:
            versions += [decision.version, decision.before or 0]
        return max(versions, default=0)

    def _states(self) -> Iterator[dict[Alias, int]]:
        """Yield the aliases before the first decision, and after each one that moved an alias."""
        aliases: dict[Alias, int] = {}
        yield aliases
        for decision in self.decisions:
            following = _move_aliases(aliases, decision)
            if following != aliases:
                aliases = following
                yield aliases

    @property
    def last_phase(self) -> int:
        """The number of the last phase of any rollout; 0 before the first."""
        numbers = [one.rollout.phase.number for one in self.decisions if one.rollout is not None]
        return max(numbers, default=0)

    def _follow(self, decision: Decision) -> None:
        """Follow a decision: which rollout is live from then on, and who waits for one."""
        if decision.action in _OF_ROLLOUTS or decision.by == "rollout":
            self.rollout = decision.rollout
        if decision.action in ("promote", "wait") and decision.alias == "challenger":
            self.waiting = decision.version
        elif decision.action in ("start", "promote") and decision.version == self.waiting:
            self.waiting = None

    def before(self, alias: Alias) -> int:
        """Return the version that an alias had before the current one.

        Each rollback undoes one promotion, so that the second one goes a step further back. Raises
        `InputError` where there is no earlier version.
        """
        promoted: list[int] = []
        for decision in self.decisions:
            if decision.alias != alias:
                continue
            if decision.action == "promote":
                promoted.append(decision.version)
            elif decision.action == "rollback" and promoted:
                promoted.pop()

        if len(promoted) >= 2:
            return promoted[-2]
        found = f"it has no {alias}"
        if promoted:
            found = f"version {promoted[-1]} was the first {alias}"
        raise InputError(f"rollback {self._name}", found, f"an earlier {alias} to go back to")

    def append(self, decision: Decision) -> None:
        """Write a decision, then replace the aliases; raises `WorkError` where the disk refuses."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(decision) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            found = f"cannot be written ({error.strerror})"
            raise WorkError(str(self.path), found, "a writable folder") from error
        self.decisions.append(decision)
        self._follow(decision)
        aliases = _move_aliases(self.aliases, decision)
        if aliases != self.aliases:
            self.aliases = aliases
            write_aliases(self._workspace, self._name, aliases)
        heal_routing(self._workspace, self._name, self.rollout)

    def _read(self, heals: bool) -> list[Decision]:
        data = self.path.read_bytes() if self.path.exists() else b""
        complete = data[: data.rfind(b"\n") + 1]
        if heals and len(complete) < len(data):
            os.truncate(self.path, len(complete))
        try:
            lines = complete.splitlines()
            for line in lines:
                found = msgspec.json.decode(line, type=_Format).format
                if found != 1:
                    check_format(WorkError, str(self.path), found, FORMAT)
            return [msgspec.json.decode(line, type=Decision) for line in lines]
        except DECODE_ERRORS as error:
            problem = f"cannot be read ({error})"
            expected = "the decisions as they were written"
            raise WorkError(str(self.path), problem, expected) from None


def _move_aliases(aliases: dict[Alias, int], decision: Decision) -> dict[Alias, int]:
    """Return the aliases after a decision.

    The challenger of a rollout is `shadow` in the first stage, then `challenger`; when the rollout
    is over, it is neither.
    """
    if decision.action in ("promote", "rollback"):
        moved = {**aliases, decision.alias: decision.version}
        return _without_challenger(moved) if decision.by == "rollout" else moved
    if decision.action == "stop":
        return _without_challenger(aliases)
    if decision.rollout is not None:
        rollout = decision.rollout
        return {**_without_challenger(aliases), rollout.alias: rollout.challenger}
    return aliases


def _without_challenger(aliases: dict[Alias, int]) -> dict[Alias, int]:
    return {alias: version for alias, version in aliases.items() if alias == "champion"}


@contextmanager
def locked_journal(workspace: Workspace, name: str) -> Iterator[Journal]:
    """Open the journal of a system to write; other writers wait."""
    with exclusive_lock(workspace.registry / "lock"):
        yield Journal(workspace, name, heals=True)


def write_aliases(workspace: Workspace, name: str, aliases: dict[Alias, int]) -> None:
    """Replace the aliases of a system; a reader sees the old ones or the new ones."""
    with atomic_file(workspace.aliases(name)) as draft:
        draft.write_bytes(msgspec.json.encode(aliases))
