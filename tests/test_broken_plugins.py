"""Ten plugins that cannot be loaded, named on one command line: each is a line of the list, and the rest works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.loopback import Loopback

from kosmolua.plugin import Response

HEAD = '''"""Made up."""
from dataclasses import dataclass
from typing import Annotated
from kosmolua.plugin import Api, Integration


@dataclass(frozen=True)
class Account:
    """Nothing."""

    base_url: str = "http://127.0.0.1:9"

    def open(self, send):
        return Api(send, self.base_url)


integration = Integration("{name}", Account, about="Made up.")


@integration.reads
def get_thing(api, /, *, thing_id: Annotated[str, "Which."] = "1") -> dict:
    """Get a thing."""
    return api.get("/things/{thing_id}", thing_id=thing_id)


'''
ALLOWS = ("run", "--allow", "imports.*", "-e", "return 1")
BROKEN = {
    "syntax": ("", "def get_thing(:\n", "the file is not valid Python", 26),
    "imports": ("", "import no_such_module_anywhere\n", "No module named 'no_such_module_anywhere'", 26),
    "undocumented": ("", "@integration.reads\ndef f(api, /): pass\n", "f has no docstring", 26),
    "untyped": ("", "@integration.reads\ndef f(api, /, *, x):\n    'F.'\n", "parameter x of f has no annotation", 26),
    "uncarriable": (
        "",
        "@integration.reads\ndef f(api, /, *, x: set):\n    'F.'\n",
        "values of type set cannot be passed",
        26,
    ),
    "duplicate": ("", "@integration.writes\ndef get_thing(api, /):\n    'G.'\n", "two functions named get_thing", 26),
    "fieldless": (
        "    base_url: str =",
        "    base_url =",
        "the account field base_url of Account has no type annotation",
        17,
    ),
    "raises": ("", "\n1 / 0\n", "ZeroDivisionError: division by zero", 27),
    "hangs": ("", "import time\nwhile True:\n    time.sleep(0.01)\n", "the plugin took longer than 10 s to load", None),
}
NAMESAKE = "accountable"


def text_of(name: str) -> str:
    """Return a plugin with one thing wrong in it: a piece replaced, or one added."""
    whole = HEAD.replace("{name}", name)
    if name == NAMESAKE:
        return whole
    replaced, piece, _, _ = BROKEN[name]
    return whole.replace(replaced, piece) if replaced else whole + piece


class Session:
    """What one command line with all ten said, and how to run another one like it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.accounts = folder / "accounts.toml"
        self.accounts.write_text(f'[{NAMESAKE}]\n\n[{NAMESAKE}.get_thing]\nbase_url = "{url}"\n')
        for name in (*BROKEN, NAMESAKE):
            (folder / f"{name}.py").write_text(text_of(name))
        (folder / "fine.py").write_text(HEAD.replace("{name}", "fine").replace("http://127.0.0.1:9", url))

    def run(self, *arguments: str, plugins: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """Run the program with some of the plugins, and the one that the accounts file speaks of."""
        named = [option for name in (*plugins, NAMESAKE) for option in ("--plugin", str(self.folder / f"{name}.py"))]
        command = [sys.executable, "-m", "kosmolua", *arguments, "--accounts", str(self.accounts), *named]
        environment = {"PYTHONPATH": str(Path(__file__).parent.parent), "HOME": str(self.folder)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """The ten, and one that works, beside a service."""
    with Loopback(lambda request: Response(200, body=b'{"name": "a thing"}')) as server:
        yield Session(tmp_path_factory.mktemp("broken"), server.url)


@pytest.fixture(scope="module")
def listed(session: Session) -> dict[str, str]:
    """Each integration's line of the list."""
    done = session.run("integrations", plugins=(*BROKEN, "fine"))
    assert done.returncode == 0
    assert done.stderr == ""
    return {line.partition("\t")[0]: line for line in done.stdout.splitlines()}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_each_is_listed_with_its_reason_its_file_and_its_line(
    session: Session, listed: dict[str, str], name: str
) -> None:
    """What is wrong, and where; the one that hangs is found at a line of its loop."""
    _, _, reason, line = BROKEN[name]
    lines = [line] if line else [28, 29]

    assert "\tbroken\t" in listed[name]
    assert reason in listed[name]
    assert any(listed[name].endswith(f"{session.folder / name}.py:{each}") for each in lines)


@pytest.mark.slow
def test_an_account_named_like_a_function_is_listed_with_its_line(session: Session, listed: dict[str, str]) -> None:
    """The mistake is in the accounts file, and that is the file that is named."""
    wrong = f"{session.accounts}:3: [{NAMESAKE}.get_thing]: an account cannot be named like a function"

    assert wrong in listed[NAMESAKE]


@pytest.mark.slow
def test_the_others_are_listed_and_usable(session: Session, listed: dict[str, str]) -> None:
    """A script calls one that works, although most of those beside it are broken."""
    assert "1 read, 0 writes; accounts: default" in listed["fine"]
    assert "639 writes, 192 destroys; accounts: default" in listed["github"]

    quick = tuple(name for name in BROKEN if name != "hangs")
    done = session.run("run", "-e", "print(app.integrations.fine.get_thing().name)", plugins=(*quick, "fine"))
    assert done.returncode == 0
    assert done.stdout == "a thing\n"
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BROKEN if name != "hangs"])
def test_a_script_that_uses_a_broken_one_can_catch_that(session: Session, name: str) -> None:
    """It is told why, and nothing of where the host keeps its files."""
    script = f"local ok, e = pcall(function() return app.integrations.{name}.get_thing() end) print(e.code, e.message)"
    done = session.run("run", "-e", script, plugins=(name,))

    assert done.returncode == 0
    assert done.stdout.startswith("plugin_error\t")
    assert BROKEN[name][2] in done.stdout
    assert str(session.folder) not in done.stdout


@pytest.mark.slow
def test_what_fails_since_a_plugin_cannot_be_loaded_is_a_matter_of_configuration(session: Session) -> None:
    """The script, or the call, may be right; the user has something to mend, as in an accounts file."""
    for words in (("call", "imports.get_thing"), ("run", "-e", "app.integrations.imports.get_thing()"), ALLOWS):
        done = session.run(*words, plugins=("imports",))
        assert done.returncode == 3
        assert "No module named 'no_such_module_anywhere'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BROKEN if name != "hangs"])
def test_the_check_tells_of_a_broken_one_what_a_call_tells(session: Session, name: str) -> None:
    """Also beside another mistake, it reveals nothing of where the host keeps its files."""
    script = f"local first = nil .. 'a'\nnot_there.x()\napp.integrations.{name}.get_thing()"
    done = session.run("run", "--json", "-e", script, plugins=(name,))

    assert done.returncode == 1
    assert f"The integration {name} cannot be loaded" in done.stdout
    assert str(session.folder) not in done.stdout
