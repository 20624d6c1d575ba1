"""The journal: every decision about what is live, in order. The aliases follow from it.

A decision is one line of JSON in `registry/NAME.jsonl`. Under a lock, first the line is written and
fsynced, then the aliases that readers follow are replaced:

    ads.jsonl          {"action":"promote","version":1,…}     1. append, fsync
                       {"action":"refuse","version":2,…}
                       {"action":"promote","vers              a torn line: the next decision cuts it
    aliases/ads.json   {"champion":1}                         2. replace

So a killed process leaves one of three states: no line; a torn last line, which never counted; or a
line whose aliases are not replaced yet, which the next decision does. Reading changes nothing.

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
from headrace.tables import atomic_file, exclusive_lock
from headrace.workspace import Alias, Workspace

FORMAT = 1
"""The format of a line; one without a number is of this format too."""


class Decision(Struct, frozen=True, kw_only=True):
    """A decision: a version that was promoted, refused or rolled back to.

    `before` is the version that the alias had until then. `by` says whether gates or a person
    decided, `who` is the account, `at` is UTC. `evidence` holds the results of the gates.
    """

    action: Literal["promote", "refuse", "rollback"]
    version: int
    alias: Alias
    before: int | None
    at: str
    by: Literal["gates", "person"]
    who: str
    why: str
    evidence: list[dict[str, Any]] = []
    format: int = FORMAT


class _Format(Struct):
    """The one field that lines of every format have."""

    format: int = FORMAT


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
        if heals and live != self.aliases:
            write_aliases(workspace, name, self.aliases)

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
            if decision.action != "refuse":
                aliases = {**aliases, decision.alias: decision.version}
                yield aliases

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
        if decision.action != "refuse":
            self.aliases = {**self.aliases, decision.alias: decision.version}
            write_aliases(self._workspace, self._name, self.aliases)

    def _read(self, heals: bool) -> list[Decision]:
        data = self.path.read_bytes() if self.path.exists() else b""
        complete = data[: data.rfind(b"\n") + 1]
        if heals and len(complete) < len(data):
            os.truncate(self.path, len(complete))
        try:
            lines = complete.splitlines()
            for line in lines:
                found = msgspec.json.decode(line, type=_Format).format
                check_format(WorkError, str(self.path), found, FORMAT)
            return [msgspec.json.decode(line, type=Decision) for line in lines]
        except DECODE_ERRORS as error:
            problem = f"cannot be read ({error})"
            expected = "the decisions as they were written"
            raise WorkError(str(self.path), problem, expected) from None


@contextmanager
def locked_journal(workspace: Workspace, name: str) -> Iterator[Journal]:
    """Open the journal of a system to write; other writers wait."""
    with exclusive_lock(workspace.registry / "lock"):
        yield Journal(workspace, name, heals=True)


def write_aliases(workspace: Workspace, name: str, aliases: dict[Alias, int]) -> None:
    """Replace the aliases of a system; a reader sees the old ones or the new ones."""
    with atomic_file(workspace.aliases(name)) as draft:
        draft.write_bytes(msgspec.json.encode(aliases))
