"""Write a bundle: fill a folder with another name, then give it its own in one step."""

from pathlib import Path

import polars as pl
from msgspec import UNSET, Struct

from headrace.bundle.manifest import FILES, FORMAT, Manifest, sha256
from headrace.clock import SYSTEM, to_text
from headrace.tables import atomic_folder, publish_folder
from headrace.workspace import BundleName, versions_in


class Contents(Struct, frozen=True):
    """The contents of a new bundle: its files by name but the holdout, and fields of its manifest.

    `data` are the fingerprints of the tables, `scale` is that of the target.
    """

    name: str
    files: dict[str, bytes]
    holdout: pl.DataFrame
    spec_hash: str
    data: dict[str, str]
    code_version: str
    scale: float = 1.0


def write_bundle(parent: Path, contents: Contents, after: int = 0) -> BundleName:
    """Write a new version into a folder of bundles, and return its name.

    A reader sees the whole bundle or none; each of two concurrent writers gets a version of its
    own. `after` is the highest version that ever was: its bundle may be gone. Raises `WorkError`
    where the disk refuses.
    """
    with atomic_folder(parent) as draft:
        for file, content in contents.files.items():
            (draft / file).write_bytes(content)
        contents.holdout.write_parquet(draft / "holdout.parquet")
        sums = {file: sha256(draft / file) for file in FILES}

        # Another writer may take the version first; then the next one is tried.
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
                scale=contents.scale if contents.scale != 1 else UNSET,
            )
            (draft / "manifest.json").write_bytes(manifest.with_seal().encode())
            if publish_folder(draft, parent / bundle.folder):
                return bundle
