"""Logins and secrets in a real keyring: a file that only its owner reads, and the system's service for secrets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from support.oauth_server import SECRET, OAuthServer
from test_oauth import browser, plugin_for

from kosmolua.accounts.logins import KEYRING_SERVICE

pytestmark = pytest.mark.slow
__all__ = ["browser"]
ASK = "import keyring, sys; print(keyring.get_password(*sys.argv[1:]) or '', end='')"
BROKEN = """
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Keyring(KeyringBackend):
    priority = 1

    def get_password(self, service, name, password=None):
        raise KeyringLocked("it is locked")

    set_password = delete_password = get_password
"""

Ask = Callable[[str, str], str]


@pytest.fixture(params=["file", "service"])
def variables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a user who has a keyring."""
    data = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_STATE_HOME": str(tmp_path / "state")}
    if request.param == "file":
        pytest.importorskip("keyrings.alt.file")
        yield {**data, "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring"}
        return
    pytest.importorskip("secretstorage")
    if not shutil.which("dbus-daemon") or not shutil.which("gnome-keyring-daemon"):
        pytest.skip("there is no service for secrets: dbus-daemon and gnome-keyring-daemon are not both here")
    yield from _with_service({**data, "PYTHON_KEYRING_BACKEND": "keyring.backends.SecretService.Keyring"}, tmp_path)


def _with_service(given: dict[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """Run a bus and an unlocked service for secrets, and yield the variables that lead there."""
    environ = {**given, "PATH": os.environ["PATH"], "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    bus = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    keeper = ["gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets"]
    with subprocess.Popen(bus, env=environ, stdout=pipe, stderr=null, text=True) as daemon:
        assert daemon.stdout
        address = {"DBUS_SESSION_BUS_ADDRESS": daemon.stdout.readline().strip()}
        with subprocess.Popen(keeper, env=environ | address, stdin=pipe, stdout=pipe, stderr=null) as service:
            assert service.stdin
            assert service.stdout
            service.stdin.write(b"a password")
            service.stdin.close()
            service.stdout.readline()  # it says where it listens once it is there
            yield given | address
            service.kill()
        daemon.kill()


@pytest.fixture
def ask(variables: dict[str, str]) -> Ask:
    """Return a function that asks the keyring for what it keeps, by its own interface."""

    def ask(service: str, name: str) -> str:
        environ = {**os.environ, **variables}
        done = subprocess.run([sys.executable, "-c", ASK, service, name], env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return ask


def test_a_login_is_kept_used_renewed_and_removed(
    kosmolua: Program, write: Write, browser: str, variables: dict[str, str], ask: Ask, tmp_path: Path
) -> None:
    """The keyring alone has the tokens; the file of the login says only that it does."""
    accounts = write("accounts.toml", f'[notes.work]\nclient_secret = "{SECRET}"\n')
    with OAuthServer() as server:
        options = ("--accounts", str(accounts), "--plugin", str(plugin_for(server, write)))

        def run(*words: str) -> Any:
            return kosmolua(*words, *options, variables={**variables, "BROWSER": browser})

        done = run("accounts", "login", "notes.work")
        assert done.returncode == 0, done.stderr
        assert "the keyring" in done.stderr
        (file,) = (tmp_path / "state" / "kosmolua" / "logins").glob("*.json")
        assert json.loads(file.read_text()) == {"in": "keyring"}
        (token,) = server.tokens
        assert json.loads(ask(KEYRING_SERVICE, file.stem))["tokens"]["access"] == token
        assert json.loads(run("call", "notes.who").stdout) == {"who": "ann"}

        server.tokens.clear()  # revoked before its time
        assert json.loads(run("call", "notes.who").stdout) == {"who": "ann"}
        (fresh,) = server.tokens
        assert json.loads(ask(KEYRING_SERVICE, file.stem))["tokens"]["access"] == fresh != token

        assert run("accounts", "logout", "notes.work").returncode == 0
        assert ask(KEYRING_SERVICE, file.stem) == ""
        assert not file.exists()
        assert "is not logged in" in run("call", "notes.who").stderr


def test_what_became_of_a_login_is_said(
    kosmolua: Program, write: Write, browser: str, variables: dict[str, str]
) -> None:
    """In a sentence, where the keyring is locked, or is not there."""
    accounts = write("accounts.toml", f'[notes.work]\nclient_secret = "{SECRET}"\n')
    module = write("broken_keyring.py", BROKEN)
    with OAuthServer() as server:
        options = ("--accounts", str(accounts), "--plugin", str(plugin_for(server, write)))

        def run(*words: str, **changed: str) -> Any:
            return kosmolua(*words, *options, variables={**variables, "BROWSER": browser, **changed})

        path = os.pathsep.join([str(module.parent), str(Path(__file__).parent.parent)])
        locked = {"PYTHON_KEYRING_BACKEND": "broken_keyring.Keyring", "PYTHONPATH": path}
        refused = run("accounts", "login", "notes.work", **locked)
        assert "The keyring cannot be used: it is locked" in refused.stderr
        assert run("accounts", "login", "notes.work").returncode == 0
        for words in (("call", "notes.who"), ("accounts", "logout", "notes.work")):
            assert "The keyring cannot be used: it is locked" in run(*words, **locked).stderr
        nowhere = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        assert "is in a keyring, but no keyring is available here" in run("call", "notes.who", **nowhere).stderr
        assert json.loads(run("call", "notes.who").stdout) == {"who": "ann"}
