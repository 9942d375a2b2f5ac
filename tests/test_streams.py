"""The user's standard input and output: integrations reach neither, and losses are told apart from other problems."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Program, Write
from support.processes import eventually

NOISY = '''"""An integration that prints and reads wherever it can, as a library in it may."""
import os
import subprocess
import sys
from dataclasses import dataclass

from kosmolua.plugin import Integration


def make_noise(where):
    print("noise", where)
    os.write(1, b"noise below\\\\n")
    subprocess.run(["sh", "-c", "echo noise of a program; cat"], check=True)
    return sys.stdin.read()


make_noise("import")


@dataclass(frozen=True)
class Account:
    """Nothing."""

    def open(self, send):
        make_noise("open")
        return send


integration = Integration("noisy", Account, about="Prints.")


@integration.identifies
def whoami(api):
    return make_noise("identity") or "nobody"


@integration.reads
def read(api, /) -> str:
    """Return what there is to read."""
    return make_noise("call")
'''.replace("\\\\n", "\\n")
OWN = "what the user's next command reads\n"


@pytest.fixture
def noisy(write: Write) -> Path:
    """A plugin that prints and reads."""
    return write("noisy.py", NOISY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "output"),
    [
        (("run", "-e", "print(app.integrations.noisy.read() == '')"), "true\n"),
        (("call", "noisy.read"), '""\n'),
        (("accounts", "check", "noisy"), "noisy.default\tnobody\n"),
    ],
    ids=str,
)
def test_what_an_integration_prints_is_no_output(
    kosmolua: Program, noisy: Path, words: tuple[str, ...], output: str
) -> None:
    """It goes to standard error, at once, from wherever it is printed; and there is nothing to read."""
    done = kosmolua(*words, "--plugin", noisy, input=OWN)
    assert done.returncode == 0, done.stderr
    assert done.stdout == output, done.stderr
    assert done.stderr.startswith("noise import\nnoise below\nnoise of a program\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("run", "--json", "-e", "return app.integrations.noisy.read()"),
        ("call", "--json", "noisy.read"),
        ("docs", "--json", "noisy.read"),
        ("integrations", "--json"),
        ("accounts", "check", "noisy", "--json"),
    ],
    ids=str,
)
def test_json_stays_one_object(kosmolua: Program, noisy: Path, words: tuple[str, ...]) -> None:
    """Programs can read the output whatever an integration prints."""
    done = kosmolua(*words, "--plugin", noisy, input=OWN)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_the_check_of_a_plugin_that_prints(kosmolua: Program, noisy: Path) -> None:
    """Its findings alone are the output."""
    done = kosmolua("integrations", "check", noisy)
    assert done.stdout
    assert "noise" not in done.stdout


@pytest.mark.slow
def test_a_session_keeps_what_it_reads(kosmolua: Program, noisy: Path) -> None:
    """The next chunk is for the session, not for the integration."""
    done = kosmolua("repl", "--plugin", noisy, input="app.integrations.noisy.read()\n1 + 1\n")
    assert done.stdout == "\n2\n"


@pytest.mark.slow
def test_completion_offers_nothing_that_was_printed(kosmolua: Program, noisy: Path) -> None:
    """What a shell is told are candidates only."""
    variables = {"_KOSMOLUA_COMPLETE": "bash_complete", "COMP_CWORD": "4"}
    done = kosmolua(variables={**variables, "COMP_WORDS": f"kosmolua call --plugin {noisy} noisy."})
    assert done.stdout == "plain,noisy.read\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.slow
def test_standard_input_is_left_to_the_next_command(environment: dict[str, str], noisy: Path) -> None:
    """A loop that reads lines and runs a script for each comes to its end."""
    command = [sys.executable, "-m", "kosmolua", "run", "--plugin", str(noisy), "-e", "app.integrations.noisy.read()"]
    done = subprocess.run(
        ["sh", "-c", '"$@"; cat', "sh", *command],
        env=environment,
        input=OWN,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == OWN


# What else can go wrong with files


def failed(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that was said of a failure."""
    assert done.returncode in (1, 3), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("kosmolua: ").rstrip("\n")


@pytest.mark.slow
def test_a_file_that_cannot_be_used_is_named(kosmolua: Program) -> None:
    """With the reason; standard output is not to blame."""
    name = "x" * 5000
    assert failed(kosmolua("integrations", "check", name)) == f"{name} cannot be used: File name too long"


@pytest.mark.skipif(os.name == "nt", reason="folders that are in use stay")
@pytest.mark.slow
def test_a_folder_that_is_gone(environment: dict[str, str], tmp_path: Path) -> None:
    """Who stands in it is told so."""
    script = 'mkdir gone; cd gone; rmdir ../gone; exec "$0" -m kosmolua integrations new zz --base-url https://a.b'
    command = ["sh", "-c", script, sys.executable]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert failed(done) == "the current folder no longer exists (change to another one)"


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on descriptors")
def test_too_many_open_files(environment: dict[str, str]) -> None:
    """The sentence says what to raise."""
    few = "import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))"
    code = f"from kosmolua.cli.console import guarded; {few}; raise SystemExit(guarded(os.pipe))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert failed(done) == "no more files can be opened: Too many open files (raise the limit, as with ulimit -n)"


def test_too_little_memory(environment: dict[str, str]) -> None:
    """As for a recording that does not fit, or a file without end: a sentence, and no traceback."""
    code = "from kosmolua.cli.console import guarded; raise SystemExit(guarded(lambda: len(bytes(1 << 60))))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert failed(done).startswith("there is not enough memory (give it a smaller file")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_an_interrupt_ends_a_script_whose_output_nobody_reads(environment: dict[str, str]) -> None:
    """One Ctrl-C suffices, although a full pipe holds up what was printed."""
    unread, full = os.pipe()
    command = [sys.executable, "-m", "kosmolua", "run", "-e", "while true do print(('x'):rep(1000)) end"]
    with subprocess.Popen(command, stdout=full, stderr=subprocess.PIPE, env=environment) as running:
        os.close(full)
        assert eventually(lambda: is_full(unread))
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    os.close(unread)


def is_full(pipe: int) -> bool:
    """Say whether a pipe has held the same for a while."""
    seen = [waiting_in(pipe)]
    time.sleep(0.2)
    return seen[0] > 0 and waiting_in(pipe) == seen[0]


def waiting_in(pipe: int) -> int:
    """Return how many bytes wait to be read."""
    from fcntl import ioctl
    from termios import FIONREAD

    return int.from_bytes(ioctl(pipe, FIONREAD, b"\0" * 4), sys.byteorder)


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("command", ["run -e 'print(2)'", "repl <<<'print(2)'"])
def test_a_caller_that_ignores_its_children_changes_nothing(environment: dict[str, str], command: str) -> None:
    """Programs inherit that a parent wants to hear of no child, and have children of their own all the same."""
    line = f"trap '' CHLD; exec {sys.executable} -m kosmolua {command}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "2\n"
    assert done.stderr == ""
    assert done.returncode == 0
