"""The shared options: declared once, and read alike by click and by the quick reader of a plain command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from conftest import Program, Write

from kosmolua.cli.defaults import user_defaults
from kosmolua.cli.options import FOR_FLEETS, OPTIONS, Option, Options, read_plainly
from kosmolua.cli.parsing import running_options
from kosmolua.errors import ConfigError

FAILURE = "render2.trigger_deploy=build_failed"
TEXTS = {
    "NAME=SOURCE": "db=env:DB_URL",
    "NAME=COMMAND|URL": "files=npx files",
    "FILE": "some.file",
    "DIR": "some.folder",
    "PATH": "some/path",
    "S": "90s",
    "SIZE": "64K",
    "N": "7",
    "PATTERN": "render2.*",
    "FORMAT": "csv",
    "FUNCTION=OUTCOME": FAILURE,
}


@click.command("reader")
@running_options
def reader(options: Options) -> Options:
    """Return the shared options that click has read."""
    return options


def words_for(option: Option[Any]) -> list[str]:
    """Return a command line with an option, twice if it can be repeated."""
    words = [option.names[0], *([TEXTS[option.metavar]] if option.metavar else [])]
    return words * 2 if option.is_repeatable else words


@pytest.mark.parametrize(
    "option", [each for each in OPTIONS if each.attribute not in FOR_FLEETS], ids=lambda option: option.attribute
)
def test_click_and_the_quick_reader_agree(option: Option[Any]) -> None:
    """Whether a command line is plain or not, an option means the same."""
    plain = read_plainly(["script.lua", *words_for(option)])
    assert plain
    script, options = plain
    assert script.file == "script.lua"
    assert script.arguments == ()
    assert list(options.given) == [option.attribute]
    by_click = reader.main(words_for(option), standalone_mode=False)
    assert by_click.given == options.given


@pytest.mark.parametrize(
    "words",
    [
        ["script.lua", "--timeout"],
        ["script.lua", "--timeout=5"],
        ["script.lua", "--timeout", "soon"],
        ["script.lua", "--timeout", "--json"],
        ["script.lua", "--time", "5"],
        ["script.lua", "--", "-x"],
        ["-e", "return 1", "-e", "return 2"],
        ["-x", "script.lua"],
        [],
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_left_to_click(words: list[str]) -> None:
    """The quick reader refuses nothing itself: click has the words for that."""
    assert read_plainly(words) is None


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["-e", "--plan=x\nprint(1)"], "1\n"),
        (["-e", "print(1) --plan=x"], "1\n"),
        (["-ye", "--record=x\nprint(1)"], "1\n"),
        (["--secret", "a=env:HOME", "-e", "--simulate=x\nprint(secrets.a)"], "***\n"),
        (["-e", "print(arg[1])", "--", "--record=x"], "--record=x\n"),
    ],
    ids=["code", "comment", "letters", "after an option", "after --"],
)
def test_a_value_that_looks_like_an_option_with_a_file(
    kosmolua: Program, tmp_path: Path, words: list[str], output: str
) -> None:
    """``--plan=x`` is short for two options where an option may stand, and what it is where a value does."""
    done = kosmolua("run", *words, cwd=tmp_path)
    assert done.stdout == output
    assert done.stderr == ""
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--timeout=9"]], ids=["plain", "by click"])
def test_a_file_after_an_equals_sign(kosmolua: Program, tmp_path: Path, words: list[str]) -> None:
    """It is that of the simulators' state, or of the recording."""
    code = "app.integrations.render2.list_owners()"
    assert kosmolua("run", "--simulate=state", "--record=run", "-e", code, *words, cwd=tmp_path).returncode == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["home", "run", "state"]


def test_an_option_given_later_goes_before_one_given_earlier() -> None:
    """``kosmolua accounts --accounts a check --accounts b`` reads b, and has the other options of both places."""
    earlier, later = Options(accounts="a", simulate=True), Options(accounts="b", simulate=False)
    merged = later.over(earlier)
    assert merged.accounts == "b"
    assert merged.simulate is True
    assert merged.plugin == ()


@pytest.mark.parametrize("words", [("--accounts", "FILE", "example"), ("example", "--accounts", "FILE")], ids=" ".join)
@pytest.mark.parametrize("default", ["json = true", "jsno = true"])
def test_the_named_accounts_file_alone_counts(
    kosmolua: Program, config: Path, write: Write, words: tuple[str, ...], default: str
) -> None:
    """Named before or after the subcommand, it takes the place of the default file, which is not even read."""
    (config / "accounts.toml").write_text(f"[kosmolua.options]\n{default}\n")
    named = write("named.toml", "")
    done = kosmolua("accounts", *[named if word == "FILE" else word for word in words])
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith("#")
    write("named.toml", "[kosmolua.options]\njson = true\n")
    assert kosmolua("accounts", *[named if word == "FILE" else word for word in words]).stdout.startswith("{")


IN_FILE = {
    "NAME=SOURCE": '["db=env:DB_URL", "key=ask"]',
    "NAME=COMMAND|URL": '"files=npx files"',
    "FILE": '"a.file"',
    "DIR": '"a.folder"',
    "PATH": '["a", "b"]',
    "PATTERN": '["a.*", "b.*"]',
    "FORMAT": '"csv"',
    "S": '"90s"',
    "SIZE": '"64K"',
    "N": "7",
    "FUNCTION=OUTCOME": f'["{FAILURE}"]',
}
READ = {
    "NAME=SOURCE": ("db=env:DB_URL", "key=ask"),
    "NAME=COMMAND|URL": ("files=npx files",),
    "FILE": "a.file",
    "DIR": "a.folder",
    "PATH": ("a", "b"),
    "PATTERN": ("a.*", "b.*"),
    "FORMAT": "csv",
    "S": 90.0,
    "SIZE": 65536,
    "N": 7,
    "FUNCTION=OUTCOME": (FAILURE,),
}
LISTS = {
    "NAME=SOURCE": ["db=env:DB_URL", "key=ask"],
    "PATH": ["a", "b"],
    "PATTERN": ["a.*", "b.*"],
    "FUNCTION=OUTCOME": [FAILURE],
}


@pytest.mark.parametrize(
    "option", [each for each in OPTIONS if each.attribute != "accounts"], ids=lambda it: it.attribute
)
def test_each_option_has_a_default_in_the_file_and_in_the_environment(option: Option[Any], write: Write) -> None:
    """[kosmolua.options] has it under its name, and a variable is named after it."""
    text, value = (IN_FILE[option.metavar], READ[option.metavar]) if option.metavar else ("true", True)
    accounts = str(write("accounts.toml", f"[kosmolua.options]\n{option.attribute} = {text}\n"))
    assert user_defaults(accounts, {}) == {option.attribute: value}
    given = option.separator.join(LISTS.get(option.metavar, [text.strip('"')]))
    empty = str(write("empty.toml", ""))
    assert user_defaults(empty, {f"KOSMOLUA_{option.attribute.upper()}": given}) == {option.attribute: value}


def test_what_is_typed_goes_before_a_variable_and_that_before_the_file(write: Write) -> None:
    """Everywhere the same order."""
    accounts = str(write("accounts.toml", "[kosmolua.options]\ntimeout = 1\ntrace = true\nread_only = true\n"))
    defaults = user_defaults(accounts, {"KOSMOLUA_TIMEOUT": "2", "KOSMOLUA_TRACE": "0"})
    options = Options(defaults)
    assert options.limits["timeout"] == 2.0
    assert options.trace is False
    assert options.read_only is True
    assert Options(defaults, timeout=3.0).limits["timeout"] == 3.0


@pytest.mark.parametrize(
    ("line", "environ", "message"),
    [
        ("tiemout = 3", {}, "accounts.toml:2: unknown key 'tiemout' in [kosmolua.options] (did you mean 'timeout'"),
        ("accounts = 'x'", {}, "unknown key 'accounts' in [kosmolua.options]"),
        ("timeout = 'soon'", {}, "[kosmolua.options] timeout: "),
        ("yes = 'perhaps'", {}, "accounts.toml:2: [kosmolua.options] yes: the value must be true or false"),
        ("deny = 3", {}, "[kosmolua.options] deny: the value must be a list of strings"),
        ("deny = [true]", {}, "[kosmolua.options] deny: the value must be a string or a number"),
        ("", {"KOSMOLUA_READ_ONLY": "maybe"}, "variable KOSMOLUA_READ_ONLY: the value must be true or false"),
        ("", {"KOSMOLUA_MEMORY": "much"}, "the environment variable KOSMOLUA_MEMORY: "),
    ],
)
def test_a_default_that_does_not_fit_is_told(line: str, environ: dict[str, str], message: str, write: Write) -> None:
    """It names the file and the key, or the variable."""
    accounts = str(write("accounts.toml", f"[kosmolua.options]\n{line}\n"))
    with pytest.raises(ConfigError) as told:
        user_defaults(accounts, environ)
    assert message in told.value.message


@pytest.mark.slow
def test_defaults_hold_for_the_program(kosmolua: Program, write: Write) -> None:
    """Also for a plain run, which click does not read."""
    accounts = write("accounts.toml", "[kosmolua.options]\nsimulate = true\ndeny = ['render2.list_services']\n")
    script = "return pcall(app.integrations.render2.list_services)"
    done = kosmolua("run", "--accounts", accounts, "-e", script, "--json", "--timeout", "20")
    assert '"denied"' not in done.stderr
    assert "is denied by --deny render2.list_services" in done.stdout
    listed = kosmolua("call", "render2.list_services", variables={"KOSMOLUA_SIMULATE": "1", "KOSMOLUA_JSON": "1"})
    assert listed.returncode == 0, listed.stderr


def test_a_variable_that_nothing_reads_is_told(kosmolua: Program) -> None:
    """With the name that was probably meant."""
    ran = kosmolua("run", "-e", "print(1)", variables={"KOSMOLUA_TIMEOT": "5", "KOSMOLUA_MCP_TOKEN": "x"})
    assert ran.stdout == "1\n"
    expected = "the environment variable KOSMOLUA_TIMEOT has no effect (did you mean KOSMOLUA_TIMEOUT?)"
    assert ran.stderr == f"kosmolua: warning: {expected}\n"
