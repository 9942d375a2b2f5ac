"""Hundreds of integrations: a script that uses one of them loads that one only."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Program
from support.catalogs import write_plugin

INTEGRATIONS = 600
LOUD = "import sys\nprint('loaded', __name__.rpartition('.')[2], file=sys.stderr)\n"


@pytest.fixture
def many(config: Path) -> Path:
    """The user's own folder, with 600 integrations of 70 functions that say when they are loaded."""
    folder = config / "integrations"
    folder.mkdir()
    first = write_plugin(folder, "service0")
    text = first.read_text().replace(
        "from __future__ import annotations\n", "from __future__ import annotations\n" + LOUD
    )
    for number in range(INTEGRATIONS):
        name = f"service{number}"
        (folder / f"{name}.py").write_text(text.replace('Integration("service0"', f'Integration("{name}"'))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "loaded"),
    [
        ("print(app.integrations.service7.list_invoice({ invoice_id = '1' }) ~= nil)", ["service7"]),
        (
            "print(app.integrations.service7.list_invoice == nil, app.integrations.service42 ~= nil)",
            ["service7", "service42"],
        ),
        ("local n = 0 for _ in pairs(app.integrations) do n = n + 1 end print(n == 602)", []),
        ("print(lua_list_docs():find('service599') ~= nil)", []),
        ("print(true)", []),
    ],
)
def test_a_script_loads_what_it_names(kosmolua: Program, many: Path, script: str, loaded: list[str]) -> None:
    """And nothing for the list of what there is."""
    ran = kosmolua("run", "-e", script)

    assert ran.stdout.split()[-1] == "true"
    assert [line.removeprefix("loaded ") for line in ran.stderr.splitlines()] == loaded


@pytest.mark.slow
def test_an_integration_is_described_without_any_other(kosmolua: Program, many: Path) -> None:
    """Its page, a call without Lua and its stanza load it alone."""
    for arguments in (
        ["docs", "service7"],
        ["call", "service7.list_invoice", "invoice_id=1"],
        ["accounts", "example", "service7"],
    ):
        ran = kosmolua(*arguments)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr.splitlines() == ["loaded service7"]
