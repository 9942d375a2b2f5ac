"""``kosmolua repl`` as people use it: in a real terminal with and without prompt_toolkit, and in a pipe."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Program, Write
from support.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")]

READY = "Tab completes"
"""What is on the screen when a chunk can be typed."""
Start = Callable[..., "Terminal"]


@pytest.fixture
def repl(environment: dict[str, str], home: Path) -> Start:
    """Return a function that starts the REPL in a terminal."""

    @contextmanager
    def start(*arguments: str, columns: int = 100, plain: bool = False, **variables: str) -> Iterator[Terminal]:
        command = [sys.executable, "-m", "kosmolua", "repl", "--simulate", *arguments]
        given = {**environment, "COLUMNS": str(columns), "LINES": "24", **variables}
        with Terminal(command, given, columns=columns) as terminal:
            terminal.until(">" if plain else READY)
            yield terminal

    return start


def enter(terminal: Terminal, chunk: str, seen: str, ready: str = READY) -> list[str]:
    """Type a chunk, and wait for a line that is exactly what is awaited and for the next prompt."""
    terminal.send(chunk + "\r")
    return terminal.until(lambda: seen in terminal.screen() and terminal.screen()[-1].startswith(ready))


# In a terminal


def test_state_is_kept_and_values_are_echoed(repl: Start) -> None:
    """A global of one chunk is there in the next; an expression shows its values, and _ is the first of them."""
    with repl() as terminal:
        enter(terminal, "x = 20", "> x = 20")
        enter(terminal, "x + 1, { a = 'b' }", '21\t{a = "b"}'.expandtabs(8))
        enter(terminal, "_ * 2", "42")


def test_a_chunk_goes_on_until_it_is_whole(repl: Start) -> None:
    """Enter begins a new line, indented, while something is open; the line that closes it is outdented again."""
    with repl() as terminal:
        screen = enter(terminal, "for i = 1, 2 do\rif i > 1 then\rprint('two')\rend\rend", "two")
        assert screen[1:7] == [
            "> for i = 1, 2 do",
            ">>   if i > 1 then",
            ">>     print('two')",
            ">>   end",
            ">> end",
            "two",
        ]


def test_names_are_completed_with_what_they_are(repl: Start) -> None:
    """Tab writes what all candidates begin with, and lists them with a word on each."""
    with repl() as terminal:
        terminal.send("app.integrations.github.list_r\t")
        screen = terminal.until("list_repos")
        assert screen[1] == "> app.integrations.github.list_re"
        assert any(line.split()[:3] == ["list_repos", "List", "the"] for line in screen)
        terminal.send("po\t")
        terminal.until("> app.integrations.github.list_repos")


def test_names_in_brackets_are_completed(repl: Start) -> None:
    """They are the same names."""
    with repl() as terminal:
        terminal.send("app.integrations['ren\t")
        terminal.until("> app.integrations['render2")


def test_a_variable_that_holds_an_account_completes_like_it(repl: Start) -> None:
    """Names under app are completed through a global too."""
    with repl() as terminal:
        enter(terminal, "staging = app.integrations.render2.staging", "> staging = app.integrations.render2.staging")
        terminal.send("staging.get_curr\t")
        terminal.until("> staging.get_current_user")


def test_arguments_are_completed_and_the_parameters_shown(repl: Start) -> None:
    """Inside the braces of a call, Tab lists the arguments, and the last line shows the parameter list."""
    with repl(columns=100) as terminal:
        terminal.send("app.integrations.render2.list_services{")
        terminal.until("list_services{ limit?: integer, cursor?: string")
        terminal.send(" lim\t")
        terminal.until("> app.integrations.render2.list_services{ limit =")
        terminal.send("1, \t")
        screen = terminal.until("cursor =")
        assert any(line.split()[:3] == ["cursor", "=", "string?"] for line in screen)
        assert not any(line.startswith(" limit =") for line in screen)


@pytest.mark.parametrize("chunk", ["lua_read_doc('render2.get_service')", ":doc render2.get_service"])
def test_a_page_is_rendered(repl: Start, chunk: str) -> None:
    """lua_read_doc, and :doc, show a page without the marks of Markdown."""
    with repl() as terminal:
        terminal.send(chunk + "\r:quit\r")
        assert terminal.wait() == 0
        page = terminal.everything()
        assert any(line.strip() == "app.integrations.render2.get_service" for line in page)
        assert any(line.startswith(" service_id ") for line in page)
        assert not any(line.startswith(("#", "|", "```")) for line in page)


def test_a_long_value_is_cut_with_a_word_on_the_rest(repl: Start) -> None:
    """Sixty lines are shown, then how many bytes are left, and how to see them."""
    with repl() as terminal:
        enter(
            terminal,
            "t = {} for i = 1, 500 do t[i] = 'line ' .. i end",
            "> t = {} for i = 1, 500 do t[i] = 'line ' .. i end",
        )
        terminal.send("t\r")
        screen = terminal.until("print(_) shows the first value whole")
        remark = next(number for number, line in enumerate(screen) if "more bytes" in line)
        assert screen[remark - 1] == '  "line 59",'
        assert not any("line 100" in line for line in terminal.everything())
        terminal.send("print(_)\r")
        terminal.until('"line 500"')


def test_a_value_that_is_little_too_long_is_whole(repl: Start) -> None:
    """The remark would take as much room as what it stands for."""
    with repl() as terminal:
        terminal.send("t = {} for i = 1, 60 do t[i] = 'line ' .. i end\rt\r'then'\r")
        terminal.until(lambda: "then" in terminal.screen())
        assert '  "line 60"' in terminal.everything()
        assert not any("more bytes" in line for line in terminal.everything())


def test_what_is_no_text_is_shown_by_its_code(repl: Start) -> None:
    """As print does."""
    with repl() as terminal:
        enter(terminal, r"'日\xff\0'", r"日 \xff\x00".replace(" ", ""))


def test_a_part_of_app_is_shown_with_what_is_in_it(repl: Start) -> None:
    """Its name alone would tell nothing."""
    with repl() as terminal:
        enter(terminal, "app.integrations", "  github render2")


def test_ctrl_c_ends_a_chunk_and_keeps_the_session(repl: Start) -> None:
    """After an interrupted loop the state is that from before it, and 1 + 1 works."""
    with repl() as terminal:
        enter(terminal, "x = 'before'", "> x = 'before'")
        terminal.send("x = 'changed' while true do end\r")
        terminal.until("0 calls done, 0 under way")
        terminal.send("\x03")
        screen = terminal.until("kosmolua: the session's state is as it was before this chunk")
        assert not any("under way" in line for line in screen)
        enter(terminal, "1 + 1", "2")
        enter(terminal, "x", "before")


def test_ctrl_c_at_the_prompt_forgets_what_was_typed(repl: Start) -> None:
    """The line is given up, and nothing of it runs."""
    with repl() as terminal:
        terminal.send("print('never')\x03")
        enter(terminal, "print('then')", "then")
        assert "never" not in terminal.screen()


def test_ctrl_z_suspends(environment: dict[str, str]) -> None:
    """As everywhere in a shell: nothing of it is typed, and fg brings back the prompt and the state."""
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("there is no bash")
    given = {**environment, "PS1": "$ ", "INPUTRC": "/dev/null"}
    with Terminal([bash, "--norc", "--noprofile", "-i"], given, columns=100) as terminal:
        terminal.send(f"{sys.executable} -m kosmolua repl --simulate\r")
        terminal.until(READY)
        enter(terminal, "x = 7", "> x = 7")
        terminal.send("\x1a")
        terminal.until("Stopped")
        terminal.send("fg\r")
        terminal.until(lambda: terminal.screen()[-1].startswith(READY))
        enter(terminal, "x + 1", "8")


def test_a_limit_is_said_and_the_session_goes_on(repl: Start) -> None:
    """The message names the option, and the state stays."""
    with repl("--cpu", "0.1") as terminal:
        enter(terminal, "x = 1", "> x = 1")
        terminal.send("x = 2 while true do end\r")
        terminal.until("raise it with --cpu")
        enter(terminal, "x", "1")


def test_history_is_kept_for_the_next_time(repl: Start, home: Path) -> None:
    """The arrow brings back an earlier session's chunk, in all its lines, from a file that only its owner can read."""
    with repl() as terminal:
        enter(terminal, "for i = 7, 7 do\rprint(i)\rend", "7")
        terminal.send("\x04")
        assert terminal.wait() == 0
    with repl() as terminal:
        terminal.send("\x1b[A")
        screen = terminal.until("> for i = 7, 7 do")
        assert screen[1:4] == ["> for i = 7, 7 do", ">>   print(i)", ">> end"]
    (history,) = home.rglob("repl_history")
    assert history.stat().st_mode & 0o077 == 0


def test_the_end_of_input_leaves_with_0(repl: Start) -> None:
    """Ctrl-D on an empty line, like :quit, ends the program well."""
    for farewell in ["\x04", ":quit\r"]:
        with repl() as terminal:
            enter(terminal, "error('no')", "kosmolua: repl:1: no")
            terminal.send(farewell)
            assert terminal.wait() == 0


def test_a_write_is_asked_about_at_the_prompt(repl: Start) -> None:
    """The question names function, account and arguments; denying all holds for one chunk."""
    suspend = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    with repl() as terminal:
        for _ in range(2):
            terminal.send(suspend + "\r")
            terminal.until("[d]eny all calls, [?]:")
            terminal.send("d\r")
            terminal.until("it was not approved")
            terminal.send("\x0c")
            terminal.until(lambda: not any("not approved" in line for line in terminal.screen()))
        terminal.send(suspend + "\r")
        screen = terminal.until("[d]eny all calls, [?]:")
        assert "The script wants to write with render2.suspend_service, account default:" in screen
        assert '  service_id = "srv-cabc12345678" (checkout-api)' in screen
        terminal.send("y\r")
        terminal.until(READY)


@pytest.mark.parametrize("branch", [False, True], ids=["plain", "in parallel"])
def test_ctrl_c_at_a_question_ends_the_chunk(repl: Start, branch: bool) -> None:
    """Nothing is sent, the state is that from before the chunk, and the question takes no input any more."""
    suspend = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    suspend = f"parallel.all({{ function() {suspend} end }})" if branch else suspend
    with repl() as terminal:
        terminal.send(f"x = 1 {suspend}\r")
        terminal.until_asked("[d]eny all calls, [?]:")
        terminal.send("\x03")
        terminal.until("kosmolua: the session's state is as it was before this chunk")
        enter(terminal, "'all ' .. 'mine', x", "all mine        nil")


@pytest.mark.parametrize("columns", [40, 80])
def test_no_color_means_no_colour(repl: Start, columns: int) -> None:
    """With NO_COLOR, nothing that is written selects a colour, at any width."""
    with repl(columns=columns, NO_COLOR="1") as terminal:
        enter(terminal, "'a', 1", "a       1")
        terminal.send("x = 'typed'\rapp.integrations.render2.l\t")
        terminal.until("list_")
        colours = [code for code in sequences(terminal.raw) if code in COLOURS]
        assert colours == []


COLOURS = {*map(str, range(30, 38)), *map(str, range(90, 98)), "38", "48"}


def sequences(raw: bytes) -> list[str]:
    """Return the parameters of each sequence that selects how text looks."""
    parts = [part.partition(b"m")[0] for part in raw.split(b"\x1b[")[1:]]
    return [code for part in parts if part.replace(b";", b"").isdigit() for code in part.decode().split(";")]


# In a terminal without prompt_toolkit


@pytest.mark.parametrize("kind", ["dumb", ""], ids=["dumb", "unknown"])
def test_a_dumb_terminal_gets_plain_lines(repl: Start, kind: str) -> None:
    """With TERM=dumb, or none, nothing moves the cursor, and everything works line by line."""
    with repl(plain=True, TERM=kind) as terminal:
        enter(terminal, "x = 41", "> x = 41", ">")
        enter(terminal, "x + 1", "42", ">")
        enter(terminal, "for i = 1, 2 do\rprint('line', i)\rend", "line    2", ">")
        terminal.send("lua_read_doc('render2.get_service', { detail = 'brief' })\r")
        terminal.until("`app.integrations.render2.get_service` (read)")
        terminal.send("print('begun') while true do end\r")
        terminal.until(lambda: "begun" in terminal.screen())
        terminal.send("\x03")
        terminal.until("the session's state is as it was before this chunk")
        terminal.until(lambda: terminal.screen()[-1] == ">")
        terminal.send("\x04")
        assert terminal.wait() == 0
        assert b"\x1b[" not in terminal.raw.replace(b"\x1b[?2004h", b"").replace(b"\x1b[?2004l", b"")


def test_readline_completes_where_prompt_toolkit_does_not(repl: Start) -> None:
    """The same names are offered; dots stay part of the word."""
    pytest.importorskip("readline")
    with repl(plain=True, TERM="dumb") as terminal:
        terminal.send("app.integrations.render2.get_curr\t().email\r")
        terminal.until("ann@example.com")


# In a pipe


def test_chunks_in_a_pipe_are_answered_in_turn(kosmolua: Program) -> None:
    """Values go to standard output, errors to standard error; there is no prompt, and the exit status tells."""
    done = kosmolua(
        "repl", "--simulate", input="x = 1\nx + 1\nfunction f()\n  return 'more'\nend\n\nf()\nerror('no')\nx\n"
    )
    assert done.stdout == "2\nmore\n1\n"
    assert done.stderr == "kosmolua: repl:1: no\n"
    assert done.returncode == 1


def test_pages_in_a_pipe_are_markdown(kosmolua: Program) -> None:
    """What is rendered on a terminal is raw here."""
    done = kosmolua("repl", "--simulate", input="lua_read_doc('render2.get_service')\n:doc render2.get_service\n")
    page = kosmolua("docs", "render2.get_service").stdout
    assert done.stdout.replace("\n\n", "\n") == (page + page).replace("\n\n", "\n")


def test_an_unfinished_chunk_at_the_end_is_an_error(kosmolua: Program) -> None:
    """What was never closed is said."""
    done = kosmolua("repl", "--simulate", input="for i = 1, 2 do\n")
    assert "'end' expected (to close 'for' at line 1) near <eof>" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("chunks", "output"),
    [
        ("1\nexit\n2\n", "1\n"),
        ("1\nquit()\n2\n", "1\n"),
        ("exit = 5\nexit\n", "5\n"),
        ("=1 + 1\n={\n1 }\n", "2\n[1]\n"),
    ],
)
def test_habits_of_other_programs(kosmolua: Program, chunks: str, output: str) -> None:
    """A word that leaves elsewhere leaves, unless it is a global; an equals sign is Lua's own habit."""
    done = kosmolua("repl", input=chunks)
    assert done.stdout == output
    assert done.stderr == ""
    assert done.returncode == 0


def test_help_without_its_colon(kosmolua: Program) -> None:
    """It is the same help."""
    assert kosmolua("repl", input="help\n").stdout == kosmolua("repl", input=":help\n").stdout


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x.lua", "a\0b"])
def test_a_path_that_is_none_ends_nothing(kosmolua: Program, path: str) -> None:
    """The conversation goes on, and its status tells that something was wrong."""
    done = kosmolua("repl", input=f":load {path}\n1 + 1\n")
    assert done.stdout == "2\n"
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2


def test_a_long_value_in_a_pipe_is_whole(kosmolua: Program) -> None:
    """Only a terminal is spared."""
    done = kosmolua("repl", "--simulate", input="('x'):rep(100000)\n")
    assert done.stdout == "x" * 100_000 + "\n"


def test_commands_work_in_a_pipe(kosmolua: Program, write: Write) -> None:
    """Each command that lists something lists it tab-separated; a label is no command; an unknown one is said."""
    script = write("report.lua", "#!/usr/bin/env kosmolua\nreported = 'yes'\nreturn 'loaded'\n")
    chunks = [
        "app.integrations.render2.get_current_user().email",
        ":calls",
        ":limits",
        ":accounts",
        ":search failed deploys",
        f":load {script}",
        "reported",
        ":reset",
        "reported",
        "::label:: print('a label')",
        ":lod x",
        ":load nowhere.lua",
        ":help",
        ":q",
        "print('never')",
    ]
    done = kosmolua("repl", "--simulate", "--timeout", "7", input="\n".join(chunks) + "\n")
    lines = done.stdout.splitlines()
    assert lines[0] == "ann@example.com"
    assert lines[1].split("\t")[:4] == ["render2.get_current_user", "default", "read", "ok"]
    assert "wall\t7 s\traise it with --timeout" in lines
    assert "render2\tproduction\tallow\task\task\t" in lines
    assert any(line.startswith("1. `") for line in lines)
    assert lines[lines.index("loaded") + 1 :][:3] == ["yes", "nil", "a label"]
    assert ":load FILE\tRun a file in this session." in lines
    assert "never" not in lines
    assert "There is no command :lod (did you mean ':load'?)" in done.stderr
    assert "The script nowhere.lua cannot be read: No such file or directory" in done.stderr
    assert done.returncode == 2


def test_bytes_that_are_not_utf_8_pass(kosmolua: Program) -> None:
    """A chunk is bytes, as a script is, and so is what is echoed."""
    done = kosmolua("repl", "--simulate", input=b"#'\xff\xfe'\n'\xff\0'\n", text=False, encoding=None)
    assert done.stdout == b"2\n\xff\0\n"


def test_json_answers_each_chunk_with_an_object(kosmolua: Program) -> None:
    """Each is the object of `run --json` on one line, with the state the session is in."""
    done = kosmolua(
        "repl", "--simulate", "--json", "--cpu", "0.1", input="x = 1\nx, {2}\nfoo()\nwhile true do end\nx\n"
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["result"] for answer in answers] == [[], [1, [2]], [], [], [1]]
    assert [answer["ok"] for answer in answers] == [True, True, False, False, True]
    assert [answer["state"] for answer in answers] == ["kept", "kept", "kept", "restored", "kept"]
    assert answers[3]["error"]["limit"] == "cpu"
    assert done.stderr == ""


def test_json_answers_commands_too(kosmolua: Program, write: Write) -> None:
    """Each line is an object: those that show people something are refused, and what cannot begin is one line."""
    script = write("report.lua", "return 'loaded'")
    chunks = f":load {script}\n:help\n:nope\n:load nowhere.lua\n:reset\n1\n:quit\n"
    done = kosmolua("repl", "--simulate", "--json", input=chunks)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["result"] for answer in answers] == [["loaded"], [], [], [], [], [1]]
    codes = [(answer["error"] or {}).get("code") for answer in answers]
    assert codes == [None, "usage", "usage", "usage", None, None]
    assert [answer["state"] for answer in answers] == ["kept", "kept", "kept", "kept", "lost", "kept"]
    assert done.returncode == 2
    assert done.stderr == ""
    done = kosmolua("repl", "--json", "--accounts", write("accounts.toml", "[x"), input="1\n")
    assert json.loads(done.stdout)["error"]["code"] == "config_error"
    assert done.stdout.count("\n") == 1
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (":docs x", "There is no command :docs (did you mean ':doc'?)"),
        (":", "There is no command : (see :help)"),
        (":help x", ":help takes no argument, but 'x' follows it"),
    ],
)
def test_a_command_that_is_none(kosmolua: Program, line: str, complaint: str) -> None:
    """The sentence names it as it is typed."""
    done = kosmolua("repl", input=f"{line}\n")
    assert done.stderr == f"kosmolua: {complaint}\n"
    assert done.stdout == ""
    assert done.returncode == 2


def test_an_interrupt_in_a_pipe_ends_the_program(environment: dict[str, str]) -> None:
    """Nobody is there to type the next chunk, so it is not run, and the status is 130."""
    command = [sys.executable, "-m", "kosmolua", "repl", "--simulate"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write("print('begun') while true do end\nprint('never')\n")
        process.stdin.flush()
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=50)[0] == ""
        assert process.returncode == 130


CHECKED = """
render = app.integrations.render2
#render.list_services({ suspended = True }).services
render.list_services({
  suspended = True })
for _ in ipairs(render.list_services({ limit = 1 })) do end
function string.trim(text) return "trimmed" end
print(("x"):trim(), string.trim("x"))
helper = function(x) return x end
print(helper(1))
render = { list_services = function() return { services = {} } end }
#render.list_services({ suspended = True }).services
"""


def test_chunks_are_checked_by_what_earlier_ones_defined(kosmolua: Program) -> None:
    """What would leave out an argument is refused, what seems wrong a warning, and what is right is left alone."""
    done = kosmolua("repl", "--simulate", input=CHECKED)

    assert done.returncode == 1
    assert done.stdout == "trimmed\ttrimmed\n1\n0\n"
    lines = [line for line in done.stderr.splitlines() if "was not run" not in line]
    assert [line.partition(": ")[2][:50] for line in lines] == [
        "repl:1:37: nothing defines 'True', so suspended wo",
        "repl:2:15: nothing defines 'True', so suspended wo",
        "warning: 1:17: ipairs needs a list, but the result",
        "warning: 1:37: nothing defines 'True', so it is ni",
    ]


def test_no_chunk_is_checked_without_the_check(kosmolua: Program) -> None:
    """As in a run."""
    chunk = "#app.integrations.render2.list_services({ suspended = True }).services\n"

    assert kosmolua("repl", "--simulate", "--no-check", input=chunk).stdout == "20\n"
