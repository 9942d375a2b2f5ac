"""The guides: every block of code in them is true."""

from __future__ import annotations

import hmac
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli
from shelves import library_shelf, load

from kosmolua import Runtime, accounts
from kosmolua.docs import Library
from kosmolua.docs.guide import NAMES, GuidePage
from kosmolua.plugins import Plugins
from kosmolua.secret import Redactor
from kosmolua.testing import Playground

ROOT = Path(__file__).parent.parent
GUIDES = {name: GuidePage(name).full() for name in NAMES}
LANGUAGES = {"console", "json", "lua", "python", "toml"}


def blocks(language: str) -> list[object]:
    """Return each block of a language in all guides, as a parameter that says where it is."""
    return [
        pytest.param(guide, code, id=f"{guide}-{number}")
        for guide, text in GUIDES.items()
        for number, (found, code) in enumerate(fences(text), start=1)
        if found == language
    ]


def fences(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def file_of(code: str) -> str:
    """Return the file that a block says it is, in its first line."""
    found = re.match(r"# ([\w.]+)(?:, continued)?\n", code)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(simulate=True, yes=True, environ={}) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python files of the guides, a continued one in one piece."""
    folder = tmp_path_factory.mktemp("workshop")
    for text in GUIDES.values():
        for language, code in fences(text):
            if language == "python":
                with (folder / file_of(code)).open("a", encoding="utf-8") as file:
                    file.write(code + "\n")
    return folder


def environment(folder: Path) -> dict[str, str]:
    config = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
    return {**os.environ, **config, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_a_page_with_a_sentence(name: str) -> None:
    """A title, a first paragraph of one sentence for the list, sections, and code in languages that are tested."""
    page = GuidePage(name)

    assert page.full().lower().startswith(f"# {name}\n\n")
    assert 40 < len(page.summary) < 130
    assert page.summary.endswith(".")
    assert page.brief().count("\n- ") >= 4
    assert {language for language, _ in fences(page.full())} <= LANGUAGES


def test_guides_name_only_pages_that_exist() -> None:
    """What a guide tells to read can be read."""
    library = Library(library_shelf())
    named = [page for text in GUIDES.values() for page in re.findall(r'lua_read_doc\("([a-z]+)"\)', text)]

    assert named
    for page in named:
        assert library.read(page)


@pytest.mark.parametrize(("guide", "code"), blocks("lua"))
def test_lua_runs_and_prints_what_it_says(runtime: Runtime, guide: str, code: str) -> None:
    """Each block is a script of its own; what stands behind an arrow is printed, in that order."""
    outcome = runtime.run(code, name=guide)
    promised = re.findall(r"--> (.*)", code)

    assert outcome.error is None, outcome.error
    lines = iter(outcome.output.splitlines())
    assert all(promise in lines for promise in promised), outcome.output


@pytest.mark.parametrize(("guide", "code"), blocks("toml"))
def test_toml_is_read(guide: str, code: str, tmp_path: Path, workshop: Path) -> None:
    """Each block is an accounts file without a mistake, or says which other file it is."""
    if file_of(code):
        assert tomli.loads(code)
        return
    file = tmp_path / "accounts.toml"
    file.write_text(code, encoding="utf-8")

    found = accounts.read(file, usual=file, environ={}, redactor=Redactor())
    plugins = Plugins([workshop / "notes.py"], entry_points=dict)

    for section in found.sections():
        found.check(plugins.load(section).integration)


@pytest.mark.parametrize(("guide", "code"), blocks("console"))
def test_a_console_shows_what_happens(guide: str, code: str, workshop: Path) -> None:
    """Each command, run in a folder with the files of the guides, prints what stands below it."""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE):
        program, *arguments = shlex.split(command)
        assert program == "kosmolua"
        ended = subprocess.run(
            [sys.executable, "-m", "kosmolua", *arguments],
            cwd=workshop,
            env=environment(workshop),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.stdout + ended.stderr == shown


@pytest.mark.parametrize("name", ["hello", "ledger", "notes", "tickets"])
def test_plugins_of_the_guide_load(workshop: Path, name: str) -> None:
    """Each Python file that is not a test is a plugin, and has the name that the guide gives it."""
    assert load(workshop / f"{name}.py").name == name


def test_no_python_of_the_guides_goes_untested(workshop: Path) -> None:
    """Whoever adds a file to the guide adds it here."""
    assert sorted(file.name for file in workshop.glob("*.py")) == [
        "hello.py",
        "ledger.py",
        "notes.py",
        "test_notes.py",
        "test_tickets.py",
        "tickets.py",
    ]


def test_hello_has_eleven_lines() -> None:
    """As the page promises."""
    code = next(code for language, code in fences(GUIDES["plugins"]) if language == "python")

    assert len([line for line in code.splitlines()[1:] if line.strip()]) == 11


def test_the_tests_of_the_guide_pass(workshop: Path) -> None:
    """What they say of notes and tickets is so."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_notes.py", "test_tickets.py"],
        cwd=workshop,
        env=environment(workshop),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "7 passed" in ended.stdout, ended.stdout


def test_notes_of_the_guide_work(workshop: Path) -> None:
    """Paging, search, a refused argument, a service that says no: the plugin does what the guide says."""
    with Runtime(simulate=True, yes=True, environ={}, plugins=[workshop / "notes.py"]) as runtime:
        outcome = runtime.run("""
            local notes = app.integrations.notes
            local added = notes.note_add_note("milk")
            local _, empty = pcall(notes.add_note, " ")
            return #notes.list_notes().notes, added.text, #notes.search_notes("milk"), empty.param
        """)

    assert outcome.error is None
    assert outcome.result == [4, "milk", 1, "text"]


def test_the_ledger_of_the_guide_is_signed(workshop: Path) -> None:
    """The signature covers what a service gets, query included."""
    play = Playground(
        load(workshop / "ledger.py"), {("GET", "/entries"): []}, accounts={"default": {"key": "s3cret-key"}}
    )
    play.call("ledger.find_entries", {"word": "tea & milk"})
    headers = play.requests[0].headers

    covered = f"{headers['X-Time']}\nGET\n/v1/entries?word=tea%20%26%20milk\n".encode()
    assert headers["X-Signature"] == hmac.new(b"s3cret-key", covered, "sha256").hexdigest()
