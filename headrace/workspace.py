"""The workspace of a system: the folder `.headrace` beside its spec, and every path below it.

A workspace has a random id, the same in a copy, and a mark: the id signed with a key that only this
user can read. What a stranger sends has no such mark, so what it names is not read.
"""

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from headrace.errors import DECODE_ERRORS, BundleError, InputError, nearest

Alias = Literal["champion", "challenger", "shadow"]
ALIASES: tuple[Alias, ...] = get_args(Alias)
NAME, FORMER_NAME = ".headrace", ".millrace"
_REFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)@(\w+)", re.ASCII)

_MOST_DIGITS = 9
"""Of a version: Python refuses to read numbers of thousands of digits."""


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

    @classmethod
    def parse(cls, folder: str) -> "BundleName | None":
        """Reads the name of a bundle's folder; None for any other.

        >>> BundleName.parse("ads-000003")
        BundleName(name='ads', version=3)
        """
        found = re.fullmatch(r"(.+)-(\d{6,})", folder)
        return cls(found[1], int(found[2])) if found else None


class _Identity(Struct, frozen=True):
    id: str
    mark: str = ""


class Workspace:
    """Names every path below `.headrace` in the folder `root` of a system. Making one touches no
    disk.

    Raises `InputError` where there is only a workspace from before the product was called Headrace.

    >>> Workspace(Path("shop")).bundle("ads", 3).as_posix()
    'shop/.headrace/bundles/ads-000003'
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / NAME
        refuse_former(root)

    @classmethod
    def containing(cls, bundle: Path) -> "Workspace | None":
        """The workspace in which a bundle's folder lies; None where it does not lie in one."""
        bundles = bundle.resolve().parent
        home = bundles.parent
        if bundles.name != "bundles" or home.name not in (NAME, FORMER_NAME):
            return None
        return cls(home.parent)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workspace) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def bundles(self) -> Path:
        """The folder of all bundles."""
        return self.path / "bundles"

    @property
    def runs(self) -> Path:
        """The folder of all runs: `run.json` and the report of each."""
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        """The results of stages, by what they were made of."""
        return self.path / "cache"

    @property
    def remote(self) -> Path:
        """The tables that were fetched from behind URLs."""
        return self.path / "remote"

    @property
    def explored(self) -> Path:
        """The document of the last `explore`."""
        return self.path / "explore.json"

    @property
    def comparisons(self) -> Path:
        """The pages that compare models."""
        return self.path / "comparisons"

    @property
    def log(self) -> Path:
        """The log of pushed events."""
        return self.path / "log"

    @property
    def predictions(self) -> Path:
        """The log of predictions, apart from events, which it would drown."""
        return self.log / "predictions"

    @property
    def online(self) -> Path:
        """The embedded online store."""
        return self.path / "online"

    @property
    def tokens(self) -> Path:
        """The hashes of the service's tokens."""
        return self.path / "tokens.json"

    @property
    def mlflow(self) -> Path:
        """The artifacts of the embedded MLflow store."""
        return self.path / "mlflow"

    @property
    def mlflow_store(self) -> Path:
        """The embedded MLflow store."""
        return self.path / "mlflow.db"

    @property
    def registry(self) -> Path:
        """The folder of the journals, their locks, and which rows models were fitted on."""
        return self.path / "registry"

    def journal(self, name: str) -> Path:
        """The decisions about the models of a system."""
        return self.registry / f"{name}.jsonl"

    def mlflow_state(self, name: str) -> Path:
        """What MLflow has been told of a system."""
        return self.registry / f"{name}.mlflow.json"

    def fitted_rows(self, bundle: str) -> Path:
        """The rows that a bundle's model was fitted on, a number each."""
        return self.registry / "seen" / f"{bundle}.parquet"

    def aliases(self, name: str) -> Path:
        """The file that says which version each alias of a system stands for."""
        return self.path / "aliases" / f"{name}.json"

    def bundle(self, name: str, version: int) -> Path:
        """The folder of a version."""
        return self.bundles / BundleName(name, version).folder

    def versions(self, name: str) -> list[int]:
        """The versions of a system's bundles, ascending."""
        return versions_in(self.bundles, name)

    def read_aliases(self, name: str) -> dict[Alias, int]:
        """The version of each alias of a system; none where nothing was ever promoted.

        Raises `BundleError` for a file that cannot be read.
        """
        path = self.aliases(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[Alias, int])
        except FileNotFoundError:
            return {}
        except (OSError, *DECODE_ERRORS) as error:
            raise BundleError(
                str(path), f"cannot be read ({error})", "the aliases as they were written"
            ) from None

    def find(self, reference: str) -> Path:
        """The bundle's folder of `name@3` or `name@champion`; raises `InputError` that says what there is."""
        named = _REFERENCE.fullmatch(reference)
        known = folders_in(self.bundles)
        if named is None:
            expected = "a bundle's folder, NAME@VERSION or NAME@champion"
            raise InputError(
                reference,
                "no such bundle",
                expected,
                f"{self.bundles} has {', '.join(known) or 'none'}",
            )

        name, wanted = named.groups()
        if wanted.isdigit() and len(wanted) <= _MOST_DIGITS:
            version = int(wanted)
        else:
            version = self._version_of(name, wanted)
        found = self.bundle(name, version)
        if found.is_dir():
            return found
        have = self.versions(name)
        bundles = [BundleName.parse(folder) for folder in known]
        names = sorted({one.name for one in bundles if one is not None})
        hint = (
            f"versions {', '.join(map(str, have))}"
            if have
            else f"one of: {', '.join(known) or 'none yet'}"
        )
        raise InputError(
            reference, f"no such version in {self.bundles}", hint, nearest(name, names)
        )

    def _version_of(self, name: str, alias: str) -> int:
        aliases = self.read_aliases(name)
        if alias in aliases:
            return aliases[alias]
        if alias not in ALIASES:
            raise InputError(
                f"{name}@{alias}", f"no alias {alias!r}", "one of: " + ", ".join(ALIASES)
            )
        held = (
            ", ".join(f"{one} is version {version}" for one, version in aliases.items())
            or "none is set"
        )
        do = f"headrace promote {name}@VERSION --alias {alias}"
        raise InputError(
            f"{name}@{alias}", f"{name} has no {alias}", f"an alias that is set ({held})", do
        )

    @property
    def id(self) -> str:
        """The id; the empty string where nothing was run in the workspace yet."""
        known = self._identity()
        return known.id if known is not None else ""

    @property
    def is_own(self) -> bool:
        """Whether this user has run something in the workspace."""
        known = self._identity()
        return (
            known is not None
            and bool(known.mark)
            and hmac.compare_digest(known.mark, _sign(known.id, make=False))
        )

    def claim(self) -> str:
        """Marks the workspace as this user's, who runs something in it, and returns its id.

        Where the folder or the key cannot be written, the workspace works all the same, and counts
        as nobody's.
        """
        known = self._identity()
        id = known.id if known is not None else secrets.token_hex(16)
        mine = _Identity(id, _sign(id, make=True))
        if mine != known:
            with suppress(OSError):
                self.path.mkdir(parents=True, exist_ok=True)
                beside = self.path / f".workspace.json-{secrets.token_hex(4)}"
                beside.write_bytes(msgspec.json.encode(mine))
                beside.replace(self._identity_file)
        return id

    @property
    def _identity_file(self) -> Path:
        return self.path / "workspace.json"

    def _identity(self) -> _Identity | None:
        path = self._identity_file
        try:
            return (
                msgspec.json.decode(path.read_bytes(), type=_Identity) if path.is_file() else None
            )
        except (OSError, *DECODE_ERRORS):
            return None


def refuse_former(root: Path) -> None:
    """Raises `InputError` where a folder has a workspace of the product's former name, and none of today's."""
    if (root / FORMER_NAME).is_dir() and not (root / NAME).exists():
        found = f"the workspace {FORMER_NAME}, made before the product was called Headrace"
        raise InputError(str(root), found, NAME, f"`headrace migrate {root}` takes it over")


def versions_in(bundles: Path, name: str) -> list[int]:
    """The versions of a system among the folders of bundles, ascending."""
    found = [BundleName.parse(folder) for folder in folders_in(bundles)]
    return sorted(one.version for one in found if one is not None and one.name == name)


def folders_in(bundles: Path) -> list[str]:
    """The names of the folders of bundles, sorted; none where there is no such folder."""
    return (
        sorted(path.name for path in bundles.iterdir() if not path.name.startswith("."))
        if bundles.is_dir()
        else []
    )


def key_folder(product: str = "headrace") -> Path:
    """Where this user's key lies."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / product


def _sign(id: str, make: bool) -> str:
    """The id signed with this user's key; the empty string where there is none, and none can be made."""
    try:
        home = key_folder()
        if make and not (home / "key").exists():
            home.mkdir(parents=True, exist_ok=True)
            beside = home / f".key-{secrets.token_hex(4)}"
            beside.touch(0o600, exist_ok=False)
            beside.write_bytes(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(beside, home / "key")  # of two processes one wins, and both read the same
            beside.unlink()
        key = (home / "key").read_bytes()
    except (OSError, RuntimeError):  # a user without a home
        return ""
    return hmac.new(key, id.encode(), hashlib.sha256).hexdigest()
