"""The walls: which module may import which, and where each library lives."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from support.sources import statements, tree_of

PACKAGE = Path(__file__).parent.parent / "kosmolua"
DOORS = [
    *("expressions", "errors", "entry_points", "suggestions", "folders", "plugin_files", "escaping", "truncation"),
    *("secret", "limits", "locks", "protocol", "concurrency", "clock", "container", "memory", "sandbox"),
    *("http", "schema", "plugin", "accounts", "lua", "check", "docs"),
    *("openapi", "catalog", "mcp_client", "flow", "calls", "recordings", "stores", "broker"),
    *(
        "processes",
        "runs",
        "fleet",
        "functions",
        "runtime",
        "authoring",
        "clients",
        "testing",
        "pytest_plugin",
        "mcp",
        "serve",
        "cli",
        "__main__",
    ),
]
"""The packages and modules at the top, in order: each imports only itself and those left of it."""
SANDBOX = {"errors", "expressions", "protocol", "sandbox"}
"""What the child may import of the package; nothing of the host imports the sandbox."""
HOMES = {
    "lupa": ["sandbox.vm"],
    "requests": ["accounts.vault", "http.transport", "http.connections", "http.faults", "http.oauth_services"],
    "urllib3": ["http.transport", "http.connections", "http.faults", "http.multipart"],
    "tomlkit": ["accounts.toml"],
    "tomli": ["schema.settings", "cli.inputs", "clients.formats"],
    "sqlalchemy": [
        *("stores.database", "stores.tables", "stores.database_recording", "stores.database_store"),
        *("stores.database_slots", "stores.database_tasks"),
    ],
    "hvac": ["accounts.vault"],
    "boto3": ["accounts.aws"],
    "botocore": ["accounts.aws", "http.aws"],
    "apprise": ["serve.notices"],
    "keyring": ["accounts.sources", "accounts.logins"],
    "authlib": ["http.oauth", "serve.pages.oidc"],
    "graphql": ["openapi.graphql"],
    "yaml": ["openapi.document", "clients.formats"],
    "platformdirs": ["folders"],
    "filelock": ["locks"],
    "tree_sitter": ["lua.syntax"],
    "tree_sitter_lua": ["lua.syntax"],
    "click": ["cli"],
    "cronsim": ["schema.formats", "serve.work.settings"],
    "rich": ["cli"],
    "prompt_toolkit": ["cli"],
    "pygments": ["cli", "serve.pages"],
    "pygls": ["cli.language_server"],
    "lsprotocol": ["cli.language_server"],
    "mcp": ["mcp", "mcp_client", "serve"],
    "mcp_types": ["mcp", "mcp_client"],
    "pydantic": ["mcp", "mcp_client"],
    "httpx2": ["mcp_client"],
    "jsonschema": ["mcp_client.outputs"],
    "referencing": ["mcp_client.outputs"],
    "starlette": ["mcp", "serve"],
    "anyio": ["mcp", "mcp_client"],
    "uvicorn": ["mcp", "serve"],
    "h11": ["mcp", "serve.siblings"],
    "prometheus_client": ["serve"],
    "jinja2": ["serve.pages"],
    "markupsafe": ["serve.pages"],
    "markdown_it": ["serve.pages"],
    "itsdangerous": ["serve.signed_texts"],
    "jwt": ["serve", "http.proofs"],
    "cryptography": ["recordings.sealing", "http.proofs"],
    "typing_extensions": ["broker.options", "runtime", "runs", "schema.integration", "testing"],
    "opentelemetry": ["runs.spans", "runs.telemetry", "mcp.clients", "mcp_client.direct"],
    "pytest": ["pytest_plugin"],
    "_typeshed": ["http"],  # exists for type checkers only
}


def _files() -> dict[str, Path]:
    paths = [path for path in PACKAGE.rglob("*.py") if "_bundled" not in path.parts]
    parts = {path: path.relative_to(PACKAGE.parent).with_suffix("").parts for path in paths}
    return {".".join(parts[path]).removesuffix(".__init__"): path for path in paths}


@cache
def nodes(module: str) -> list[ast.Import | ast.ImportFrom | ast.ClassDef]:
    """Return the imports and classes of a module, wherever in it they stand."""
    return [
        node
        for node in statements(tree_of(FILES[module]))
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.ClassDef))
    ]


@cache
def imports(module: str) -> set[str]:
    """Return the modules that a module imports: at its top, inside functions, and for type checkers."""
    names: set[str] = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & FILES.keys() or {str(node.module)}
    return names


FILES = _files()
MAX_LINES = 4_000
"""The most lines of a package, except of those that consist of many parts that do not know each other."""
OF_MANY_PARTS = {"cli", "openapi", "serve"}
FRONT_PAGE = "kosmolua"
MODULES = sorted(FILES.keys() - {FRONT_PAGE})


def own_imports(module: str) -> set[str]:
    """Return those of its imports that are the package's own."""
    return imports(module) & FILES.keys() - {FRONT_PAGE}


def door_of(module: str) -> str:
    """Return the package or module at the top that a module belongs to."""
    return module.removeprefix("kosmolua.").partition(".")[0]


def test_every_door_has_a_place() -> None:
    """A new package or module at the top has to say in DOORS where it stands, and none stands there in vain."""
    assert {door_of(module) for module in MODULES} == {*DOORS}


def test_imports_point_to_the_left() -> None:
    """A module imports only from its own package and from those left of it."""
    assert [
        f"{module} imports {other}"
        for module in MODULES
        for other in own_imports(module)
        if DOORS.index(door_of(other)) > DOORS.index(door_of(module))
    ] == []


def test_the_front_page_imports_nothing() -> None:
    """The child imports kosmolua/__init__.py too: what it imports is for type checkers, or fetched on first use."""
    body = tree_of(FILES[FRONT_PAGE]).body
    assert not [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]


def test_sandbox_and_host_never_meet() -> None:
    """The sandbox imports only the protocol and the errors, and nothing of the host imports the sandbox."""
    for module in MODULES:
        doors = {door_of(other) for other in own_imports(module)}
        if door_of(module) in SANDBOX:
            assert doors <= SANDBOX, module
        else:
            assert "sandbox" not in doors, module


def test_each_library_lives_in_its_room() -> None:
    """A library that is not Python's own is imported only where HOMES says."""
    assert [
        f"{module} imports {library}"
        for module in FILES
        for library in {name.partition(".")[0] for name in imports(module)} - {"kosmolua", *sys.stdlib_module_names}
        if not any(f"{module}.".startswith(f"kosmolua.{home}.") for home in HOMES.get(library, ()))
    ] == []


def test_no_package_has_too_many_lines() -> None:
    """Whoever changes a package can know all of it."""
    lines: Counter[str] = Counter()
    for module in MODULES:
        lines[door_of(module)] += FILES[module].read_text(encoding="utf-8").count("\n")

    assert {door: count for door, count in lines.items() if count > MAX_LINES and door not in OF_MANY_PARTS} == {}


def test_there_is_no_circle() -> None:
    """No module imports itself by way of others, inside a package or across packages, lazy imports counted."""
    graph = {module: own_imports(module) for module in MODULES}
    assert {*TopologicalSorter(graph).static_order()} == {*MODULES}


def test_no_class_name_stands_for_two_things() -> None:
    """Whoever reads a name need not look which of several classes it is."""
    names = [node.name for module in FILES for node in nodes(module) if isinstance(node, ast.ClassDef)]
    assert {name for name in names if names.count(name) > 1} == set()
