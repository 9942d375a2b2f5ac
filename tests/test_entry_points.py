"""The integrations of installed packages, found without importlib.metadata, and as it would find them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT

from kosmolua import NotConfigured, PluginError, Runtime
from kosmolua.accounts.sources import Sources, check_secret, source_of
from kosmolua.cli.program import run_program
from kosmolua.docs.pages import GuidePage
from kosmolua.entry_points import INTEGRATIONS, installed
from kosmolua.schema.mismatch import Mismatch
from kosmolua.stores.opening import open_stores

ODD = """
# of ours
[console_scripts]
kosmolua.integrations = not.ours

[kosmolua.integrations]
plain = package_a
named = package_a.deep:holder.integration
spaced   =   package_a : holder
extra = package_a [with, extras]
# comment = nothing

[kosmolua.integrations.more]
other = not.ours
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders on the import path, the first of which goes first, and nothing else with entry points of ours."""
    install(tmp_path / "first", "package_a", ODD)
    install(tmp_path / "second", "package_a", "[kosmolua.integrations]\nshadowed = package_a\n")
    install(tmp_path / "second", "package_b", "[kosmolua.integrations]\nplain = package_b\nsecond = package_b\n")
    install(tmp_path / "second", "package_c", "[other]\nx = y\n")
    (tmp_path / "second" / "package_d-1.0.dist-info").mkdir()
    paths = [str(tmp_path / "first"), str(tmp_path / "missing"), str(tmp_path / "second")]
    monkeypatch.setattr(sys, "path", [*paths, *filter(os.path.isdir, sys.path)])
    return tmp_path


def install(folder: Path, package: str, entry_points: str) -> None:
    """Put a package with entry points into a folder."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (folder / f"{package}.py").write_text(f"name = '{package}'\n")


def test_it_finds_what_importlib_metadata_finds(site: Path) -> None:
    """Names and modules, also of a name that two packages have."""
    points = installed(INTEGRATIONS)
    theirs = importlib.metadata.entry_points(group="kosmolua.integrations")

    assert set(points) == {point.name for point in theirs} == {"plain", "named", "spaced", "extra", "second"}
    assert {name: [point.module for point in found] for name, found in points.items()} == {
        name: [point.module for point in theirs if point.name == name] for name in points
    }
    assert [point.module for point in points["plain"]] == ["package_a", "package_b"]


def test_a_package_that_is_found_twice_counts_once(site: Path) -> None:
    """As one that is installed in place, whose source folder has metadata too."""
    info = site / "second" / "package_a.egg-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[kosmolua.integrations]\nplain = package_a.old\n")

    assert [point.module for point in installed(INTEGRATIONS)["plain"]] == ["package_a", "package_b"]


def test_what_it_names_is_imported_when_it_is_loaded(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module, or what is inside one; nothing is imported before."""
    for name in ("package_a", "package_b"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    points = installed(INTEGRATIONS)
    assert "package_b" not in sys.modules

    assert points["second"][0].load() is sys.modules["package_b"]
    (site / "first" / "package_a.py").write_text("class holder:\n    integration = 7\n")
    assert points["spaced"][0].load().integration == 7
    with pytest.raises(ModuleNotFoundError):
        points["named"][0].load()


@pytest.fixture
def archive(site: Path) -> Path:
    """A package with an entry point, one without, and one whose name an earlier folder has, in one zip."""
    file = site / "all.zip"
    with zipfile.ZipFile(file, "w") as zipped:
        for package, name in (("package_z", "zipped"), ("package_a", "shadowed")):
            info = f"{package}-1.0.dist-info"
            zipped.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            zipped.writestr(f"{info}/entry_points.txt", f"[kosmolua.integrations]\n{name} = {package}\n")
        zipped.writestr("package_y-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: package_y\nVersion: 1.0\n")
        zipped.writestr("package_z.py", "name = 'z'\n")
    return file


def test_an_archive_on_the_path_is_looked_into(site: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when everything is run from one zip."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(archive)])
    points = installed(INTEGRATIONS)
    theirs = importlib.metadata.entry_points(group="kosmolua.integrations")

    assert set(points) == {point.name for point in theirs} == {"plain", "named", "spaced", "extra", "second", "zipped"}
    assert points["zipped"][0].load().name == "z"


def test_a_file_on_the_path_that_is_no_archive_offers_nothing(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python imports nothing from it either."""
    (site / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    monkeypatch.setattr(sys, "path", [str(site / "broken.zip"), *sys.path])

    assert "plain" in installed(INTEGRATIONS)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside an archive"])
def test_the_folder_that_the_user_stands_in_offers_nothing(
    site: Path, archive: Path, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although ``python -m`` puts it on the import path: a cloned repository must not run code."""
    install(site / "cloned", "package_e", "[kosmolua.integrations]\nevil = package_e\n")
    if beside:
        monkeypatch.setattr(sys, "path", [str(archive), *sys.path])
    monkeypatch.setattr(sys, "path", [str(site / "cloned"), *sys.path])
    assert "evil" in installed(INTEGRATIONS)

    monkeypatch.chdir(site / "cloned")
    assert "evil" not in installed(INTEGRATIONS)
    assert "plain" in installed(INTEGRATIONS)


@pytest.mark.skipif(os.name == "nt", reason="needs permissions of POSIX")
def test_a_folder_that_may_not_be_read_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python imports nothing from it either; the other folders are read as ever."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(sys, "path", [folder])
        Path(folder).chmod(0)
        with nobody():
            assert installed(INTEGRATIONS) == {}
        Path(folder).chmod(0o700)


@contextmanager
def nobody() -> Iterator[None]:
    """Be no superuser, who may read everything, while a ``with`` block lasts."""
    own = os.geteuid()
    os.seteuid(own or 65534)
    try:
        yield
    finally:
        os.seteuid(own)


BROKEN = """
[kosmolua.commands]
run = package_k:hidden
lost = package_k:missing
plain = package_k:text
crash = package_k:crash
fine = package_k:fine

[kosmolua.secrets]
env = package_k:text_of
shelf = package_k:text_of
number = package_k:number_of
lost = package_k:missing

[kosmolua.stores]
shelf = package_k:stores
lost = package_k:missing
odd = package_k:text_of

[kosmolua.providers]
shelf = package_k:shelf
lost = package_k:missing
"""
MODULE = """
import os
import re
import subprocess
from dataclasses import dataclass
import click
from kosmolua.plugin import Integration
from kosmolua.stores.opening import open_stores

@dataclass(frozen=True)
class Account:
    def open(self, send):
        return None

text = "no command"

@click.command()
def hidden():
    click.echo("hidden")

@click.command()
def crash():
    raise ValueError("on fire")

@click.command()
@click.argument("word")
def fine(word):
    click.echo(f"fine, {word}")
    return "not a status"

def text_of(reference):
    if reference == "empty":
        raise KeyError("no such shelf")
    return f"the secret {reference}"

def number_of(reference):
    return 7

def stores(address):
    return open_stores(address.removeprefix("shelf://"))

def shelf():
    books = Integration("books", Account, about="Books of a shelf.")

    @books.reads
    def count_books(_, /) -> int:
        "Count the books."
        return 3

    return {"books": books}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with entries of every group, some of them broken."""
    install(tmp_path / "packages", "package_k", BROKEN)
    (tmp_path / "packages" / "package_k.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delitem(sys.modules, "package_k", raising=False)
    return tmp_path / "packages"


def command(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process; return its exit status, and what it wrote to both streams."""
    status = run_program(words, None)
    return status, *capfd.readouterr()


@pytest.mark.usefixtures("package")
def test_a_package_adds_a_command(capfd: pytest.CaptureFixture[str]) -> None:
    """It takes arguments of its own; what it returns is no exit status."""
    assert command(capfd, "fine", "today") == (0, "fine, today\n", "")


@pytest.mark.usefixtures("package")
def test_the_help_lists_commands_of_packages(capfd: pytest.CaptureFixture[str]) -> None:
    """Without importing them."""
    status, shown, _ = command(capfd, "--help")

    assert status == 0
    assert "fine From the package package_k." in " ".join(shown.split())
    assert "package_k" not in sys.modules


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("lost", "failed: AttributeError: module 'package_k' has no attribute 'missing'"),
        ("plain", "cannot be called"),
        ("crash", "failed: ValueError: on fire"),
    ],
)
def test_a_broken_command_is_a_sentence(capfd: pytest.CaptureFixture[str], name: str, problem: str) -> None:
    """It names the package and the entry, whether the command cannot be imported or fails."""
    status, shown, said = command(capfd, name)

    assert shown == ""
    assert status == 3
    assert f"the entry {name} in kosmolua.commands of the package package_k {problem}" in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("package")
def test_a_command_hides_none_that_is_built_in(capfd: pytest.CaptureFixture[str]) -> None:
    """The package's is never run."""
    status, shown, _ = command(capfd, "run", "--help")

    assert status == 0
    assert "Lua" in shown
    assert "package_k" not in sys.modules


@pytest.mark.usefixtures("package")
def test_a_package_adds_a_source_of_secrets() -> None:
    """Accounts and the command line name it like those that are built in."""
    sources = Sources(Path(), {"NAME": "from the environment"}, print)
    check_secret({"shelf": "a"})

    assert source_of("shelf:a/b c") == {"shelf": "a/b c"}
    assert sources.read("books.mine.key", {"shelf": "a"}).reveal() == "the secret a"
    assert sources.read("books.mine.key", {"env": "NAME"}).reveal() == "from the environment"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"shelf": "empty"}, "the entry shelf in kosmolua.secrets of the package package_k failed: KeyError"),
        ({"number": "a"}, "the entry number in kosmolua.secrets of the package package_k has to return a string"),
        ({"lost": "a"}, "the entry lost in kosmolua.secrets of the package package_k failed: AttributeError"),
    ],
)
def test_a_broken_source_of_secrets_is_a_sentence(given: dict[str, str], problem: str) -> None:
    """Scripts see which secret is missing, and people also why."""
    with pytest.raises(NotConfigured) as raised:
        Sources(Path(), {}, print).read("books.mine.key", given)

    assert raised.value.message.startswith("The secret books.mine.key cannot be fetched from its source")
    assert problem in str(raised.value.detail)


@pytest.mark.usefixtures("package")
def test_an_unknown_source_lists_those_of_packages() -> None:
    """Beside those that are built in."""
    with pytest.raises(Mismatch, match=r'\{ shelf = "REFERENCE" \}'):
        check_secret({"shlef": "a"})


@pytest.mark.usefixtures("package")
def test_a_package_adds_a_store(tmp_path: Path) -> None:
    """The scheme of an address is the name of its entry."""
    stores = open_stores(f"shelf://{tmp_path / 'kept'}")

    assert stores.of("ann").runs() == []


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("scheme", "problem"), [("lost", "failed: AttributeError"), ("odd", "has to return stores")])
def test_a_broken_store_is_a_sentence(scheme: str, problem: str) -> None:
    """It names the package and the entry."""
    with pytest.raises(PluginError, match=f"the entry {scheme} in kosmolua.stores of the package package_k {problem}"):
        open_stores(f"{scheme}://x")


@pytest.mark.usefixtures("package")
def test_a_package_adds_a_provider() -> None:
    """Its integrations are called like any other, and are listed."""
    with Runtime({}, environ={}) as runtime:
        assert runtime.run("return app.integrations.books.count_books()").result == [3]
        assert "books" in runtime.catalog.names()
        assert runtime.catalog.plugin("books").place == "provider"


@pytest.mark.usefixtures("package")
def test_a_provider_is_not_imported_for_other_integrations() -> None:
    """It is asked for a name that is in no other place."""
    with Runtime({}, simulate=True, environ={}) as runtime:
        assert runtime.run("return app.integrations.render2.get_current_user().email").ok
    assert "package_k" not in sys.modules


@pytest.mark.usefixtures("package")
def test_a_broken_provider_is_listed_with_a_sentence() -> None:
    """Under the name of its entry; other integrations work."""
    problem = "the entry lost in kosmolua.providers of the package package_k failed: AttributeError"
    with Runtime({}, environ={}) as runtime:
        assert "books" in {each.name for each in runtime.catalog.loadable()}
        with pytest.raises(PluginError, match=problem):
            runtime.catalog.plugin("lost")


@pytest.mark.usefixtures("package")
def test_doctor_tries_the_entries_of_packages(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It tells which work, which do not, and which are never used."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    _, shown, said = command(capfd, "doctor", "--json")
    assert shown, said
    states = {each["subject"]: each["state"] for each in json.loads(shown)["checks"]}

    assert states["command fine"] == "ok"
    assert states["command lost"] == "error"
    assert states["command run"] == "note"
    assert states["source shelf"] == "ok"
    assert states["source lost"] == "error"
    assert states["source env"] == "note"
    assert states["store shelf"] == "ok"
    assert states["store lost"] == "error"


@pytest.fixture(scope="module")
def orbit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the guide, built into a wheel and installed into a folder."""
    pytest.importorskip("hatchling", reason="builds the wheel without a network")
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("orbit")
    for name, code in re.findall(
        r"^```\w+\n# ([\w.]+)\n(.*?)^```$", GuidePage("plugin_names").full(), re.DOTALL | re.MULTILINE
    ):
        if name in ("pyproject.toml", "kosmolua_orbit.py"):
            (folder / name).write_text(code)  # the last pyproject.toml of the page is that of this package
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder)]
    subprocess.run(build, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


@pytest.mark.slow
def test_the_package_of_the_guide_adds_one_of_each(orbit: Path, environment: dict[str, str], home: Path) -> None:
    """A command, a source of secrets, a store and a provider, once its wheel is installed beside."""
    variables = environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(orbit)])}

    def kosmolua(*words: str) -> str:
        command = [sys.executable, "-m", "kosmolua", *words]
        done = subprocess.run(command, env=variables, cwd=home, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert kosmolua("orbit") == "in orbit\n"
    assert kosmolua("run", "--secret", "KEY=orbit:far", "-e", "print(secrets.KEY)") == "***\n"
    assert kosmolua("call", "planets.year_of_mars") == "687\n"
    assert kosmolua("runs", "--tenant", "ann", "--store", f"orbit://{home / 'kept'}", "--json") == "[]\n"
