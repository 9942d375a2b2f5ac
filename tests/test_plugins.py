"""Where integrations come from, and what is said of one that cannot be loaded."""

from __future__ import annotations

import importlib
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from traceback import walk_tb

import pytest
from conftest import Program, Write
from support.processes import in_time

from kosmolua import ConfigError, PluginError, Runtime, UnknownPath
from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder
from kosmolua.entry_points import EntryPoint

GOOD = '''"""A plugin."""
from dataclasses import dataclass
from kosmolua.plugin import Integration


@dataclass(frozen=True)
class Account:
    """Nothing."""

    def open(self, send):
        return send


integration = Integration("{name}", Account, about="{about}")
integration.simulator(lambda account: None)


@integration.reads
def hello(api, /, *, name: str = "you") -> str:
    """Say hello."""
    return "{about} says hello to " + name
'''


def good(name: str, about: str = "it") -> str:
    return GOOD.replace("{name}", name).replace("{about}", about)


def without(name: str, line: str, instead: str = "") -> str:
    """Return a good plugin with one thing wrong in it."""
    text = good(name)
    assert line in text
    return text.replace(line, instead)


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    """Two folders, as the bundled and the user's own, and no entry points."""
    places = [PluginFolder("bundled", tmp_path / "bundled"), PluginFolder("user", tmp_path / "user")]
    return Plugins(places=places, entry_points=dict)


# The four places


def test_folders(plugins: Plugins, write: Write) -> None:
    """A module or a package of either folder is an integration, and nothing else there is."""
    write("bundled/one.py", good("one"))
    write("user/two/__init__.py", "from .inner import integration\n")
    write("user/two/inner.py", good("two"))
    write("user/two/two.md", "# Two\n")
    for beside in ("user/_private.py", "user/three.txt", "user/four/readme.md", "user/not-a-name.py", "user/.five.py"):
        write(beside, "raise SystemExit\n")
    assert plugins.names() == ["not-a-name", "one", "two"]
    assert [(plugins.load(name).place, plugins.load(name).integration.name) for name in ("one", "two")] == [
        ("bundled", "one"),
        ("user", "two"),
    ]
    assert plugins.load("one").prose() is None
    assert plugins.load("two").prose() == "# Two\n"
    for name in ("four", "_private", "three", "not-another", "x" * 500, "a.b", "../one", ""):
        with pytest.raises(UnknownPath):
            plugins.load(name)


def test_entry_points_are_asked_once(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before an integration is loaded: whether one exists is often known without them."""
    asked = []
    write("site/installed_a/__init__.py", good("inst"))
    monkeypatch.syspath_prepend(tmp_path / "site")

    def entry_points() -> dict[str, list[EntryPoint]]:
        asked.append(True)
        return {
            "inst": [EntryPoint("inst", "installed_a:integration")],
            "other": [EntryPoint("other", "installed_a")],
        }

    write("bundled/one.py", good("one"))
    plugins = Plugins(places=[PluginFolder("bundled", tmp_path / "bundled")], entry_points=entry_points)
    plugins.require("one", "accounts.toml: [one]")
    assert asked == []
    assert plugins.load("one").place == "bundled"
    installed = plugins.load("inst")
    assert installed.place == "entry point"
    assert installed.origin == "installed_a:integration"
    assert asked == [True]
    with pytest.raises(PluginError, match="is named other, but its integration is named inst"):
        plugins.load("other")
    assert plugins.names() == ["inst", "one", "other"]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [("x = 1\nraise OSError('no disk')\n", "OSError: no disk", ":2"), ("import nothing_7\n", "No module named", ":1")],
)
def test_an_entry_point_that_fails(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, text: str, message: str, line: str
) -> None:
    """An installed package that fails when it is imported is reported with its own file and line."""
    package = f"installed_{abs(hash(text))}"
    path = write(f"site/{package}/__init__.py", text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    points = {"broken": [EntryPoint("broken", package)]}
    with pytest.raises(PluginError, match=message) as failed:
        Plugins(places=[], entry_points=lambda: points).load("broken")
    assert failed.value.origin == f"{path}{line}"


MISTAKEN = '''"""Made up."""

from typing import Annotated

from kosmolua.plugin import Integration


class Account:
    """No dataclass."""


integration = Integration("mistaken", Account, about="Wrong in many ways.")


@integration.reads
def no_docstring(api, /) -> dict:
    return {}


@integration.reads
def two_parameters(api, /, *, first, second: bytes) -> dict:
    """Take what Lua cannot carry."""
    return {}


@integration.writes
def right(api, /, *, name: Annotated[str, "Which."]) -> dict:
    """Do something."""
    return {}


@integration.writes
async def waits(api, /) -> dict:
    """Wait."""
    return {}
'''


def test_all_mistakes_of_a_plugin_are_reported_at_once(write: Write) -> None:
    """One round is enough to repair it: each mistake with its own line; a second look says the same."""
    path = write("mistaken.py", MISTAKEN)

    for _ in range(2):
        with pytest.raises(PluginError) as failed:
            Plugins([path], places=[], entry_points=dict).load("mistaken")
        lines = [int(mistake.origin.removeprefix(f"{path}:")) for mistake in failed.value.mistakes]
        assert lines == [12, 15, 20, 20, 32]
        for words in ("not a dataclass", "no docstring", "first of two_parameters", "second of two", "waits is async"):
            assert words in failed.value.message
        assert failed.value.message.startswith("5 mistakes: ")


def test_outside_of_loading_a_mistake_is_raised_where_it_is_made() -> None:
    """A plugin's author who imports the module sees the traceback of the first one."""
    with pytest.raises(PluginError, match="not a dataclass"):
        exec(MISTAKEN, {"__name__": "mistaken"})


def test_named_plugins(tmp_path: Path, write: Write) -> None:
    """A file or a package folder can be named; its file need not have the integration's name."""
    paths = [write("a/tool.py", good("wrench")), write("b/hammer/__init__.py", good("hammer")).parent]
    plugins = Plugins(paths, places=[], entry_points=dict)
    assert plugins.names() == ["hammer", "wrench"]
    assert [plugins.load(name).place for name in plugins.names()] == ["--plugin", "--plugin"]


def test_a_single_named_plugin(write: Write) -> None:
    """One path, or one integration, needs no list around it."""
    path = write("a/tool.py", good("wrench"))
    for one in (path, str(path), Plugins(path, places=[], entry_points=dict).load("wrench").integration):
        assert Plugins(one, places=[], entry_points=dict).names() == ["wrench"]
    with Runtime({}, plugins=str(path), environ={}) as runtime:
        assert runtime.catalog.plugin("wrench").origin == str(path)


@pytest.mark.parametrize("name", ["missing.py", "folder", "text.txt", "folder.py", "~nobody-of-this-name/x.py"])
def test_a_named_plugin_that_is_not_there(tmp_path: Path, write: Write, name: str) -> None:
    """What is no plugin is an error at once: the user asked for it by name."""
    for file in ("folder/readme.md", "text.txt", "folder.py/readme.md"):
        write(file, good("x"))
    with pytest.raises(ConfigError, match=r"There is no plugin at .*name a \.py file"):
        Plugins([name if name.startswith("~") else tmp_path / name])


@pytest.mark.parametrize("name", ["not-a-name.py", "_private.py", "not a name"])
def test_a_named_plugin_that_is_misnamed(tmp_path: Path, write: Write, name: str) -> None:
    """It is there, and told so."""
    path = write(name, good("x")) if name.endswith(".py") else write(f"{name}/__init__.py", good("x")).parent
    with pytest.raises(ConfigError) as refused:
        Plugins(path)
    said = f"The plugin {path} cannot be called {path.stem!r} (rename it with a-z, 0-9 and _, a letter first)"
    assert refused.value.message == said


def test_the_folder_that_the_user_stands_in_is_no_place(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloned repository must not run code."""
    for name in ("evil.py", "integrations/evil.py", "kosmolua/evil.py"):
        write(name, "raise SystemExit('run')\n")
    monkeypatch.chdir(tmp_path)
    with Runtime({}) as runtime:
        assert "evil" not in runtime.catalog.names()
        with pytest.raises(UnknownPath):
            runtime.catalog.plugin("evil")


def test_bundled_integrations_load() -> None:
    """Each integration that is shipped can be loaded, has a page, and an account class that says what it wants."""
    plugins = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict)
    assert "render2" in plugins.names()
    for name in plugins.names():
        plugin = plugins.load(name)
        assert plugin.prose(), name
        assert plugin.integration.simulate, name
        assert plugin.integration.account_fields, name


# Inside a zip


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that packs files into a zip and returns its path."""

    def pack(files: dict[str, str]) -> Path:
        path = tmp_path / "packed.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path

    return pack


def test_a_folder_inside_a_zip(zipped: Callable[[dict[str, str]], Path]) -> None:
    """A wheel may be run from its zip: plugins, their packages and their pages are found in it."""
    files = {
        "in/a.py": good("a"),
        "in/b/__init__.py": "from .inner import integration\n",
        "in/b/inner.py": good("b"),
        "in/b/b.md": "# B\n",
        "in/c.py": "x = 1\nx.y\n",
    }
    archive = zipped(files)
    plugins = Plugins(places=[PluginFolder("bundled", archive / "in")], entry_points=dict)
    assert plugins.names() == ["a", "b", "c"]
    assert plugins.load("a").integration.name == "a"
    assert plugins.load("b").prose() == "# B\n"
    with pytest.raises(PluginError, match="AttributeError") as failed:
        plugins.load("c")
    assert failed.value.origin == f"{archive / 'in' / 'c.py'}:2"


# What is broken

BROKEN = {
    "syntax": ("def f(:\n    pass\n", "the file is not valid Python: ", 1),
    "tabs": ("if True:\n        x = 1\n\ty = 2\n", "the file is not valid Python: ", 3),
    "imports": ("import os\nimport no_such_module_7\n", "ModuleNotFoundError: No module named 'no_such_module_7'", 2),
    "raises": ("x = 1\n\nraise RuntimeError('not today')\n", "RuntimeError: not today", 3),
    "exits": ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2),
    "interrupts": ("raise KeyboardInterrupt\n", "KeyboardInterrupt", 1),
    "endless": ("def f():\n    return f()\nf()\n", "RecursionError", 2),
    "refuses": (
        "from kosmolua.plugin import NotConfigured\nraise NotConfigured('no disk')\n",
        "NotConfigured: no disk",
        2,
    ),
    "empty": ("", "the plugin defines no integration (write integration = Integration(", None),
    "other": ("integration = 5\n", "the plugin defines no integration (write integration = Integration(", None),
    "misnamed": (good("somebody"), "the plugin is named misnamed, but its integration is named somebody", None),
    "badname": (without("x", '"x"', '"Bad-Name"'), "an integration cannot be called 'Bad-Name'", 14),
    "nodoc": (without("nodoc", '    """Say hello."""\n'), "hello has no docstring (say in one sentence", 18),
    "untyped": (without("untyped", "name: str", "name"), "parameter name of hello has no annotation", 18),
    "bytes": (
        without("bytes", "name: str", "name: bytes"),
        "name of hello: values of type bytes cannot be passed between Lua and Python",
        18,
    ),
    "unknown": (without("unknown", "name: str", "name: Strng"), "NameError: name 'Strng' is not defined", 19),
    "nostar": (without("nostar", "/, *, name", "/, name"), "hello must take the opened account before /", 18),
    "twice": (
        good("twice") + "\n\n@integration.writes\ndef hello(api, /):\n    '''Again.'''\n",
        "twice has two functions named hello",
        24,
    ),
    "baddefault": (
        good("baddefault") + "\n\n@integration.writes\ndef default(api, /):\n    '''Do.'''\n",
        "a function cannot be called 'default' (it stands for the default account)",
        24,
    ),
    "notype": (
        without("notype", '    """Nothing."""\n', '    """Nothing."""\n    key = "x"\n'),
        "the account field key of Account has no type annotation",
        15,
    ),
    "plainclass": (
        without("plainclass", "@dataclass(frozen=True)\n"),
        "the account class Account is not a dataclass",
        13,
    ),
    "noopen": (
        without("noopen", "def open", "def close"),
        "the account class Account has no method open(self, send)",
        14,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_plugin_is_reported_with_file_and_line(plugins: Plugins, write: Write, name: str) -> None:
    """What is wrong, in which file, on which line; and the next one loads as if nothing had happened."""
    text, message, line = BROKEN[name]
    path = write(f"user/{name}.py", text)
    write("user/fine.py", good("fine"))
    for _ in range(2):
        with pytest.raises(PluginError) as failed:
            plugins.load(name)
        assert message in failed.value.message
        assert failed.value.origin == f"{path}{f':{line}' if line else ''}"
    assert plugins.load("fine").integration.name == "fine"


def test_a_package_that_breaks_inside(plugins: Plugins, write: Write) -> None:
    """The line is that of the plugin's own file in which it broke, not that of its __init__.py or of a library."""
    write("user/deep/__init__.py", "from .inner import integration\n")
    inner = write("user/deep/inner.py", "import json\n\nx = json.loads('{')\n")
    with pytest.raises(PluginError, match="JSONDecodeError") as failed:
        plugins.load("deep")
    assert failed.value.origin == f"{inner}:3"


@pytest.mark.slow
def test_one_that_hangs_is_given_up(tmp_path: Path, write: Write) -> None:
    """A plugin that works or waits while it is imported holds nobody up for long, and the line is said."""
    path = write("user/slow.py", "x = 0\nwhile True:\n    x += 1\n")

    def is_given_up_inside(seconds: float) -> bool:
        plugins = Plugins(places=[PluginFolder("user", tmp_path / "user")], entry_points=dict, load_timeout=seconds)
        with pytest.raises(PluginError, match=f"the plugin took longer than {seconds:g} s to load") as failed:
            plugins.load("slow")
        return failed.value.origin.startswith(f"{path}:")

    assert in_time(is_given_up_inside, 0.3)


def test_a_broken_one_is_kept_in_mind_at_no_cost(plugins: Plugins, write: Write) -> None:
    """Each use of it raises an error of its own: a single one would keep the frames of all who ever met it."""
    write("user/broken.py", "x = 1 / 0\n")
    errors = []
    for _ in range(3):
        with pytest.raises(PluginError) as failed:
            plugins.load("broken")
        errors.append(failed.value)
    assert len({id(error) for error in errors}) == 3
    assert len({len(list(walk_tb(error.__traceback__))) for error in errors}) == 1
    assert all(isinstance(error.__cause__, ZeroDivisionError) for error in errors)
    assert len({(error.message, error.origin) for error in errors}) == 1


@pytest.mark.slow
def test_all_broken_ones_are_lines_of_the_list(config: Path, kosmolua: Program) -> None:
    """``kosmolua integrations`` lists what works and what does not, and scripts use the rest."""
    folder = config / "integrations"
    folder.mkdir()
    for name, (text, _, _) in BROKEN.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "fine.py").write_text(good("fine"))
    listed = kosmolua("integrations")
    assert listed.returncode == 0
    assert listed.stderr == ""
    rows = {row.split("\t")[0]: row for row in listed.stdout.splitlines()}
    for name, (_, message, line) in BROKEN.items():
        assert message.split(" (")[0] in rows[name], name
        assert f"{name}.py{f':{line}' if line else ''}" in rows[name], name
    assert "1 read, 0 writes" in rows["fine"]
    for script in (
        "print(app.integrations.fine.hello())",
        "print(#app.integrations.render2.list_services({ limit = 3 }).services)",
    ):
        ran = kosmolua("run", "-e", script, "--simulate")
        assert ran.returncode == 0, script
        assert ran.stderr == "", script


@pytest.mark.slow
def test_a_file_that_is_misnamed_hurts_nothing_else(config: Path, kosmolua: Program) -> None:
    """It is a line of the list, with its file, and every command does its work for the rest."""
    folder = config / "integrations"
    folder.mkdir()
    (folder / "a-b.py").write_text(good("a_b"))
    (folder / "fine.py").write_text(good("fine"))
    said = "a plugin cannot be called 'a-b' (rename it with a-z, 0-9 and _, a letter first)"

    listed = kosmolua("integrations")
    assert f"a-b\tbroken\terror: {said}\t{folder / 'a-b.py'}\n" in listed.stdout
    for words in (
        ["docs"],
        ["docs", "--search", "hello"],
        ["accounts"],
        ["accounts", "check", "--simulate"],
        ["accounts", "example"],
        ["stubs", str(config / "stubs")],
        ["run", "-e", "print(lua_list_docs(), lua_search_docs('hello'), 'fine', app.integrations.fine.hello())"],
    ):
        done = kosmolua(*words)
        assert "fine" in done.stdout, (words, done.stderr)
    asked = kosmolua("docs", "a-b")
    assert asked.returncode == 3
    assert said in asked.stderr
    assert str(folder / "a-b.py") in asked.stderr


@pytest.mark.slow
def test_a_script_sees_what_is_wrong(write: Write, kosmolua: Program) -> None:
    """A script that uses a broken integration gets an error that it can catch; the user also gets the file and line."""
    path = write("broken.py", BROKEN["untyped"][0])
    script = "local ok, e = pcall(function() return app.integrations.broken.hello() end) print(ok, e.code, e)"
    ran = kosmolua("run", "-e", script, "--plugin", str(path), "--simulate")
    said = "The integration broken cannot be loaded: parameter name of hello has no annotation"
    assert ran.stdout == f"false\tplugin_error\t{said}\n"
    read = script.replace("function() return app.integrations.broken.hello() end", "lua_read_doc, 'broken'")
    ran = kosmolua("run", "-e", read, "--plugin", str(path), "--simulate")
    assert ran.stdout == f"false\tplugin_error\t{said.replace('broken', 'of this page', 1)}\n"
    called = kosmolua("call", "broken.hello", "--plugin", str(path), "--simulate")
    assert called.returncode == 3
    assert called.stderr.startswith(f"kosmolua: {said} [{path}:")


# Clashes


def test_two_of_one_name_are_both_named(plugins: Plugins, write: Write) -> None:
    """Neither is taken: the user is told of both places."""
    paths = [write("bundled/same.py", good("same", "one")), write("user/same.py", good("same", "two"))]
    with pytest.raises(PluginError) as clash:
        plugins.load("same")
    assert clash.value.message == f"two integrations are called same: {paths[0]} and {paths[1]} (remove one)"


@pytest.mark.parametrize("other", ["bundled", "user", "--plugin"])
def test_a_named_plugin_clashes_too(tmp_path: Path, write: Write, other: str) -> None:
    """``--plugin`` does not silently replace what is installed, nor another ``--plugin``."""
    mine, theirs = write("mine/tool.py", good("same")), write(f"{other}/same.py", good("same"))
    named = [mine, theirs] if other == "--plugin" else [mine]
    places = [PluginFolder(other, tmp_path / other)] if other != "--plugin" else []
    with pytest.raises(PluginError, match="two integrations are called same") as clash:
        Plugins(named, places=places, entry_points=dict).load("same")
    assert str(mine) in clash.value.message
    assert str(theirs) in clash.value.message


def test_the_same_file_twice_is_no_clash(tmp_path: Path, write: Write) -> None:
    """A plugin that is named twice, or named and installed, is one plugin."""
    path = write("user/one.py", good("one"))
    plugins = Plugins([path, path], places=[PluginFolder("user", tmp_path / "user")], entry_points=dict)
    assert plugins.load("one").integration.name == "one"


def packages(site: Path, *names: str) -> dict[str, list[EntryPoint]]:
    """Install packages that all offer an integration called same, and return their entry points."""
    for name in names:
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(good("same", name))
    return {"same": [EntryPoint("same", name) for name in names]}


@pytest.mark.parametrize("other", ["bundled", "user", "--plugin"])
def test_an_installed_package_clashes_too(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """With a file anywhere: whichever was taken, an account would get to the wrong one in silence."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    points = packages(tmp_path / "site", f"package_{other.strip('-')}")
    path = write(f"{other}/same.py", good("same"))
    places = [PluginFolder(other, tmp_path / other)] if other != "--plugin" else []
    with pytest.raises(PluginError) as clash:
        Plugins([path] if other == "--plugin" else [], places=places, entry_points=lambda: points).load("same")
    origins = f"{path} and package_{other.strip('-')}"
    assert clash.value.message == f"two integrations are called same: {origins} (remove one)"


def test_two_installed_packages_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is imported."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    points = packages(tmp_path / "site", "package_one", "package_two")
    with pytest.raises(PluginError) as clash:
        Plugins(places=[], entry_points=lambda: points).load("same")
    assert clash.value.message == "two integrations are called same: package_one and package_two (remove one)"
    assert not {"package_one", "package_two"} & sys.modules.keys()


def test_the_same_package_twice_is_no_clash(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is installed, and also named by its path or given as a value, as while it is being written."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    points = packages(tmp_path / "site", "package_mine")
    module = write("site/package_mine/inner.py", good("same"))
    for named in (tmp_path / "site" / "package_mine", module, importlib.import_module("package_mine").integration):
        plugins = Plugins(named, places=[], entry_points=lambda: {"same": points["same"] * 2})
        assert plugins.load("same").integration.name == "same"


@pytest.mark.slow
def test_installed_packages_of_one_name_are_a_line_of_the_list(
    config: Path, tmp_path: Path, kosmolua: Program, environment: dict[str, str]
) -> None:
    """The list, a script and the check say the same of a package and a file in the user's folder."""
    site = tmp_path / "site"
    packages(site, "package_listed")
    info = site / "package_listed-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[kosmolua.integrations]\nsame = package_listed\n")
    (config / "integrations").mkdir()
    path = config / "integrations" / "same.py"
    path.write_text(good("same"))
    variables = {"PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], str(site)])}
    said = f"two integrations are called same: {path} and package_listed (remove one)"

    listed = kosmolua("integrations", variables=variables)
    assert f"same\tbroken\terror: {said}" in listed.stdout
    ran = kosmolua("run", "-e", "print(pcall(app.integrations.same.hello))", "--simulate", variables=variables)
    assert ran.returncode == 3
    assert "two integrations are called same" in ran.stderr
    checked = kosmolua("integrations", "check", "same", variables=variables)
    assert checked.returncode == 3
    assert said in checked.stderr


# Threads, and leftovers


@pytest.mark.slow
def test_threads_that_want_the_same_plugin_share_one(plugins: Plugins, write: Write) -> None:
    """Nobody sees a plugin that another thread has only half loaded."""
    write("user/lazy.py", "import time\ntime.sleep(0.2)\n" + good("lazy"))
    barrier, found = Barrier(8), []

    def want() -> None:
        barrier.wait()
        found.append(plugins.load("lazy").integration)

    threads = [Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_plugins_do_not_meet(tmp_path: Path, write: Write) -> None:
    """Two folders may hold modules of one name, and none of them is importable by its plain name."""
    for folder in ("a", "b"):
        write(f"{folder}/json.py", good("json", folder))
    for folder in ("a", "b"):
        plugins = Plugins(places=[PluginFolder(folder, tmp_path / folder)], entry_points=dict)
        assert plugins.load("json").integration.about == folder
    assert json.dumps([1]) == "[1]"


def test_require_loads_nothing(plugins: Plugins, write: Write) -> None:
    """Whether an integration exists is known without running it; a typo gets a suggestion."""
    write("user/fragile.py", "raise SystemExit\n")
    plugins.require("fragile", "accounts.toml: [fragile]")
    with pytest.raises(ConfigError, match=r"toml: \[fragil\] names no integration \(did you mean 'fragile'\?\)"):
        plugins.require("fragil", "accounts.toml: [fragil]")
    assert "raise SystemExit" in plugins.sources("fragile")[0]
