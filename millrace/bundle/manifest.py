"""The manifest: what a bundle is and the checksum of every file in it, its own included."""

import hashlib
from pathlib import Path

import msgspec

from millrace.errors import BundleError

FILES = (
    "system.yaml",
    "schema.json",
    "model.onnx",
    "holdout.parquet",
    "profile.json",
    "examples.json",
    "evaluation.json",
    "card.html",
    "MLmodel",
)
"""Every file that a bundle has beside its manifest."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`created` is UTC; `data` maps each table to the fingerprint of its content; `files` maps names to sha256.

    `seal` is the sha256 over all the other fields, so that a changed byte in the manifest itself is found too.
    """

    name: str
    version: int
    created: str
    spec_hash: str
    data: dict[str, str]
    code_version: str
    parent: str | None
    files: dict[str, str]
    seal: str = ""

    def sealed(self) -> "Manifest":
        """The same with its seal set."""
        unsealed = msgspec.structs.replace(self, seal="")
        return msgspec.structs.replace(unsealed, seal=hashlib.sha256(unsealed.encode()).hexdigest())

    def encode(self) -> bytes:
        """The one form in which a manifest is written."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def sha256(path: Path) -> str:
    """The checksum of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks the manifest alone; raises `BundleError` where it is absent or changed."""
    path = folder / "manifest.json"
    try:
        data = path.read_bytes()
        manifest = msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        raise BundleError(str(folder), "no manifest.json", "a bundle's folder") from None
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(str(path), f"cannot be read ({error})", "the manifest as it was written") from None
    if manifest.sealed().encode() != data:
        raise BundleError(str(path), "has been changed since it was written", "the manifest as it was written")
    if set(manifest.files) != set(FILES):
        odd = sorted(set(manifest.files) ^ set(FILES))
        raise BundleError(str(path), f"names other files than a bundle has ({', '.join(odd)[:200]})", ", ".join(FILES))
    return manifest
