"""Writing a bundle: filled beside, then named in one step."""

from pathlib import Path

import polars as pl
from msgspec import Struct

from headrace.bundle.manifest import FILES, FORMAT, Manifest, sha256
from headrace.clock import SYSTEM, to_text
from headrace.tables import atomic_folder, publish_folder
from headrace.workspace import BundleName, versions_in


class Contents(Struct, frozen=True):
    """What a new bundle holds: its files but `holdout.parquet` by name, the holdout, and what its
    manifest says; `data` are fingerprints by table.
    """

    name: str
    files: dict[str, bytes]
    holdout: pl.DataFrame
    spec_hash: str
    data: dict[str, str]
    code_version: str


def write_bundle(parent: Path, contents: Contents, after: int = 0) -> BundleName:
    """Writes a new version into a folder of bundles, and returns its name.

    `after` is the highest version that was ever known, whose bundle may be gone. A reader sees the
    whole bundle or none; of two writers at once each gets a version of its own. Raises `WorkError`
    where the disk refuses.
    """
    with atomic_folder(parent) as beside:
        for file, content in contents.files.items():
            (beside / file).write_bytes(content)
        contents.holdout.write_parquet(beside / "holdout.parquet")
        sums = {file: sha256(beside / file) for file in FILES}
        while True:
            taken = versions_in(parent, contents.name)
            bundle = BundleName(contents.name, max([after, *taken]) + 1)
            manifest = Manifest(
                format=FORMAT,
                name=contents.name,
                version=bundle.version,
                created=to_text(SYSTEM.now_us(), "seconds"),
                spec_hash=contents.spec_hash,
                data=contents.data,
                code_version=contents.code_version,
                parent=BundleName(contents.name, taken[-1]).folder if taken else None,
                files=sums,
            )
            (beside / "manifest.json").write_bytes(manifest.with_seal().encode())
            if publish_folder(beside, parent / bundle.folder):
                return bundle
