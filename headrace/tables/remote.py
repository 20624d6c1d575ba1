"""Tables behind a URL (`s3://`, `gs://`, `az://`, `https://`, and any other that fsspec knows).

A table is fetched once for each state of its files, into the workspace:

    .headrace/remote/4a1c…-9be2…/rows.parquet
                     │     └ hash of the files' names and states (entity tag, version, time, size)
                     └ hash of the URL

So a file that changed gets a new folder, and the folders of older states are removed.
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
from headrace.tables.messages import first_line
from headrace.tables.scan import FORMATS
from headrace.tables.write import atomic_folder, publish_folder
from headrace.workspace import Workspace

_STATES = (
    "ETag", "etag", "md5", "version_id",
    "LastModified", "Last-Modified", "last_modified", "mtime", "updated", "created",
)  # fmt: skip
"""Names under which stores report that a file has changed."""
_EXTRAS = {"s3": "s3", "http": "http", "https": "http", "gs": "gcs", "az": "azure", "abfs": "azure"}
"""The extra of Headrace that installs the driver of each kind of URL."""


def is_remote(source: str) -> bool:
    """Say whether a source is a URL.

    >>> is_remote("s3://bucket/rows.parquet"), is_remote("rows.parquet")
    (True, False)
    """
    return "://" in source


def fetch(source: str, root: Path, again: bool = True) -> Path:
    """Copy the files of a URL into the workspace below `root`.

    Returns the path of the copy: a file, or a folder if the URL names a folder or a pattern. With
    `again` the store is asked for the state of its files; without it, a copy that is there is
    taken as it is. The tools of the storage find credentials where they always look for them.

    Raises `InputError` if the URL cannot be read, and for a secret in it: every bundle would hold
    it.
    """
    home = Workspace(root).remote
    url_hash = hashlib.sha256(source.encode()).hexdigest()[:16]
    copies = list(home.glob(f"{url_hash}-*"))
    if not again and len(copies) == 1:
        return _only_file(copies[0])

    system, path = _connect(source)
    try:
        files = _list_files(system, path, source)
        states = [_file_state(system.info(file)) for file in files]
        state_hash = hashlib.sha256(msgspec.json.encode([files, states])).hexdigest()[:16]
        copy = home / f"{url_hash}-{state_hash}"

        # A folder that is there is whole: it got its name when it was filled.
        if not copy.is_dir():
            _download(system, files, copy)
        for older in copies:
            if older != copy:
                shutil.rmtree(older, ignore_errors=True)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(source, "no such file", "a table") from None
    except Exception as error:  # those of the many stores have no common parent
        raise InputError(
            source,
            f"cannot be read ({first_line(error, source)})",
            "a table",
            "credentials and endpoint come from the environment, "
            "as the storage's own tools read them",
        ) from None
    return _only_file(copy)


def _download(system: Any, files: list[str], final: Path) -> None:
    """Copy files to the folder `final`, all of them or none."""
    with atomic_folder(final.parent) as folder:
        for position, file in enumerate(files):
            # Files of two folders may have one name; a number in front parts them.
            prefix = f"{position:06d}-" if len(files) > 1 else ""
            system.get_file(file, str(folder / (prefix + _file_name(file))))
        publish_folder(folder, final)


def _only_file(folder: Path) -> Path:
    """Return the file of a folder with a single file, else the folder."""
    files = list(folder.iterdir())
    return files[0] if len(files) == 1 else folder


def _connect(source: str) -> tuple[Any, str]:
    """Open the store of a URL; returns its file system and the path within it."""
    kind = source.split("://", maxsplit=1)[0]
    address = resolve_address(source, "data.source")
    try:
        urlsplit(source)  # finds brackets that do not close
        from fsspec.core import url_to_fs

        # A store would answer from an old listing. The one in memory does not know the option.
        options = {} if kind == "memory" else {"use_listings_cache": False}
        system, path = url_to_fs(address, **options)
    except ImportError:
        extra = _EXTRAS.get(kind)
        if extra:
            do = f"pip install 'headrace[{extra}]'"
        else:
            do = f"install fsspec and its driver of {kind}://"
        raise InputError(
            "data.source", f"nothing is installed that reads {kind}://", "its driver", do
        ) from None
    except ValueError as error:
        raise InputError(
            source,
            f"cannot be opened ({mask_secrets(str(error), source)})",
            "a path, s3://, gs://, az://, https://, sqlite:///, duckdb:/// or postgresql://",
        ) from None
    return system, str(path)


def _list_files(system: Any, path: str, source: str) -> list[str]:
    """List the files that a URL stands for, in the order of their names."""
    ends = tuple(end for group in FORMATS.values() for end in group)
    if any(sign in path for sign in "*[") and not system.exists(path):
        files = system.glob(path)
    elif source.endswith("/") or (not path.lower().endswith(ends) and system.isdir(path)):
        files = [file for file in system.ls(path, detail=False) if file.lower().endswith(ends)]
    else:
        return [path]
    if not files:
        raise InputError(source, "no file matches", "at least one table")
    return sorted(files)


def _file_state(info: dict[str, Any]) -> list[str]:
    """Describe one state of a file by what its store knows of it.

    A store that knows the size alone gets a random state, so that no copy is taken for current.

    >>> _file_state({"size": 12, "ETag": "ab", "owner": "me"})
    ['size 12', 'ETag ab']
    """
    marks = [f"{name} {info[name]}" for name in _STATES if info.get(name) is not None]
    return [f"size {info.get('size')}", *(marks or [uuid4().hex])]


def _file_name(file: str) -> str:
    """Return the last part of a path, or of an address without its query.

    >>> _file_name("https://example.com/data/rows.csv?token=1"), _file_name("bucket/a?b.csv")
    ('rows.csv', 'a?b.csv')
    """
    path = urlsplit(file).path if "://" in file else file
    return path.rsplit("/", maxsplit=1)[-1] or "table"
