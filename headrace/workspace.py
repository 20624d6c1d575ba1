"""The workspace of a system: the folder `.headrace` next to its spec, and every path below it.

    shop/system.yaml
    shop/.headrace/bundles/ads-000003/   cache/   runs/   log/   online/   registry/ads.jsonl   …

A workspace has a random id, which a copy shares, and a mark: the id signed with a key that only
this user can read. A workspace that a stranger sends has no such mark, so Headrace reads no file
that it names.
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
NAME = ".headrace"
SPEC_NAME = "system.yaml"
FORMER_NAME = ".millrace"
_REFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)@(\w+)", re.ASCII)
_MOST_FOLDERS = 1_000
"""A search for systems looks into so many folders at most."""
_MOST_DIGITS = 9
"""The digits of a version at most: Python refuses to read numbers of thousands of digits."""


class BundleName(Struct, frozen=True):
    """The parts of `NAME-000003`."""

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
        """Read the name of a bundle's folder; None for any other folder.

        >>> BundleName.parse("ads-000003")
        BundleName(name='ads', version=3)
        """
        found = re.fullmatch(r"(.+)-(\d{6,})", folder)
        return cls(found[1], int(found[2])) if found else None


class _Identity(Struct, frozen=True):
    id: str
    mark: str = ""


class Workspace:
    """Names of all paths below `.headrace` in the folder `root` of a system.

    Nothing is read or written until a method asks for it. Raises `InputError` where there is only a
    workspace from before the product was called Headrace.

    >>> Workspace(Path("shop")).bundle("ads", 3).as_posix()
    'shop/.headrace/bundles/ads-000003'
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / NAME
        refuse_former(root)

    @classmethod
    def containing(cls, bundle: Path) -> "Workspace | None":
        """Return the workspace that holds a bundle's folder; None where none does."""
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
    def frames(self) -> Path:
        """The tables that were handed over in Python."""
        return self.path / "frames"

    @property
    def schema(self) -> Path:
        """The JSON schema of specs, by which editors complete and check them."""
        return self.path / "system.schema.json"

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
        """The log of predictions, a log of its own: it would drown the events."""
        return self.log / "predictions"

    @property
    def outcomes(self) -> Path:
        """The log of outcomes, a log of its own beside that of predictions."""
        return self.log / "outcomes"

    @property
    def counts(self) -> Path:
        """The log of what services count of the arms of rollouts."""
        return self.log / "counts"

    @property
    def shadow(self) -> Path:
        """The log of the scores of challengers that answer nobody."""
        return self.log / "shadow"

    @property
    def rollouts(self) -> Path:
        """The folder of the live rollouts, and of what their controller remembers."""
        return self.path / "rollout"

    def routing(self, name: str) -> Path:
        """Return the file with the live rollout of a system, which services follow."""
        return self.rollouts / f"{name}.json"

    def weights(self, name: str) -> Path:
        """Return the file with the shares that a policy has set in a rollout of a system."""
        return self.rollouts / f"{name}.weights.json"

    def rollout_status(self, name: str) -> Path:
        """Return the file with the status of a system's rollout, which its controller writes."""
        return self.rollouts / f"{name}.status.json"

    @property
    def taken(self) -> Path:
        """The folder in which processes note that they have taken a challenger into service."""
        return self.rollouts / "taken"

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
        """Return the journal of decisions about the models of a system."""
        return self.registry / f"{name}.jsonl"

    def mlflow_state(self, name: str) -> Path:
        """Return the file that remembers how far MLflow is in sync with a system."""
        return self.registry / f"{name}.mlflow.json"

    def fitted_rows(self, bundle: str) -> Path:
        """Return the file of the rows that a bundle's model was fitted on, a number each."""
        return self.registry / "seen" / f"{bundle}.parquet"

    def aliases(self, name: str) -> Path:
        """Return the file with the version of each alias of a system."""
        return self.path / "aliases" / f"{name}.json"

    def bundle(self, name: str, version: int) -> Path:
        """Return the folder of a version."""
        return self.bundles / BundleName(name, version).folder

    def versions(self, name: str) -> list[int]:
        """Return the versions of a system's bundles, ascending."""
        return versions_in(self.bundles, name)

    def read_aliases(self, name: str) -> dict[Alias, int]:
        """Read the version of each alias of a system; empty where nothing was ever promoted.

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
        """Return the bundle's folder of `name@3` or `name@champion`.

        Raises `InputError` that lists the bundles, versions or aliases there are.
        """
        named = _REFERENCE.fullmatch(reference)
        known = folders_in(self.bundles)
        if named is None:
            expected = "the folder of a bundle or of a system, NAME@VERSION or NAME@champion"
            do = f"{self.bundles} has {', '.join(known)}" if known else name_systems(self.root)
            raise InputError(reference, "no such bundle", expected, do)

        self.require(reference)
        name, wanted = named.groups()
        if wanted.isdigit() and len(wanted) <= _MOST_DIGITS:
            version = int(wanted)
        else:
            version = self._version_of(name, wanted)
        folder = self.bundle(name, version)
        if folder.is_dir():
            return folder

        versions = self.versions(name)
        bundles = [BundleName.parse(one) for one in known]
        names = sorted({one.name for one in bundles if one is not None})
        if versions:
            hint = f"versions {', '.join(map(str, versions))}"
        else:
            hint = f"one of: {', '.join(known) or 'none yet'}"
        raise InputError(
            reference, f"no such version in {self.bundles}", hint, nearest(name, names)
        )

    def require(self, where: str) -> None:
        """Raise `InputError` where there is no workspace; it names the systems nearby.

        Parameters: `where`, what was looked up in it.
        """
        if self.bundles.is_dir() or self.registry.is_dir():
            return
        if is_system(self.root):
            do = f"`headrace run {self.root}` makes one"
            raise InputError(where, f"nothing was run in {self.root} yet", "a model", do)
        found = f"no workspace in {self.root.absolute()}"
        raise InputError(where, found, "the folder of a system", name_systems(self.root))

    def _version_of(self, name: str, alias: str) -> int:
        aliases = self.read_aliases(name)
        if alias in aliases:
            return aliases[alias]
        if alias not in ALIASES:
            raise InputError(
                f"{name}@{alias}", f"no alias {alias!r}", "one of: " + ", ".join(ALIASES)
            )
        set_aliases = [f"{one} is version {version}" for one, version in aliases.items()]
        listed = ", ".join(set_aliases) or "none is set"
        do = f"headrace promote {name}@VERSION --alias {alias}"
        raise InputError(
            f"{name}@{alias}", f"{name} has no {alias}", f"an alias that is set ({listed})", do
        )

    @property
    def id(self) -> str:
        """The id; the empty string until something runs in the workspace."""
        known = self._identity()
        return known.id if known is not None else ""

    @property
    def is_own(self) -> bool:
        """Whether this user has run something in the workspace."""
        known = self._identity()
        if known is None or not known.mark:
            return False
        return hmac.compare_digest(known.mark, _sign(known.id, make=False))

    def make(self) -> None:
        """Make the folder where it is absent, with a `.gitignore` that keeps it out of git."""
        self.path.mkdir(parents=True, exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text(
                "# state that `headrace` makes again, or that is no part of a repository\n*\n"
            )

    def claim(self) -> str:
        """Mark the workspace as this user's, who runs something in it; return its id.

        A workspace whose folder or key cannot be written works all the same, without a mark.
        """
        known = self._identity()
        id = known.id if known is not None else secrets.token_hex(16)
        mine = _Identity(id, _sign(id, make=True))
        if mine != known:
            with suppress(OSError):
                self.make()
                draft = self.path / f".workspace.json-{secrets.token_hex(4)}"
                draft.write_bytes(msgspec.json.encode(mine))
                draft.replace(self._identity_file)
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


def is_system(folder: Path) -> bool:
    """Say whether a folder is that of a system: it has a `system.yaml`, and is no bundle."""
    # even a manifest that is no plain file is that of a bundle, if a broken one
    return (folder / SPEC_NAME).is_file() and not os.path.lexists(folder / "manifest.json")


def name_systems(root: Path) -> str:
    """Name the folders of systems below a folder, as a hint to whoever is in the wrong one.

    It looks two levels deep, and at so many folders at most that no disk keeps it waiting. Returns
    `found build/demo-income`, or how to make a system if there is none.
    """
    found = [str(folder) for folder in _list_folders(root) if is_system(folder)]
    return f"found {', '.join(sorted(found)[:3])}" if found else "`headrace init DATA` makes one"


def _list_folders(root: Path) -> list[Path]:
    """List folders two levels below a folder, the upper ones first; no hidden ones."""
    found: list[Path] = []
    level = [root]
    for _ in range(2):
        level = [folder for above in level for folder in sorted(_folders_in(above))]
        found += level
        level = level[:_MOST_FOLDERS]
    return found[:_MOST_FOLDERS]


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(one) for one in entries if one.name[:1] != "." and one.is_dir()]
    except OSError:
        return []


def refuse_former(root: Path) -> None:
    """Refuse a folder whose only workspace has the product's former name: raises `InputError`."""
    if (root / FORMER_NAME).is_dir() and not (root / NAME).exists():
        found = f"the workspace {FORMER_NAME}, made before the product was called Headrace"
        raise InputError(str(root), found, NAME, f"`headrace migrate {root}` migrates it")


def versions_in(bundles: Path, name: str) -> list[int]:
    """Return the versions of a system among the folders of bundles, ascending."""
    names = [BundleName.parse(folder) for folder in folders_in(bundles)]
    return sorted(one.version for one in names if one is not None and one.name == name)


def folders_in(bundles: Path) -> list[str]:
    """Return the names of the folders of bundles, sorted; none where `bundles` does not exist."""
    if not bundles.is_dir():
        return []
    return sorted(path.name for path in bundles.iterdir() if not path.name.startswith("."))


def key_folder(product: str = "headrace") -> Path:
    """Return the folder of this user's key."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / product


def _sign(id: str, make: bool) -> str:
    """Sign an id with this user's key; return the empty string without a key.

    With `make`, a key is made where there is none.
    """
    try:
        folder = key_folder()
        if make and not (folder / "key").exists():
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".key-{secrets.token_hex(4)}"
            draft.touch(0o600, exist_ok=False)
            draft.write_bytes(secrets.token_bytes(32))
            # Of two processes one wins, and both read the same key.
            with suppress(FileExistsError):
                os.link(draft, folder / "key")
            draft.unlink()
        key = (folder / "key").read_bytes()
    except (OSError, RuntimeError):  # a user without a home
        return ""
    return hmac.new(key, id.encode(), hashlib.sha256).hexdigest()
