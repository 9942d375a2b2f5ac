"""What a script prints: raw in a pipe; on a terminal, text and colours, and nothing that steers it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Program, Write
from support.rounds import rounds
from support.terminal import Terminal

needs_terminal = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")

STEERING = r"\27]10;#000000\7\27]52;c;ZXZpbA==\7\27[2J\27[Hgone\8\155\u{202e}"
Open = Callable[..., "Terminal"]


@pytest.fixture
def open_terminal(environment: dict[str, str]) -> Open:
    """Return a function that runs the program in a terminal; what comes after it in the shell can be given."""

    @contextmanager
    def run(*arguments: str, after: str = "", lines: int = 24, **variables: str) -> Iterator[Terminal]:
        command = ["sh", "-c", f'"$0" -m kosmolua "$@" {after}', sys.executable, *arguments]
        with Terminal(command, {**environment, **variables}, columns=100, lines=lines) as terminal:
            yield terminal

    return run


def test_a_pipe_gets_every_byte(kosmolua: Program) -> None:
    """What programs read is what the script printed."""
    done = kosmolua("run", "-e", f'print("{STEERING}\\xff\\r")', text=False, encoding=None)
    expected = b"\x1b]10;#000000\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[Hgone\x08\x9b\xe2\x80\xae\xff\r\n"
    assert done.stdout == expected


@pytest.mark.slow
@needs_terminal
@pytest.mark.parametrize("after", ["", "2> /dev/null"], ids=["all", "output only"])
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_terminal_is_not_steered(open_terminal: Open, after: str, term: str) -> None:
    """Every control character is shown by its code, wherever standard error goes and whatever TERM says."""
    with open_terminal("run", "-e", f'print("{STEERING}")', after=after, TERM=term) as terminal:
        assert terminal.wait() == 0
        assert terminal.raw == (rb"\x1b]10;#000000\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[Hgone\x08\x9b\u202e" + b"\r\n")


@pytest.mark.slow
@needs_terminal
def test_text_colours_and_line_ends_pass(open_terminal: Open) -> None:
    """Text of any script, tabs, the line ends of other systems, and colours, which end with the script."""
    with open_terminal("run", "-e", r'print("größe\t日本\r") print("\27[1;31mred")') as terminal:
        assert terminal.wait() == 0
        assert terminal.raw.decode() == "größe\t日本\r\r\n\x1b[1;31mred\r\n\x1b[0m"


@pytest.mark.slow
@needs_terminal
@pytest.mark.parametrize(
    ("text", "shown"),
    [(r"\27[31m", b"\x1b[31m"), (r"\27[31J", rb"\x1b[31J"), ("日", "日".encode()), (r"\27", rb"\x1b")],
)
@pytest.mark.parametrize("before", range(1, 1 + rounds(2, 4)))
def test_pieces_are_put_together(open_terminal: Open, text: str, shown: bytes, before: int) -> None:
    """What is printed crosses in pieces, which may end amid a character or a colour."""
    script = f'print(("x"):rep(64 * 1024 - {before}) .. "{text}")'
    with open_terminal("run", "-e", script) as terminal:
        assert terminal.wait() == 0
        assert terminal.raw.replace(b"x" * (64 * 1024 - before), b"").startswith(shown + b"\r\n")


@pytest.mark.slow
@needs_terminal
def test_what_is_cut_off_has_its_line(open_terminal: Open) -> None:
    """A complaint begins on a line of its own, in no colour of the script."""
    with open_terminal("run", "--max-output", "9", "-e", r'print("\27[31mred\27[3")') as terminal:
        assert terminal.wait() == 124
        assert terminal.raw.startswith(b"\x1b[31mred\\x1b\x1b[0m\r\nkosmolua: ")


@pytest.mark.slow
@needs_terminal
def test_the_repl_prints_like_a_run(open_terminal: Open) -> None:
    """Its values and what its chunks print steer nothing."""
    with open_terminal("repl", TERM="dumb") as terminal:
        terminal.until(">")
        terminal.send(r'print("\27[2J\27[32mgreen")' + "\r")
        terminal.until(lambda: terminal.screen()[1:] == [r'> print("\27[2J\27[32mgreen")', r"\x1b[2Jgreen", ">"])
        assert b"\x1b[32mgreen\r\n\x1b[0m" in terminal.raw


@pytest.mark.slow
@needs_terminal
@pytest.mark.parametrize("after", ["", "| cat"], ids=["terminal", "pipe"])
def test_json_on_a_terminal_shows_every_character(open_terminal: Open, after: str) -> None:
    """It is the same JSON, spelled so that nothing in it hides or steers; in a pipe it is as it was."""
    script = r'return "\u{9b}2J\u{202e}\u{200b}\u{e0041}ü"'
    with open_terminal("run", "--json", "-e", script, after=after) as terminal:
        assert terminal.wait() == 0
        printed = terminal.raw.decode()
    assert json.loads(printed)["result"] == ["\x9b2J\u202e\u200b\U000e0041ü"]
    assert (r"\u009b2J\u202e\u200b\udb40\udc41ü" in printed) == (not after)


@pytest.mark.slow
@needs_terminal
def test_the_repl_answers_in_visible_json_too(open_terminal: Open) -> None:
    """One line for each chunk, in which nothing hides."""
    with open_terminal("repl", "--json", TERM="dumb") as terminal:
        terminal.until(">")
        terminal.send(r'"\u{9b}2J\u{200b}"' + "\r")
        terminal.until(r'["\u009b2J\u200b"]')


def test_a_table_in_a_pipe_steers_nothing(kosmolua: Program, write: Write) -> None:
    """What a service or a script named is plain when it is shown later on, through whatever pipe."""
    entry = {"path": "a.b\x1b[31m\u202e", "account": "c\td", "status": "ok", "duration_ms": 1}
    listed = kosmolua("journal", write("calls.jsonl", json.dumps(entry) + "\n"))
    assert listed.stdout.endswith("\ta.b\\x1b[31m\\u202e\tc d\t\tok\t1\t\n")


@needs_terminal
def test_a_table_on_a_terminal_hides_nothing(open_terminal: Open, write: Write) -> None:
    """Two names that look alike do not."""
    entry = {"path": "a.b\u200b", "account": "c\u3164", "status": "ok", "duration_ms": 1}
    with open_terminal("journal", str(write("calls.jsonl", json.dumps(entry) + "\n"))) as terminal:
        assert terminal.wait() == 0
        assert any(r"a.b\u200b  c\u3164" in line for line in terminal.screen())


# Terminals of other encodings


@pytest.mark.slow
@needs_terminal
def test_documentation_on_a_terminal_that_is_not_utf_8(open_terminal: Open) -> None:
    """What the encoding lacks is shown by its code."""
    with open_terminal("docs", lines=400, PYTHONIOENCODING="latin-1") as terminal:
        assert terminal.wait() == 0
        assert rb"\u2022" in terminal.raw
        assert b"Traceback" not in terminal.raw


@pytest.mark.slow
@needs_terminal
def test_documentation_in_a_session_of_another_encoding(open_terminal: Open, home: Path) -> None:
    """The session and its state go on."""
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with open_terminal("repl", lines=400, **variables) as terminal:
        terminal.until("Tab completes")
        terminal.send(":doc\r")
        terminal.until(r"\u2022")
        terminal.send("6 * 7\r")
        terminal.until(lambda: "42" in terminal.screen())
