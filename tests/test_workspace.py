"""Names of bundles and paths below a workspace, and whose workspace it is."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BundleError, InputError
from headrace.workspace import ALIASES, NAME, BundleName, Workspace, folders_in, key_folder

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """One with bundles, of a user without a key yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    found = Workspace(tmp_path / "shop")
    for folder in ("ads-000001", "ads-000010", "ads-000002", "ads-b-000007", "notes", ".ads-9"):
        (found.bundles / folder).mkdir(parents=True)
    return found


@given(name=names, version=st.integers(0, 10**9))
def test_the_name_of_a_bundle_is_read_from_its_folder(name: str, version: int) -> None:
    one = BundleName(name, version)
    assert one.folder == f"{name}-{str(version).rjust(6, '0')}"
    assert BundleName.parse(one.folder) == one


@pytest.mark.parametrize("folder", ["ads", "ads-1", "ads-00001", "-000001", "ads-000001-x", ""])
def test_another_folder_is_no_bundle(folder: str) -> None:
    assert BundleName.parse(folder) is None


def test_versions_are_those_of_the_name_alone_in_their_order(workspace: Workspace) -> None:
    assert workspace.versions("ads") == [1, 2, 10]
    assert workspace.versions("ads-b") == [7]
    assert workspace.versions("other") == []
    assert folders_in(workspace.bundles)[-1] == "notes"
    assert folders_in(workspace.bundles / "absent") == []


def test_every_path_lies_below_the_workspace() -> None:
    one = Workspace(Path("shop"))
    paths = [getattr(one, name) for name, kind in vars(Workspace).items() if is_path(one, name)]
    paths += [one.bundle("a", 1), one.aliases("a"), one.journal("a"), one.fitted_rows("a-000001")]
    assert len(set(paths)) == len(paths) > 15
    for path in paths:
        assert path.is_relative_to(Path("shop") / NAME)


def is_path(one: Workspace, name: str) -> bool:
    return isinstance(vars(Workspace)[name], property) and isinstance(getattr(one, name), Path)


def test_a_bundle_is_found_by_version_and_by_alias(workspace: Workspace) -> None:
    aliases = workspace.aliases("ads")
    aliases.parent.mkdir()
    aliases.write_text('{"champion": 10}')
    assert workspace.find("ads@2") == workspace.bundle("ads", 2)
    assert workspace.find("ads@000002") == workspace.bundle("ads", 2)
    assert workspace.find("ads@champion") == workspace.bundle("ads", 10)
    assert workspace.read_aliases("ads-b") == {}
    assert Workspace.containing(workspace.find("ads@2")) == workspace
    assert Workspace.containing(workspace.root / "bundles" / "ads-000001") is None


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("ads", "expected the folder of a bundle or of a system, NAME@VERSION or NAME@champion"),
        ("ads", "ads: no such bundle"),
        ("../ads@1", "no such bundle"),
        ("ads@3", "no such version in"),
        ("ads@3", "expected versions 1, 2, 10"),
        ("asd@1", "expected one of: ads-000001, ads-000002"),
        ("asd@1", "did you mean 'ads'?"),
        ("ads@²", "no such bundle"),
        ("ads@" + "9" * 5_000, "no alias '999"),
        ("ads@best", "no alias 'best'; expected one of: champion, challenger, shadow"),
        ("ads@shadow", "ads has no shadow; expected an alias that is set (champion is version 1)"),
        ("ads-b@champion", "(none is set); headrace promote ads-b@VERSION --alias champion"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(
    workspace: Workspace, reference: str, words: str
) -> None:
    workspace.aliases("ads").parent.mkdir()
    workspace.aliases("ads").write_text('{"champion": 1}')
    with pytest.raises(InputError) as error:
        workspace.find(reference)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"best": 1}', b'{"champion": "1"}', b'{"\xff": 1}']
)
def test_aliases_that_cannot_be_read_are_told(workspace: Workspace, text: bytes) -> None:
    workspace.aliases("ads").parent.mkdir()
    workspace.aliases("ads").write_bytes(text)
    with pytest.raises(BundleError, match=r"cannot be read .*expected the aliases as they were"):
        workspace.read_aliases("ads")
    assert ALIASES == ("champion", "challenger", "shadow")


def test_a_workspace_is_of_the_user_who_ran_something_in_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (workspace.id, workspace.is_own) == ("", False)
    id = workspace.claim()
    assert workspace.claim() == workspace.id == id
    assert workspace.is_own
    assert len(bytes.fromhex(id)) == 16

    key = (key_folder() / "key").read_bytes()
    assert len(key) == 32
    assert (key_folder() / "key").stat().st_mode & 0o777 == 0o600
    mark = hmac.new(key, id.encode(), hashlib.sha256).hexdigest()
    identity = workspace.path / "workspace.json"
    assert json.loads(identity.read_text()) == {"id": id, "mark": mark}

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another user"))
    assert (workspace.id, workspace.is_own) == (id, False)
    assert workspace.claim() == id
    assert workspace.is_own


def test_a_mark_of_another_id_or_none_is_not_the_users_own(workspace: Workspace) -> None:
    workspace.claim()
    identity = workspace.path / "workspace.json"
    known = json.loads(identity.read_text())
    for changed in ({**known, "id": "0" * 32}, {"id": known["id"]}, {**known, "mark": ""}):
        identity.write_text(json.dumps(changed))
        assert not workspace.is_own
    identity.write_text("{")
    assert (workspace.id, workspace.is_own) == ("", False)


def test_a_workspace_of_the_former_name_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".millrace").mkdir()
    with pytest.raises(InputError, match=r"expected \.headrace; `headrace migrate"):
        Workspace(tmp_path)
    (tmp_path / ".headrace").mkdir()
    assert str(Workspace(tmp_path)) == str(tmp_path / ".headrace")
    assert len({Workspace(tmp_path), Workspace(tmp_path), Workspace(tmp_path / "other")}) == 2
