"""What gets into a script beside its arguments: `input`, from a file, standard input, Python or an agent."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program

from kosmolua import ConfigError, LimitExceeded, Runtime
from kosmolua.limits import MIB
from kosmolua.mcp.tools import ScriptRequest, check, tools_for
from kosmolua.processes.child import SessionProcess
from kosmolua.runs.session import Session

SHOW = "print(type(input), json.encode(input))"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime({}, environ={}) as runtime:
        yield runtime


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, "é", True, []], "b": {}},
        [],
        [None, 1],
        "text",
        "",
        0,
        False,
        2**62,
        "\u0000\u2028",
        {"": {"x": 1}},
    ],
)
def test_a_value_arrives_as_it_is(runtime: Runtime, value: Any) -> None:
    """As a result would."""
    assert runtime.run("return input", input=value).result == [value]


def test_without_one_it_is_nil(runtime: Runtime) -> None:
    """None is nil too, and a null in an object is an absent key."""
    assert runtime.run("return input == nil").result == [True]
    assert runtime.run("return input == nil", input=None).result == [True]
    assert runtime.run("return input.a == nil, input.b", input={"a": None, "b": 1}).result == [True, 1]


def test_bytes_are_a_string_whatever_they_are(runtime: Runtime) -> None:
    """Also those that are not UTF-8."""
    every = bytes(range(256))
    outcome = runtime.run("return #input, input:byte(1, -1)", input=every)
    assert outcome.result == [256, *range(256)]


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, object(), [b"x"], {"a": print}])
def test_what_json_cannot_carry_is_refused(runtime: Runtime, value: Any) -> None:
    """Before anything runs."""
    with pytest.raises(TypeError, match="the input of a script must be a value that JSON can represent"):
        runtime.run("return 1", input=value)


@pytest.mark.slow
def test_one_that_is_too_large_is_refused(runtime: Runtime) -> None:
    """It is as large as a result may be, and counts as the script's memory."""
    with pytest.raises(ConfigError, match="The input of the script is larger than 16 MiB"):
        runtime.run("return 1", input="x" * (16 * MIB))
    outcome = runtime.run("return #input", input="x" * (10 * MIB), memory=12 * MIB)
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "memory"
    assert runtime.run("return #input", input="x" * (10 * MIB)).result == [10 * MIB]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "printed"),
    [
        ("a.json", '\ufeff{"b": [1, null, 2]}', 'table\t{"b":[1,null,2]}'),
        ("a.JSON", "[]", "table\t[]"),
        ("a.jsonl", '{"a": 1}\n\n[2]\r\n"x"', 'table\t[{"a":1},[2],"x"]'),
        ("a.csv", '\ufeffname,plan\r\n"a, b",pro\r\n\r\nc\r\n', 'table\t[{"name":"a, b","plan":"pro"},{"name":"c"}]'),
        ("a.csv", 'n\n"two\nlines"\n', 'table\t[{"n":"two\\nlines"}]'),
        ("a.csv", "", "table\t[]"),
        ("a.toml", "[a]\nb = 1\nat = 2026-03-02T09:00:00Z\nday = [2026-03-02]\n", None),
        ("a.txt", '{"a": 1}', 'string\t"{\\"a\\": 1}"'),
        ("a", "5", 'string\t"5"'),
    ],
)
def test_a_file_is_read_by_its_ending(
    kosmolua: Program, tmp_path: Path, name: str, content: str, printed: str | None
) -> None:
    """JSON, JSON lines, comma-separated values and TOML are decoded; anything else is text."""
    (tmp_path / name).write_bytes(content.encode())
    done = kosmolua("run", "--input", tmp_path / name, "-e", SHOW, check=True)
    toml = 'table\t{"a":{"at":"2026-03-02T09:00:00+00:00","b":1,"day":["2026-03-02"]}}'
    assert done.stdout == f"{printed or toml}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ('{"a": 1}', 'table\t{"a":1}'),
        ("5", "number\t5"),
        ("a line\n", 'string\t"a line\\n"'),
        ("", 'string\t""'),
        ("name,plan\na,pro\nb,free\n", 'table\t[{"name":"a","plan":"pro"},{"name":"b","plan":"free"}]'),
        ('{"a": 1}\n{"a": 2}\n', 'table\t[{"a":1},{"a":2}]'),
        ('[a]\nb = "c"\n', 'table\t{"a":{"b":"c"}}'),
        ("Hello, world\nand, you\n", 'string\t"Hello, world\\nand, you\\n"'),
        ("a,b\n1\n", 'string\t"a,b\\n1\\n"'),
        ("1\n2\n", 'string\t"1\\n2\\n"'),
        ("name\na\n", 'string\t"name\\na\\n"'),
    ],
)
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_what_it_clearly_is(kosmolua: Program, name: str, given: str, printed: str) -> None:
    """It has no name that says what it is, so its content does; where that is not clear, it is text."""
    assert kosmolua("run", "-e", SHOW, "--input", name, input=given, check=True).stdout == f"{printed}\n"


@pytest.mark.skipif(os.name == "nt", reason="needs file descriptors with names")
def test_a_redirected_file_and_a_pipe_with_a_name_are_read(kosmolua: Program, tmp_path: Path) -> None:
    """As the shell's ``< FILE`` and ``<(COMMAND)`` give them."""
    table = tmp_path / "table"
    table.write_text("name,plan\na,pro\n")
    with table.open() as redirected:
        done = kosmolua("run", "-e", SHOW, "--input", "/dev/stdin", input=None, stdin=redirected, check=True)
    assert done.stdout == 'table\t[{"name":"a","plan":"pro"}]\n'
    reading, writing = os.pipe()
    os.write(writing, table.read_bytes())
    os.close(writing)
    words = ("run", "-e", SHOW, "--input", f"/dev/fd/{reading}")
    done = kosmolua(*words, pass_fds=[reading], check=True)
    os.close(reading)
    assert done.stdout == 'table\t[{"name":"a","plan":"pro"}]\n'


@pytest.mark.parametrize(
    ("form", "given", "printed"),
    [
        ("csv", "name\na\n", 'table\t[{"name":"a"}]'),
        ("text", '{"a": 1}', 'string\t"{\\"a\\": 1}"'),
        ("jsonl", "1\n2\n", "table\t[1,2]"),
        ("toml", "a = 1", 'table\t{"a":1}'),
        ("json", "[]", "table\t[]"),
    ],
)
def test_a_stated_format_goes_before_the_content(kosmolua: Program, form: str, given: str, printed: str) -> None:
    """And before the ending of a file's name."""
    done = kosmolua("run", "-e", SHOW, "--input", "-", "--input-format", form, input=given, check=True)
    assert done.stdout == f"{printed}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--input", "-", "--input-format", "json"), "Standard input is not json: "),
        (("--input-format", "json"), "--input-format needs --input"),
        (("--input", "-", "--input-format", "xml"), "'xml' is not one of json, jsonl, csv, toml, text"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(kosmolua: Program, words: tuple[str, ...], said: str) -> None:
    """Before the script runs."""
    done = kosmolua("run", "-e", "print('ran')", *words, input="a line\n")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_a_script_is_read_from_dev_stdin(kosmolua: Program) -> None:
    """It is the script, and not an empty one."""
    assert kosmolua("run", "/dev/stdin", input="print('ran')", check=True).stdout == "ran\n"
    assert kosmolua("run", "/dev/stdin", "--input", "-", input="print('ran')").returncode == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{", "cannot be read: Expecting property name enclosed in double quotes"),
        ("a.jsonl", "1\n{\n", "cannot be read: line 2: Expecting"),
        ("a.csv", "a,b\n1,2,3\n", "cannot be read: line 2 has 3 cells, but the first line has 2"),
        ("a.csv", 'a\n"x\n', "cannot be read: line 2: "),
        ("a.csv", "a,a\n", "cannot be read: the first line gives two columns the same name"),
        ("a.toml", "=", "cannot be read: "),
        ("a.json", '{"caf\udce9": 1', "cannot be read: it is not UTF-8 text"),
        ("missing.json", None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_told(
    kosmolua: Program, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    """The script is not run, and the program exits with the status of wrong usage."""
    if content is not None:
        (tmp_path / name).write_text(content, errors="surrogateescape")
    done = kosmolua("run", "--input", tmp_path / name, "-e", "print('ran')")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{name} {said}" in done.stderr


def test_standard_input_is_read_once(kosmolua: Program) -> None:
    """It cannot be a script, or the lines of the REPL, and their input."""
    for words in (["run", "-", "--input", "-"], ["repl", "--input", "-"]):
        done = kosmolua(*words, input="print(1)")
        assert done.returncode == 2
        assert "Standard input cannot be both the script and its input" in done.stderr


@pytest.mark.slow
def test_it_is_there_for_the_chunks_of_a_session(runtime: Runtime) -> None:
    """Until one assigns to it, also where the first one was stopped, and again after a reset."""
    with Session(runtime.run, SessionProcess, input={"a": 1}) as session:
        assert session.evaluate("while true do end", timeout=0.5).outcome.error
        assert session.evaluate("input.a").text == "1"
        assert session.evaluate("input = 5 return input").text == "5"
        assert session.evaluate("input").text == "5"
        session.reset()
        assert session.evaluate("input.a").text == "1"


def test_an_agent_passes_json(runtime: Runtime) -> None:
    """The tool takes any, and the script finds it."""
    (tool,) = [each for each in tools_for(runtime.limits, read_only=False) if each.name == "execute_lua"]
    for value in ({"a": [1]}, [1, "x"], "text", 5, False):
        script = ScriptRequest.of(check(tool, {"code": "return input", "input": value}))
        assert runtime.run(script.code, **script.options).result == [value]
    assert json.dumps(tool.input_schema)


def test_a_recording_holds_it(runtime: Runtime, tmp_path: Path) -> None:
    """A replay finds the same, also of bytes that are no text."""
    for number, value in enumerate(({"a": [1, None]}, b"\xff\xfe", None)):
        path = tmp_path / f"{number}.jsonl"
        first = runtime.run("print(input) return type(input)", input=value, record=path)
        again = runtime.replay(path)
        assert first.ok, first.error
        assert again.output == first.output
        assert again.result == first.result
