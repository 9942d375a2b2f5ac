"""The integrations of installed packages, found without importlib.metadata, and as it would find them."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kosmolua.catalog.loading import installed_entry_points

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
    points = installed_entry_points()
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

    assert [point.module for point in installed_entry_points()["plain"]] == ["package_a", "package_b"]


def test_what_it_names_is_imported_when_it_is_loaded(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module, or what is inside one; nothing is imported before."""
    for name in ("package_a", "package_b"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    points = installed_entry_points()
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
    points = installed_entry_points()
    theirs = importlib.metadata.entry_points(group="kosmolua.integrations")

    assert set(points) == {point.name for point in theirs} == {"plain", "named", "spaced", "extra", "second", "zipped"}
    assert points["zipped"][0].load().name == "z"


def test_a_file_on_the_path_that_is_no_archive_offers_nothing(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python imports nothing from it either."""
    (site / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    monkeypatch.setattr(sys, "path", [str(site / "broken.zip"), *sys.path])

    assert "plain" in installed_entry_points()


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside an archive"])
def test_the_folder_that_the_user_stands_in_offers_nothing(
    site: Path, archive: Path, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although ``python -m`` puts it on the import path: a cloned repository must not run code."""
    install(site / "cloned", "package_e", "[kosmolua.integrations]\nevil = package_e\n")
    if beside:
        monkeypatch.setattr(sys, "path", [str(archive), *sys.path])
    monkeypatch.setattr(sys, "path", [str(site / "cloned"), *sys.path])
    assert "evil" in installed_entry_points()

    monkeypatch.chdir(site / "cloned")
    assert "evil" not in installed_entry_points()
    assert "plain" in installed_entry_points()


@pytest.mark.skipif(os.name == "nt", reason="needs permissions of POSIX")
def test_a_folder_that_may_not_be_read_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python imports nothing from it either; the other folders are read as ever."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(sys, "path", [folder])
        Path(folder).chmod(0)
        with nobody():
            assert installed_entry_points() == {}
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
