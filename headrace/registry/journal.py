"""Every decision about what is live, in the order in which it was made: the truth that aliases are
made of.

A decision is one line of JSON in `registry/NAME.jsonl`, written and fsynced under a lock before the
aliases that readers follow are replaced. A killed process therefore leaves one of three things: no
line, a torn last line, which the next decision cuts off (nobody was told that it counts), or a line
whose aliases are not written yet, which the next decision writes. Reading changes nothing.

A journal that was emptied, or restored from an old copy, does not know how the aliases came to
stand where they stand: what is live stays so, and the next decision goes on from there.
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
    """A version that was promoted, refused or rolled back to; `before` is what the alias stood for
    until then.

    `by` is what decided (gates, or a person), `who` the account that it ran under, `at` UTC;
    `evidence` holds the results of the gates.
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
    """Holds what every line says, whatever its format."""

    format: int = FORMAT


class Journal:
    """The decisions of one system. With `heals`, which only `locked_journal` may ask for, it makes
    up for what a killed process left out.
    """

    def __init__(self, workspace: Workspace, name: str, heals: bool = False) -> None:
        self._workspace, self._name = workspace, name
        self.path = workspace.journal(name)
        self.decisions = self._read(heals)
        live, states = workspace.read_aliases(name), list(self._states())
        self.knows_what_is_live = live in states
        self.aliases: dict[Alias, int] = states[-1] if self.knows_what_is_live else live
        """What each alias stands for."""
        if heals and live != self.aliases:
            write_aliases(workspace, name, self.aliases)

    @property
    def last_version(self) -> int:
        """The highest version that was ever decided about, or is live; 0 where there is none."""
        told = [version for one in self.decisions for version in (one.version, one.before or 0)]
        return max([*told, *self.aliases.values()], default=0)

    def _states(self) -> Iterator[dict[Alias, int]]:
        """What the aliases stood for before the first decision, and after each."""
        found: dict[Alias, int] = {}
        yield found
        for one in self.decisions:
            if one.action != "refuse":
                found = {**found, one.alias: one.version}
                yield found

    def before(self, alias: Alias) -> int:
        """The version that stood before the one that stands now; raises `InputError` where there is
        none.

        Each rollback undoes one promotion, so that the second one goes a step further back.
        """
        stack: list[int] = []
        for one in self.decisions:
            if one.alias == alias and one.action == "promote":
                stack.append(one.version)
            elif one.alias == alias and one.action == "rollback" and stack:
                stack.pop()
        if len(stack) < 2:
            held = f"version {stack[-1]} was the first {alias}" if stack else f"it has no {alias}"
            raise InputError(f"rollback {self._name}", held, f"an earlier {alias} to go back to")
        return stack[-2]

    def append(self, decision: Decision) -> None:
        """Makes a decision count, then lets readers see it; raises `WorkError` where the disk refuses."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(decision) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WorkError(
                str(self.path), f"cannot be written ({error.strerror})", "a folder with room"
            ) from error
        self.decisions.append(decision)
        if decision.action != "refuse":
            self.aliases = {**self.aliases, decision.alias: decision.version}
            write_aliases(self._workspace, self._name, self.aliases)

    def _read(self, heals: bool) -> list[Decision]:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if heals and len(whole) < len(data):
            os.truncate(self.path, len(whole))
        try:
            for line in whole.splitlines():
                found = msgspec.json.decode(line, type=_Format).format
                check_format(WorkError, str(self.path), found, FORMAT)
            return [msgspec.json.decode(line, type=Decision) for line in whole.splitlines()]
        except DECODE_ERRORS as error:
            raise WorkError(
                str(self.path), f"cannot be read ({error})", "the decisions as they were written"
            ) from None


@contextmanager
def locked_journal(workspace: Workspace, name: str) -> Iterator[Journal]:
    """The decisions of a system while nobody else makes one; others wait."""
    with exclusive_lock(workspace.registry / "lock"):
        yield Journal(workspace, name, heals=True)


def write_aliases(workspace: Workspace, name: str, aliases: dict[Alias, int]) -> None:
    """Replaces the aliases of a system; a reader sees the old ones or the new ones."""
    with atomic_file(workspace.aliases(name)) as beside:
        beside.write_bytes(msgspec.json.encode(aliases))
