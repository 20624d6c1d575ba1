"""Open a bundle without trusting it: checksums first, no code, no path that leaves the folder."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import polars as pl
from msgspec import Struct

from headrace._version import __version__
from headrace.bundle.contents import check_mlmodel
from headrace.bundle.evaluation import Evaluation
from headrace.bundle.holdout import split_answers
from headrace.bundle.manifest import Manifest, read_manifest, read_plain, sha256
from headrace.errors import DECODE_ERRORS, BundleError, InputError, SpecError
from headrace.spec import System, decode, load, parse_yaml
from headrace.tables import Schema
from headrace.workspace import Workspace, is_system, name_systems

T = TypeVar("T")
_MLFLOWS = "registered_model_meta"
"""MLflow leaves the name and the version of a registered model, as text, where it loaded one."""
_MOST_ROWS = 20_000_000
_MOST_CELLS = 500_000_000


class _Example(Struct):
    request: dict[str, Any]
    reply: dict[str, Any]


class _Profile(Struct):
    rows: int
    quantiles: list[float]
    columns: dict[str, dict[str, Any]]
    score: dict[str, Any]


class Bundle:
    """A checked bundle.

    A part is read when it is first asked for; it raises `BundleError` for content of another form.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    def read(self, file: str) -> bytes:
        """Read a file's bytes."""
        return read_plain(self.path / file)

    @cached_property
    def schema(self) -> Schema:
        """The columns that the model takes."""
        return self._part("schema.json", Schema)

    @cached_property
    def system(self) -> System:
        """The resolved spec."""
        where = str(self.path / "system.yaml")
        try:
            return decode(parse_yaml(self.read("system.yaml"), where), where)
        except SpecError as error:
            expected = error.expected or self._writer
            raise BundleError(where, error.found, expected, error.do) from None
        except InputError as error:
            raise BundleError(where, str(error), self._writer) from None

    @cached_property
    def evaluation(self) -> Evaluation:
        """Metrics by split, and the rest of the evaluation at build time."""
        evaluation = self._part("evaluation.json", Evaluation)
        metric = evaluation.metric.name
        if metric not in evaluation.metrics.get("test", {}):
            where = str(self.path / "evaluation.json")
            raise BundleError(where, f"no test {metric[:40]!r}", self._writer)
        return evaluation

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        """Golden requests with their replies."""
        if not self._part("examples.json", list[_Example]):
            raise BundleError(str(self.path / "examples.json"), "no golden request", "at least one")
        return self._part("examples.json", list[dict[str, Any]])

    @cached_property
    def profile(self) -> dict[str, Any]:
        """Reference distributions of inputs and score."""
        self._part("profile.json", _Profile)
        return self._part("profile.json", dict[str, Any])

    def holdout(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read the test rows with the target, and their predictions at build time."""
        path = self.path / "holdout.parquet"
        try:
            # Two megabytes of Parquet may hold a thousand times more rows than any memory.
            rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
            columns = len(pl.read_parquet_schema(path))
            if rows > _MOST_ROWS or rows * columns > _MOST_CELLS:
                found = f"{rows:,} rows of {columns} columns"
                raise BundleError(str(path), found, f"at most {_MOST_ROWS:,} rows")
            return split_answers(pl.read_parquet(path, glob=False))
        except (pl.exceptions.PolarsError, OSError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise BundleError(
                str(path), f"cannot be read ({lines[0][:200]})", self._writer
            ) from None

    def check(self) -> None:
        """Read every part; raises `BundleError` for one whose content has another form."""
        check_mlmodel(self.path / "MLmodel", self.read("MLmodel"))
        for part in ("schema", "system", "evaluation", "examples", "profile"):
            getattr(self, part)

    def _part(self, file: str, type: type[T]) -> T:
        try:
            return msgspec.json.decode(self.read(file), type=type)
        except DECODE_ERRORS as error:
            found = f"cannot be used ({str(error)[:200]})"
            raise BundleError(str(self.path / file), found, self._writer) from None

    @property
    def _writer(self) -> str:
        """The version that wrote the bundle, in words: a later one may write more."""
        return f"what Headrace {self.manifest.code_version[:40]} writes (this is {__version__})"


def check_sums(path: Path, manifest: Manifest) -> None:
    """Check that a folder holds the files of its manifest, unchanged, and no others.

    Raises `BundleError` that names the first file that is absent, no plain file, or changed.
    """
    expected = "the file as it was written"
    for file, checksum in manifest.files.items():
        part = path / file
        if part.is_symlink() or not part.is_file():
            found = "is not a regular file" if part.exists() else "is missing"
            raise BundleError(str(part), found, expected)
        if sha256(part) != checksum:
            found = "has been changed since it was written"
            raise BundleError(str(part), found, expected, "get the bundle again")

    names = {one.name for one in path.iterdir()}
    unnamed = sorted(names - {*manifest.files, "manifest.json", _MLFLOWS})
    if unnamed:
        found = f"holds files that its manifest does not list ({', '.join(unnamed)[:200]})"
        raise BundleError(str(path), found, "only the files of a bundle")


def open_bundle(path: Path) -> Bundle:
    """Open a bundle's folder after checking every file.

    Raises `BundleError` where one byte differs.
    """
    manifest = read_manifest(path)
    check_sums(path, manifest)
    return Bundle(path, manifest)


def find_bundle(model: str | Path, folder: Path) -> Path:
    """Find the folder of a model.

    Parameters: `model`, a bundle's folder, a system's folder (its champion), `name@3` or
    `name@champion`; `folder`, the system whose workspace has such names. Raises `InputError` that
    names the bundles or systems there are.
    """
    path = Path(model)
    if is_system(path):
        system = load(path)
        return system.workspace.find(f"{system.name}@{read_champion(system)}")
    if not path.is_dir():
        return Workspace(folder).find(str(model))
    if not os.path.lexists(path / "manifest.json"):
        found = "neither a bundle's folder nor a system's"
        raise InputError(str(model), found, "a folder of one of them", name_systems(path))
    return path


def read_champion(system: System) -> int:
    """Return the version of a system's champion; raises `InputError` where it has none yet."""
    aliases = system.workspace.read_aliases(system.name)
    if "champion" not in aliases:
        where = os.path.relpath(system.root)
        do = (
            f"`headrace run {where}` makes one; "
            f"`headrace promote {system.name}@VERSION --dir {where}` picks one by hand"
        )
        found = f"no champion of {system.name!r} yet"
        raise InputError(where, found, "a system with a champion", do)
    return aliases["champion"]
