"""Every decision about what is live, in the order in which it was made: the truth that aliases are made of.

A decision is one line of JSON in `registry/NAME.jsonl`, written and fsynced under a lock before the aliases that
readers follow are replaced. A killed process therefore leaves one of three things: no line, a torn last line, which is
cut off (nobody was told that it counts), or a line whose aliases are not written yet, which the next command writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from millrace.bundle import Alias, read_aliases, write_aliases
from millrace.errors import InputError, WorkError
from millrace.tables import alone


class Decision(Struct, frozen=True, kw_only=True):
    """A version that was promoted, refused or rolled back to; `before` is what the alias stood for until then.

    `by` is what decided (gates, or a person), `who` the account that it ran under, `at` UTC; `evidence` holds the
    results of the gates.
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


class Journal:
    """The decisions of one system, read and healed; `locked_journal` gives it."""

    def __init__(self, workspace: Path, name: str) -> None:
        self._workspace, self._name = workspace, name
        self.path = workspace / "registry" / f"{name}.jsonl"
        self.decisions = self._read()
        if read_aliases(workspace, name) != self.aliases:
            write_aliases(workspace, name, self.aliases)

    @property
    def aliases(self) -> dict[Alias, int]:
        """What each alias stands for after all decisions."""
        found: dict[Alias, int] = {}
        for one in self.decisions:
            if one.action != "refuse":
                found[one.alias] = one.version
        return found

    def before(self, alias: Alias) -> int:
        """The version that stood before the one that stands now; raises `InputError` where there is none.

        Each rollback undoes one promotion, so that the second one goes a step further back.
        """
        stack: list[int] = []
        for one in self.decisions:
            if one.alias == alias and one.action == "promote":
                stack.append(one.version)
            elif one.alias == alias and one.action == "rollback":
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
            raise WorkError(str(self.path), f"cannot be written ({error.strerror})", "a folder with room") from error
        self.decisions.append(decision)
        if decision.action != "refuse":
            write_aliases(self._workspace, self._name, self.aliases)

    def _read(self) -> list[Decision]:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        try:
            return [msgspec.json.decode(line, type=Decision) for line in whole.splitlines()]
        except msgspec.DecodeError as error:
            raise WorkError(str(self.path), f"cannot be read ({error})", "the decisions as they were written") from None


@contextmanager
def locked_journal(workspace: Path, name: str) -> Iterator[Journal]:
    """The decisions of a system while nobody else makes one; others wait."""
    with alone(workspace / "registry" / "lock"):
        yield Journal(workspace, name)
