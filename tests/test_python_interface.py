"""The Python interface, as programs and type checkers see it."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Program, Write
from support.catalogs import MemoryCatalog, library_catalog
from support.rounds import rounds

import kosmolua
from kosmolua import CallRecord, Runtime, ScriptError, Usage
from kosmolua.authoring.python_stubs import write_python_stubs
from kosmolua.errors import ConfigError, Denied
from kosmolua.runs.rows import rows_of

PROGRAM = ROOT / "tests" / "support" / "user_program.py"
SERVICES = "return app.integrations.render2.list_services({ limit = 2 })"


@pytest.fixture(scope="module")
def typings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stubs of render2, beside which those of a thousand functions of github only take time."""
    folder = tmp_path_factory.mktemp("typings")
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        names = rounds(["render2"], runtime.catalog.names())
        write_python_stubs(MemoryCatalog({name: runtime.catalog.listed(name) for name in names}), folder)
    return folder


def checked(*command: str | Path, typings: Path) -> str:
    """Return what a type checker says, in the folder above the stubs."""
    done = subprocess.run(
        [*map(str, command)],
        env={**os.environ, "MYPYPATH": str(typings)},
        cwd=typings,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_program_that_uses_everything_runs(tmp_path: Path) -> None:
    """It makes runs, calls, plans and fleets, at once and one after another."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


WRONG = """
from kosmolua import Runtime
Runtime().render2.list_services(limt=5)
Runtime().rendr2
Runtime("accounts.toml", simulate=True, workers=3)
Runtime(workers="3")
Runtime(simulat=True)
"""


@pytest.fixture(scope="module")
def mypy(typings: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of the program, and of one with mistakes, with its strictest settings."""
    folder = tmp_path_factory.mktemp("mypy")
    wrong = folder / "wrong.py"
    wrong.write_text(WRONG)
    shutil.copy(PROGRAM, folder)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", ROOT / ".pytest_cache" / "mypy"]
    return checked(*command, folder / PROGRAM.name, wrong, typings=typings)


@pytest.mark.slow
def test_mypy_finds_no_fault_in_it(mypy: str) -> None:
    """With stubs of the integrations."""
    assert PROGRAM.name not in mypy, mypy


@pytest.mark.slow
def test_mypy_finds_what_is_wrong(mypy: str) -> None:
    """A misspelt argument, an attribute that is no integration, and options of the runtime; what is right is none."""
    assert 'wrong.py:3: error: Unexpected keyword argument "limt"' in mypy
    assert 'wrong.py:4: error: "Runtime" has no attribute "rendr2"' in mypy
    assert "wrong.py:5: error" not in mypy
    assert 'wrong.py:6: error: Argument "workers"' in mypy
    assert 'did you mean "simulate"' in mypy


@pytest.mark.slow
def test_pyright_finds_no_fault_in_it(typings: Path, tmp_path: Path) -> None:
    """Stubs in the folder typings are found without settings."""
    pyright = shutil.which("pyright", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if not pyright or "pyright" not in checked(pyright, "--version", typings=typings):
        pytest.skip("pyright cannot be started here")
    shutil.copy(PROGRAM, tmp_path)
    shutil.copytree(typings, tmp_path / "typings")
    said = checked(pyright, "--pythonpath", sys.executable, "-p", tmp_path, typings=typings)
    assert "0 errors" in said, said


@pytest.mark.parametrize("name", [name for name in kosmolua.__all__ if name not in ("__version__", "Json")])
def test_no_public_signature_says_any(name: str) -> None:
    """What a program gets and gives has a type."""
    public = getattr(kosmolua, name)
    methods = [public, *(each for key, each in vars(public).items() if not key.startswith("_"))]
    given = [inspect.get_annotations(getattr(each, "fget", None) or each) for each in methods if callable(each)]
    assert [each for each in given if any("Any" in str(kind) for kind in each.values())] == []


def test_a_function_is_an_attribute(simulated: Runtime) -> None:
    """Of its integration, or of an account, with arguments by name, in a mapping or in order."""
    page = simulated.call("render2.list_services", limit=2)
    assert simulated.render2.list_services(limit=2) == page
    assert simulated.render2.default.list_services({"limit": 2}) == page


def test_a_call_takes_its_arguments_in_one_way(simulated: Runtime) -> None:
    """A list and names are not mixed."""
    with pytest.raises(TypeError, match="either a list or named"):
        simulated.call("render2.get_service", ["srv-cabc12345678"], limit=2)


def test_an_attribute_that_is_nothing_is_no_attribute(simulated: Runtime) -> None:
    """Neither of the runtime, nor of what has not been opened."""
    assert not hasattr(simulated, "rendr2")
    assert not hasattr(Runtime.__new__(Runtime), "render2")


def test_attributes_of_records_are_their_items(simulated: Runtime) -> None:
    """As in JSON; what is not known is None, and what is no field is no attribute."""
    outcome = simulated.run(SERVICES)
    (call,) = outcome.calls
    assert (call.path, call.effect) == (call["path"], call["effect"]) == ("render2.list_services", "read")
    assert call.flows is None
    assert Usage().cpu_ms is None
    assert not hasattr(call, "nothing")
    assert json.loads(json.dumps(outcome.to_json()))["usage"]["calls"] == outcome.usage.calls == 1
    assert isinstance(pickle.loads(pickle.dumps(copy.deepcopy(call))), CallRecord)


def test_a_script_in_a_file_has_its_name(simulated: Runtime, write: Write) -> None:
    """In its messages."""
    outcome = simulated.run_file(write("wrong.lua", "error('no')"))
    assert "wrong.lua:1" in str(outcome.error)


def test_calls_and_fleets_leave_the_loop_free(simulated: Runtime) -> None:
    """They are awaited, also several at once."""

    async def work() -> tuple[Any, list[Any]]:
        outcomes = [each.result async for each in simulated.map_async("return input * 2", [1, 2, 3], ordered=True)]
        return await simulated.call_async("render2.list_services", limit=1), outcomes

    page, doubled = asyncio.run(work())
    assert len(page["services"]) == 1
    assert doubled == [[2], [4], [6]]


def test_a_fleet_that_nobody_awaits_ends(simulated: Runtime) -> None:
    """Tasks that have not begun are not begun."""
    taken = []

    def inputs() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number

    async def first() -> None:
        async for _ in simulated.map_async("return input", inputs(), limit=2):
            break

    asyncio.run(first())
    assert len(taken) < 100


def test_a_result_is_a_data_frame(simulated: Runtime) -> None:
    """Of the items of its one list."""
    assert [row["name"] for row in simulated.run(SERVICES).frame(list)] == ["checkout-api", "checkout-site"]
    assert simulated.run("return 5").frame(list) == [{"value": 5}]
    connection = {"totalCount": 2, "pageInfo": {"endCursor": "b"}}
    rows = [{"id": "a"}, {"id": "b"}]
    assert rows_of(connection | {"nodes": rows}) == rows
    assert rows_of(connection | {"edges": [{"cursor": "c", "node": each} for each in rows]}) == rows
    assert rows_of({"tags": ["a"], "owner": {"id": 1}}) == [{"tags": ["a"], "owner": {"id": 1}}]


def test_a_result_with_two_lists_is_none(simulated: Runtime) -> None:
    """Nor is the result of a script that failed, or returned nothing."""
    with pytest.raises(ValueError, match=r"has several lists.*: a, b"):
        simulated.run("return { a = { 1 }, b = { 2 } }").frame(list)
    with pytest.raises(ValueError, match="returned no value"):
        simulated.run("print(1)").frame(list)
    with pytest.raises(ScriptError):
        simulated.run("error('no')").frame(list)


def test_pandas_makes_the_data_frame(simulated: Runtime) -> None:
    """Where it is installed."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = simulated.run(SERVICES).frame()
    assert isinstance(frame, pandas.DataFrame)


def test_the_command_writes_stubs_for_python(kosmolua: Program, home: Path) -> None:
    """Into the folder typings, where an editor looks for them."""
    done = kosmolua("stubs", "--python", check=True)
    assert "typings/kosmolua/functions.pyi" in done.stdout
    for name in ("render2", "github"):
        compile((home / f"typings/kosmolua/integrations/{name}.pyi").read_text(), name, "exec")


def test_stubs_leave_out_what_python_cannot_name(tmp_path: Path) -> None:
    """Such as a function that is called like a type in the annotations of others."""
    catalog = library_catalog()
    integration = catalog.listed("books")
    integration.functions.own["list"] = replace(integration.functions["list_books"], name="list")
    write_python_stubs(catalog, tmp_path)
    stub = (tmp_path / f"kosmolua/integrations/{integration.name}.pyi").read_text()
    assert "def list_books(self, " in stub
    assert "def list(self, " not in stub


@pytest.mark.parametrize("name", ["run", "plan", "apply", "resume", "call"])
def test_what_blocks_no_event_loop_takes_the_same(name: str) -> None:
    """Each method without ``_async`` has a twin with all of its parameters and defaults."""
    own, other = (inspect.signature(getattr(Runtime, method)).parameters for method in (name, f"{name}_async"))
    assert [
        each for each in own if (own[each].kind, own[each].default) != (other[each].kind, other[each].default)
    ] == []


@pytest.mark.slow
def test_pytest_has_a_runtime(write: Write, tmp_path: Path, environment: dict[str, str]) -> None:
    """Simulated, without accounts and variables of the user, and imported by the first test that uses it."""
    write(
        "test_it.py",
        """
import sys

def test_nothing_is_imported():
    assert "kosmolua.runtime" not in sys.modules

def test_services(kosmolua_runtime):
    assert kosmolua_runtime.run("return #app.integrations.render2.list_services({ limit = 3 }).services").result == [3]
    assert kosmolua_runtime.is_simulated
    assert kosmolua_runtime.catalog.accounts("render2") == ["default", "production", "staging"]
""",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "kosmolua.pytest_plugin", "-p", "no:cacheprovider", str(tmp_path)],
        env={**environment, "RENDER_API_KEY": "rnd_of_the_user", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_hints_name_parameters_where_there_is_no_command_line() -> None:
    """Of the constructor, a run, a call, and what a script catches; the command line's own runtime names options."""
    restart = "app.integrations.render2.restart_service('srv-cabc12345678')"
    given: dict[str, Any] = {"simulate": True, "environ": {}}
    with Runtime({}, **given) as runtime:
        stopped = runtime.run(
            "app.integrations.render2.list_owners() app.integrations.render2.list_owners()", max_calls=1
        )
        hints = [str(outcome.error and outcome.error.hint) for outcome in (runtime.run(restart), stopped)]
        assert hints[0].startswith('pass yes=True, or set permissions = { write = "allow" }')
        assert hints[1] == "raise it with max_calls"
        with pytest.raises(Denied, match=r'pass allow=\["render2\.delete_service"\], or set'):
            runtime.call("render2.delete_service", service_id="srv-cabc12345678")
        caught = runtime.run(f"return select(2, pcall(function() {restart} end)).hint").result
        assert caught == hints[:1]
        for script in ("return secrets.token", "if arg[1] then return secrets.token end"):
            refused = runtime.run(script, check=True)
            assert 'secrets={"token": SOURCE} gives one' in f"{refused.error} {refused.warnings}"
        lacking = runtime.run("return input.x").error
        assert lacking and lacking.message.endswith("input is nil, since the run was given none")
    with pytest.raises(ConfigError, match=r'^allow_flow=\["render2\.nothing"\] matches no function'):
        Runtime({}, allow_flow=["render2.nothing"], **given)
    with Runtime({}, command_line=True, **given) as runtime:
        assert "pass --yes, or" in str(runtime.run(restart).error)


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (
            "pass --done 7 if it was done, or --again 7 to send",
            "pass done={7: RESULT} if it was done, or again=[7] to send",
        ),
        ("resume the run with --done 3=JSON", "resume the run with done={3: JSON}"),
        ("--secret stripe=SOURCE gives one", 'secrets={"stripe": SOURCE} gives one'),
        ("run the script without --read-only", "run the script without read_only"),
        ("if it is a plugin, pass --plugin", "if it is a plugin, pass plugins"),
        ("pass --accept-accounts to go on", "pass accept_accounts=True to go on"),
        ("to continue, run kosmolua resume with --approve or --deny", "to continue, call resume with approve or deny"),
        ("use --force, as the service says", "use --force, as the service says"),
    ],
)
def test_each_kind_of_option_has_its_parameter(hint: str, told: str) -> None:
    """With the value that it would have there; an option of another program stays as it is."""
    error = Denied("not sent", hint=hint)
    error.name_parameters()
    assert error.hint == told
