"""Whether a person is asked, and what becomes of the answer: the whole program, with and without a terminal."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Program, Write
from support.processes import in_time
from support.rounds import rounds
from support.terminal import Terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")

SLOW = Path(__file__).parent / "plugins" / "slow.py"
QUESTION = "[?]:"
Open = Callable[..., "Terminal"]


@pytest.fixture
def open_terminal(environment: dict[str, str]) -> Open:
    """Return a function that runs the program in a terminal."""

    @contextmanager
    def run(*arguments: object, columns: int = 100, **variables: str) -> Iterator[Terminal]:
        command = [sys.executable, "-m", "kosmolua", *map(str, arguments)]
        with Terminal(command, {**environment, **variables}, columns=columns) as terminal:
            yield terminal

    return run


# The matrix

READ, WRITE, DESTROY = "get_current_user", "suspend_service", "delete_service"
SCRIPT = f"""
for _, name in ipairs({{ "{READ}", "{WRITE}", "{DESTROY}" }}) do
  local ok, err = pcall(app.integrations.render2.production[name], name ~= "{READ}" and "srv-cabc12345678" or nil)
  print("[" .. name .. " " .. (ok and "made" or err.code) .. "]")
end
"""
PLACES = ("terminal", "pipe")
PERMISSIONS = ("allow", "ask", "deny", "usual")
FLAGS = ("", "--yes", "--read-only", "--allow render2.delete_*", "--deny render2.production.*")
LEVELS = ("account", "integration")
ROWS = [
    row
    for row in itertools.product(PLACES, PERMISSIONS, FLAGS, LEVELS)
    if row[3] == "account" or (row[1] != "usual" and row[2] in FLAGS[: rounds(1, len(FLAGS))])
]


def accounts_with(permission: str, level: str) -> str:
    """Return an accounts file whose only account has a permission for all effects, at one level."""
    permissions = ", ".join(f'{effect} = "{permission}"' for effect in ("read", "write", "destroy"))
    line = "" if permission == "usual" else f"permissions = {{ {permissions} }}"
    own, shared = (line, "") if level == "account" else ("", line)
    return f'[render2]\n{shared}\n[render2.production]\napi_key = "rnd_1234567890"\n{own}\n'


def expected(place: str, permission: str, flag: str, function: str) -> tuple[str, bool]:
    """Return how a call ends, and whether somebody is asked, who says yes."""
    own = {READ: "allow", WRITE: "ask", DESTROY: "ask"}[function] if permission == "usual" else permission
    if own == "deny" or flag.startswith("--deny") or (flag == "--read-only" and function != READ):
        return "denied", False
    is_lifted = flag == "--yes" if function != DESTROY else flag.startswith("--allow")
    if own == "allow" or is_lifted:
        return "made", False
    return ("made", True) if place == "terminal" else ("denied", False)


@pytest.mark.slow
@pytest.mark.parametrize(("place", "permission", "flag", "level"), ROWS)
def test_the_matrix(
    kosmolua: Program, open_terminal: Open, write: Write, place: str, permission: str, flag: str, level: str
) -> None:
    """Who may read, write and delete, by permission, its level, the options, and whether there is a terminal."""
    accounts = write("accounts.toml", accounts_with(permission, level))
    command = ["run", "-e", SCRIPT, "--simulate", "--accounts", str(accounts), *flag.split()]
    output = answer_yes(open_terminal, command) if place == "terminal" else kosmolua(*command).stdout
    for function in (READ, WRITE, DESTROY):
        ending, asked = expected(place, permission, flag, function)
        assert f"[{function} {ending}]" in output
        assert (f"with render2.{function}, account production" in output) == asked


def answer_yes(open_terminal: Open, command: list[str]) -> str:
    """Run a command in a terminal, answer every question by yes, and return all that was seen."""
    with open_terminal(*command, NO_COLOR="1") as terminal:
        answered = 0

        def answer() -> None:
            nonlocal answered
            if questions(terminal) > answered:
                answered += 1
                terminal.send("y\r")

        terminal.wait(answer)
        return "\n".join(terminal.everything())


def questions(terminal: Terminal) -> int:
    """Return how many questions have been asked."""
    return sum(QUESTION in line for line in terminal.everything())


def is_over(terminal: Terminal) -> bool:
    """Say whether the script has run out of its time."""
    return "raise it with --timeout" in " ".join(terminal.everything())


# Answers

TWICE = """
for index, name in ipairs({ "suspend_service", "suspend_service", "resume_service" }) do
  local ok, err = pcall(app.integrations.render2[name], "srv-cabc12345678")
  print(index .. (ok and " made" or " " .. err.message))
end
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "made"),
    [
        (["y", "no", "YES"], [True, False, True]),
        (["a", "n"], [True, True, False]),
        (["all", "y"], [True, True, True]),
        (["d"], [False, False, False]),
        (["y", "deny"], [True, False, False]),
        (["", "y", ""], [False, True, False]),
        (["what?", "y", "n", "n"], [True, False, False]),
    ],
)
def test_answers_hold_as_long_as_they_say(open_terminal: Open, answers: list[str], made: list[bool]) -> None:
    """Yes and no hold for a call, all for a function, deny for the run; Enter alone is no, anything else asks again."""
    with open_terminal("run", "--simulate", "-e", TWICE) as terminal:
        for number, answer in enumerate(answers, start=1):
            terminal.until(lambda number=number: questions(terminal) == number)
            terminal.send(answer + "\r")
        assert terminal.wait() == 0
        assert questions(terminal) == len(answers)
        lines = [line for line in terminal.everything() if line[:2] in ("1 ", "2 ", "3 ")]
        assert [line.endswith(" made") for line in lines] == made


@pytest.mark.slow
def test_no_answer_is_no(open_terminal: Open) -> None:
    """The end of input denies the call; the script learns it as from any other no."""
    script = "print(pcall(app.integrations.render2.suspend_service, 'srv-cabc12345678')) print('then')"
    with open_terminal("run", "--simulate", "-e", script) as terminal:
        terminal.until_asked(QUESTION)
        terminal.send("\x04")
        assert terminal.wait() == 0
        seen = " ".join(terminal.everything())
        assert "it was not approved" in seen
        assert terminal.everything()[-1] == "then"


@pytest.mark.slow
@pytest.mark.parametrize("branch", [False, True], ids=["plain", "in parallel"])
def test_ctrl_c_is_no_and_ends_the_run(open_terminal: Open, tmp_path: Path, branch: bool) -> None:
    """A script that asks again and again does not hold the terminal; nothing was sent for the call."""
    journal = tmp_path / "calls.jsonl"
    script = "while true do pcall(app.integrations.render2.suspend_service, 'srv-cabc12345678') end"
    script = f"parallel.all({{ function() {script} end }})" if branch else script
    with open_terminal("run", "--simulate", "--journal", journal, "-e", script) as terminal:
        terminal.until_asked(QUESTION)
        terminal.send("\x03")
        assert terminal.wait() == 130
        assert terminal.everything()[-1] == "kosmolua: The script was interrupted"
        assert questions(terminal) == 1
    (record,) = map(json.loads, journal.read_text().splitlines())
    assert record["status"] == "refused"
    assert record["error"] == "interrupted"
    assert record["attempts"] == []


@pytest.mark.slow
def test_ctrl_c_drops_the_questions_that_wait(open_terminal: Open, tmp_path: Path) -> None:
    """One Ctrl-C ends a run of which several branches want something: no second question appears."""
    journal = tmp_path / "calls.jsonl"
    suspend = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    script = f"parallel.map({{ 1, 2, 3, 4, 5 }}, function() {suspend} end)"
    with open_terminal("run", "--simulate", "--journal", journal, "-e", script) as terminal:
        terminal.until_asked(QUESTION)
        terminal.send("\x03")
        assert terminal.wait() == 130
        assert terminal.everything()[-1] == "kosmolua: The script was interrupted"
        assert questions(terminal) == 1
    statuses = [json.loads(line)["status"] for line in journal.read_text().splitlines()]
    assert set(statuses) == {"refused"}


@pytest.mark.slow
def test_an_interrupted_chunk_of_a_session_leaves_the_next_one_its_questions(open_terminal: Open) -> None:
    """Ctrl-C ends a chunk, and the chunk after it is asked about again."""
    suspend = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    with open_terminal("repl", "--simulate", TERM="dumb") as terminal:
        for count in (1, 2):
            terminal.until(lambda: terminal.screen()[-1:] == [">"])
            terminal.send(f"pcall(function() {suspend} end)\r")
            terminal.until(lambda count=count: questions(terminal) == count)
            terminal.until_asked(QUESTION)
            terminal.send("\x03")
            terminal.until(lambda count=count: "\n".join(terminal.everything()).count("was interrupted") == count)
        terminal.until(lambda: terminal.screen()[-1:] == [">"])
        terminal.send("\x04")
        assert terminal.wait() == 0


@pytest.mark.slow
def test_a_question_is_written_again_after_a_stop(open_terminal: Open) -> None:
    """Who comes back with fg sees what is asked."""
    script = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    with open_terminal("run", "--simulate", "-e", script) as terminal:
        terminal.until_asked(QUESTION)
        terminal.signal(signal.SIGCONT)
        terminal.until(lambda: "\n".join(terminal.screen()).count(QUESTION) == 2)
        terminal.send("y\r")
        assert terminal.wait() == 0


@pytest.mark.slow
def test_ctrl_c_ends_a_call(open_terminal: Open) -> None:
    """Without Lua too, and a program that asked for JSON gets it."""
    words = ("call", "--simulate", "--json", "render2.suspend_service", "service_id=srv-cabc12345678")
    with open_terminal(*words) as terminal:
        terminal.until_asked("[y]es, [N]o, [?]:")
        terminal.send("\x03")
        assert terminal.wait() == 130
        printed = "\n".join(terminal.everything())
        outcome = json.loads(printed[printed.index("\n{") :])
        assert outcome["error"] == {"code": "interrupted", "message": "The call was interrupted"}
        assert [call["status"] for call in outcome["calls"]] == ["refused"]


TYPED_MEANWHILE = """
local slow = app.integrations.slow
print("begun")
slow.free.wait({ file = arg[1] })
for index = 1, 3 do print(index .. (pcall(slow.careful.wait) and " made" or " denied")) end
"""


@pytest.mark.slow
def test_what_was_typed_before_the_question_is_no_answer(open_terminal: Open, tmp_path: Path, write: Write) -> None:
    """Keys that were pressed while nothing could be read do not approve what nobody had seen."""
    typed = tmp_path / "typed"
    accounts = write("accounts.toml", '[slow.free]\n[slow.careful]\npermissions = { read = "ask" }\n')
    with open_terminal("run", "--accounts", accounts, "--plugin", SLOW, "-e", TYPED_MEANWHILE, typed) as terminal:
        terminal.until("begun")
        terminal.send("a\r")
        typed.touch()
        terminal.until(QUESTION)
        terminal.send("d\r")
        assert terminal.wait() == 0
        assert terminal.everything()[-3:] == ["1 denied", "2 denied", "3 denied"]


@pytest.mark.slow
@pytest.mark.parametrize("branch", [False, True], ids=["plain", "in parallel"])
def test_the_clock_stands_still_while_a_person_is_asked(open_terminal: Open, branch: bool) -> None:
    """Who takes longer to answer than the script may run has not run out of its time; the time after that counts."""
    suspend = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    script = f"parallel.all({{ function() {suspend} end }})" if branch else suspend
    script += " print('done') while true do end"

    def is_asked_and_done(seconds: float) -> bool:
        with open_terminal("run", "--simulate", "--timeout", seconds, "--cpu", 600, "-e", script) as terminal:
            terminal.until(lambda: bool(questions(terminal) or is_over(terminal)))
            if questions(terminal):
                time.sleep(1.1 * seconds)
                terminal.send("y\r")
            assert terminal.wait() == 124
            assert is_over(terminal)
            return "done" in terminal.everything()

    assert in_time(is_asked_and_done, 0.5)


@pytest.mark.slow
def test_branches_of_parallel_are_one_question(open_terminal: Open) -> None:
    """Calls that wait at the same time are a list; one by one they are questions, and denying all answers the rest."""
    script = """
    parallel.all({
      function() pcall(app.integrations.render2.suspend_service, "srv-cabc12345678") end,
      function() pcall(app.integrations.render2.resume_service, "srv-cabc12345678") end,
      function() pcall(app.integrations.render2.restart_service, "srv-cabc12345678") end,
    })
    """
    with open_terminal("run", "--simulate", "--trace", "-e", script, NO_COLOR="1") as terminal:
        terminal.until(QUESTION)
        assert questions(terminal) == 1
        assert "The script wants to make 3 calls:" in terminal.everything()
        terminal.send("o\r")
        terminal.until(lambda: questions(terminal) == 2)
        terminal.send("y\r")
        terminal.until(lambda: questions(terminal) == 3)
        terminal.send("d\r")
        assert terminal.wait() == 0
        assert questions(terminal) == 3
        assert "calls: 1 ok, 0 failed, 2 refused" in terminal.everything()


MANY = """
local ids, made = {}, 0
for number = 1, 54 do ids[number] = number end
parallel.map(ids, function(number)
  local set = app.integrations.render2.set_env_var
  local ok = pcall(set, { service_id = "srv-cabc12345678", key = "KEY_" .. number, value = "v" })
  made = made + (ok and 1 or 0)
end, { limit = 64 })
print("[" .. made .. " made]")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "made"), [("y", 54), ("n", 0), ("a", 54), ("d", 0)])
def test_many_writes_that_wait_are_one_question(open_terminal: Open, answer: str, made: int) -> None:
    """Each has a line of its own, with the name behind its id; one answer holds for all."""
    with open_terminal("run", "--simulate", "-e", MANY, columns=140, NO_COLOR="1") as terminal:
        terminal.until(QUESTION)
        seen = "\n".join(terminal.everything())
        assert "The script wants to make 54 calls:" in seen
        for number in range(1, 55):
            line = f'service_id = "srv-cabc12345678" (checkout-api), key = "KEY_{number}", value = nil -> "v"'
            assert f"{number:>4}. {line}" in seen
        assert "Allow these 54 calls? [y]es, [N]o, [o]ne by one," in seen
        terminal.send(answer + "\r")
        assert terminal.wait() == 0
        assert terminal.everything()[-1] == f"[{made} made]"
        assert questions(terminal) == 1


@pytest.mark.slow
def test_what_cannot_be_undone_looks_different(open_terminal: Open) -> None:
    """A deletion says so, in red; a restart does not; --yes covers the restart alone."""
    script = """
    local render = app.integrations.render2
    render.restart_service("srv-cabc12345678")
    pcall(render.delete_service, "srv-cabc12345678")
    """
    with open_terminal("run", "--simulate", "--yes", "-e", script) as terminal:
        terminal.until(QUESTION)
        text = "\n".join(terminal.everything())
        assert "destroy with render2.delete_service, account default (cannot be undone: " in text
        assert b"\x1b[31mcannot be undone" in terminal.raw
        assert "restart_service" not in text
        terminal.send("n\r")
        assert terminal.wait() == 0
    with open_terminal("run", "--simulate", "-e", script) as terminal:
        terminal.until(QUESTION)
        assert b"\x1b[31m" not in terminal.raw
        assert "(cannot be undone: it change" in " ".join(" ".join(terminal.everything()).split())
        terminal.send("d\r")
        terminal.wait()


@pytest.mark.slow
def test_ctrl_c_at_a_list_ends_the_run(open_terminal: Open) -> None:
    """None of its calls is made, and no second question appears."""
    with open_terminal("run", "--simulate", "-e", MANY, columns=140) as terminal:
        terminal.until_asked(QUESTION)
        terminal.send("\x03")
        assert terminal.wait() == 130
        assert questions(terminal) == 1
        assert terminal.everything()[-1] == "kosmolua: The script was interrupted"


@pytest.mark.slow
def test_call_asks_too(open_terminal: Open) -> None:
    """One call without Lua is asked about too, in words for the person who wrote it: there are no others."""
    with open_terminal("call", "--simulate", "render2.suspend_service", "service_id=srv-cabc12345678") as terminal:
        screen = terminal.until("Allow render2.suspend_service with default? [y]es, [N]o, [?]:")
        assert "You are about to write with render2.suspend_service, account default:" in screen
        terminal.send("a\r")
        terminal.until("n = do not make it; the default")
        terminal.send("n\r")
        assert terminal.wait() == 1
        assert "it was not approved" in " ".join(terminal.everything())


# What is shown

PLUGIN = '''
from dataclasses import dataclass
from typing import Annotated

from kosmolua.plugin import Integration, Secret


@dataclass(frozen=True)
class Account:
    """A key."""

    api_key: Annotated[Secret, "A key."]

    def open(self, send):
        return send


integration = Integration("notes", Account, about="Notes.")


@integration.writes
def write(send, /, *, text: str, tags: list[str] | None = None) -> dict:
    """Write a note."""
    return {}
'''
NOTES = '[notes.mine]\napi_key = "rnd_SECRET_1234567890"\n'


@pytest.fixture
def ask(open_terminal: Open, write: Write) -> Open:
    """Return a function that has a script write a note, and gives the terminal in which that is asked about."""
    plugin, accounts = write("notes.py", PLUGIN), write("accounts.toml", NOTES)

    @contextmanager
    def ask(arguments: str) -> Iterator[Terminal]:
        script = f"pcall(app.integrations.notes.write, {{ text = 'first' }}) app.integrations.notes.write({arguments})"
        command = ["run", "-e", script, "--plugin", str(plugin), "--accounts", str(accounts)]
        with open_terminal(*command, columns=120, NO_COLOR="1") as terminal:
            terminal.until("eny all calls")
            terminal.send("y\r")
            terminal.until(lambda: sum("The script wants" in line for line in terminal.everything()) == 2)
            terminal.until(lambda: terminal.everything()[-1].endswith("[?]:"))
            yield terminal

    return ask


@pytest.mark.slow
def test_arguments_are_shown_as_lua_writes_them(ask: Open) -> None:
    """Each on a line of its own, so that they can be read before they are approved."""
    with ask("{ text = 'a\\nb', tags = { 'x', 'y' } }") as terminal:
        assert terminal.screen()[-3:-1] == ['  text = "a\\nb"', '  tags = { "x", "y" }']


@pytest.mark.slow
def test_a_secret_is_not_shown(ask: Open) -> None:
    """A key that the script came by is a mask in the question."""
    with ask("{ text = 'rnd_SECRET' .. '_1234567890' }") as terminal:
        assert '  text = "***"' in terminal.screen()
        assert b"SECRET" not in terminal.raw


@pytest.mark.slow
def test_nothing_that_is_shown_moves_the_cursor_or_turns_the_text_around(ask: Open) -> None:
    """Control characters, and those that write from right to left, are shown by their codes."""
    with ask("{ text = 'a\\27[2Jb\\u{202e}c' }") as terminal:
        assert '  text = "a\\u{001b}[2Jb\\u202ec"' in terminal.screen()


@pytest.mark.slow
def test_nothing_that_is_shown_is_out_of_sight(ask: Open) -> None:
    """Characters that show nothing have their codes, and many blanks are counted."""
    with ask("{ text = 'a\\u{200b}\\u{3164}' .. (' '):rep(300) .. 'b' }") as terminal:
        assert '  text = "a\\u200b\\u3164<300 blanks>b"' in terminal.screen()


def letters_on(terminal: Terminal) -> str:
    """Return all that was seen without blanks and line breaks."""
    return "".join("".join(terminal.everything()).split())


@pytest.mark.slow
def test_a_long_argument_is_cut_and_can_be_shown_whole(ask: Open) -> None:
    """The ends are shown with how much is between them; [s]how shows all of it and asks again."""
    with ask("{ text = ('x'):rep(3000) .. 'the end' }") as terminal:
        before = letters_on(terminal)
        assert "(2,109morecharacters)" in before
        assert 'theend"' in before
        assert "[s]how" in before
        terminal.send("s\r")
        terminal.until(lambda: letters_on(terminal).count('theend"') == 2)
        terminal.until(lambda: terminal.everything()[-1].endswith("[?]:"))
        assert "x" * 3000 in letters_on(terminal)


@pytest.mark.slow
def test_standard_output_stays_clean(environment: dict[str, str], tmp_path: Path) -> None:
    """The question is on the terminal by way of standard error, whatever standard output is."""
    output = tmp_path / "output"
    script = "print(1) app.integrations.render2.suspend_service('srv-cabc12345678') print(2)"
    command = ["sh", "-c", f'"$0" "$@" > {output}', sys.executable, "-m", "kosmolua", "run", "--simulate", "-e", script]
    with Terminal(command, environment, columns=100) as terminal:
        terminal.until(QUESTION)
        terminal.send("y\r")
        assert terminal.wait() == 0
    assert output.read_text() == "1\n2\n"


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["stdin", "stderr"])
def test_nobody_is_asked_where_half_of_the_terminal_is_missing(
    environment: dict[str, str], tmp_path: Path, closed: str
) -> None:
    """A question that cannot be seen, or not be answered, is refused with a word on --yes."""
    redirection = {"stdin": "< /dev/null", "stderr": f"2> {tmp_path / 'errors'}"}[closed]
    script = "print(pcall(app.integrations.render2.suspend_service, 'srv-cabc12345678'))"
    program = [sys.executable, "-m", "kosmolua", "run", "--simulate", "-e", script]
    with Terminal(["sh", "-c", f'"$0" "$@" {redirection}', *program], environment, columns=300) as terminal:
        assert terminal.wait() == 0
        assert "nobody can be asked here (pass --yes" in terminal.screen()[0]


@pytest.mark.slow
def test_the_journal_has_what_was_not_approved(
    environment: dict[str, str], tmp_path: Path, open_terminal: Open
) -> None:
    """A call that a person denied is there, with nothing sent."""
    journal = tmp_path / "calls.jsonl"
    with open_terminal("run", "--simulate", "--journal", journal, "-e", TWICE) as terminal:
        terminal.until(QUESTION)
        terminal.send("d\r")
        assert terminal.wait() == 0
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [(record["status"], record["error"], record["attempts"]) for record in records] == [
        ("refused", "denied", [])
    ] * 3


@pytest.mark.slow
def test_a_script_from_a_pipe_is_not_asked_about(environment: dict[str, str]) -> None:
    """Standard input is the script there, so nobody can answer on it."""
    script = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    command = [sys.executable, "-m", "kosmolua", "run", "--simulate", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1
    assert "nobody can be asked here" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stdin", ["echo data |", "< data.json"][: rounds(1, 2)])
def test_a_pipe_leaves_the_terminal_to_answer_on(environment: dict[str, str], tmp_path: Path, stdin: str) -> None:
    """Data on standard input is the script's; the person answers on the terminal that the program was started from."""
    (tmp_path / "data.json").write_text("data\n")
    script = "assert(input == 'data\\n') print((pcall(app.integrations.render2.suspend_service, 'srv-cabc12345678')))"
    program = [sys.executable, "-m", "kosmolua", "run", "--simulate", "--input", "-", "-e", script]
    line = f'{stdin} "$0" "$@"' if "|" in stdin else f'"$0" "$@" {stdin}'
    for answer, made in (("y", "true"), ("n", "false")):
        with Terminal(["sh", "-c", f"cd {tmp_path} && {line}", *program], environment, columns=200) as terminal:
            terminal.until(QUESTION)
            terminal.send(f"{answer}\r")
            assert terminal.wait() == 0
            last = terminal.everything()[-1].split()
            assert last[0] == made
    with Terminal(["sh", "-c", f"cd {tmp_path} && {line}", *program], environment, columns=200) as terminal:
        terminal.until_asked(QUESTION)
        terminal.send("\x03")
        assert terminal.wait() in (130, -signal.SIGINT)  # which the shell gets as well


# What a script prints beside the question

SUSPEND = 'app.integrations.render2.suspend_service("srv-cabc12345678")'
HEADING = "The script wants to write with render2.suspend_service, account default:"
SENTENCE = "Stop a service without deleting it; it answers no requests until it is resumed."
PROMPT = "Allow render2.suspend_service with default? [y]es, [N]o, [a]ll such calls, [d]eny all calls, [?]:"
WAIT = "local t = os.clock() while os.clock() - t < 0.4 do end"
UNFINISHED = r"\27]0;", r"\27[", r"\27", r"\27P", r"\27_"
"""Sequences that swallow, or take for their own, what comes after them."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sequence", "pipe"),
    [*((each, "") for each in UNFINISHED[: rounds(3, 5)]), *((each, "| cat") for each in UNFINISHED[: rounds(1, 5)])],
)
def test_output_cannot_hide_the_question(environment: dict[str, str], sequence: str, pipe: str) -> None:
    """Whatever was printed before, the question stands on lines of its own, and the last names what it is about."""
    script = f'print("Press y: \\27[8m{sequence}") {WAIT} {SUSPEND}'
    command = [sys.executable, "-m", "kosmolua", "run", "--simulate", "-e", script]
    with Terminal(["sh", "-c", f'"$0" "$@" {pipe}', *command], environment, columns=100) as terminal:
        screen = terminal.until(PROMPT)
        assert screen[-4:] == [HEADING, f"  {SENTENCE}", '  service_id = "srv-cabc12345678" (checkout-api)', PROMPT]
        assert b"\x18\x1b\\\x1b[0m\r\nThe script wants" in terminal.raw


@pytest.mark.slow
def test_what_is_printed_meanwhile_waits_for_the_answer(open_terminal: Open) -> None:
    """A branch that goes on cannot print a question of its own over the one that is open."""
    forge = f"local owners = app.integrations.render2.list_owners() {WAIT} print(owners and 'forged')"
    script = f"parallel.all({{ function() {SUSPEND} end, function() {forge} end }})"
    with open_terminal("run", "--simulate", "-e", script) as terminal:
        terminal.until(PROMPT)
        with pytest.raises(AssertionError, match="never seen"):
            terminal.until("forged", patience=1.5)
        terminal.send("y\r")
        assert terminal.wait() == 0
        assert terminal.everything()[-1] == "forged"


# What a script returns


def test_a_terminal_shows_what_a_script_returned(open_terminal: Open) -> None:
    """Strings as they are, other values as JSON, after what was printed; a pipe has the script's output only."""
    script = "print('printed') return 'text', { a = { 1, 2.5 } }, nil, true"
    with open_terminal("run", "-e", script) as terminal:
        assert terminal.wait() == 0
        expected = ["printed", "text", "{", '  "a": [', "    1,", "    2.5", "  ]", "}", "null", "true"]
        assert terminal.everything() == expected


@pytest.mark.slow
def test_a_terminal_shows_the_beginning_of_what_is_long(open_terminal: Open) -> None:
    """A remark says how much there is, and how to see it."""
    with open_terminal("run", "-e", "return ('x'):rep(100000)") as terminal:
        assert terminal.wait() == 0
        assert terminal.everything()[-1] == "... 94,000 more characters; --json shows the value whole"


def test_nothing_returned_is_nothing_shown(open_terminal: Open) -> None:
    """A script without a return ends with what it printed."""
    with open_terminal("run", "-e", "print('printed')") as terminal:
        assert terminal.wait() == 0
        assert terminal.everything() == ["printed"]
