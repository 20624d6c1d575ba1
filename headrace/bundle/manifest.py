"""The manifest: the name of a bundle, and the checksum of every file, its own included."""

import hashlib
import stat
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from headrace.errors import DECODE_ERRORS, BundleError, check_format
from headrace.spec import Name

FORMAT = 1
"""The format of a bundle; one without a number is of this format too."""
MOST_VERSION = 999_999_999
_MOST_BYTES = 1 << 30

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
"""Every file of a bundle but its manifest."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of a bundle.

    `created` is UTC; `data` maps each table to the fingerprint of its content; `files` maps names
    to sha256. `seal` is the sha256 over all other fields, so that a changed byte in the manifest
    itself is found too. `scale` is that of the target (see `unit`).
    """

    name: Name
    version: Annotated[int, Meta(ge=1, le=MOST_VERSION)]
    created: str
    spec_hash: str
    data: dict[str, str]
    code_version: str
    parent: str | None
    files: dict[str, str]
    seal: str = ""
    format: int | UnsetType = UNSET
    scale: Annotated[float, Meta(gt=0.0)] | UnsetType = UNSET

    @property
    def unit(self) -> float:
        """The size that a difference between predictions is compared with, at least.

        It is the standard deviation of the target that a regression was fitted on: sums of float32
        are no more exact than that. Else, and in older bundles, it is 1.
        """
        return self.scale if isinstance(self.scale, float) else 1.0

    def with_seal(self) -> "Manifest":
        """Return the same manifest with its seal set."""
        unsealed = msgspec.structs.replace(self, seal="")
        seal = hashlib.sha256(unsealed.encode()).hexdigest()
        return msgspec.structs.replace(unsealed, seal=seal)

    def encode(self) -> bytes:
        """Encode a manifest in the one form in which it is written."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def read_plain(path: Path, expected: str = "the file as it was written") -> bytes:
    """Read a plain file of bounded size; raises `BundleError` for anything else, such as a pipe."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise BundleError(str(path), "is not a regular file", expected)
        if found.st_size > _MOST_BYTES:
            raise BundleError(str(path), f"{found.st_size:,} bytes", f"at most {_MOST_BYTES:,}")
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleError(str(path.parent), f"no {path.name}", expected) from None
    except OSError as error:
        raise BundleError(str(path), f"cannot be read ({error.strerror})", expected) from None


def sha256(path: Path) -> str:
    """Return the checksum of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest alone.

    Raises `BundleError` where it is absent, changed, or of a later version.
    """
    path = folder / "manifest.json"
    data = read_plain(path, "a bundle's folder")
    try:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        check_format(BundleError, str(path), fields.get("format", FORMAT), FORMAT)
        later = sorted(set(fields) - set(Manifest.__struct_fields__))
        if later:
            writer = str(fields.get("code_version"))[:40]
            problem = f"has {later[0][:40]!r}, which this version does not know"
            raise BundleError(str(path), problem, f"Headrace {writer}")
        manifest = msgspec.json.decode(data, type=Manifest)
    except DECODE_ERRORS as error:
        problem = f"cannot be read ({error})"
        raise BundleError(str(path), problem, "the manifest as it was written") from None

    if manifest.with_seal().encode() != data:
        problem = "has been changed since it was written"
        raise BundleError(str(path), problem, "the manifest as it was written")
    if set(manifest.files) != set(FILES):
        different = ", ".join(sorted(set(manifest.files) ^ set(FILES)))
        problem = f"does not list exactly the files of a bundle ({different[:200]})"
        raise BundleError(str(path), problem, ", ".join(FILES))
    return manifest
