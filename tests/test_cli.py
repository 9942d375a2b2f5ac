"""The program: what is printed where, and its exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from support.processes import eventually

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
KEY = "rnd_SECRET_of_the_cli"
ONE_ACCOUNT = f'[render2.production]\napi_key = "{KEY}"\nbase_url = "http://127.0.0.1:9/v1"\n'


def said(done: Any, *, status: int, error: str, output: str = "") -> str:
    """Check a failure: its exit status, its output, and that its complaint is one that a person can read."""
    assert done.returncode == status, done.stderr
    assert done.stdout == output
    assert error in done.stderr, done.stderr
    assert "Traceback (most recent call last)" not in done.stderr
    assert KEY not in done.stderr + done.stdout
    return str(done.stderr)


# What works


def test_a_script_that_works(kosmolua: Program, write: Write) -> None:
    """Standard output is the script's output only, standard error is empty, and the status is 0."""
    script = write("job.lua", "print('hello', #arg, arg[0], ...)\nreturn 1, 2\n")
    done = kosmolua("run", script, "a", "b c")
    assert done.returncode == 0
    assert done.stdout == "hello\t2\tjob.lua\ta\tb c\n"
    assert done.stderr == ""


@pytest.mark.slow
def test_a_script_from_everywhere(kosmolua: Program) -> None:
    """From the command line and from standard input, which is read only when it is named."""
    assert kosmolua("run", "-e", "print(...)", "x").stdout == "x\n"
    assert kosmolua("run", "-", "x", input="print(...)").stdout == "x\n"
    assert kosmolua("run", "-e", "print(1)", input="print(2)").stdout == "1\n"


def test_bytes_pass_as_they_are(kosmolua: Program) -> None:
    """What a script prints need not be text."""
    done = kosmolua("run", "-e", r"print('\xff\0ü')", text=False, encoding=None)
    assert done.stdout == b"\xff\0\xc3\xbc\n"


@pytest.mark.slow
def test_a_simulated_call_in_lua_and_without(kosmolua: Program) -> None:
    """The same function by a script and by ``call`` gives the same value."""
    script = "print(json.encode(app.integrations.render2.staging.get_current_user()))"
    by_lua = kosmolua("run", "--simulate", "-e", script)
    by_call = kosmolua("call", "render2.staging.get_current_user", "--simulate")
    assert by_lua.stderr + by_call.stderr == ""
    assert by_lua.returncode == 0
    assert by_call.returncode == 0
    assert json.loads(by_lua.stdout) == json.loads(by_call.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("--help",), ("-h",), ("--version",), ("run", "--help"), ("accounts", "check", "-h")]
)
def test_help_goes_to_standard_output(kosmolua: Program, words: tuple[str, ...]) -> None:
    """Help that was asked for is not an error."""
    done = kosmolua(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout


@pytest.mark.slow
def test_help_names_every_option_of_the_contract(kosmolua: Program) -> None:
    """Everything that runs scripts or makes calls has the same options."""
    options = (
        "accounts plugin simulate read-only yes timeout call-timeout cpu memory max-calls max-output journal trace"
    )
    for command in ("run", "call", "repl", "mcp"):
        text = kosmolua(command, "--help").stdout
        assert [option for option in [*options.split(), "json", "debug"] if f"--{option}" not in text] == []


# Bad input gets a sentence and the right status


def test_a_missing_script(kosmolua: Program) -> None:
    """Usage: the file is named, with the reason."""
    said(kosmolua("run", "nowhere.lua"), status=2, error="The script nowhere.lua cannot be read: No such file")
    said(kosmolua("run", "."), status=2, error="cannot be read: Is a directory")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["print(1)".encode("utf-16"), "print(1)".encode("utf-16-le"), b"\x1bLua\x54\0\1"])
def test_a_script_that_is_no_text(kosmolua: Program, tmp_path: Path, text: bytes) -> None:
    """What an editor saved as UTF-16, or a compiler wrote, is called that; a zero byte further below is Lua's."""
    script = tmp_path / "job.lua"
    script.write_bytes(text)
    said(kosmolua("run", script), status=2, error=f"The script {script} cannot be read: it is not UTF-8 text")
    script.write_bytes(b"print(1)\nprint('\0')")
    assert kosmolua("run", script).stdout == "1\n\0\n"


@pytest.mark.slow
@posix_only
def test_a_script_without_end(kosmolua: Program, write: Write) -> None:
    """No more of it is read than the limit allows."""
    limited = write("accounts.toml", "[kosmolua.limits]\nmax_source = '1K'\n")
    said(kosmolua("run", "/dev/zero"), status=124, error="its source is larger than 4 MiB (raise max_source in")
    with open("/dev/zero", "rb") as endless:
        said(kosmolua("run", "-", "--accounts", limited, stdin=endless), status=124, error="larger than 1 KiB")
    done = kosmolua("repl", "--simulate", input=":load /dev/zero\n1 + 1\n")
    assert done.returncode == 124
    assert done.stdout == "2\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no limit holds for the memory of a process")
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("replay",), "/dev/zero is not a recording"),
        (("resume",), "/dev/zero is not a recording"),
        (("apply",), "/dev/zero is not a plan"),
        (("journal",), "The journal /dev/zero cannot be read: File too large"),
        (("audit", "verify"), "The audit /dev/zero cannot be read: File too large"),
        (("accounts", "--accounts"), "The accounts file /dev/zero cannot be read: File too large"),
        (("integrations", "import"), "/dev/zero is larger than 64 MiB"),
        (("servers", "import", "claude"), "/dev/zero cannot be read: File too large"),
    ],
)
def test_a_file_without_end(kosmolua: Program, words: tuple[str, ...], error: str) -> None:
    """What no recording, plan or journal can be is refused before it fills the memory."""
    import resource

    bounded = partial(resource.setrlimit, resource.RLIMIT_AS, (1 << 30, 1 << 30))
    done = kosmolua(*words, "/dev/zero", preexec_fn=bounded)
    said(done, status=2 if words == ("journal",) else 3, error=error)


@pytest.mark.slow
@posix_only
def test_a_plan_is_written_to_a_pipe(kosmolua: Program, tmp_path: Path) -> None:
    """What is no regular file is not replaced by one, as /dev/null would be for root."""
    pipe = tmp_path / "plan"
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as end:
        assert kosmolua("run", "--simulate", f"--plan={pipe}", "-e", "return 1").returncode == 0
        assert json.loads(end.read())["calls"] == []
    assert pipe.is_fifo()


def test_a_line_of_the_repl_is_guarded(kosmolua: Program) -> None:
    """A key that is nil stops a write there as in a script."""
    lines = (
        "local id = 'srv-cabc12345678'\napp.integrations.render2.update_service({ service_id = id, name = input })\n"
    )
    done = kosmolua("repl", "--simulate", "--yes", input=lines)
    assert "name is nil, and the call would be made without it" in done.stderr


@pytest.mark.slow
def test_the_limit_on_a_script_is_exact(kosmolua: Program, tmp_path: Path, write: Write) -> None:
    """A byte order mark does not count."""
    limited, script = write("accounts.toml", "[kosmolua.limits]\nmax_source = 9\n"), tmp_path / "job.lua"
    for source, status in ((b"print(10)", 0), (b"\xef\xbb\xbfprint(10)", 0), (b"\xef\xbb\xbfprint(100)", 124)):
        script.write_bytes(source)
        assert kosmolua("run", script, "--accounts", limited).returncode == status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("run", ""), "The name of the script is empty (is a shell variable unset?)"),
        (("run",), "Name a script, or - for standard input"),
        (("rum",), "There is no command 'rum' (did you mean 'run' or"),
        (("run", "x.lua", "--timeot", "3"), "'--timeout'?) Arguments of the script that begin with a dash"),
        (("run", "x.lua", "-b"), "No such option '-b'. Arguments of the script that begin with a dash go after --."),
        (("docs", "--bogus"), "No such option '--bogus'."),
        (("--simulate", "run", "x.lua"), "--simulate goes after the command, as in kosmolua run --simulate."),
        (("--bogus", "run", "x.lua"), "No such option '--bogus'."),
        (("run", "-e", "x", "--timeout", "soon"), "Invalid value for '--timeout'"),
        (("run", "-e", "x", "--timeout", "10x"), "'10x' is not a duration such as 90s, 10m or 1h."),
        (("run", "-e", "x", "--timeout", "1e9h"), "'1e9h' is not a number of seconds above 0 and at most 1000000000."),
        (("run", "-e", "x", "--timeout", "0"), "Invalid value for '--timeout'"),
        (("run", "-e", "x", "--timeout", "inf"), "Invalid value for '--timeout'"),
        (("run", "-e", "x", "--cpu", "nan"), "Invalid value for '--cpu'"),
        (("run", "-e", "x", "--memory", "3X"), "'3X' is not a size such as 64K"),
        (("run", "-e", "x", "--memory", "0"), "Invalid value for '--memory'"),
        (("run", "-e", "x", "--max-calls", "0"), "Invalid value for '--max-calls'"),
        (("run", "-e", "x", "--max-calls", "1.5"), "'1.5' is not a whole number above 0"),
        (("run", "-e", "x", "--max-calls", "9" * 30), "is not a whole number above 0 and at most"),
        (("run", "-e", "x", "--memory", "9999999G"), "'9999999G' is not a size above 0 and at most"),
        (("run", "-e", "x", "-e", "y"), "There are several -e"),
        (
            ("run", "-e", "x", "--accounts", ""),
            "Invalid value for '--accounts': the value is empty (is a shell variable",
        ),
        (("run", "-e", "x", "--journal", "-"), "Invalid value for '--journal': a journal goes to a file"),
        (("docs", "render2", "--detail", "breif"), "'breif' is not one of 'brief', 'signatures', 'types', 'full'"),
        (("docs", "overview", "--budget", "300"), "300 is not in the range x>=400"),
        (("docs", "--budget", "500"), "--detail and --budget set how much of a PAGE to show"),
        (("docs", "overview", "--limit", "5"), "--limit sets how many pages --search finds"),
        (("docs", "overview", "--search", "x"), "Name a PAGE, or search for pages with --search, but not both."),
        (("docs", "--search", "!"), "A search needs at least one word"),
        (("call",), "Missing argument 'PATH'"),
        (("apply",), "Missing argument 'PLAN'"),
        (("call", "render2.list_services", "--limit", "1"), "No such option '--limit'. An argument of the function is"),
        (
            ("call", "render2.list_services", "--timout", "1"),
            "'--timeout'?) An argument of the function is",
        ),
        (("call", "render2.list_services", "--args", '{"limit": 1, "limit": 2}'), "--args has the key 'limit' twice"),
        (("call", "render2.list_services", "--args", "[1]"), "--args must be a JSON object"),
        (("call", "render2.list_services", "--args", "{"), "--args is not JSON"),
    ],
    ids=str,
)
def test_wrong_usage(kosmolua: Program, words: tuple[str, ...], error: str) -> None:
    """Status 2, nothing on standard output, and a word on what is wrong."""
    said(kosmolua(*words), status=2, error=error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "error", "output"),
    [
        ("print(1)\nx = = 2", "job.lua:2: unexpected symbol near '='", ""),
        ("print(1)\nerror('boo')", "job.lua:2: boo", "1\n"),
        ("print(1)\nerror({ code = 'mine', message = 'boo' })", "job.lua:2: boo\n", "1\n"),
        ("local t = nil\nprint(t.x)", "job.lua:2: attempt to index a nil value (local 't')", ""),
        ("error()", "job.lua:1: error was called without a message", ""),
    ],
)
def test_a_script_that_fails(kosmolua: Program, write: Write, source: str, error: str, output: str) -> None:
    """Status 1, the line, a traceback of the script alone, and what was printed before."""
    complaint = said(kosmolua("run", write("job.lua", source)), status=1, error=error, output=output)
    assert complaint.startswith("kosmolua: job.lua:")
    assert ".py" not in complaint
    assert "[host]" not in complaint


@posix_only
def test_an_error_with_bytes_that_are_no_text(kosmolua: Program, tmp_path: Path) -> None:
    """Only these are replaced, in the script's name too."""
    said(kosmolua("run", "-e", r"error('日本\xff ok')"), status=1, error="(command line):1: 日本\ufffd ok")
    script = tmp_path / os.fsdecode(b"x\xff.lua")
    script.write_text("error('日本')")
    complaint = said(kosmolua("run", script), status=1, error="kosmolua: x\ufffd.lua:1: 日本")
    assert complaint.count("日本") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x.list_service()", "render2 has no 'list_service' (did you mean 'list_services' or "),
        ("x.nobody.list_services()", "render2 has no 'nobody'"),
        ("x.prodaction.list_services()", "render2 has no 'prodaction' (did you mean 'production'?)"),
        ("app.integrations.rendr2.list_services()", "app.integrations has no 'rendr2' (did you mean 'render2'?)"),
        ("x.list_services({ limt = 5 })", "has no parameter 'limt' (did you mean 'limit'?). Nothing was sent."),
        ("x.list_services({ limit = 'five' })", "limit must be an integer"),
        ("x.get_service()", "render2.get_service needs service_id, a string"),
        ("x.get_service('srv-1', 'srv-2')", "takes at most 1 arguments, not 2"),
        ("x.get_service({ service_id = print })", "render2.get_service: service_id "),
        ("x.list_services = 1", "app.integrations.render2 is read-only"),
        ("x.get_service('srv-cnone')", "was answered 404: "),
    ],
)
def test_a_call_that_fails(kosmolua: Program, source: str, error: str) -> None:
    """Unknown names, wrong arguments and refusals end the script with a sentence to repair it from."""
    script = f"local x = app.integrations.render2\n{source}"
    complaint = said(kosmolua("run", "--simulate", "--no-check", "-e", script), status=1, error=error)
    assert complaint.startswith("kosmolua: ")
    assert complaint.count("\n") <= 5


@pytest.mark.slow
def test_no_account(kosmolua: Program, config: Path) -> None:
    """The refusal says which file, and shows the stanza to paste."""
    for words in (("call", "render2.list_services"), ("run", "-e", "app.integrations.render2.list_services()")):
        complaint = said(kosmolua(*words), status=1, error="render2 has no account; add one to the accounts file")
        assert str(config) in complaint
        assert '    [render2.default]\n    api_key = { env = "RENDER_API_KEY" }' in complaint


@pytest.mark.slow
def test_a_write_that_nobody_can_approve(kosmolua: Program) -> None:
    """In a pipe a write is refused, and the message names the option and the line of the file."""
    words = ("call", "render2.restart_service", "service_id=srv-cabc12345678", "--simulate")
    complaint = said(kosmolua(*words), status=1, error='pass --yes, or set permissions = { write = "allow" }')
    assert "Nothing was sent." in complaint
    assert kosmolua(*words, "--yes").returncode == 0
    said(kosmolua(*words, "--yes", "--read-only"), status=1, error="this run is read-only")


@pytest.mark.slow
def test_a_section_of_an_integration_that_is_not_installed(kosmolua: Program, write: Write) -> None:
    """It is a warning for every command, and an error only for a call to that integration."""
    path = write("accounts.toml", "[crm.work]\napi_key = 'x'\n[render9.work]\n")
    warnings = [
        f"{path}: [crm] names no integration (if it is a plugin, pass --plugin)",
        f"{path}: [render9] names no integration (did you mean 'render2'?)",
    ]
    for words in (("run", "-e", "print('hello')"), ("accounts",), ("call", "render2.list_owners", "--simulate")):
        done = kosmolua(*words, "--accounts", path)
        assert done.returncode == 0, done.stderr
        assert all(warning in done.stderr for warning in warnings)
    called = kosmolua("call", "crm.list_people", "--accounts", path)
    assert called.returncode == 1
    assert "app.integrations has no 'crm'" in called.stderr
    assert "the accounts file has a section of this name: if it is a plugin, pass --plugin" in called.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[render2\n", "this is not TOML: Expected ']' at the end of a table declaration (at line 1, column 9)"),
        (
            "[render2.production]\napi_kee = 'x'\n",
            "unknown key 'api_kee' in [render2.production] (did you mean 'api_key'?)",
        ),
        ("[render2.list_services]\napi_key = 'x'\n", "an account cannot be named like a function"),
        (
            "[kosmolua.limits]\ntimeout = 'x'\n",
            "[kosmolua.limits] timeout: 'x' is not a duration such as 90s, 10m or 1h",
        ),
        ("[kosmolua.limits]\nmax_calls = '5'\n", 'max_calls: it must be a whole number, not "5" (a string)'),
        ("[kosmolua.limits]\ntimeout = -1\n", "the limit timeout must be more than 0"),
    ],
)
def test_an_accounts_file_that_is_wrong(kosmolua: Program, write: Write, text: str, error: str) -> None:
    """Status 3, the file, and the line or the key; also where the script catches everything."""
    path = write("accounts.toml", text)
    script = "pcall(function() app.integrations.render2.list_services() end)"
    for words in (("run", "-e", script), ("call", "render2.list_services"), ("accounts",)):
        complaint = said(kosmolua(*words, "--accounts", path), status=3, error=error)
        assert str(path) in complaint


@pytest.mark.slow
def test_files_that_are_not_there(kosmolua: Program) -> None:
    """A file that was named has to exist."""
    for option, error in (("--accounts", "cannot be read: No such file"), ("--plugin", "There is no plugin at ")):
        said(kosmolua("run", "-e", "print(1)", option, "nowhere.x"), status=3, error=error)
    said(kosmolua("run", "-e", "", "--journal", "no/where"), status=3, error="The journal no/where cannot be opened")
    said(
        kosmolua("run", "-e", "", variables={"KOSMOLUA_ACCOUNTS": "nowhere.toml"}),
        status=3,
        error="The accounts file nowhere.toml cannot be read",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "options", "error"),
    [
        ("while true do end", ("--timeout", "0.3"), "it ran longer than 0.3 s (raise it with --timeout)"),
        ("while true do end", ("--cpu", "0.2"), "it used more than 0.2 s of processor time (raise it with --cpu)"),
        ("x = ('x'):rep(1e8)", ("--memory", "8M"), "it needed more than 8 MiB of memory (raise it with --memory)"),
        (
            "while true do print('') end",
            ("--max-output", "8"),
            "it printed more than 8 bytes (raise it with --max-outp",
        ),
        (
            "while true do app.integrations.render2.list_owners() end",
            ("--max-calls", "3", "--simulate"),
            "it made more than 3 calls (raise it with --max-calls)",
        ),
    ],
)
def test_a_limit(kosmolua: Program, source: str, options: tuple[str, ...], error: str) -> None:
    """Status 124, the limit, its value, the option that raises it, and what was printed before."""
    done = kosmolua("run", "-e", f"print('before') {source}", *options)
    assert done.returncode == 124
    assert done.stdout.startswith("before\n")
    assert error in done.stderr


@pytest.mark.slow
def test_limits_of_the_file_and_of_the_command_line(kosmolua: Program, write: Write) -> None:
    """The option goes before the file."""
    path = write("accounts.toml", "[kosmolua.limits]\nmax_output = 4\n")
    words = ("run", "-e", "print('x')print('y')print('z')", "--accounts", path)
    assert kosmolua(*words).returncode == 124
    assert kosmolua(*words, "--max-output", "10").returncode == 0


@pytest.mark.slow
def test_limits_in_time_are_durations(kosmolua: Program, write: Write) -> None:
    """Both the option and the file take a unit, and seconds without one."""
    words = ("run", "-e", "while true do end")
    assert "it ran longer than 0.3 s" in kosmolua(*words, "--timeout", "300ms").stderr
    path = write("accounts.toml", "[kosmolua.limits]\ntimeout = '0.005m'\n")
    assert "it ran longer than 0.3 s" in kosmolua(*words, "--accounts", path).stderr


# Streams that are closed, full or cut off


def shell(environment: dict[str, str], line: str) -> Any:
    """Run a line of bash in which ``kosmolua`` is the program."""
    define = f'kosmolua() {{ "{sys.executable}" -m kosmolua "$@"; }}\n'
    given: dict[str, Any] = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 60}
    return subprocess.run(["bash", "-c", define + line], env=environment, **given)


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("rest", ["", "--json"])
def test_output_that_is_cut_off(environment: dict[str, str], rest: str) -> None:
    """``| head -1`` ends the script quietly, with status 1."""
    done = shell(
        environment, f"kosmolua run -e 'for i = 1, 1e5 do print(i) end' {rest} | head -1; echo ${{PIPESTATUS[0]}}"
    )
    assert done.stdout.splitlines()[-1] == "1"
    assert done.stderr == ""


SLOW = """
import threading
import time
from dataclasses import dataclass
from kosmolua.plugin import Integration, Send

begun = threading.Event()

@dataclass(frozen=True)
class Account:
    def open(self, send: Send) -> None:
        return None

integration = Integration("slow", Account, about="Slow.")

@integration.writes
def put(api: None, /) -> None:
    "Put."
    begun.set()
    time.sleep(30)

@integration.reads
def wait(api: None, /) -> None:
    "Wait until something is put."
    begun.wait()
"""


@posix_only
def test_a_write_under_way_is_named_when_the_output_is_cut_off(environment: dict[str, str], write: Write) -> None:
    """Nobody knows whether it was done, so `| head -1` is not quiet then."""
    plugin = write("slow.py", SLOW)
    script = "app.integrations.slow.put() end, function() app.integrations.slow.wait() for i = 1, 1e5 do print(i) end"
    done = shell(
        environment,
        f"kosmolua run --plugin {plugin} --yes -e 'parallel.all({{ function() {script} end }})' | head -1; "
        "echo ${PIPESTATUS[0]}",
    )
    assert done.stdout.splitlines() == ["1", "1"]
    assert "slow.put with default was under way and may have been done: check before you retry" in done.stderr


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("command", ["run -e 'print(1)'", "docs", "call render2.list_owners --simulate", "--help"])
@pytest.mark.parametrize(
    ("where", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_output_that_cannot_be_written(environment: dict[str, str], command: str, where: str, reason: str) -> None:
    """A full disk and a closed standard output are status 1 and one sentence, whatever the command."""
    if "full" in where and not os.path.exists("/dev/full"):
        pytest.skip("needs a device that is always full")
    done = shell(environment, f"kosmolua {command} {where}")
    assert done.returncode == 1
    assert done.stderr == f"kosmolua: standard output cannot be written: {reason}\n"


@pytest.mark.slow
@posix_only
def test_standard_input_that_is_closed(environment: dict[str, str]) -> None:
    """A sentence where it was to be read, and no matter where not."""
    reads = {
        "run -": "Standard input is closed, so there is no script to read",
        "run -e 'print(1)' --input -": "Standard input is closed, so there is no input to read",
        "fleet <(echo) --inputs -": "Standard input is closed, so there is no input to read",
        "call render2.list_owners --args -": "Standard input is closed, so there are no arguments to read",
        "call --simulate render2.list_services limit=@-": "Standard input is closed, so there is no value to read",
        "integrations import -": "Standard input is closed, so there is no document to read",
        "journal -": "Standard input is closed, so there is no journal to read",
        "repl": "Standard input is closed, so there is nothing to read chunks from",
    }
    for command, sentence in reads.items():
        done = shell(environment, f"kosmolua {command} <&-")
        assert done.returncode == 2
        assert sentence in done.stderr
    assert shell(environment, "kosmolua run -e 'print(1)' <&-").stdout == "1\n"


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize(
    "command",
    [
        "run -",
        "run -e 'print(1)' --input -",
        "fleet <(echo) --inputs -",
        "call render2.list_owners --args -",
        "call --simulate render2.list_services limit=@-",
        "check -",
        "integrations import -",
        "integrations new shop --functions list_pets --from -",
        "journal -",
    ],
)
def test_standard_input_that_cannot_be_read(environment: dict[str, str], command: str, tmp_path: Path) -> None:
    """Wrong usage, in every command that reads it: here it is a file that is only open for writing."""
    done = shell(environment, f"kosmolua {command} 0>{tmp_path / 'file'}")
    said(done, status=2, error="kosmolua: Standard input cannot be read: Bad file descriptor")


@pytest.mark.slow
@posix_only
def test_a_server_whose_output_is_closed(environment: dict[str, str]) -> None:
    """A client could not be answered, and the person who started the server reads why."""
    done = shell(environment, "kosmolua mcp --simulate >&- <<<'{}'")
    said(done, status=2, error="kosmolua: Standard output is closed, so no client can be answered")


WITHOUT_NULL = "import os, sys; os.devnull = '/no/such/null'; from kosmolua.cli import main; main(sys.argv[1:])"


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("closed", ["", "<&-", ">&-", "<&- >&-"])
def test_a_system_without_dev_null(environment: dict[str, str], closed: str) -> None:
    """In a bare chroot commands work, and a script that cannot be run is a sentence."""
    program = f'"{sys.executable}" -c "{WITHOUT_NULL}"'
    done = shell(environment, f"{program} docs overview {closed}")
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if ">&-" in closed else 0)
    assert done.stdout.startswith("# ") == (">&-" not in closed)
    done = shell(environment, f"{program} run -e 'return 1' {closed}")
    assert done.returncode == 0 or done.stderr == "kosmolua: The sandbox cannot be started: No such file or directory\n"
    command = f"{program} docs overview {closed}"
    assert shell(environment, f"exec 3>&1; {command} 2>&-; echo $? >&3").stdout[-2:] in ("0\n", "1\n")


@pytest.mark.slow
@posix_only
def test_everything_closed(environment: dict[str, str]) -> None:
    """A program started without any stream runs its script; the sandbox's pipes take nobody's place."""
    command = "kosmolua run --simulate -e 'local r = app.integrations.render2.list_owners() return 1'"
    assert shell(environment, f"exec 3>&1; {command} <&- >&- 2>&-; echo $? >&3").stdout == "0\n"


# --json


SHAPE = ["ok", "status", "result", "output", "error", "warnings", "facts", "calls", "usage"]


def as_json(done: Any, status: int) -> dict[str, Any]:
    """Return the one object that was printed."""
    assert done.returncode == status, done.stderr
    assert done.stderr == ""
    printed: dict[str, Any] = json.loads(done.stdout)
    assert list(printed) == SHAPE
    assert printed["ok"] == (status == 0)
    return printed


@pytest.mark.slow
def test_json_of_a_success(kosmolua: Program) -> None:
    """Results, output, calls and usage in one object."""
    script = "print('hi') app.integrations.render2.list_owners() return 1, { a = 'b' }, nil, 2.5"
    printed = as_json(kosmolua("run", "--json", "--simulate", "-e", script), 0)
    assert printed["result"] == [1, {"a": "b"}, None, 2.5]
    assert printed["output"] == "hi\n"
    assert printed["error"] is None
    (call,) = printed["calls"]
    assert call.pop("duration_ms") >= 0
    assert call == {
        "path": "render2.list_owners",
        "account": "default",
        "effect": "read",
        "status": "ok",
        "error": None,
    }
    assert {"wall_ms", "cpu_ms", "memory_bytes", "calls", "output_bytes"} <= printed["usage"].keys()
    assert printed["usage"]["calls"] == 1
    assert printed["usage"]["output_bytes"] == 3


@pytest.mark.slow
def test_json_of_failures(kosmolua: Program, write: Write) -> None:
    """One object also on failure, with code, message, line and traceback, and the usual exit status."""
    script = write("job.lua", "print(1)\nlocal function fail() error('boo') end\nfail()")
    failed = as_json(kosmolua("run", "--json", script), 1)
    assert failed["output"] == "1\n"
    assert {name: failed["error"][name] for name in ("code", "message", "line")} == {
        "code": "script_error",
        "message": "job.lua:2: boo",
        "line": 2,
    }
    assert "job.lua:3: in main chunk" in failed["error"]["traceback"]
    limited = as_json(kosmolua("run", "--json", "-e", "print(1) while true do end", "--timeout", "0.3"), 124)
    assert limited["error"]["code"] == "limit_exceeded"
    assert limited["error"]["limit"] == "wall"
    assert limited["output"] == "1\n"
    wrong_call = ("--no-check", "-e", "app.integrations.render2.get_service({})")
    called = as_json(kosmolua("run", "--json", "--simulate", *wrong_call), 1)
    assert called["error"]["code"] == "bad_arguments"
    assert called["error"]["param"] == "service_id"
    assert called["calls"][0]["status"] == "refused"
    wrong = as_json(kosmolua("run", "--json", "-e", "", "--accounts", write("a.toml", "[x")), 3)
    assert wrong["error"]["code"] == "config_error"
    assert wrong["calls"] == []
    assert wrong["usage"] == {}
    for words in (("nowhere.lua",), (), ("-e", "x", "--timeout", "0")):
        assert as_json(kosmolua("run", "--json", *words), 2)["error"]["code"] == "usage"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("docs", "nope"), 1, "doc_not_found"),
        (("docs", "overview", "--detail", "x"), 2, "usage"),
        (("docs", "--search", "!"), 2, "usage"),
        (("accounts", "check", "rendr"), 1, "unknown_path"),
        (("accounts", "--bogus"), 2, "usage"),
        (("journal", "nofile"), 2, "usage"),
        (("integrations", "check", "nofile"), 1, "unknown_path"),
        (("integrations", "new", "1"), 2, "usage"),
        (("stubs", "no/where", "--plugin", "x.py"), 3, "config_error"),
        (("run", "--bogus"), 2, "usage"),
        (("call", "render2.list_services", "--bogus", "x"), 2, "usage"),
        (("rum",), 2, "usage"),
    ],
    ids=str,
)
def test_json_of_whatever_fails(kosmolua: Program, words: tuple[str, ...], status: int, code: str) -> None:
    """Each command answers with the one object, also where its command line cannot be read."""
    assert as_json(kosmolua(*words[:1], "--json", *words[1:]), status)["error"]["code"] == code


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_json_of_what_is_ended_by_a_signal(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    """A program that asked for the outcome gets it, and its parent learns by what this one was ended."""
    number, begun = getattr(signal, name), tmp_path / "begun"
    script = "print('begun') app.integrations.render2.list_owners() while true do end"
    command = [sys.executable, "-m", "kosmolua", "run", "--json", "--simulate", "--journal", begun, "-e", script]
    given: dict[str, Any] = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    given["preexec_fn"] = lambda: signal.signal(number, signal.SIG_DFL)  # nohup has these tests ignore SIGHUP
    with subprocess.Popen(command, **given) as process:
        assert eventually(lambda: begun.is_file() and begun.stat().st_size > 0)
        process.send_signal(number)
        output, errors = process.communicate(timeout=50)
    outcome = json.loads(output)
    assert errors == b""
    assert process.returncode == -number
    assert outcome["error"]["code"] == "interrupted"
    assert outcome["output"] == "begun\n"
    assert len(outcome["calls"]) == 1


def test_json_that_was_not_asked_for(kosmolua: Program) -> None:
    """What stands after two dashes is no option."""
    said(kosmolua("run", "nowhere.lua", "--", "--json"), status=2, error="The script nowhere.lua cannot be read")


@pytest.mark.slow
def test_json_of_a_call(kosmolua: Program, write: Write) -> None:
    """``call --json`` has the same shape, refused calls included."""
    words = ("call", "render2.list_services", "--simulate", "--json")
    done = as_json(kosmolua(*words, "limit=1"), 0)
    assert len(done["result"][0]["services"]) == 1
    assert done["calls"][0]["path"] == "render2.list_services"
    refused = as_json(kosmolua(*words, "limit=x"), 1)
    assert refused["result"] == []
    assert refused["error"]["code"] == "bad_arguments"
    assert len(refused["calls"]) == 1
    unknown = as_json(kosmolua("call", "render2.nothing", "x=1", "--simulate", "--json"), 1)
    assert unknown["error"]["code"] == "unknown_path"
    assert unknown["calls"][0]["error"] == "unknown_path"
    wrong = as_json(kosmolua(*words, "--accounts", write("a.toml", "[x")), 3)
    assert wrong["error"]["code"] == "config_error"
    assert as_json(kosmolua("call", "--json", "--simulate", "render2.list_services", "--args", "{"), 2)["result"] == []


# call


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pairs", "arguments"),
    [
        (("name=00420",), {"name": "00420"}),
        (("name=a=b",), {"name": "a=b"}),
        (("name=",), {"name": ""}),
        (("name=null",), {}),
        (("count=5",), {"count": 5}),
        (("ratio=5",), {"ratio": 5}),
        (("flag=true",), {"flag": True}),
        (('tags=["a","b"]',), {"tags": ["a", "b"]}),
        (('env={"A":"b"}',), {"env": {"A": "b"}}),
        (("any=5",), {"any": 5}),
        (("any=text",), {"any": "text"}),
        (("tags=a", "tags=5"), {"tags": ["a", "5"]}),
        (("tags=a",), {"tags": ["a"]}),
        (("tags=5",), {"tags": ["5"]}),
        (("one_or_more=a",), {"one_or_more": "a"}),
        (("one_or_more=a", "one_or_more=b"), {"one_or_more": ["a", "b"]}),
        (("--args", '{"count": 1, "name": "x"}', "count=2"), {"name": "x", "count": 2}),
        (("x", "5"), {"name": "x", "count": 5}),
        (("x", "flag=true", "5"), {"name": "x", "count": 5, "flag": True}),
        (("https://a.b/c?d=e",), {"name": "https://a.b/c?d=e"}),
        (("name=@note.txt",), {"name": "line 1\nline 2\n"}),
        (("name=@@x",), {"name": "@x"}),
        (("@@x",), {"name": "@x"}),
        (("name=a@b",), {"name": "a@b"}),
        (("env=@env.json",), {"env": {"A": "b"}}),
        (("count:=5",), {"count": 5}),
        (('name:="null"',), {"name": "null"}),
        (('any:={"a": [1, null]}',), {"any": {"a": [1, None]}}),
        (("env:=@env.json",), {"env": {"A": "b"}}),
    ],
    ids=str,
)
def test_values_take_the_declared_type(
    kosmolua: Program, write: Write, pairs: tuple[str, ...], arguments: dict[str, Any]
) -> None:
    """``id=00420`` stays a string, ``limit=5`` is a number, tables are JSON, ``@`` reads a file, ``:=`` takes JSON."""
    folder = write("note.txt", "line 1\nline 2\n").parent
    write("env.json", '{"A": "b"}\n')
    done = kosmolua("call", "echo.echo", *pairs, "--plugin", write("echo.py", ECHO), "--simulate", cwd=folder)
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout) == arguments


ECHO = '''"""Echo."""
from dataclasses import dataclass
from typing import Any
from kosmolua.plugin import Integration


@dataclass(frozen=True)
class Account:
    """Nothing."""

    def open(self, send):
        return send


integration = Integration("echo", Account, about="Returns what it is given.")
integration.simulator(lambda account: None)


@integration.reads
def echo(
    api,
    /,
    *,
    name: str | None = None,
    count: int | None = None,
    ratio: float | None = None,
    flag: bool | None = None,
    tags: list[str] | None = None,
    env: dict[str, str] | None = None,
    any: Any = None,
    one_or_more: str | list[str] | None = None,
) -> dict:
    """Return the arguments."""
    return {key: value for key, value in locals().items() if key != "api" and value is not None}
'''


@pytest.mark.slow
@posix_only
def test_arguments_are_utf_8(kosmolua: Program, write: Write) -> None:
    """Whatever the locale says; bytes that are not are refused before the integration sees them."""
    words = ("call", "echo.echo", "--simulate", "--plugin", write("echo.py", ECHO))
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = kosmolua(*words, "name=日本", "--args", '{"tags": ["é"]}', variables=plain)
    assert json.loads(done.stdout) == {"tags": ["é"], "name": "日本"}
    assert done.returncode == 0
    for pair, where in (("name=\udcff", "name"), ("tags=\udcff", "tags[1]")):
        done = kosmolua(*words, pair)
        said(done, status=1, error=f"echo.echo: {where} is a string that is not UTF-8. Nothing was sent.")


def test_a_value_from_standard_input(kosmolua: Program, write: Write) -> None:
    """``KEY=@-`` is what a pipe holds, as it is."""
    plugin = write("echo.py", ECHO)
    done = kosmolua("call", "echo.echo", "name=@-", "--simulate", "--plugin", plugin, input="from a pipe\n")
    assert json.loads(done.stdout) == {"name": "from a pipe\n"}


@pytest.mark.slow
@posix_only
def test_a_value_without_end(kosmolua: Program, write: Write) -> None:
    """No more is read than a call's arguments can have."""
    words = ("call", "echo.echo", "--simulate", "--plugin", write("echo.py", ECHO))
    for given in ("name=@/dev/zero", "--args=-"):
        with open("/dev/zero", "rb") as zeros:
            done = kosmolua(*words, given, stdin=zeros)
        said(
            done,
            status=124,
            error="The call was stopped: the arguments of one call are larger than 1 MiB (send less, or",
        )


@pytest.mark.slow
def test_help_on_a_function(kosmolua: Program) -> None:
    """``call PATH --help`` shows the parameters, wherever the options stand, and needs no account."""
    for words in (("render2.list_services", "--help"), ("-h", "render2.production.list_services", "--simulate")):
        done = kosmolua("call", *words)
        assert done.returncode == 0
        assert done.stderr == ""
        assert "List all services in the Render account. (read)" in done.stdout
        assert "limit integer" in done.stdout
        assert "kosmolua docs integrations.render2.list_services" in done.stdout
    assert "service_id=VALUE" in kosmolua("call", "render2.get_service", "--help").stdout
    said(kosmolua("call", "render2.get_servic", "--help"), status=1, error="did you mean 'get_service'")
    assert "KEY=@FILE" in kosmolua("call", "--help").stdout


@pytest.mark.slow
def test_arguments_from_standard_input(kosmolua: Program) -> None:
    """``--args -`` reads a JSON object."""
    done = kosmolua("call", "render2.list_services", "--simulate", "--args", "-", input='{"limit": 1}')
    assert len(json.loads(done.stdout)["services"]) == 1
    done = kosmolua("call", "render2.list_owners", "--simulate", "--args", "-", input="\ufeff{}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (("render2.list_services", "many"), 1, 'limit must be an integer in 1..100, not "many" (a string)'),
        (("render2.get_service", "a", "b"), 2, "render2.get_service has no parameter left for the value 'b'"),
        (("render2.get_service", "a", "service_id=b"), 2, "service_id is given 2 times, but takes only one value"),
        (("render2.list_services", "limit=1", "limit:=2"), 2, "limit is given both as text and as JSON"),
        (("render2.list_services", "limit:=x"), 2, "The value after limit:= is not JSON: Expecting value"),
        (
            ("render2.list_services", "cursor=@no/file"),
            2,
            "@no/file cannot be read: No such file or directory (write @",
        ),
        (("render2.list_service", "5"), 1, "app.integrations.render2 has no 'list_service' (did you mean"),
        (
            ("render2.list_services", "limit=five"),
            1,
            'limit must be an integer in 1..100, not "five" (a string)',
        ),
        (("render2.list_services", "limt=5"), 1, "has no parameter 'limt' (did you mean 'limit'?). Nothing was sent."),
        (("render2.list_service",), 1, "app.integrations.render2 has no 'list_service' (did you mean 'list_services'"),
        (("rendr2.list_services", "limit=5"), 1, "app.integrations has no 'rendr2' (did you mean 'render2'?)"),
        (("render2.list_services", "limit=1", "limit=2"), 2, "limit is given 2 times, but takes only one value"),
        (
            ("render2.production",),
            1,
            "render2.production is an account, not a function (add the name of a function, as in production.",
        ),
        (("list_services",), 2, "'list_services' names no function (write INTEGRATION.FUNCTION"),
        (("render2",), 2, "'render2' names no function (write INTEGRATION.FUNCTION"),
    ],
    ids=str,
)
def test_a_call_without_lua_that_fails(kosmolua: Program, words: tuple[str, ...], status: int, error: str) -> None:
    """The sentences are those that a script gets."""
    said(kosmolua("call", *words, "--simulate"), status=status, error=error)


# journal, trace


@pytest.mark.slow
def test_journal_and_trace(kosmolua: Program, tmp_path: Path) -> None:
    """Each call is a line of the journal, and two on standard error; standard output stays the script's."""
    script = "app.integrations.render2.staging.list_owners() pcall(app.integrations.render2.get_service) print('done')"
    for _ in range(2):
        done = kosmolua("run", "-e", script, "--simulate", "--trace", "--journal", tmp_path / "j")
        assert done.returncode == 0
        assert done.stdout == "done\n"
    lines = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
    assert [(line["path"], line["account"], line["status"]) for line in lines] == [
        ("render2.list_owners", "staging", "ok"),
        ("render2.get_service", "default", "refused"),
    ] * 2
    assert len({line["run"] for line in lines}) == 2
    traced = re.sub(r"\d+ ms", "N ms", done.stderr)
    assert [line for line in traced.splitlines() if line.startswith(("-", "<", "calls"))] == [
        "-> 1 render2.list_owners [staging, read]",
        "<- 1 render2.list_owners [staging, read] ok N ms (200)",
        "<- 2 render2.get_service [default, read] refused N ms (nothing sent) bad_arguments",
        "calls: 1 ok, 0 failed, 1 refused",
    ]


# docs, integrations, accounts


@pytest.mark.slow
def test_docs(kosmolua: Program) -> None:
    """The list, a page and a search are raw Markdown in a pipe; a page that does not exist is status 1."""
    assert "integrations.render2" in kosmolua("docs").stdout
    assert kosmolua("docs", "integrations.render2.list_services").stdout.startswith("# ")
    assert "list_services" in kosmolua("docs", "--search", "services of the account").stdout
    assert json.loads(kosmolua("docs", "overview", "--json").stdout)["page"] == "overview"
    found = json.loads(kosmolua("docs", "--search", "rollback", "--limit", "1", "--json").stdout)
    assert found["query"] == "rollback"
    assert [hit["page"] for hit in found["results"]] == ["integrations.render2.rollback_deploy"]
    said(kosmolua("docs", "render2.list_service"), status=1, error="did you mean")


@pytest.mark.slow
def test_integrations(kosmolua: Program, write: Write) -> None:
    """Each with where it comes from, its functions, its accounts."""
    accounts = write("accounts.toml", ONE_ACCOUNT)
    done = kosmolua("integrations", "--plugin", write("echo.py", ECHO), "--accounts", accounts)
    rows = {row.split("\t")[0]: row for row in done.stdout.splitlines()}
    assert rows["echo"].split("\t")[1:3] == ["--plugin", "1 read, 0 writes; accounts: default"]
    assert "accounts: production" in rows["render2"]
    listed = json.loads(kosmolua("integrations", "--json").stdout)
    assert next(entry for entry in listed if entry["name"] == "render2")["place"] == "bundled"


@pytest.mark.slow
def test_accounts(kosmolua: Program, write: Write) -> None:
    """Accounts are listed with what they may do; never a secret."""
    path = write("accounts.toml", ONE_ACCOUNT + "permissions = { write = 'deny' }\n[render2.staging]\napi_key = 'x'\n")
    done = kosmolua("accounts", "--accounts", path)
    assert KEY not in done.stdout
    assert [row.split("\t") for row in done.stdout.splitlines() if row.startswith("render2")] == [
        ["render2", "production", "allow", "deny", "deny", ""],
        ["render2", "staging", "allow", "ask", "ask", ""],
    ]


@pytest.mark.slow
def test_accounts_example(kosmolua: Program, write: Write) -> None:
    """One stanza, or a whole file that works when it is named; a broken integration is a warning."""
    one = kosmolua("accounts", "example", "render2")
    assert one.stdout.startswith('[render2.default]\napi_key = { env = "RENDER_API_KEY" }')
    whole = kosmolua("accounts", "example", "--plugin", write("broken.py", "x = 1\nx.y\n"))
    assert whole.stderr.count("\n") == 1
    assert whole.returncode == 0
    assert "the integration broken cannot be loaded" in whole.stderr
    path = write("accounts.toml", whole.stdout)
    listed = kosmolua("accounts", "--accounts", path, variables={"RENDER_API_KEY": KEY})
    assert "render2\tdefault\tallow\task" in listed.stdout
    said(kosmolua("accounts", "example", "rendr2"), status=1, error="did you mean 'render2'?")


@pytest.mark.slow
def test_the_environment_alone_makes_an_account(kosmolua: Program) -> None:
    """No file at all, and RENDER_API_KEY set: render2 has its default account."""
    done = kosmolua("accounts", variables={"RENDER_API_KEY": KEY})
    assert "render2\tdefault\tallow\task\task\t\n" in done.stdout
    assert KEY not in done.stdout


# --debug

BROKEN = '''"""Fails."""
from dataclasses import dataclass
from kosmolua.plugin import Integration, Secret


@dataclass(frozen=True)
class Account:
    """A key."""

    api_key: Secret

    def open(self, send):
        return self.api_key


integration = Integration("broken", Account, about="Fails.")


@integration.reads
def fail(key, /) -> str:
    """Fail."""
    return inner(key.reveal())


def inner(key):
    raise KeyError(f"no {key}")
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("call", "broken.fail"), ("run", "-e", "app.integrations.broken.fail()"), ("repl",)], ids=str
)
def test_debug_shows_the_traceback_of_a_call(kosmolua: Program, write: Write, words: tuple[str, ...]) -> None:
    """The frames of the plugin's own code, without its secrets; without --debug there is the usual line only."""
    accounts = write("accounts.toml", f'[broken.mine]\napi_key = "{KEY}"\n')
    command = (*words, "--plugin", write("broken.py", BROKEN), "--accounts", accounts)
    done = kosmolua(*command, "--debug", input="app.integrations.broken.fail()\n")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "in inner" in done.stderr
    assert KEY not in done.stdout + done.stderr
    plain = kosmolua(*command, input="app.integrations.broken.fail()\n")
    said(plain, status=1, error="broken.fail failed inside its integration: KeyError")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("integrations",), ("call", "broken.fail"), ("run", "-e", "app.integrations.broken.fail()")], ids=str
)
def test_debug_shows_why_a_plugin_does_not_load(kosmolua: Program, write: Write, words: tuple[str, ...]) -> None:
    """The traceback of its import is on standard error."""
    plugin = write("broken.py", "def inner():\n    return {}['x']\n\n\ninner()\n")
    done = kosmolua(*words, "--plugin", plugin, "--debug")
    assert "broken.py failed\nTraceback (most recent call last)" in done.stderr
    assert "in inner" in done.stderr
    assert "Traceback" not in kosmolua(*words, "--plugin", plugin).stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("accounts", "login", "render2"), 1, "render2 has no account; add one to the accounts file"),
        (("serve", "--port", "1"), 2, "No such option '--port'. Did you mean '--listen'?"),
        (
            ("run", "-e", "print('ran')", "--plan=/no/such/p.json"),
            3,
            "the folder /no/such does not exist. Nothing was sent.",
        ),
        (
            ("call", "tiny.lst", "--plugin", "tiny.py"),
            1,
            "app.integrations.tiny has no 'lst' (it has list_items, drop)",
        ),
    ],
)
def test_a_wrong_use_gets_a_true_sentence(
    kosmolua: Program, home: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    """What is wrong, and what to write instead; nothing runs before."""
    (home / "tiny.py").write_text(TINY)
    done = kosmolua(*words)
    assert said in done.stderr
    assert done.returncode == status
    assert "ran" not in done.stdout


TINY = '''
from dataclasses import dataclass
from kosmolua.plugin import Integration

@dataclass(frozen=True)
class Account:
    note: str = ""
    def open(self, send):
        return None

integration = Integration("tiny", Account, about="Tiny.")

@integration.reads
def list_items(_, /) -> list[str]:
    """List the items."""
    return []

@integration.writes
def drop(_, /) -> None:
    """Drop everything."""
'''


def test_a_function_that_returns_nothing_says_so_with_none(kosmolua: Program, home: Path) -> None:
    """``-> None`` is an annotation."""
    (home / "tiny.py").write_text(TINY)
    assert "does not say what it returns" not in kosmolua("integrations", "check", "tiny.py").stdout


@pytest.mark.slow
def test_tables_in_a_pipe_begin_with_the_names_of_their_columns(kosmolua: Program) -> None:
    """As ``cut`` and spreadsheets expect."""
    assert kosmolua("accounts", "--simulate").stdout.startswith(
        "integration\taccount\tread\twrite\tdestroy\tfunctions\n"
    )
    kosmolua("call", "render2.list_services", "--simulate", "--journal", "calls.jsonl")
    assert kosmolua("journal", "calls.jsonl").stdout.startswith("time\t")
    assert kosmolua("runs", "list", "calls.jsonl").stdout.startswith("run\t")


@pytest.mark.slow
def test_documents_are_searched_without_a_cache(kosmolua: Program) -> None:
    """They are compiled in memory where no folder can be written."""
    variables = {"XDG_CACHE_HOME": "/proc/nowhere", "HOME": "/proc"}
    found = kosmolua("docs", "--search", "list services", "--simulate", variables=variables)
    assert found.returncode == 0, found.stderr
    assert "integrations.render2.list_services" in found.stdout


def test_doctor_names_no_account_that_nobody_can_use(kosmolua: Program, home: Path) -> None:
    """A login that nobody made is a note, and saved scripts need no account."""
    (home / "saved").mkdir()
    (home / "saved" / "a.lua").write_text("")
    found = kosmolua("doctor", "--scripts", "saved").stdout
    assert "integration github\tnote\tnot logged in: default\tkosmolua accounts login github" in found
    assert "integration scripts" not in found


@pytest.mark.slow
def test_call_prints_rows_for_a_spreadsheet(kosmolua: Program) -> None:
    """The items of a page's one list, with what they are known by first, and tables inside them as JSON at the end."""
    words = ("call", "render2.list_services", "limit=2", "--simulate", "--output")
    rows = list(csv.reader(io.StringIO(kosmolua(*words, "csv").stdout)))
    assert rows[0][:3] == ["id", "name", "type"]
    assert [row[1] for row in rows[1:]] == ["checkout-api", "checkout-site"]
    assert json.loads(rows[1][-1])
    table = kosmolua(*words, "table").stdout.splitlines()
    assert [line.split("\t")[1] for line in table] == ["name", "checkout-api", "checkout-site"]


def test_call_prints_one_row_for_what_is_no_list(kosmolua: Program) -> None:
    """The keys of the result are the columns."""
    done = kosmolua("call", "render2.get_current_user", "--simulate", "--output", "csv")
    assert done.stdout.splitlines()[0].startswith("id,name")
    assert len(done.stdout.splitlines()) == 2


def test_call_has_one_form(kosmolua: Program) -> None:
    """JSON and rows cannot be had at once."""
    done = kosmolua("call", "render2.get_current_user", "--simulate", "--output", "csv", "--json")
    assert done.returncode == 2
    assert "--json and --output csv cannot be combined" in done.stdout
