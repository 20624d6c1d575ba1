"""Opening a bundle without trusting it: checksums first, no code, no path that leaves the folder."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from millrace.bundle.aliases import version_of
from millrace.bundle.holdout import apart
from millrace.bundle.manifest import Manifest, read_manifest, sha256
from millrace.bundle.write import BundleName, versions
from millrace.errors import BundleError, InputError, nearest
from millrace.spec import System
from millrace.tables import Schema


class Bundle:
    """A checked bundle. Its parts are read when they are first asked for."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    def read(self, file: str) -> bytes:
        """A file's bytes."""
        return (self.path / file).read_bytes()

    @cached_property
    def schema(self) -> Schema:
        """The columns that the model takes."""
        return msgspec.json.decode(self.read("schema.json"), type=Schema)

    @cached_property
    def system(self) -> System:
        """The resolved spec."""
        return msgspec.yaml.decode(self.read("system.yaml"), type=System)

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """Metrics by split, and what else was found when the bundle was built."""
        decoded: dict[str, Any] = msgspec.json.decode(self.read("evaluation.json"))
        return decoded

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        """Golden requests with their replies."""
        decoded: list[dict[str, Any]] = msgspec.json.decode(self.read("examples.json"))
        return decoded

    def holdout(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The test rows with the target, and the predictions that were made of them at build time."""
        return apart(pl.read_parquet(self.path / "holdout.parquet"))


def check_sums(path: Path, manifest: Manifest) -> None:
    """Raises `BundleError` naming the first file that is absent, no plain file, or changed."""
    for file, expected in manifest.files.items():
        part = path / file
        if part.is_symlink() or not part.is_file():
            raise BundleError(
                str(part), "is missing" if not part.exists() else "is no plain file", "the file as it was written"
            )
        if sha256(part) != expected:
            raise BundleError(
                str(part), "has been changed since it was written", "the file as it was written", "get the bundle again"
            )


def open_bundle(path: Path) -> Bundle:
    """Opens a bundle's folder after checking every file; raises `BundleError` where one byte differs."""
    manifest = read_manifest(path)
    check_sums(path, manifest)
    return Bundle(path, manifest)


def find_bundle(model: str | Path, folder: Path) -> Path:
    """The folder of MODEL: a bundle's folder, or `name@3` or `name@champion` in the workspace of `folder`.

    Raises `InputError` that says what there is.
    """
    text = str(model)
    if Path(text).is_dir():
        if (Path(text) / "system.yaml").exists() and not (Path(text) / "manifest.json").exists():
            known = _known(Path(text) / ".millrace" / "bundles")
            raise InputError(
                text, "a system's folder, not a bundle", f"a bundle such as {known[-1]}" if known else "run it first"
            )
        return Path(text)
    bundles = folder / ".millrace" / "bundles"
    named = re.fullmatch(r"([A-Za-z][A-Za-z0-9_-]*)@(\w+)", text)
    known = _known(bundles)
    if named:
        version = int(named[2]) if named[2].isdigit() else version_of(folder / ".millrace", named[1], named[2])
        found = bundles / BundleName(named[1], version).folder
        if found.is_dir():
            return found
        have = versions(bundles, named[1])
        hint = f"versions {', '.join(map(str, have))}" if have else f"one of: {', '.join(known) or 'none yet'}"
        raise InputError(text, f"no such version in {bundles}", hint, nearest(named[1], known))
    raise InputError(
        text,
        "no such bundle",
        "a bundle's folder, NAME@VERSION or NAME@champion",
        f"{bundles} has {', '.join(known) or 'none'}",
    )


def _known(bundles: Path) -> list[str]:
    return sorted(path.name for path in bundles.iterdir() if not path.name.startswith(".")) if bundles.is_dir() else []
