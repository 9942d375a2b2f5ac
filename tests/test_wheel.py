"""The wheel: what is in it, and that it works where the source is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

pytest.importorskip("hatchling", reason="builds the wheel without a network")
BUILD = "import sys; from hatchling.build import build_wheel; [build_wheel(folder) for folder in sys.argv[1:]]"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheel, built from the source twice."""
    folders = [tmp_path_factory.mktemp("wheel") for _ in range(2)]
    words = [sys.executable, "-c", BUILD, *map(str, folders)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return [path for folder in folders for path in folder.glob("*.whl")]


@pytest.fixture(scope="module")
def wheel(wheels: list[Path]) -> Path:
    return wheels[0]


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is installed: a wheel of plain Python is installed by being unpacked."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


Installed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["installed", pytest.param("as a zip", marks=pytest.mark.slow)])
def installed(request: pytest.FixtureRequest, wheel: Path, environment: dict[str, str], home: Path) -> Installed:
    """Return a function that runs an interpreter which sees the wheel and its dependencies, and no source."""
    place = wheel if request.param == "as a zip" else request.getfixturevalue("unpacked")
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    variables = environment | {"PYTHONPATH": os.pathsep.join([str(place), *libraries])}

    def run(*words: str, **options: Any) -> Any:
        # Without site no .pth file is read, by which the source would be found again.
        given = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 60, **options}
        return subprocess.run([sys.executable, "-S", *words], env=variables, cwd=home, **given)

    return run


@pytest.mark.slow
def test_it_is_the_same_however_often_it_is_built(wheels: list[Path]) -> None:
    """So that anybody can build a release again, and compare the hashes."""
    first, second = (path.read_bytes() for path in wheels)
    assert first == second


@pytest.mark.slow
def test_what_is_in_it(wheel: Path) -> None:
    """One package and its metadata; integrations, guides, the prelude and templates are inside the package."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(about).decode())
        (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "kosmolua = kosmolua.cli:main" in archive.read(scripts).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"kosmolua"}
    shipped = ("py.typed", "_bundled/render2/render2.md", "docs/guides/overview.md", "sandbox/lua/boot.lua")
    assert [name for name in shipped if f"kosmolua/{name}" not in names] == []
    assert not [name for name in names if name.endswith(".pyc") or "/tests/" in name]
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "# KosmoLua" in str(metadata.get_payload())


@pytest.mark.slow
def test_every_file_of_the_source_is_in_it(wheel: Path) -> None:
    """Nothing that the package reads at run time is forgotten."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, place in (("kosmolua", "kosmolua"), ("integrations", "kosmolua/_bundled")):
        files = (path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())
        assert {f"{place}/{file}" for file in files if "__pycache__" not in file} <= names


@pytest.mark.slow
def test_it_stands_alone(installed: Installed) -> None:
    """The package that runs is that of the wheel."""
    done = installed(
        "-c", "import kosmolua, kosmolua.catalog.plugins as p; print(kosmolua.__file__, p.bundled_folder())"
    )
    assert str(ROOT) not in done.stdout, done.stdout
    assert done.stdout.rstrip().endswith("_bundled")


@pytest.mark.slow
def test_it_runs_scripts(installed: Installed) -> None:
    """A script with simulated calls, a limit, and a page of documentation read from Lua."""
    script = """
        local render = app.integrations.render2.production
        local found = render.list_services({ limit = 3 })
        print(#found.services, #lua_read_doc("integrations.render2") > 1000)
        print(#parallel.map(found.services, function(s) return render.get_service(s.id) end))"""
    done = installed("-m", "kosmolua", "run", "-e", script, "--simulate")
    assert done.returncode == 0
    assert done.stdout == "3\ttrue\n3\n"
    assert done.stderr == ""
    limited = installed("-m", "kosmolua", "run", "-e", "while true do end", "--timeout", "0.5")
    assert limited.returncode == 124


SEVERAL = """
import os, sys
from kosmolua.cli import main
os._exit = sys.exit  # by which a command ends its process
output = os.dup(1)
for command in sys.argv[1:]:
    try:
        main(command.split())
    except SystemExit as end:
        assert not end.code, command
    os.write(output, b"\\0")
"""
"""Runs commands, and ends what each writes with a zero byte."""


@pytest.mark.slow
def test_it_has_its_documentation_and_integrations(installed: Installed) -> None:
    """Guides, reference pages, the search, the list of integrations and the accounts stanza, from one interpreter:
    each new one would compile what it imports from a zip."""
    commands = (
        "docs",
        "docs overview",
        "docs render2.get_service",
        "docs --search deploys",
        "integrations --json",
        "accounts example",
        "call render2.get_current_user --simulate",
    )
    done = installed("-c", SEVERAL, *commands)
    assert done.returncode == 0, done.stderr
    guides, guide, page, found, listed, example, called = done.stdout.split("\0")[:-1]
    assert "`overview`" in guides
    assert guide.startswith("# ")
    assert "service_id" in page
    assert "list_deploys" in found
    listed = {(entry["name"], entry["place"], entry["error"]) for entry in json.loads(listed)}
    assert ("render2", "bundled", None) in listed
    assert "[render2.default]" in example
    assert "email" in json.loads(called)


@pytest.mark.slow
def test_it_can_be_used_from_python(installed: Installed) -> None:
    """Runs come from a warm process there too."""
    code = """
from kosmolua import Runtime
with Runtime({}, simulate=True) as runtime:
    print([runtime.run("return ...", args=[str(n)]).result for n in range(3)])
    print(runtime.call("render2.list_owners")["owners"][0]["id"])"""
    done = installed("-c", code)
    assert done.stderr == ""
    assert done.stdout.startswith("[['0'], ['1'], ['2']]\ntea-")
