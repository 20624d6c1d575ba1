"""Writing a bundle: filled beside, then named in one step."""

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from msgspec import Struct

from headrace.bundle.manifest import FILES, Manifest, sha256
from headrace.tables import atomic_folder, settle


class BundleName(Struct, frozen=True):
    """`NAME-000003` as its parts."""

    name: str
    version: int

    @property
    def folder(self) -> str:
        """The name of the bundle's folder.

        >>> BundleName("ads", 3).folder
        'ads-000003'
        """
        return f"{self.name}-{self.version:06d}"


def versions(parent: Path, name: str) -> list[int]:
    """The versions of a system's bundles in a folder, ascending."""
    pattern = re.compile(re.escape(name) + r"-(\d{6,})")
    found = [pattern.fullmatch(path.name) for path in parent.iterdir()] if parent.is_dir() else []
    return sorted(int(match[1]) for match in found if match)


def write_bundle(
    parent: Path,
    name: str,
    files: dict[str, bytes],
    holdout: pl.DataFrame,
    spec_hash: str,
    data: dict[str, str],
    code_version: str,
    after: int = 0,
) -> Path:
    """Writes a new version and returns its folder.

    Parameters: `files`, the content of every file but `holdout.parquet`; `data`, fingerprints by table; `after`, the
    highest version that was ever known, whose bundle may be gone. A reader sees the whole bundle or none; of two
    writers at once each gets a version of its own. Raises `WorkError` where the disk refuses.
    """
    with atomic_folder(parent) as beside:
        for file, content in files.items():
            (beside / file).write_bytes(content)
        holdout.write_parquet(beside / "holdout.parquet")
        sums = {file: sha256(beside / file) for file in FILES}
        while True:
            taken = versions(parent, name)
            bundle = BundleName(name, max([after, *taken]) + 1)
            manifest = Manifest(
                name=name,
                version=bundle.version,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                spec_hash=spec_hash,
                data=data,
                code_version=code_version,
                parent=BundleName(name, taken[-1]).folder if taken else None,
                files=sums,
            )
            (beside / "manifest.json").write_bytes(manifest.sealed().encode())
            if settle(beside, parent / bundle.folder):
                return parent / bundle.folder
