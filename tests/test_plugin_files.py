"""The files of a plugin, as far as its code says which they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Write

from kosmolua import plugin_files
from kosmolua.plugin_files import files_of


def found(module: Path) -> list[str] | None:
    """Return the files of a plugin, as paths from its folder."""
    files = files_of([str(module)])
    return files and [str(Path(file).relative_to(module.parent)) for file in files]


@pytest.mark.parametrize(
    "code",
    [
        "import parts.codes",
        "from .parts import (\n    codes,\n)",
        "from . import parts",
        "import importlib\nimportlib.import_module('.parts', __package__)",
        "from pathlib import Path\nDATA = Path(__file__).parent / 'parts/codes.py'",
    ],
)
def test_folders_that_code_names_belong_to_a_module(write: Write, code: str) -> None:
    """By an import, or by a path; what it imports from there can name more."""
    module = write("shop.py", code)
    write("parts/codes.py", "from ..units import weight")
    write("units/weight.json", "{}")
    write("parts/.cache/x.py", "")
    assert found(module) == ["parts/codes.py", "shop.py", "units/weight.json"]


def test_a_folder_that_is_only_spoken_of_does_not_belong_to_a_module(write: Write) -> None:
    """As at the root of a repository, where many words of a text are names of folders."""
    module = write("shop.py", '"""Goods, with their docs and tests; see parts."""\nparts = 1  # from docs\n')
    for folder in ("docs", "tests", "parts"):
        write(f"{folder}/page.py", "")
    write("setup.py", "import tests.page")
    assert found(module) == ["setup.py", "shop.py"]


def test_to_a_package_belongs_all_that_is_in_it(write: Write) -> None:
    """Whichever of its modules is asked about."""
    write("shop/__init__.py", "")
    module = write("shop/parts/calls.py", "")
    write("shop/parts/__init__.py", "")
    write("shop/data/goods.json", "{}")
    write("other.py", "")
    whole = ["../__init__.py", "../data/goods.json", "../parts/__init__.py", "../parts/calls.py"]
    assert files_of([str(module)]) == [str((module.parent / each).resolve()) for each in whole]


def test_files_are_not_known_if_they_are_too_many(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or if there is a link to a folder."""
    module = write("shop.py", "from .parts import codes")
    write("parts/codes.py", "")
    monkeypatch.setattr(plugin_files, "MAX_FILES", 2)
    assert found(module) == ["parts/codes.py", "shop.py"]
    more = write("parts/more.py", "")
    assert found(module) is None
    more.unlink()
    (module.parent / "parts" / "link").symlink_to(module.parent)
    assert found(module) is None
