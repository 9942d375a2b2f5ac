"""Where a secret comes from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kosmolua import NotConfigured
from kosmolua.accounts.sources import SOURCES, Source, Sources, check_secret, source_of
from kosmolua.schema.mismatch import Mismatch

WHERE = "render2.production.api_key"
Read = Callable[[Any], str]


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def read(tmp_path: Path, warnings: list[str]) -> Read:
    """Return a function that reads a value of accounts.toml and reveals the secret."""
    sources = Sources(tmp_path, {"KEY": "from-env", "EMPTY": ""}, warnings.append)
    return lambda given: sources.read(WHERE, given).reveal()


def test_a_string_is_the_secret(read: Read) -> None:
    """The secret itself may stand in the file; space around it does not belong to it."""
    assert read("rnd_12345") == "rnd_12345"
    assert read(" rnd_12345\n") == "rnd_12345"


def test_the_environment(read: Read) -> None:
    """A variable that is not set, or empty, is named."""
    assert read({"env": "KEY"}) == "from-env"
    for name in ("MISSING", "EMPTY"):
        with pytest.raises(
            NotConfigured, match=rf"{WHERE} comes from an environment variable that is not set.*\[{name}\]"
        ):
            read({"env": name})


def test_a_file(read: Read, tmp_path: Path, warnings: list[str]) -> None:
    """A file is read from beside accounts.toml, or wherever else it is said to be; its line end does not count."""
    for path, given in ((tmp_path / "key", "key"), (tmp_path / "sub" / "key", str(tmp_path / "sub" / "key"))):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"from {given}\n")
        path.chmod(0o600)
        assert read({"file": given}) == f"from {given}"
    assert warnings == []


def test_a_file_of_another_system(read: Read, tmp_path: Path) -> None:
    """A byte order mark, which editors on Windows write first, is no part of a secret."""
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfrnd_12345\r\n")
    assert read({"file": "key"}) == "rnd_12345"
    assert read({"command": python("import sys; sys.stdout.buffer.write('\\ufeffrnd_12345'.encode())")}) == "rnd_12345"


def test_a_file_in_the_home(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde stands for the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("at home again")
    assert read({"file": "~/key"}) == "at home again"


@pytest.mark.parametrize("name", ["~nobody-of-this-name/key", "~\0/key"])
def test_a_file_in_the_home_of_nobody(read: Read, name: str) -> None:
    """It is a file that cannot be read, as any other that is not there."""
    with pytest.raises(NotConfigured, match=f"The file with the secret {WHERE} cannot be read"):
        read({"file": name})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_a_warning(read: Read, tmp_path: Path, warnings: list[str], mode: int) -> None:
    """It works, and the user is told what to run."""
    path = tmp_path / "key"
    path.write_text("open to all")
    path.chmod(mode)
    assert read({"file": "key"}) == "open to all"
    assert warnings == [f"The secret file {path} can be read by others; run: chmod 600 {path}"]


def test_a_file_that_cannot_be_read(read: Read, tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text are each refused with the reason."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long").write_bytes(b"y" * 70_000)
    reasons = {"missing": "No such file", ".": "directory|denied", "bytes": "it is not UTF-8", "long": "it is longer"}
    for name, reason in reasons.items():
        with pytest.raises(NotConfigured, match=f"{WHERE} cannot be read: .*({reason})"):
            read({"file": name})
    with pytest.raises(NotConfigured, match="cannot be read"):
        read({"file": "nul\0l"})


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command(read: Read) -> None:
    """What a command prints is the secret; it is run without a shell."""
    assert read({"command": python("print('  from $HOME; command ')")}) == "from $HOME; command"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["no-such-program-7"], f"the secret {WHERE} failed: No such file"),
        (python("import sys; print('rnd_12345'); sys.exit('locked')"), "ended with status 1"),
        (python("pass"), f"The secret {WHERE} is empty"),
        (python("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')"), "failed: its output is not UTF-8 text"),
        (python("import sys; sys.stderr.buffer.write(b'\\xff'); sys.exit(2)"), "failed: it ended with status 2"),
        (python("while True: print('y' * 60)"), "failed: its output is longer than 64 KiB"),
        (["nul\0l"], "failed: embedded null byte"),
    ],
    ids=["missing", "failed", "silent", "no text", "no text of its own", "endless", "no name"],
)
def test_a_command_that_fails(read: Read, command: list[str], reason: str) -> None:
    """A command that is not there, fails, or prints no text is named, and what it printed is not."""
    with pytest.raises(NotConfigured) as refused:
        read({"command": command})
    assert reason in refused.value.message
    assert "rnd_12345" not in refused.value.message


def test_a_command_reads_no_input(read: Read) -> None:
    """A command that waits for input is not left to wait on the user's terminal."""
    assert read({"command": python("import sys; print('what is read:', repr(sys.stdin.read()))")}) == "what is read: ''"


def keyring(passwords: dict[tuple[str, str], str]) -> dict[str, ModuleType]:
    """Return modules that stand for the keyring library."""
    library, errors = ModuleType("keyring"), ModuleType("keyring.errors")

    class KeyringError(Exception):
        pass

    def get_password(service: str, name: str) -> str | None:
        if name == "locked":
            raise KeyringError("it is locked.")
        return passwords.get((service, name))

    library.__dict__.update(get_password=get_password, errors=errors)
    errors.__dict__.update(KeyringError=KeyringError)
    return {"keyring": library, "keyring.errors": errors}


def test_the_keyring(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyring is asked under the name of the program."""
    for name, module in keyring({("kosmolua", "render"): "from keyring"}).items():
        monkeypatch.setitem(sys.modules, name, module)
    assert read({"keyring": "render"}) == "from keyring"
    with pytest.raises(NotConfigured, match="store it with: keyring set kosmolua github"):
        read({"keyring": "github"})
    with pytest.raises(NotConfigured, match=r"it is locked\. Nothing was sent\.$"):
        read({"keyring": "locked"})


def test_the_keyring_needs_a_library(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the message says how to get it."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(NotConfigured, match=r"pip install 'kosmolua\[keyring\]'"):
        read({"keyring": "render"})


@pytest.mark.parametrize("given", [5, None, True, [], {}, {"envv": "X"}, {"env": "X", "file": "y"}])
def test_no_source(given: object) -> None:
    """Anything else does not fit, and the message has examples."""
    with pytest.raises(Mismatch, match=r'must be .*, such as { env = "NAME" }'):
        check_secret(given)


@pytest.mark.parametrize(
    ("source", "value"),
    [("env", 5), ("env", ""), ("env", {}), ("file", ["a"]), ("command", "op read"), ("command", []), ("command", [1])],
)
def test_a_source_of_the_wrong_type(source: str, value: object) -> None:
    """A command is a list of strings, everything else a string, and the example is one of these."""
    kind = 'a list of strings, such as ["PROGRAM", "ARGUMENT"]' if source == "command" else 'a string, such as "NAME"'
    with pytest.raises(Mismatch) as refused:
        check_secret({source: value})
    assert refused.value.problem == f"must be {kind}"
    assert refused.value.where == f".{source}"


@pytest.mark.parametrize(
    "given", ["rnd_12345", {"env": "A"}, {"file": "a"}, {"command": ["a", "b"]}, {"keyring": "a"}], ids=str
)
def test_what_may_be_a_secret(given: object) -> None:
    """The secret itself, or one source."""
    check_secret(given)


@pytest.mark.parametrize("given", ["", "  ", {"env": "SPACE"}])
def test_an_empty_secret(tmp_path: Path, given: str | dict[str, str]) -> None:
    """Nothing is no secret."""
    sources = Sources(tmp_path, {"SPACE": " "}, pytest.fail)
    with pytest.raises(NotConfigured, match=f"The secret {WHERE} is empty"):
        sources.read(WHERE, given)


@pytest.mark.parametrize("given", ["1234567", " short \n", {"env": "SHORT"}])
def test_a_secret_that_is_too_short_to_be_masked(tmp_path: Path, given: str | dict[str, str]) -> None:
    """It is refused with the reason and what to do, and is not shown: a mask in an answer would confirm a guess."""
    sources = Sources(tmp_path, {"SHORT": "1234567"}, pytest.fail)
    with pytest.raises(
        NotConfigured, match=f"The secret {WHERE} has fewer than 8 characters .choose a longer"
    ) as refused:
        sources.read(WHERE, given)
    assert "1234567" not in f"{refused.value} {refused.value.report()}"
    assert sources.read(WHERE, "12345678").reveal() == "12345678"


@pytest.mark.parametrize("key", ["rnd_SECRET", "ghp_SECRET", "SECRET7890abcdefgh", "rnd/abcDEF123ghiJKL456"])
@pytest.mark.parametrize("source", ["env", "file", "keyring", "command"])
def test_a_key_in_place_of_a_name_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, key: str
) -> None:
    """Who writes the key itself where a name belongs learns what is wrong, and no error repeats the key."""
    for name, module in keyring({}).items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(NotConfigured) as refused:
        Sources(tmp_path, {}, pytest.fail).read(WHERE, {source: [key] if source == "command" else key})
    assert key not in f"{refused.value} {refused.value.report()} {refused.value!r}"


@pytest.mark.parametrize(
    ("source", "name"), [("env", "RENDER_API_KEY_2"), ("env", "my_key"), ("file", "~/.secrets/render-staging-2.txt")]
)
def test_a_name_is_shown(tmp_path: Path, source: str, name: str) -> None:
    """The name of a variable or a file that is missing is what a user needs to know."""
    with pytest.raises(NotConfigured) as refused:
        Sources(tmp_path, {}, pytest.fail).read(WHERE, {source: name})
    assert Path(name).name in str(refused.value.detail)


def test_each_source_is_a_line_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is added there is checked, listed in refusals, and read."""

    def fetch(sources: Sources, where: str, value: Any, until: float) -> str:
        return f"{value} of {where}"

    source = Source("7", "NUMBER", "a number", lambda value: isinstance(value, int), fetch)
    monkeypatch.setitem(SOURCES, "vault", source)
    check_secret({"vault": 3})
    with pytest.raises(Mismatch, match="must be a number"):
        check_secret({"vault": "x"})
    with pytest.raises(Mismatch, match=r"{ vault = 7 }"):
        check_secret({})
    assert Sources(tmp_path, {}, pytest.fail).read(WHERE, {"vault": 3}).reveal() == f"3 of {WHERE}"
    with pytest.raises(ValueError, match=r"vault:NUMBER.*; --secret also takes the word ask"):
        source_of("nowhere:3")
