"""Tables behind a URL (`s3://`, `gs://`, `az://`, `https://` and whatever else fsspec knows),
fetched once.

A copy is kept in the workspace for each state of the files: what their store says of them (entity
tag, version, time, size) names it.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from headrace.errors import InputError
from headrace.spec import mask_secrets, resolve_address
from headrace.tables.scan import FORMATS
from headrace.tables.write import atomic_folder, publish_folder
from headrace.workspace import Workspace

_STATES = (
    "ETag", "etag", "md5", "version_id", "LastModified", "Last-Modified", "last_modified", "mtime", "updated",
    "created",
)  # fmt: skip
_EXTRAS = {"s3": "s3", "http": "http", "https": "http", "gs": "gcs", "az": "azure", "abfs": "azure"}


def is_remote(source: str) -> bool:
    """Whether a source is a URL.

    >>> is_remote("s3://bucket/rows.parquet"), is_remote("rows.parquet")
    (True, False)
    """
    return "://" in source


def fetch(source: str, root: Path, again: bool = True) -> Path:
    """The local copy of a file, or a folder of copies where the URL names a folder or a pattern.

    It is kept below `root`, in the workspace; the copy that is there is taken as it is unless its
    state shall be asked for `again`. Credentials come from where the storage's own tools look for
    them. Raises `InputError` where the URL cannot be read, and for a secret in it: it would stand
    in every bundle.
    """
    home = Workspace(root).remote
    mine = hashlib.sha256(source.encode()).hexdigest()[:16]
    there = list(home.glob(f"{mine}-*"))
    if not again and len(there) == 1:
        return _table(there[0])
    system, path = _opened(source)
    try:
        files = _files(system, path, source)
        states = [_state(system.info(file)) for file in files]
        known = hashlib.sha256(msgspec.json.encode([files, states])).hexdigest()[:16]
        folder = home / f"{mine}-{known}"
        if not folder.is_dir():
            with atomic_folder(home) as beside:
                for at, file in enumerate(files):  # two folders may hold files of one name
                    system.get_file(
                        file, str(beside / (f"{at:06d}-" * (len(files) > 1) + _name(file)))
                    )
                publish_folder(beside, folder)
        for older in there:
            if older != folder:
                shutil.rmtree(older, ignore_errors=True)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(source, "no such file", "a table") from None
    except Exception as error:  # those of the many stores have no common parent
        said = (mask_secrets(str(error), source).strip().splitlines() or [type(error).__name__])[0][
            :300
        ]
        do = "credentials and endpoint come from the environment, as the storage's own tools read them"
        raise InputError(source, f"cannot be read ({said})", "a table", do) from None
    return _table(folder)


def _table(folder: Path) -> Path:
    """The only file of a folder, or the folder."""
    files = list(folder.iterdir())
    return files[0] if len(files) == 1 else folder


def _opened(source: str) -> tuple[Any, str]:
    """The store of a URL, and the path within it."""
    kind = source.split("://", maxsplit=1)[0]
    address = resolve_address(source, "data.source")
    try:
        urlsplit(source)  # finds brackets that do not close
        from fsspec.core import url_to_fs

        system, path = (
            url_to_fs(address, use_listings_cache=False) if kind != "memory" else url_to_fs(address)
        )
    except ImportError:
        extra = _EXTRAS.get(kind)
        do = (
            f"pip install 'headrace[{extra}]'"
            if extra
            else f"install fsspec and its driver of {kind}://"
        )
        raise InputError(
            "data.source", f"nothing is installed that reads {kind}://", "its driver", do
        ) from None
    except ValueError as error:
        known = "a path, s3://, gs://, az://, https://, sqlite:///, duckdb:/// or postgresql://"
        raise InputError(
            source, f"cannot be opened ({mask_secrets(str(error), source)})", known
        ) from None
    return system, str(path)


def _files(system: Any, path: str, source: str) -> list[str]:
    """The files that a URL stands for, in the order of their names."""
    ends = tuple(end for group in FORMATS.values() for end in group)
    if any(sign in path for sign in "*[") and not system.exists(path):
        found = system.glob(path)
    elif source.endswith("/") or (not path.lower().endswith(ends) and system.isdir(path)):
        found = [file for file in system.ls(path, detail=False) if file.lower().endswith(ends)]
    else:
        return [path]
    if not found:
        raise InputError(source, "no file matches", "at least one table")
    return sorted(found)


def _state(info: dict[str, Any]) -> list[str]:
    """What tells one state of a file from another; where its store says nothing, no copy is good for long."""
    said = [f"{name} {info[name]}" for name in _STATES if info.get(name) is not None]
    return [f"size {info.get('size')}", *(said or [uuid4().hex])]


def _name(file: str) -> str:
    """The last part of a path; of an address without what follows a question mark."""
    path = urlsplit(file).path if "://" in file else file
    return path.rsplit("/", maxsplit=1)[-1] or "table"
