"""Opening a bundle without trusting it: checksums first, no code, no path that leaves the folder."""

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
from headrace.spec import System, decode, parse_yaml
from headrace.tables import Schema
from headrace.workspace import Workspace, folders_in

T = TypeVar("T")
_MLFLOWS = "registered_model_meta"
"""MLflow leaves the name and the version of a registered model, as text, where it loaded one."""
_MOST_ROWS, _MOST_CELLS = 20_000_000, 500_000_000
"""Two megabytes of Parquet may hold a thousand times more rows than any memory."""


class _Example(Struct):
    request: dict[str, Any]
    reply: dict[str, Any]


class _Profile(Struct):
    rows: int
    quantiles: list[float]
    columns: dict[str, dict[str, Any]]
    score: dict[str, Any]


class Bundle:
    """A checked bundle. Its parts are read when they are first asked for; each raises `BundleError`
    where it does not hold what such a part does.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    def read(self, file: str) -> bytes:
        """A file's bytes."""
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
            raise BundleError(
                where, error.found, error.expected or self._writer, error.do
            ) from None
        except InputError as error:
            raise BundleError(where, str(error), self._writer) from None

    @cached_property
    def evaluation(self) -> Evaluation:
        """Metrics by split, and what else was found when the bundle was built."""
        found = self._part("evaluation.json", Evaluation)
        if found.metric.name not in found.metrics.get("test", {}):
            raise BundleError(
                str(self.path / "evaluation.json"),
                f"no test {found.metric.name[:40]!r}",
                self._writer,
            )
        return found

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        """Golden requests with their replies."""
        if not self._part("examples.json", list[_Example]):
            raise BundleError(str(self.path / "examples.json"), "no golden request", "one at least")
        return self._part("examples.json", list[dict[str, Any]])

    @cached_property
    def profile(self) -> dict[str, Any]:
        """Reference distributions of inputs and score."""
        self._part("profile.json", _Profile)
        return self._part("profile.json", dict[str, Any])

    def holdout(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The test rows with the target, and the predictions that were made of them at build time."""
        path = self.path / "holdout.parquet"
        try:
            rows, columns = (
                pl.scan_parquet(path, glob=False).select(pl.len()).collect().item(),
                len(pl.read_parquet_schema(path)),
            )
            if rows > _MOST_ROWS or rows * columns > _MOST_CELLS:
                raise BundleError(
                    str(path), f"{rows:,} rows of {columns} columns", f"at most {_MOST_ROWS:,} rows"
                )
            return split_answers(pl.read_parquet(path, glob=False))
        except (pl.exceptions.PolarsError, OSError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise BundleError(str(path), f"cannot be read ({said})", self._writer) from None

    def check(self) -> None:
        """Raises `BundleError` where a part does not hold what such a part does."""
        check_mlmodel(self.path / "MLmodel", self.read("MLmodel"))
        for part in ("schema", "system", "evaluation", "examples", "profile"):
            getattr(self, part)

    def _part(self, file: str, type: type[T]) -> T:
        try:
            return msgspec.json.decode(self.read(file), type=type)
        except DECODE_ERRORS as error:
            raise BundleError(
                str(self.path / file), f"cannot be used ({str(error)[:200]})", self._writer
            ) from None

    @property
    def _writer(self) -> str:
        """Names the version that wrote the bundle: a later one may write more."""
        return f"what Headrace {self.manifest.code_version[:40]} writes (this is {__version__})"


def check_sums(path: Path, manifest: Manifest) -> None:
    """Raises `BundleError` naming the first file that is absent, no plain file, changed, or not in the manifest."""
    for file, expected in manifest.files.items():
        part = path / file
        if part.is_symlink() or not part.is_file():
            raise BundleError(
                str(part),
                "is missing" if not part.exists() else "is no plain file",
                "the file as it was written",
            )
        if sha256(part) != expected:
            raise BundleError(
                str(part),
                "has been changed since it was written",
                "the file as it was written",
                "get the bundle again",
            )
    if odd := sorted(
        {one.name for one in path.iterdir()} - {*manifest.files, "manifest.json", _MLFLOWS}
    ):
        shown = ", ".join(odd)[:200]
        raise BundleError(
            str(path),
            f"holds what its manifest does not name ({shown})",
            "the files of a bundle alone",
        )


def open_bundle(path: Path) -> Bundle:
    """Opens a bundle's folder after checking every file; raises `BundleError` where one byte differs."""
    manifest = read_manifest(path)
    check_sums(path, manifest)
    return Bundle(path, manifest)


def find_bundle(model: str | Path, folder: Path) -> Path:
    """The folder of MODEL: a bundle's folder, or `name@3` or `name@champion` in the workspace of
    `folder`.

    Raises `InputError` that says what there is.
    """
    path = Path(model)
    if not path.is_dir():
        return Workspace(folder).find(str(model))
    if (path / "system.yaml").exists() and not (path / "manifest.json").exists():
        known = folders_in(Workspace(path).bundles)
        do = f"a bundle such as {known[-1]}" if known else "run it first"
        raise InputError(str(model), "a system's folder, not a bundle", do)
    return path
