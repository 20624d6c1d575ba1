"""Take over a workspace of an earlier version.

The product was called Millrace before. The folder of its workspaces, the key that marks them and
the name in a bundle's `MLmodel` follow the new name. The next call finishes one that was killed.
"""

import hashlib
import hmac
import shutil
from pathlib import Path

import msgspec
from msgspec import structs

from headrace.bundle import Bundle, read_manifest
from headrace.bundle.contents import FORMER_LOADER, LOADER
from headrace.errors import DECODE_ERRORS, BundleError, InputError
from headrace.spec import load
from headrace.tables import atomic_file
from headrace.workspace import FORMER_NAME, NAME, Workspace, folders_in, key_folder

_FORMER_PRODUCT = "millrace"


def migrate(folder: str | Path = ".") -> list[str]:
    """Take over the workspace of a system's folder, and say in words what was done.

    Raises `InputError` where there is no workspace, or one of each name.
    """
    root = Path(folder).absolute()
    done = _rename_folder(root)
    workspace = Workspace(root)
    done += _rename_loaders(workspace)
    if done and _has_server(root):
        done.append("the online store is empty under the new name: `headrace materialize` fills it")
    return done


def _rename_folder(root: Path) -> list[str]:
    """Rename the folder; mark it with today's key where it had this user's mark before."""
    former, today = root / FORMER_NAME, root / NAME
    if not former.is_dir():
        if today.is_dir():
            return []
        raise InputError(str(root), "no workspace here", f"a folder with {FORMER_NAME} in it")
    if today.exists():
        do = "keep the one that you want, and move the other away"
        raise InputError(str(root), f"both {FORMER_NAME} and {NAME}", "one of them", do)

    is_own = _has_former_mark(former)
    former.rename(today)
    if is_own:
        _take_over_key()
        Workspace(root).claim()
    return [f"{FORMER_NAME} is called {NAME} now"]


def _has_former_mark(workspace: Path) -> bool:
    """Say whether this user's former key marked a workspace: a stranger's gets no new mark."""
    try:
        key = (key_folder(_FORMER_PRODUCT) / "key").read_bytes()
        text = (workspace / "workspace.json").read_bytes()
        identity = msgspec.json.decode(text, type=dict[str, str])
        expected = hmac.new(key, identity["id"].encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(identity["mark"], expected)
    except (OSError, RuntimeError, KeyError, *DECODE_ERRORS):
        return False


def _take_over_key() -> None:
    """Copy the former key, so that workspaces which are taken over later are recognized too."""
    today = key_folder() / "key"
    if not today.exists():
        with atomic_file(today, 0o600) as draft:
            shutil.copyfile(key_folder(_FORMER_PRODUCT) / "key", draft)


def _rename_loaders(workspace: Workspace) -> list[str]:
    """Let MLflow load the bundles through the package of today."""
    renamed = []
    for name in folders_in(workspace.bundles):
        path = workspace.bundles / name
        try:
            manifest = read_manifest(path)
            text = Bundle(path, manifest).read("MLmodel")
        except BundleError:
            continue

        # The manifest knows the file by its former content. Any other was renamed before, or was
        # changed by somebody.
        former = text.replace(LOADER.encode(), FORMER_LOADER.encode())
        is_former = hashlib.sha256(former).hexdigest() == manifest.files["MLmodel"]
        if not is_former or FORMER_LOADER.encode() not in former:
            continue
        today = former.replace(FORMER_LOADER.encode(), LOADER.encode())
        files = {**manifest.files, "MLmodel": hashlib.sha256(today).hexdigest()}

        # The manifest comes last: a call that was killed between the two finds a file that is ahead
        # of it.
        with atomic_file(path / "MLmodel") as draft:
            draft.write_bytes(today)
        with atomic_file(path / "manifest.json") as draft:
            draft.write_bytes(structs.replace(manifest, files=files).with_seal().encode())
        renamed.append(name)
    return [f"MLflow loads {', '.join(renamed)} through {LOADER}"] if renamed else []


def _has_server(root: Path) -> bool:
    try:
        return load(root).store is not None
    except InputError:
        return False
