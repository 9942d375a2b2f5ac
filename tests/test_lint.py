"""``kosmolua integrations check``: what it finds in a plugin, where, and what it leaves alone."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write

from kosmolua.authoring.findings import Defect
from kosmolua.authoring.lint import check
from kosmolua.authoring.lint_functions import check_effect
from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder

GOOD = '''"""Notes: a notebook on the web."""

from dataclasses import dataclass
from typing import Annotated, Any

from kosmolua.plugin import Api, Integration, Secret


@dataclass(frozen=True)
class Account:
    """One notebook."""

    base_url: Annotated[str, "Where it is."] = "https://notes.example"

    def open(self, send):
        return Api(send, self.base_url)


integration = Integration("notes", Account, about="Notes.", prefix="note")
integration.simulator(lambda account: None)


@integration.reads
def get_note(api, /, *, note_id: Annotated[str, "Which."]) -> dict:
    """Get a note."""
    return api.get("/notes/{note_id}", note_id=note_id)


@integration.writes
def add_note(
    api,
    /,
    *,
    text: Annotated[str, "What to write."],
    pinned: Annotated[bool, "Whether to pin it."] = False,
) -> dict:
    """Add a note."""
    return api.post("/notes", json={"text": text, "pinned": pinned})
'''
INTEGRATION = "integration = "
PAGE = """# Notes

## get_note

```lua
print(app.integrations.notes.get_note({ note_id = "n-1" }).text)
```

## add_note

Text is Markdown.
"""
Lint = Callable[..., list[str]]


@pytest.fixture
def lint(write: Write) -> Lint:
    """Return a function that lints a plugin and its page, and says what was found, without the folder."""

    def run(source: str = GOOD, page: str | None = PAGE) -> list[str]:
        path = write("notes.py", source)
        if page is not None:
            write("notes.md", page)
        plugin = Plugins([path], places=(), entry_points=dict).load("notes")
        return [str(finding).removeprefix(f"{path.parent}/") for finding in check(plugin)]

    return run


def changed(old: str, new: str, text: str = GOOD) -> str:
    """Return a text with one piece of it changed."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def line_of(piece: str, text: str) -> int:
    """Return the line on which a piece of a text begins."""
    return text.count("\n", 0, text.index(piece)) + 1


def added(source: str) -> str:
    """Return the good plugin with more in it, which begins on line 41."""
    return GOOD + "\n\n" + textwrap.dedent(source).strip() + "\n"


def module_of(file: str) -> str:
    """Return the name of the module in a file."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_a_good_plugin_has_nothing_to_mend(lint: Lint) -> None:
    """Neither a finding nor a note."""
    assert lint() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["github", "render2"])
def test_the_bundled_integrations_have_nothing_to_mend(name: str) -> None:
    """They are what others learn from."""
    plugins = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict)

    assert [str(finding) for finding in check(plugins.load(name))] == []


# Docstrings, types, names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ('"""Notes: a notebook on the web."""', "", INTEGRATION, "the module has no docstring"),
        ('about="Notes."', 'about="Notes"', INTEGRATION, "about is not a sentence"),
        ('"""One notebook."""', "", INTEGRATION, "Account has no docstring"),
        ('Annotated[str, "Where it is."] = "https://notes.example"', "str", INTEGRATION, "base_url of Account has no"),
        ('"""Get a note."""', '"""Get a note"""', '"""Get', "the first line of get_note's docstring is not a sentence"),
        ('"""Get a note."""', f'"""Get {"very " * 30}long."""', '"""Get', "docstring has 159 characters"),
        (') -> dict:\n    """Get', '):\n    """Get', "@integration.reads", "get_note does not say what it returns"),
        ('Annotated[bool, "Whether to pin it."]', "bool", "pinned:", "parameter pinned of add_note has no description"),
        ("Annotated[bool,", "Annotated[Any,", "pinned:", "parameter pinned of add_note accepts any value"),
        (
            'Annotated[bool, "Whether to pin it."] = False',
            'Annotated[list[dict], "Pins."] = None',
            "pinned:",
            "parameter pinned of add_note accepts any value",
        ),
    ],
)
def test_what_a_signature_leaves_unsaid(lint: Lint, old: str, new: str, at: str, says: str) -> None:
    """Each at its own line, with what to do."""
    source = changed(old, new)
    (found,) = lint(source)

    assert found.startswith(f"notes.py:{line_of(at, source)}: ")
    assert says in found
    assert re.search(r" \(.+\)$", found)


@pytest.mark.parametrize("kind", ["bool", "int | str", "dict[str, str]", "list[str]", "str | list[int]"])
def test_types_that_say_something_are_fine(lint: Lint, kind: str) -> None:
    """Unions, lists and tables of something."""
    source = changed("Annotated[bool,", f"Annotated[{kind},").replace('pin it."] = False', 'pin it."] = None')
    assert lint(source) == []


WORD = 'is named like a keyword of Lua (scripts would have to write ["repeat"]: rename it)'


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("note_list", "note_list has the prefix in its name (remove the prefix: its full name is now note_note_list)"),
        ("listNotes", "the function listNotes is not in snake case (use a-z, 0-9 and _)"),
    ],
)
def test_names_of_functions_that_scripts_would_stumble_over(lint: Lint, name: str, says: str) -> None:
    """They are what every call has to spell."""
    source = added(f'@integration.reads\ndef {name}(api, /) -> dict:\n    """Do."""\n    return {{}}\n')

    assert lint(source, f"{PAGE}\n## {name}\n") == [f"notes.py:41: {says}"]


@pytest.mark.parametrize(
    ("name", "says"), [("isPinned", "is not in snake case (use a-z, 0-9 and _)"), ("repeat", WORD)]
)
def test_names_of_parameters_that_scripts_would_stumble_over(lint: Lint, name: str, says: str) -> None:
    """They are keys of a table."""
    source = GOOD.replace("pinned: Annotated", f"{name}: Annotated").replace(": pinned}", f": {name}}}")

    assert lint(source) == [f"notes.py:{line_of(name, source)}: parameter {name} of add_note {says}"]


# Effects


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "method", "line"),
    [
        ('return api.post("/notes")', "POST", 44),
        ('return api.put("/notes/1", json={})', "PUT", 44),
        ('return api.delete("/notes/" + what)', "DELETE", 44),
        ('path = f"/notes/{what}"\n    return api.patch(path)', "PATCH", 45),
        ('return api.request("DELETE", "/notes")', "DELETE", 44),
        ('return api.exchange("post", "/notes").json()', "POST", 44),
        ('return api.fetch("PUT", "/notes/{id}", {"id": what}).json()', "PUT", 44),
        ("return _helped(api)", "POST", 48),
        ("def inner():\n        return api.post('/notes')\n    return inner()", "POST", 45),
    ],
)
def test_a_read_that_sends_a_write(lint: Lint, body: str, method: str, line: int) -> None:
    """Found in the function's own code, and in that of the plugin's other functions that it calls."""
    source = added(
        f'@integration.reads\ndef peek(api, /, *, what: Annotated[str, "What."] = "") -> dict:\n    """Peek."""\n'
        f"    {body}\n\n\ndef _helped(api):\n    return api.post('/notes')\n"
    )
    (found,) = lint(source, PAGE + "\n## peek\n")

    assert found.startswith(f"notes.py:{line}: peek reads, but sends a {method} (register it with .writes, or give")


@pytest.mark.parametrize(
    ("file", "helper", "found"),
    [
        ("lint_alone.py", "lint_other.py", []),
        ("lint_whole/__init__.py", "lint_whole/api.py", ["peek reads, but sends a POST"]),
        ("lint_part/notes.py", "lint_part/api.py", ["peek reads, but sends a POST"]),
    ],
)
def test_only_functions_of_the_same_package_are_searched(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, helper: str, found: list[str]
) -> None:
    """A module that is in no package stands alone. A package's ``__init__.py`` is in the package."""
    reads = '@integration.reads\ndef peek(api, /) -> dict:\n    """Peek."""\n    return helped(api)\n'
    write(helper, "def helped(api):\n    return api.post('/notes')\n")
    write(file, f"from {module_of(helper)} import helped\n{GOOD}\n\n{reads}")
    monkeypatch.syspath_prepend(str(tmp_path))
    peek = import_module(module_of(file)).integration.functions["peek"]

    assert [finding.problem for finding in check_effect(peek)] == found


def test_a_search_by_post_is_a_read_that_says_so(lint: Lint) -> None:
    """The request itself says that it changes nothing."""
    source = added(
        """
        @integration.reads
        def search(api, /) -> dict:
            \"\"\"Search.\"\"\"
            return api.post("/search", safe=True)
        """
    )
    page = PAGE + "\n## search\n"

    assert lint(source, page) == []
    assert len(lint(changed("safe=True", "safe=False", source), page)) == 1


def test_what_is_no_request_is_no_write(lint: Lint) -> None:
    """Methods of the same names that take no path, and other packages' functions."""
    innocent = added(
        """
        import json, queue

        @integration.reads
        def peek(api, /) -> dict:
            \"\"\"Peek.\"\"\"
            queue.Queue().put(1)
            {}.update(a=1)
            json.dumps({})
            return api.request("GET", "/notes")
        """
    )
    assert lint(innocent, PAGE + "\n## peek\n") == []


@pytest.mark.parametrize("name", ["create_note", "set_note", "send_note"])
def test_a_read_that_is_named_like_a_write(lint: Lint, name: str) -> None:
    """It may be one that its author forgot to register as such."""
    source = added(f'@integration.reads\ndef {name}(api, /) -> dict:\n    """Do."""\n    return {{}}\n')

    (found,) = lint(source, PAGE + f"\n## {name}\n")
    assert found == f"notes.py:41: {name} reads, but is named like one that writes (register it with .writes)"


@pytest.mark.parametrize("effect", ["read", "write"])
@pytest.mark.parametrize("name", ["delete_note", "replace_all_notes", "purge_notes"])
def test_a_function_that_is_named_like_one_that_destroys(lint: Lint, name: str, effect: str) -> None:
    """Its author may not have thought of what cannot be undone."""
    source = added(f'@integration.{effect}s\ndef {name}(api, /) -> dict:\n    """Do."""\n    return {{}}\n')
    (found,) = lint(source, PAGE + f"\n## {name}\n")
    remedy = "but is named like one that destroys (register it with .destroys)"
    assert found == f"notes.py:41: {name} {effect}s, {remedy}"


def test_a_function_that_destroys_may_be_named_like_one(lint: Lint) -> None:
    """Nothing is found of it, and nothing of the requests that it sends."""
    source = added(
        '@integration.destroys\ndef purge_notes(api, /) -> dict:\n    """Do."""\n    return api.delete("/notes")\n'
    )
    assert lint(source, PAGE + "\n## purge_notes\n") == []


def test_a_write_that_only_deletes(lint: Lint) -> None:
    """It destroys, whatever it is called; one that also sends something else may be a write."""
    body = 'def {name}(api, /) -> dict:\n    """Do."""\n    {more}return api.delete("/notes")\n'
    source = added("@integration.writes\n" + body.format(name="tidy", more=""))
    assert lint(source, PAGE + "\n## tidy\n") == [
        "notes.py:44: tidy writes, but only deletes (register it with .destroys if it cannot be undone)"
    ]


def test_a_write_that_deletes_among_other_things(lint: Lint) -> None:
    """It may be a change like any other."""
    body = 'def {name}(api, /) -> dict:\n    """Do."""\n    {more}return api.delete("/notes")\n'
    both = added("@integration.writes\n" + body.format(name="tidy", more='api.post("/notes")\n    '))
    assert lint(both, PAGE + "\n## tidy\n") == []


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        (
            'before=lambda: None, undo="it is lost"',
            "before of turn does not take 1 argument (write it as def before(args))",
        ),
        (
            "undo=lambda args: []",
            "undo of turn does not take 3 arguments (write it as def undo(args, before, result))",
        ),
        ('undo=" "', "undo of turn is empty (say what is lost)"),
        (
            'before=lambda args: ("no_such", {"id": args["id"]})',
            "before of turn names no_such, which is no read of notes (name a function that is registered with .reads)",
        ),
        (
            'before=lambda args: ("turn", {})',
            "before of turn names turn, which is no read of notes (name a function that is registered with .reads)",
        ),
        ('undo=lambda args, before, result: [("turn", args)]', ""),
    ],
)
def test_what_a_write_declares_of_its_undo(lint: Lint, declared: str, found: str) -> None:
    """The parameters fit, a sentence says something, and the read before is one."""
    source = added(f'@integration.writes({declared})\ndef turn(api, /) -> dict:\n    """Turn."""\n    return {{}}\n')
    assert lint(source, PAGE + "\n## turn\n") == ([f"notes.py:41: {found}"] if found else [])


def test_a_setting_that_may_be_left_out_needs_no_sentence(lint: Lint) -> None:
    """Nobody has to look for its value anywhere."""
    assert lint(changed('Annotated[str, "Where it is."]', "str")) == []


# The page


def test_a_plugin_without_a_page(lint: Lint) -> None:
    """A note only, since the signatures alone make a page."""
    (found,) = lint(page=None)
    assert (
        found
        == "notes.py:19: note: there is no page (write notes.md beside this file, with what the signatures do not say)"
    )


@pytest.mark.parametrize(
    ("page", "line", "says"),
    [
        (PAGE.replace("## add_note", "Text"), 1, "add_note has no section"),
        (PAGE.replace("# Notes", ""), 1, "the page has no title"),
        (PAGE + "\n## get_nots\n", 13, "the section get_nots is about no function (did you mean 'get_note'?)"),
    ],
)
def test_what_a_page_lacks(lint: Lint, page: str, line: int, says: str) -> None:
    """Sections for functions that are there, none for those that are not."""
    (found,) = lint(page=page)

    assert found.startswith(f"notes.md:{line}: {says}")


def test_sections_can_be_about_anything_and_bear_full_names(lint: Lint) -> None:
    """Only what looks like a function has to be one."""
    assert lint(page=PAGE.replace("## get_note", "## `note_get_note`") + "\n## Accounts\n\n## One\n") == []


# Examples


def example(lua: str) -> str:
    """Return the page with an example that begins on line 15."""
    return PAGE + f"\n\n```lua\n{lua}\n```\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lua", "line", "says"),
    [
        ("local x = = 1", 15, "the example is not Lua: unexpected symbol near '='"),
        ("print(1)\nif true then", 16, "the example is not Lua: 'end' expected (to close 'if' at line 2)"),
        ("print(1 != 2)", 15, "the example is not Lua: ')' expected near '!' (Lua writes ~= for !=)"),
        ("app.integrations.notes.get_nte()", 15, "app.integrations.notes has no 'get_nte' (did you mean 'get_note'?)"),
        ("\n\napp.integrations.notes.staging.get_nots()", 17, "staging has no 'get_nots' (did you mean 'get_note'?)"),
        ("local n = app.integrations.notes\nn.zzz()", 16, "app.integrations.notes has no 'zzz'"),
        ("pcall(app.integrations.notes.nope, {})", 15, "app.integrations.notes has no 'nope'"),
        (
            "app.integrations.notes.add_note({ txt = 'x' })",
            15,
            "notes.add_note has no parameter 'txt' (did you mean 'text'?)",
        ),
        ("app.integrations.notes.note_add_note { text = 'x', pin = true }", 15, "add_note has no parameter 'pin'"),
        ("for i = 1, 2 do\n  app.integrations.notes.add_note({ txt = 'x' })\nend", 16, "no parameter 'txt'"),
        ("app.integrations.notes.add_note({})", 15, "notes.add_note needs text, a string"),
        ("app.integrations.notes.get_note({ note_id = 5 })", 15, "note_id must be a string, not 5"),
        ("app.integrations.notes.work.get_note('n-1')", 15, "one of the accounts default, production, staging"),
        ("app.integrations.note.get_note('n-1')", 15, "app.integrations has no 'note' (did you mean 'notes'?)"),
    ],
)
def test_an_example_that_would_fail(lint: Lint, lua: str, line: int, says: str) -> None:
    """It does not compile, or what it calls is not there with --simulate, or does not take that."""
    (found,) = lint(page=example(lua))

    assert found.startswith(f"notes.md:{line}: ")
    assert says in found
    assert ": note: " not in found


def test_an_example_with_an_integration_that_is_not_here(lint: Lint) -> None:
    """It can be right where that is installed, and so can what it passes on."""
    call = "local n = app.integrations.stripe.get_charge({ id = 1 })\nif n then print(n.amount) end"
    (found,) = lint(page=example(call))

    assert found.startswith("notes.md:15: note: app.integrations has no 'stripe'")


def test_an_example_that_hardly_means_what_it_says(lint: Lint) -> None:
    """Such as the count of a text that is not there, which is no failure."""
    (found,) = lint(page=example("print('%d notes', 3)"))

    assert found == "notes.md:15: note: print does not replace placeholders (print(string.format('%d notes', ...)))"


@pytest.mark.parametrize(
    "lua",
    [
        "-- app.integrations.notes.nope()\nprint('app.integrations.notes.nope()', [[app.integrations.notes.nope()]])",
        "for name in pairs(app.integrations.notes) do print(name) end",
        "local f = arg[1] print(app.integrations.notes[f]({ anything = 1 }))",
        "print(app.integrations.notes['staging'].get_note{ note_id = ('x'):rep(3) }, my.app.integrations.notes.nope())",
        "local n, m = app.integrations.notes.staging, 5 n.add_note({ text = f({ inner = 1 }), ['pinned'] = a == b })",
        "local get = app.integrations.notes.get_note print(get('n-1').whatever())",
        "print(app.integrations.notes.get_note({ note_id = id }).text) app.integrations.notes.add_note(text)",
    ],
)
def test_an_example_that_is_fine(lint: Lint, lua: str) -> None:
    """Comments, strings, computed names, accounts, results, and names that the text around it may define."""
    assert lint(page=example(lua)) == []


def test_examples_in_docstrings_are_looked_at_too(lint: Lint) -> None:
    """At their own lines of the Python file."""
    doc = '"""Get a note.\n\n    ```lua\n    app.integrations.notes.gone()\n    ```\n    """'
    (found,) = lint(changed('"""Get a note."""', doc))

    assert found.startswith("notes.py:28: app.integrations.notes has no 'gone'")


def test_no_example_is_run(lint: Lint) -> None:
    """They are compiled, in the sandbox, and that is all."""
    assert lint(page=example("while true do end")) == []


# Notes, and the command


def test_a_finding_without_a_remedy_has_no_brackets() -> None:
    """Some sentences say all by themselves."""
    assert str(Defect("pets.toml:1", "it only reads", "", note=True)) == "pets.toml:1: note: it only reads"


def test_what_is_only_a_note(lint: Lint) -> None:
    """A plugin without a simulator works; so does one whose accounts cannot be checked."""
    source = changed("integration.simulator(lambda account: None)\n", "")
    source = changed("    base_url:", '    key: Annotated[Secret, "From Settings."]\n    base_url:', source)
    notes = lint(source)

    assert [note.partition(" (")[0] for note in notes] == [
        "notes.py:20: note: accounts check cannot tell whom an account belongs to",
        "notes.py:20: note: there is no simulator for --simulate",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["notes.py", "./notes.py", "notes"])
def test_the_command_says_each_finding_on_a_line(kosmolua: Program, write: Write, tmp_path: Path, target: str) -> None:
    """Paths are as seen from here, a folder that is here goes before an installed name, and the status is 1."""
    file = "notes/__init__.py" if target == "notes" else "notes.py"
    write(file, changed('about="Notes."', 'about="Notes"'))
    write("notes/notes.md" if target == "notes" else "notes.md", PAGE)
    checked = kosmolua("integrations", "check", target, cwd=tmp_path)

    says = "about is not a sentence (say what the integration is for, and end with a full stop)"
    assert checked.returncode == 1
    assert checked.stdout == f"{file}:19: {says}\n"
    assert checked.stderr == ""


@pytest.mark.slow
def test_the_command_as_json(kosmolua: Program, write: Write, tmp_path: Path) -> None:
    """One object a finding."""
    write("notes.py", changed("integration.simulator(lambda account: None)\n", ""))
    write("notes.md", PAGE)
    checked = kosmolua("integrations", "check", "notes.py", "--json", cwd=tmp_path)
    (note,) = json.loads(checked.stdout)

    assert checked.returncode == 0
    assert note["place"] == "notes.py:19"
    assert note["problem"] == "there is no simulator for --simulate"
    assert note["note"] is True


@pytest.mark.slow
def test_the_command_by_name(kosmolua: Program) -> None:
    """An integration that is installed."""
    checked = kosmolua("integrations", "check", "github")

    assert checked.returncode == 0
    assert checked.stdout == "github: nothing to correct\n"
    assert checked.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "source", "says"),
    [
        ("notes.py", "def f(:\n", "notes.py:1: the file is not valid Python: "),
        (
            "notes.py",
            changed(' -> dict:\n    """Get a note."""', " -> dict:\n    pass"),
            "notes.py:23: get_note has no docstring",
        ),
        ("other.py", "", "There is no plugin at "),
    ],
)
def test_one_that_cannot_be_loaded(
    kosmolua: Program, write: Write, tmp_path: Path, target: str, source: str, says: str
) -> None:
    """Where, what, and status 3."""
    write("notes.py", source)
    checked = kosmolua("integrations", "check", target, cwd=tmp_path)

    assert checked.returncode == 3
    assert checked.stdout == ""
    assert says in checked.stderr.replace(f"{tmp_path}/", "")


def test_a_name_that_is_not_there(kosmolua: Program) -> None:
    """A suggestion."""
    checked: Any = kosmolua("integrations", "check", "githib")

    assert checked.returncode == 1
    assert "app.integrations has no 'githib' (did you mean 'github'?)" in checked.stderr
