"""The walls: which module may import which, and where each library lives."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kosmolua"
_LEFT_TO_RIGHT = """
    errors threads blame occupancy once spelling suggestions limits clock secret values wire sandbox
    api.message api.deadline api.pace api.reason api.client api.paging api.transport
    paths spec.names spec.mismatch spec.types spec.bounds spec.annotations spec.results
    spec.parameter spec.arguments spec.function spec.integration spec.placeholder spec.wording spec.luacats plugin
    places loading entry_points sources sections stanza accounts plugins catalog docs stubs scaffold policy journal
    backends dispatch desk
    processes.launch processes.children processes.zygote processes.workers
    supervision.caller supervision.spool supervision.crew supervision.refusals supervision.ending
    supervision.verdict supervision.pump supervision.supervisor
    outcome run run_options session.guest session.chunk session.answer session.session session runtime
    testing lint mcp cli __main__
"""
ORDER = _LEFT_TO_RIGHT.split()
"""The rooms: each may import only those left of it, and a package that stands here as a whole also itself."""
GUEST = ("errors", "values", "wire", "sandbox")
"""All that a worker may import of the package."""
HOMES = {
    "lupa": ["sandbox.vm"],
    "requests": ["api.transport"],
    "urllib3": ["api.transport", "api.deadline"],
    "tomli": ["sections"],
    "keyring": ["sources"],
    "platformdirs": ["places"],
    "click": ["cli"],
    "rich": ["cli"],
    "prompt_toolkit": ["cli"],
    "pygments": ["cli"],
    "mcp": ["mcp"],
    "mcp_types": ["mcp"],
    "pydantic": ["mcp"],
    "starlette": ["mcp"],
    "jsonschema": ["mcp"],
    "anyio": ["mcp"],
    "uvicorn": ["mcp"],
    "typing_extensions": ["runtime", "session", "testing"],
    "_typeshed": ["api"],  # exists for type checkers only
}


def _files() -> dict[str, Path]:
    paths = [path for path in PACKAGE.rglob("*.py") if "_bundled" not in path.parts]
    parts = {path: path.relative_to(PACKAGE.parent).with_suffix("").parts for path in paths}
    return {".".join(parts[path]).removesuffix(".__init__"): path for path in paths}


def _imports(path: Path) -> set[str]:
    """Return the modules that a file imports: at its top, inside functions, and for type checkers."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & FILES.keys() or {str(node.module)}
    return names


FILES = _files()
FRONT_PAGE = "kosmolua"
MODULES = sorted(FILES.keys() - {FRONT_PAGE})
IMPORTS = {module: _imports(FILES[module]) for module in FILES}
OWN = {module: IMPORTS[module] & FILES.keys() - {FRONT_PAGE} for module in MODULES}


def room_of(module: str) -> str | None:
    """Return the entry of the order that a module belongs to, or None."""
    name = module.removeprefix("kosmolua.")
    return next((room for room in ORDER if name == room or name.startswith(f"{room}.")), None)


def is_bare_package(module: str) -> bool:
    """Say whether this is a package's __init__.py that holds nothing but a docstring."""
    return FILES[module].name == "__init__.py" and len(ast.parse(FILES[module].read_text(encoding="utf-8")).body) == 1


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_place(module: str) -> None:
    """A new file has to say in ORDER where it stands."""
    assert room_of(module) or is_bare_package(module), f"give {module} a place in ORDER"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_to_the_left(module: str) -> None:
    """A module imports only what stands left of it."""
    allowed = ORDER[: ORDER.index(str(room_of(module))) + 1] if OWN[module] else []
    assert {other for other in OWN[module] if room_of(other) not in allowed} == set()


def test_the_front_page_imports_nothing() -> None:
    """The guest imports kosmolua/__init__.py too: what it imports is for type checkers, or fetched on first use."""
    body = ast.parse(FILES[FRONT_PAGE].read_text(encoding="utf-8")).body
    assert not [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]


@pytest.mark.parametrize("module", MODULES)
def test_guest_and_host_never_meet(module: str) -> None:
    """The sandbox imports only the letterbox and what that needs, and nothing of the host imports the sandbox."""
    rooms = {room_of(other) for other in OWN[module]}
    if room_of(module) in GUEST:
        assert rooms <= {*GUEST}
    else:
        assert "sandbox" not in rooms


@pytest.mark.parametrize("module", sorted(FILES))
def test_each_library_lives_in_its_room(module: str) -> None:
    """A library that is not Python's own is imported only where HOMES says."""
    for library in {name.partition(".")[0] for name in IMPORTS[module]} - {"kosmolua", *sys.stdlib_module_names}:
        assert any(f"{module}.".startswith(f"kosmolua.{home}.") for home in HOMES.get(library, ())), library


def test_there_is_no_circle() -> None:
    """No module imports itself by way of others, lazy imports counted."""
    assert {*TopologicalSorter(OWN).static_order()} == {*MODULES}
