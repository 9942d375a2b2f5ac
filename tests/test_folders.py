"""Where the user's own files are, also for a user who has no home or may not enter it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Program, Write
from support.processes import NOBODY, can_become_nobody

from kosmolua import ConfigError
from kosmolua.errors import Unavailable
from kosmolua.folders import accounts_file, config_folder, journal_file
from kosmolua.stores.folder_store import Folder

as_root = pytest.mark.skipif(
    not can_become_nobody(), reason="only root can become a user without a passwd entry, who must reach this Python"
)


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A home that every user can enter."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        yield home


def run_as_nobody(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a user without a passwd entry, with these variables alone."""
    command = [sys.executable, "-m", "kosmolua", *words]
    variables |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        return subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True, timeout=60, **options)
    except PermissionError:
        pytest.skip("another user cannot run this Python")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the system has other folders than XDG's")
@pytest.mark.parametrize(
    ("home", "named", "folder"),
    [
        ("~", "", "/.config/kosmolua"),
        ("~", "relative", "/.config/kosmolua"),
        ("/home/ada", "", "/home/ada/.config/kosmolua"),
        ("/home/ada", "relative", "/home/ada/.config/kosmolua"),
        ("~", "/settings", "/settings/kosmolua"),
    ],
)
def test_folders_are_absolute(monkeypatch: pytest.MonkeyPatch, home: str, named: str, folder: str) -> None:
    """XDG's variable names the folder if it is absolute; for a user without a home the folder is below the root."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: home)
    monkeypatch.setenv("XDG_CONFIG_HOME", named)
    assert config_folder() == folder
    assert accounts_file(None, {}) == (f"{folder}/accounts.toml", False)


@as_root
@pytest.mark.parametrize("words", [("run", "-e", "print('works')"), ("docs", "--search", "works"), ("accounts",)])
def test_the_program_works_without_home_and_passwd_entry(words: tuple[str, ...]) -> None:
    """No command ends in a traceback because nobody knows the user's home."""
    done = run_as_nobody(*words)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert done.stdout


@as_root
def test_a_folder_that_cannot_be_entered_is_an_error(open_home: Path) -> None:
    """An accounts file that may deny a call is not taken for missing: status 3, and the write is not made."""
    folder = open_home / ".config" / "kosmolua"
    folder.mkdir(parents=True)
    (folder / "accounts.toml").write_text('[render2]\npermissions = { read = "deny", write = "deny" }\n')
    words = ("call", "render2.list_owners", "--simulate", "--yes")
    folder.chmod(0o700)
    hidden = run_as_nobody(*words, HOME=str(open_home))
    assert hidden.returncode == 3
    assert hidden.stdout == ""
    assert f"{folder / 'accounts.toml'} cannot be reached: Permission denied" in hidden.stderr
    folder.chmod(0o755)
    assert "the account's permissions deny that" in run_as_nobody(*words, HOME=str(open_home)).stderr
    (folder / "accounts.toml").unlink()
    assert run_as_nobody(*words, HOME=str(open_home)).returncode == 0


def test_why_the_file_cannot_be_reached(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the file, the reason, and the ways to name another; a named file is not looked for."""
    reached = os.stat

    def stat(path: str, **options: object) -> os.stat_result:
        if str(path) == str(config / "accounts.toml"):
            raise PermissionError(13, "Permission denied")
        return reached(path, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(ConfigError, match=r"cannot be reached: Permission denied .*--accounts or KOSMOLUA_ACCOUNTS"):
        accounts_file(None, {})
    assert accounts_file("a.toml", {}) == ("a.toml", True)


def test_a_file_in_place_of_a_folder_is_no_accounts_file(config: Path) -> None:
    """Where a folder of the path is a file there can be no accounts file, so nothing is lost without it."""
    config.rmdir()
    config.write_text("")
    assert accounts_file(None, {}) == (str(config / "accounts.toml"), False)


posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize(
    ("changed", "mode"), [("accounts.toml", 0o666), ("accounts.toml", 0o662), (".", 0o777), (".", 0o757)]
)
def test_an_accounts_file_that_others_can_change_is_refused(
    kosmolua: Program, write: Write, changed: str, mode: int
) -> None:
    """The file or its folder; the sentence names what to run."""
    file = write("own/accounts.toml", "[render2.default]\napi_key = { env = 'KEY' }\n")
    path = file.parent / changed
    path.chmod(mode)
    done = kosmolua("accounts", "--accounts", file)
    assert done.returncode == 3
    shown = os.path.normpath(path)
    assert f"others may write to {shown} (mode {mode:04o}); run: chmod go-w {shown}" in done.stderr
    path.chmod(mode & 0o755)
    assert kosmolua("accounts", "--accounts", file).returncode == 0


@posix_only
def test_a_folder_in_which_nobody_replaces_files_of_others_is_no_danger(kosmolua: Program, write: Write) -> None:
    """Such as /tmp."""
    file = write("shared/accounts.toml", "[render2.default]\napi_key = { env = 'KEY' }\n")
    file.parent.chmod(0o1777)
    assert kosmolua("accounts", "--accounts", file).returncode == 0


@posix_only
@pytest.mark.skipif(os.name != "nt" and os.geteuid() != 0, reason="only root can give files away")
def test_an_accounts_file_of_another_user_is_refused(kosmolua: Program, write: Write) -> None:
    """Its owner decides what scripts may do."""
    file = write("own/accounts.toml", "")
    os.chown(file, 65534, 65534)
    done = kosmolua("accounts", "--accounts", file)
    assert done.returncode == 3
    assert f"{file} belongs to another user (uid 65534); run: chown 0 {file}" in done.stderr


@posix_only
@pytest.mark.parametrize("changed", ["plugin/__init__.py", "plugin", "plugin/helper.py"])
def test_a_plugin_that_others_can_change_is_not_loaded(kosmolua: Program, write: Write, changed: str) -> None:
    """Its code would run with the user's credentials."""
    plugin = write("plugin/__init__.py", "raise SystemExit('it ran')")
    write("plugin/helper.py", "")
    path = plugin.parent.parent / changed
    path.chmod(0o777)
    done = kosmolua("call", "plugin.read", "--plugin", plugin.parent)
    assert done.returncode == 3
    assert f"others may write to {path} (mode 0777); run: chmod go-w {path}" in done.stderr
    assert "it ran" not in done.stderr


@pytest.mark.slow
@posix_only
def test_a_plugin_whose_compiled_form_others_can_change_is_not_loaded(kosmolua: Program, write: Write) -> None:
    """Python runs the compiled file in place of the source."""
    plugin = write("own/plugin.py", "raise SystemExit('it ran')")
    cache = plugin.parent / "__pycache__"
    cache.mkdir()
    cache.chmod(0o777)
    done = kosmolua("call", "plugin.read", "--plugin", plugin, variables={"PYTHONPYCACHEPREFIX": ""})
    assert done.returncode == 3
    assert f"others may write to {cache} (mode 0777); run: chmod go-w {cache}" in done.stderr
    assert "it ran" not in done.stderr


@posix_only
@pytest.mark.parametrize("name", ["plugin.py", "plugin.openapi.json"])
def test_a_link_to_a_plugin_that_others_can_replace_is_not_followed(kosmolua: Program, write: Write, name: str) -> None:
    """The file that it leads to now is safe, but the next one need not be."""
    plugin = write(f"own/{name}", "raise SystemExit('it ran')")
    shared = write("shared/README", "").parent
    (shared / name).symlink_to(plugin)
    shared.chmod(0o777)
    done = kosmolua("call", "plugin.read", "--plugin", shared / name)
    assert done.returncode == 3
    assert f"others may write to {shared} (mode 0777); run: chmod go-w {shared}" in done.stderr
    assert "it ran" not in done.stderr


@posix_only
def test_a_document_that_others_can_change_is_not_loaded(kosmolua: Program, write: Write) -> None:
    """It says where the credential goes."""
    document = write("own/pets.openapi.json", "{}")
    document.chmod(0o666)
    done = kosmolua("call", "pets.read", "--plugin", document)
    assert done.returncode == 3
    assert f"others may write to {document} (mode 0666); run: chmod go-w {document}" in done.stderr


def test_recordings_that_cannot_be_read_are_not_none(tmp_path: Path) -> None:
    """As those that another user made: a list without them would look as if nothing had run."""
    loop = tmp_path / "recordings"
    loop.symlink_to(loop)
    for look in (lambda: Folder(loop).runs(), lambda: Folder(loop).runs(beginning="3f2a")):
        with pytest.raises(Unavailable, match="The recordings cannot be read: Too many levels"):
            look()
    (tmp_path / "file").touch()
    assert Folder(tmp_path / "none").runs() == Folder(tmp_path / "file").runs() == []
    with pytest.raises(Unavailable, match="Plans cannot be written: Not a directory"):
        Folder(tmp_path / "file").put_plan("p-3f2a41c0", b"{}", None)


def test_a_journal_that_cannot_be_reached_is_not_none(kosmolua: Program, config: Path) -> None:
    """It is not said that no call has been made."""
    journal = Path(journal_file())
    journal.parent.mkdir(parents=True)
    journal.symlink_to(journal)
    done = kosmolua("journal")
    assert done.returncode == 2
    assert "journal.jsonl cannot be read: Too many levels" in done.stderr
