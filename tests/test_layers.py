"""The walls: which module may import which, and where each library lives."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kosmolua"
GUEST = ("wire", "sandbox")
ORDER = """
    errors once launch suggestions limits secret values wire sandbox
    api.message api.deadline api.pace api.reason api.client api.paging api.transport
    spec.types spec.function spec.integration spec.wording spec.luacats
    plugin sources accounts plugins catalog docs stubs policy journal backends dispatch desk
    workers supervisor outcome run run_options runtime mcp cli __main__
""".split()
"""The rooms: each may import only those left of it, and a package that stands here as a whole also itself."""
HOMES = {
    "lupa": ["sandbox.vm"],
    "requests": ["api.transport"],
    "urllib3": ["api.transport", "api.deadline"],
    "tomli": ["accounts"],
    "keyring": ["sources"],
    "platformdirs": ["accounts", "plugins"],
    "click": ["cli"],
    "rich": ["cli"],
    "prompt_toolkit": ["cli"],
    "pygments": ["cli"],
    "mcp": ["mcp"],
    "jsonschema": ["mcp"],
    "anyio": ["mcp"],
    "uvicorn": ["mcp"],
    "typing_extensions": ["runtime"],
}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in PACKAGE.rglob("*.py")
    if "_bundled" not in path.parts
}


def imports_of(module: str) -> set[str]:
    """Return what a module imports anywhere: as ``api.client`` in the package, as ``lupa.lua54`` outside of it."""
    tree, names = ast.parse(MODULES[module].read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name.removeprefix("kosmolua.") in MODULES else str(node.module) for name in whole}
    return {name.removeprefix("kosmolua.").replace("kosmolua", "") for name in names}


GRAPH = {module: imports_of(module) for module in MODULES if module}


def room_of(module: str) -> str:
    """Return the entry of the order that a module belongs to."""
    parts = module.split(".")
    return next(room for size in range(len(parts), 0, -1) if (room := ".".join(parts[:size])) in ORDER)


def is_within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_has_a_place(module: str) -> None:
    """A new file has to say where it stands; a package that only holds modules needs no place of its own."""
    holds = any(is_within(room, module) for room in ORDER)
    assert not module or holds or room_of(module), f"give {module} a place in ORDER"


@pytest.mark.parametrize("module", sorted(GRAPH))
def test_imports_point_to_the_left(module: str) -> None:
    """A module imports only what stands left of it, also inside functions and for type checkers."""
    inside = {name for name in GRAPH[module] if name in MODULES and any(is_within(name, room) for room in ORDER)}
    here = ORDER.index(room_of(module)) if inside else 0
    wrong = {name for name in inside if ORDER.index(room_of(name)) > here}
    assert not wrong, f"{module} imports {wrong}, which stands right of it"


def test_the_front_page_imports_nothing() -> None:
    """The guest imports kosmolua/__init__.py too, so its names are fetched on use; the others are for type checkers."""
    tree = ast.parse(MODULES[""].read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]


def test_guest_and_host_never_meet() -> None:
    """The sandbox imports only the letterbox, and nothing of the host imports the sandbox."""
    guests = {module for module in GRAPH if is_within(module, "sandbox")}
    assert len(guests) > 3
    for module, names in GRAPH.items():
        own = {name for name in names if name in MODULES and name}
        if module in guests or module == "wire":
            assert {name.partition(".")[0] for name in own} <= {*GUEST}, module
        else:
            assert not own & guests, f"{module} imports the sandbox"


def test_each_library_lives_in_its_room() -> None:
    """A library that is not Python's own is imported only where HOMES says."""
    for module, names in GRAPH.items():
        for name in {name.partition(".")[0] for name in names if name and name not in MODULES}:
            at_home = any(is_within(module, home) for home in HOMES.get(name, ()))
            assert at_home or name in sys.stdlib_module_names, f"{module} imports {name}"


def test_there_is_no_circle() -> None:
    """No module imports itself by way of others, lazy imports counted."""
    order = list(TopologicalSorter({module: names & MODULES.keys() for module, names in GRAPH.items()}).static_order())
    assert len(order) >= len(GRAPH)
