"""Writing a bundle: filled beside, then named in one step."""

from pathlib import Path

import polars as pl

from headrace.bundle.manifest import FILES, Manifest, sha256
from headrace.clock import SYSTEM, to_text
from headrace.tables import atomic_folder, publish_folder
from headrace.workspace import BundleName, versions_in


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
            taken = versions_in(parent, name)
            bundle = BundleName(name, max([after, *taken]) + 1)
            manifest = Manifest(
                name=name,
                version=bundle.version,
                created=to_text(SYSTEM.now_us(), "seconds"),
                spec_hash=spec_hash,
                data=data,
                code_version=code_version,
                parent=BundleName(name, taken[-1]).folder if taken else None,
                files=sums,
            )
            (beside / "manifest.json").write_bytes(manifest.with_seal().encode())
            if publish_folder(beside, parent / bundle.folder):
                return parent / bundle.folder
