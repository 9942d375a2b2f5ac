"""What a run does not import, since everything imported is time before the first line of a script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import KeysView
from pathlib import Path

import pytest
from conftest import Write

pytestmark = pytest.mark.slow

NEVER = {"requests", "urllib3", "rich", "importlib.metadata", "prompt_toolkit", "pygments", "mcp", "tomli", "asyncio"}
NOT_WITHOUT_CALLS = NEVER | {
    "click",
    "sqlite3",
    "sqlalchemy",
    "_hashlib",
    "dataclasses",
    "inspect",
    "pathlib",
    "platformdirs",
    "urllib.parse",
    "difflib",
    "tree_sitter",
    "kosmolua.lua",
    "kosmolua.check",
    "kosmolua.accounts.accounts",
    "kosmolua.catalog.plugins",
}
MAX_OWN = 29
"""Modules of the package, it and its packages counted, that a script without calls imports."""
CALL = "print(app.integrations.render2.list_owners().owners[1].id)"


@pytest.fixture
def hello(write: Write) -> Path:
    """A script that makes no call."""
    return write("hello.lua", "print('hello')\n")


def imported(environment: dict[str, str], *words: str) -> KeysView[str]:
    """Return the modules that the program has imported when it ends, in the order in which each was complete."""
    command = [sys.executable, "-X", "importtime", "-m", "kosmolua", *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True
    )
    assert done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return dict.fromkeys(line.rpartition("|")[2].strip() for line in lines).keys()


def test_a_script_without_calls_imports_little(environment: dict[str, str], hello: Path) -> None:
    """Neither the libraries of calls and terminals, nor the command line's own, nor the rooms that only calls need."""
    modules = imported(environment, "run", str(hello))
    assert {"kosmolua.runtime", "kosmolua.runs.supervisor"} <= modules
    assert modules & NOT_WITHOUT_CALLS == set()
    own = [name for name in modules if f"{name}.".startswith("kosmolua.")]
    assert len(own) <= MAX_OWN
    order = [*modules]
    before = set(order[: order.index("_ctypes")])  # which hides the host, directly after the start of the sandbox
    assert before & {*own} == {"kosmolua", "kosmolua.cli", "kosmolua.processes", "kosmolua.processes.launch"}


@pytest.mark.parametrize(
    "code",
    [
        "regex.match('ab', 'b')[0]",
        "_G['reg' .. 'ex'].match('ab', 'b')[0]",
        "_ENV['reg' .. 'ex'].match('ab', 'b')[0]",
        "load('return reg' .. \"ex.match('ab', 'b')[0]\")()",
        "base64.decode('Yg==')",
    ],
)
def test_a_script_has_what_its_sandbox_imports_only_for_it(environment: dict[str, str], code: str) -> None:
    """However it comes to the library, as a confined process can import nothing more."""
    command = [sys.executable, "-m", "kosmolua", "run", "-e", f"print({code})"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("b\n", "")


def test_a_recorded_script_needs_no_database(environment: dict[str, str], hello: Path) -> None:
    """Its recording is a file; what a server keeps recordings in is imported by servers alone."""
    modules = imported(environment, "run", "--record", str(hello))
    assert "kosmolua.stores.folder_store" in modules
    assert modules & {*NEVER, "sqlite3", "sqlalchemy", "psycopg", "kosmolua.stores.opening"} == set()


def test_the_command_line_has_seven_modules_for_a_plain_run(environment: dict[str, str], hello: Path) -> None:
    """Commands, parsing, progress, approvals and rendering are imported by those who need them."""
    own = {name for name in imported(environment, "run", str(hello)) if name.startswith("kosmolua.cli")}
    expected = ("console", "defaults", "options", "scripts", "streams", "terminal")
    assert own == {"kosmolua.cli", *(f"kosmolua.cli.{name}" for name in expected)}


def test_a_simulated_call_imports_no_network(environment: dict[str, str]) -> None:
    """Installed packages are read without importlib.metadata, and simulating a service needs no HTTP library."""
    modules = imported(environment, "run", "--simulate", "-e", CALL)
    assert "kosmolua.broker.open_accounts" in modules
    unneeded = {"click", "ssl", "socket"} | {
        f"kosmolua.{name}"
        for name in ("schema.json_schema", "flow.judge", "flow.memory", "openapi.calls", "http.graphql_document")
    }
    assert modules & (NEVER | unneeded) == set()


def test_accounts_are_read_by_tomli_alone(environment: dict[str, str], hello: Path, write: Write) -> None:
    """An accounts file costs its parser, and nothing else."""
    accounts = write("accounts.toml", "[render2.work]\napi_key = { env = 'NOT_SET' }\n")
    modules = imported(environment, "run", str(hello), "--accounts", str(accounts))
    assert modules & NEVER == {"tomli"}


@pytest.mark.parametrize("words", [("docs", "overview"), ("call", "render2.list_owners", "--simulate"), ("--help",)])
def test_commands_in_a_pipe_need_no_terminal(environment: dict[str, str], words: tuple[str, ...]) -> None:
    """What is not printed on a terminal is not drawn by rich."""
    assert imported(environment, *words) & {"rich", "requests", "prompt_toolkit", "mcp", "asyncio"} == set()


def test_a_server_refuses_wrong_settings_before_it_imports_what_it_serves_with(
    environment: dict[str, str], write: Write
) -> None:
    """The libraries of the protocol alone take a second."""
    wrong = write("accounts.toml", '[tenants.acme]\ntokn = "x"')
    command = [sys.executable, "-X", "importtime", "-m", "kosmolua", "serve", "--accounts", str(wrong)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stderr
    assert "unknown key 'tokn'" in said
    assert not any(line.rpartition("|")[2].strip() in {"mcp", "pydantic"} for line in said.splitlines())


@pytest.mark.slow
def test_a_server_imports_the_library_of_sign_ins_at_the_first_one(environment: dict[str, str]) -> None:
    """Most servers have none, and it takes a fifteenth of the start."""
    command = [sys.executable, "-c", "import sys, kosmolua.serve.server; print(*sys.modules)"]
    modules = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert {"kosmolua.serve.pages.oidc", "authlib"} & {*modules} == {"kosmolua.serve.pages.oidc"}


ELSEWHERE = """
import importlib, os, pkgutil, signal, sys, types
import kosmolua

found = pkgutil.walk_packages(kosmolua.__path__, "kosmolua.")
names = [each.name for each in found if each.name != "kosmolua.__main__"]
for name in names:
    importlib.import_module(name)
for name in [name for name in sys.modules if name.partition(".")[0] == "kosmolua"]:
    del sys.modules[name]
sys.modules |= dict.fromkeys(["fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"])
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
sys.platform = "win32"
there = {"SIGABRT", "SIGBREAK", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
for module in (signal, sys.modules["_signal"]):
    for name in [*vars(module)]:
        if name.startswith(("SIG", "ITIMER_")) and name not in there:
            delattr(module, name)
for name in "O_DIRECTORY O_NOFOLLOW WNOHANG chown fork geteuid getuid killpg posix_spawn register_at_fork".split():
    delattr(os, name)
for name in names:
    importlib.import_module(name)
print(len(names))
"""
"""Imports every module as where the system has neither POSIX's modules nor most signals, as Windows has none."""


@pytest.mark.slow
def test_every_module_is_imported_without_posix(environment: dict[str, str]) -> None:
    """What only some systems have is imported where it is used, after the modules of other packages."""
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200
