"""The guides, the README and the pages beside it: every block of code in them is true."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
import tomli
import yaml
from _pytest.mark import ParameterSet
from conftest import Program
from support.catalogs import library_catalog, load

import kosmolua.plugin
from kosmolua import Runtime
from kosmolua.accounts import accounts
from kosmolua.authoring.lint import check
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.program import BUILT_IN
from kosmolua.docs import Library
from kosmolua.docs.pages import NAMES, GuidePage
from kosmolua.plugin import Api, Request, Response
from kosmolua.secret import Redactor, Secret
from kosmolua.testing import Playground, answer, in_turn

ROOT = Path(__file__).parent.parent
GUIDES = {name: GuidePage(name).full() for name in NAMES}
PEOPLE = {path.stem: path.read_text(encoding="utf-8") for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])}
"""The pages for people that only the site has."""
LANGUAGES = {"console", "json", "lua", "python", "toml"}
FENCE = re.compile(r"^ *```([^\n`]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^(?! |[-*] |\d+\. |===|\n)[^\n]+\n\n {4,}\S.*|^ *~~~.*", re.MULTILINE)
"""A block of code of another form, which no test would find."""
PICTURES = {"plugins": "def greet(client, /, *", "tour": " the sandbox: a process"}
"""The pages with a block that is a picture and no code, which has no language; and how it begins."""
NEOVIM = """local vim, set_up = { lsp = {} }, {}
function vim.lsp.config(name, settings) set_up[name] = settings end
function vim.lsp.enable(name) print(table.concat(set_up[name].cmd, " ")) end
"""
"""What stands before the block that is no script, but Neovim's settings."""
RECIPES = [
    pytest.param(code, shown, id=title)
    for title, code, shown in re.findall(
        r"^### ([^\n]+)\n(?:(?!^#).)*?^```lua\n(.*?)^```\n\n```text\n(.*?)^```$",
        PEOPLE["cookbook"],
        re.DOTALL | re.MULTILINE,
    )
]


def blocks(language: str) -> list[ParameterSet]:
    """Return each block of a language on all pages, as a parameter that says where it is."""
    return [
        pytest.param(guide, code, id=f"{guide}-{number}")
        for guide, text in (GUIDES | PEOPLE).items()
        for number, (found, code) in enumerate(fences(text), start=1)
        if found == language
    ]


def fences(text: str) -> list[tuple[str, str]]:
    return [(language, dedent(code)) for language, code in FENCE.findall(text)]


SHELL = sorted(
    {
        command
        for block in blocks("sh")
        for line in block.values[1].splitlines()
        for command in line.partition("  #")[0].strip().split(" && ")
    }
)
"""The commands of blocks that are for a shell, each once."""


def file_of(code: str) -> str:
    """Return the file that a block says it is, in its first line."""
    found = re.match(r"(?:#|--) ([\w.]+)(?:, continued)?\n", code)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(simulate=True, yes=True, allow=["*"], environ={}) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python files and the named scripts of the guides, a continued one in one piece."""
    folder = tmp_path_factory.mktemp("workshop")
    for text in (GUIDES | PEOPLE).values():
        for language, code in fences(text):
            name = file_of(code)
            if language == "python" or (language == "lua" and name.endswith(".lua")) or name == "typo.toml":
                with (folder / name).open("a", encoding="utf-8") as file:
                    file.write(code + "\n")
    return folder


def environment(folder: Path) -> dict[str, str]:
    config = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
    return {**os.environ, **config, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_a_page_with_a_sentence(name: str) -> None:
    """A title, a first paragraph of one sentence for the list, sections, and code in languages that are tested."""
    page = GuidePage(name)

    assert page.full().lower().startswith(f"# {name.replace('_', ' ')}\n\n")
    assert 40 < len(page.summary) < 130
    assert page.summary.endswith(".")
    assert page.brief().count("\n- ") >= 4
    assert {language for language, _ in fences(page.full())} <= LANGUAGES | {""}


def test_guides_name_only_pages_that_exist() -> None:
    """What a guide tells to read can be read."""
    library = Library(library_catalog())
    named = [page for text in GUIDES.values() for page in re.findall(r'lua_read_doc\("([a-z]+)"\)', text)]

    assert named
    for page in named:
        assert library.read(page)


@pytest.mark.slow
@pytest.mark.parametrize(("guide", "code"), [each for each in blocks("lua") if each.values[0] != "cookbook"])
def test_lua_runs_and_prints_what_it_says(runtime: Runtime, guide: str, code: str) -> None:
    """Each block is a script of its own; what stands behind an arrow is printed, in that order."""
    outcome = runtime.run(NEOVIM + code if guide == "editors" else code, name=guide)
    promised = ["kosmolua lsp"] if guide == "editors" else re.findall(r"--> (.*)", code)

    assert outcome.error is None, outcome.error
    lines = iter(outcome.output.splitlines())
    assert all(promise in lines for promise in promised), outcome.output


@pytest.mark.parametrize(("guide", "code"), blocks("toml"))
def test_toml_is_read(guide: str, code: str, tmp_path: Path, workshop: Path) -> None:
    """Each block is an accounts file without a mistake, or says which other file it is."""
    if file_of(code):
        assert tomli.loads(code)
        return
    file = tmp_path / "accounts.toml"
    file.write_text(code, encoding="utf-8")

    found = accounts.read(file, usual=file, environ={}, redactor=Redactor())
    plugins = Plugins([workshop / "notes.py"], entry_points=dict)

    for section in found.sections.names():
        found.check(plugins.load(section).integration)


@pytest.mark.slow
@pytest.mark.parametrize("guide", dict.fromkeys(each.values[0] for each in blocks("console")))
def test_a_console_shows_what_happens(guide: str, workshop: Path) -> None:
    """Each command, run after those above it in a folder with the files of the guides, prints what stands below it."""
    chance = re.compile(r"\b(p-|replaced value )[0-9a-f]{8}\b")
    code = "".join(code for language, code in fences((GUIDES | PEOPLE)[guide]) if language == "console")
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE):
        program, *arguments = shlex.split(command)
        assert program == "kosmolua"
        ended = subprocess.run(
            [sys.executable, "-m", "kosmolua", *arguments],
            cwd=workshop,
            env=environment(workshop),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        printed = (ended.stdout + ended.stderr).replace(str(workshop / "config"), "~/.config")
        assert chance.sub(r"\1", printed) == chance.sub(r"\1", shown)


@pytest.mark.parametrize("name", ["hello", "ledger", "notes", "tickets", "weather"])
def test_plugins_of_the_guide_load(workshop: Path, name: str) -> None:
    """Each Python file that is not a test is a plugin, and has the name that the guide gives it."""
    assert load(workshop / f"{name}.py").name == name


@pytest.mark.parametrize("name", ["ledger", "notes", "tickets", "weather"])
def test_plugins_of_the_guide_have_nothing_to_mend(workshop: Path, name: str) -> None:
    """Authors begin with a copy; a page or a simulator that an example does without is but noted. Hello is as short
    as what runs can be."""
    plugin = Plugins([workshop / f"{name}.py"], places=(), entry_points=dict).load(name)

    assert [str(finding) for finding in check(plugin) if not finding.note] == []


def rows(guide: str, heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of a guide, as cells."""
    section = re.split("^#+ ", GUIDES[guide].partition(f"{heading}\n")[2], flags=re.MULTILINE)[0]
    return [re.split(r" ?\| ?", line)[1:-1] for line in section.splitlines() if line.startswith("|")][2:]


def test_the_guide_lists_what_there_is_to_import() -> None:
    """Each name is there, and each parameter that is written is one; where all are, none that is required lacks."""
    names = " ".join(name for name, _ in rows("plugin_names", "Names to import"))
    named = re.findall(r"`([\w.]+)(?:\((.*?)\))?`", names)
    assert {path for path, _ in named if "." not in path} == set(kosmolua.plugin.__all__)

    for path, written in named:
        if written:
            given = set(re.findall(r"(?:^|, )\*{0,2}([a-z]\w*)", written))
            known = inspect.signature(attrgetter(path)(kosmolua.plugin)).parameters.values()
            needed = {parameter.name for parameter in known if parameter.default is parameter.empty}
            assert given <= {parameter.name for parameter in known}, path
            assert "..." in written or needed - {"self"} <= given, path


def test_credentials_are_sent_as_the_guide_says() -> None:
    """Each client is made as it is written, and carries the key where its row has it."""
    account = SimpleNamespace(base_url="https://x.example", api_key=Secret("k3y"), user="ann", password=Secret("pass"))
    requests: list[Request] = []

    def send(request: Request) -> Response:
        requests.append(request)
        return Response(200)

    for _, code in rows("plugins", "How a credential is sent"):
        eval(code.strip("`"), {"Api": Api, "send": send, "self": account}).get("/x")
    sent = [(request.target, *list(request.fields.items())[1:]) for request in requests]

    assert sent == [
        ("/x", ("Authorization", "Bearer k3y")),
        ("/x", ("X-Api-Key", "k3y")),
        ("/x?api_key=k3y",),
        ("/x", ("Authorization", "Basic YW5uOnBhc3M=")),
    ]


def test_the_cookbook_has_thirty_recipes() -> None:
    """As it says, and each has its output."""
    assert len(RECIPES) == 30


@pytest.mark.slow
@pytest.mark.parametrize(("code", "shown"), RECIPES)
def test_a_recipe_prints_what_stands_below_it(workshop: Path, code: str, shown: str) -> None:
    """Simulated, with the document and the MCP server that the page shows."""
    (document,) = (code for language, code in fences(PEOPLE["cookbook"]) if language == "json")
    (section,) = (code for language, code in fences(PEOPLE["cookbook"]) if language == "toml")
    (workshop / "shop.openapi.json").write_text(document, encoding="utf-8")
    given: dict[str, Any] = {"simulate": True, "plugins": [workshop / "shop.openapi.json"]}
    if "app.mcp" in code:
        server = {**tomli.loads(section)["mcp"]["todo"], "command": sys.executable, "cwd": str(workshop)}
        given = {"servers": {"todo": server}}
    with Runtime(os.devnull, yes=True, allow=["*"], environ={}, **given) as runtime:
        outcome = runtime.run(code, check=True)

    assert outcome.error is None, outcome.error
    assert outcome.output == shown


@pytest.mark.parametrize(("page", "code"), blocks("json"))
def test_json_is_read(page: str, code: str) -> None:
    """What is to be pasted into the settings of a client starts the MCP server; else it is the cookbook's document."""
    servers = json.loads(code).get("mcpServers", {}).values()

    assert [(Path(each["command"]).name, each["args"][0]) for each in servers] == [("kosmolua", "mcp")] * len(servers)
    assert servers or page == "cookbook"


@pytest.mark.parametrize(("page", "code"), blocks("yaml"))
def test_a_workflow_gives_the_action_what_it_takes(page: str, code: str) -> None:
    """The steps that use it have inputs of action.yml, with commands that it knows."""
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    steps = [step for job in yaml.safe_load(code)["jobs"].values() for step in job["steps"]]
    ours = [step["with"] for step in steps if step["uses"] == f"kosmolua/kosmolua@v{kosmolua.__version__}"]

    assert page == "ci"
    assert len(ours) == 2
    for given in ours:
        assert set(given) <= set(inputs)
        assert given.get("command", "check") in inputs["command"]["description"]
        assert {name for name, each in inputs.items() if each["required"]} <= set(given)


def test_commands_that_pages_name_are_there() -> None:
    """A person can type what stands on a page."""
    named = {name for text in PEOPLE.values() for name in re.findall(r"`kosmolua ([a-z]+)", text)}

    assert len(named) > 20
    assert named - set(BUILT_IN) == set()


@pytest.mark.slow
@pytest.mark.parametrize("line", SHELL)
def test_a_command_of_the_shell_works(kosmolua: Program, line: str) -> None:
    """The program's own are run; pip is asked for extras that there are, and Python for what is in the repository."""
    program, *words = shlex.split(line)
    match Path(program).name, words:
        case "kosmolua", _:
            done = kosmolua(*words, cwd=ROOT)
            assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr
        case "pip", ["install", *options]:
            extras = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            assert options[-1] == "." or options[-1][2:-1] in extras
        case "python3", ["-m", "venv", folder]:
            assert folder == ".venv"
        case "python", ["-m", "pytest", *options]:
            words = [sys.executable, "-m", "pytest", *options, "--collect-only", __file__]
            assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 0
        case "python", [file, *named]:
            assert all((ROOT / file).with_name(f"bench_{name}.py").exists() for name in named)
            assert (ROOT / file).exists()
        case _:
            pytest.fail(f"no test knows {line}")


def test_no_block_of_code_goes_untested() -> None:
    """Each is in a language whose blocks a test above takes, or is the output of a recipe, or a picture."""
    pages = GUIDES | PEOPLE
    found = {(page, *fence) for page, text in pages.items() for fence in fences(text)}
    shown = {("cookbook", "text", recipe.values[1]) for recipe in RECIPES}
    others = {each for each in found - shown if each[1] not in {*LANGUAGES, "sh", "yaml"}}
    integrations = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("integrations/*/*.md"))

    assert {(page, language, code[: len(PICTURES.get(page, ""))]) for page, language, code in others} == {
        (page, "", begins) for page, begins in PICTURES.items()
    }
    assert {language for language, _ in fences(integrations)} == {"lua"}
    for page, text in pages.items():
        assert INDENTED.findall(FENCE.sub("", text)) == [], page


def test_no_python_of_the_guides_goes_untested(workshop: Path) -> None:
    """Whoever adds a file to the guide adds it here."""
    assert sorted(file.name for file in workshop.glob("*.py")) == [
        "agent_tool.py",
        "embedded.py",
        "fleet_map.py",
        "hello.py",
        "kosmolua_orbit.py",
        "ledger.py",
        "nightly.py",
        "notes.py",
        "one_call.py",
        "postbox.py",
        "shared_store.py",
        "test_notes.py",
        "test_report.py",
        "test_tickets.py",
        "tickets.py",
        "todo_server.py",
        "tour.py",
        "weather.py",
    ]


@pytest.mark.slow
def test_the_python_of_the_guide_counts_services(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function that the page shows returns a number."""
    monkeypatch.syspath_prepend(str(workshop))
    from embedded import count_services  # type: ignore[import-not-found]
    from one_call import names  # type: ignore[import-not-found]

    assert count_services() > 100
    assert len(names()) == 5


SERVICES = "return app.integrations.render2.list_services({ limit = 2 })"


@pytest.fixture
def execute_lua(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """The function of the guide that an agent gets."""
    monkeypatch.syspath_prepend(str(workshop))
    import agent_tool  # type: ignore[import-not-found]

    assert "list_services" in agent_tool.read_documentation("render2")
    yield agent_tool.execute_lua
    agent_tool.runtime.close()
    del sys.modules["agent_tool"]


@pytest.mark.slow
def test_pydantic_ai_runs_scripts(execute_lua: Callable[[str], str]) -> None:
    """The function of the guide is a tool of its agents."""
    pydantic_ai = pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed")
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    def model(messages: list[Any], info: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart("execute_lua", {"script": SERVICES})])
        return ModelResponse(parts=[TextPart(messages[-1].parts[0].content)])

    answer = pydantic_ai.Agent(FunctionModel(model), tools=[execute_lua]).run_sync("which services are there?")
    assert "checkout-api" in answer.output


@pytest.mark.slow
def test_the_agents_of_openai_run_scripts(execute_lua: Callable[[str], str]) -> None:
    """The function of the guide is a tool of its agents."""
    agents = pytest.importorskip("agents", reason="openai-agents is not installed")
    from agents.tool_context import ToolContext

    tool = agents.function_tool(execute_lua)
    given = json.dumps({"script": SERVICES})
    context = ToolContext(None, tool_name=tool.name, tool_call_id="1", tool_arguments=given)
    assert "checkout-api" in asyncio.run(tool.on_invoke_tool(context, given))


@pytest.mark.slow
def test_langchain_runs_scripts(execute_lua: Callable[[str], str]) -> None:
    """The function of the guide is one of its tools."""
    tools = pytest.importorskip("langchain_core.tools", reason="langchain-core is not installed")
    assert "checkout-api" in tools.StructuredTool.from_function(execute_lua).invoke({"script": SERVICES})


@pytest.mark.slow
def test_the_python_of_the_guide_approves_elsewhere(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that pauses at one runtime ends at another that shares its store."""
    monkeypatch.syspath_prepend(str(workshop))
    from shared_store import approve_elsewhere  # type: ignore[import-not-found]

    outcome = approve_elsewhere(str(tmp_path / "shared"))
    assert outcome.status == "done", outcome.error


@pytest.mark.slow
def test_the_python_of_the_guide_maps_inputs(workshop: Path) -> None:
    """The program that the page shows runs, and what it asserts holds."""
    command = [sys.executable, str(workshop / "fleet_map.py")]
    done = subprocess.run(command, env=environment(workshop), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_hello_has_eleven_lines() -> None:
    """As the page promises."""
    code = next(code for language, code in fences(GUIDES["plugins"]) if language == "python")

    assert len([line for line in code.splitlines()[1:] if line.strip()]) == 11


def test_the_integration_of_the_tour_fits_in_a_dozen_lines(workshop: Path) -> None:
    """As the README promises, imports and the name of the file aside."""
    lines = (workshop / "weather.py").read_text(encoding="utf-8").splitlines()[1:]

    assert len([line for line in lines if line.strip() and not line.startswith(("from ", "import "))]) == 12


def test_the_python_of_the_tour_runs(workshop: Path) -> None:
    """The lines that embed the runtime hold what they assert."""
    runpy.run_path(str(workshop / "tour.py"))


@pytest.mark.slow
def test_the_tests_of_the_guide_pass(workshop: Path) -> None:
    """What they say of notes and tickets is so."""
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "test_notes.py",
            "test_report.py",
            "test_tickets.py",
        ],
        cwd=workshop,
        env=environment(workshop),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert "10 passed" in ended.stdout, ended.stdout


def test_mails_of_the_guide_are_held_against_their_destination(workshop: Path) -> None:
    """The labels that the guide declares lead to the sentence that it promises."""
    with Runtime({}, yes=True, flow="ask", plugins=[workshop / "postbox.py"]) as runtime:
        outcome = runtime.run("""
            local mail = app.integrations.postbox.list_mails()[1]
            app.integrations.postbox.send_mail({ recipients = { mail.body:match("%S+@[%w.]*%w") }, body = "Hello" })
        """)

    assert outcome.error
    assert "mallory@evil.example comes from the body of mail m-1 (call 1, public)" in outcome.error.message


def test_notes_of_the_guide_work(workshop: Path) -> None:
    """Paging, search, a refused argument, a service that says no: the plugin does what the guide says."""
    with Runtime(simulate=True, yes=True, allow=["*"], environ={}, plugins=[workshop / "notes.py"]) as runtime:
        outcome = runtime.run("""
            local notes = app.integrations.notes
            local added = notes.note_add_note("milk")
            local _, empty = pcall(notes.add_note, " ")
            return #notes.list_notes().notes, added.text, #notes.search_notes("milk"), empty.param
        """)

    assert outcome.error is None
    assert outcome.result == [4, "milk", 1, "text"]


def test_notes_of_the_guide_are_read_in_other_ways(workshop: Path) -> None:
    """By numbered pages, from a header, as bytes, by a POST that is safe, and for `accounts check`."""
    integration = load(workshop / "notes.py")
    full = [f"tag {number}" for number in range(50)]
    replies = {
        ("GET", "/tags"): in_turn(full, ["last"]),
        ("HEAD", "/notes/n-1"): answer(200, headers={"etag": '"v1"'}),
        ("GET", "/notes/n-1/picture"): Response(200, {"Content-Type": "image/png"}, b"\xff\x00"),
        ("POST", "/notes/rank"): [],
        ("POST", "/graphql"): {"data": {"count": {"all": 7, "pinned": 2}}},
    }
    play = Playground(integration, replies)

    assert play.call("notes.list_tags") == [*full, "last"]
    assert play.call("notes.get_version", ["n-1"]) == '"v1"'
    assert play.call("notes.get_picture", ["n-1"]) == {"content_type": "image/png", "base64": "/wA=", "bytes": 2}
    assert play.call("notes.count_notes") == {"all": 7, "pinned": 2}
    assert play.call("notes.rank_notes", {"words": ["tea"]}) == []
    assert all(request.safe for request in play.requests)
    assert integration.identify(Api(lambda _: answer(200, {"email": "ann@example.com"}), "https://x.example")) == (
        "ann@example.com"
    )


def test_notes_of_the_guide_speak_graphql(workshop: Path) -> None:
    """Pages are joined by their cursors, and a mutation is a write."""
    pages = [
        {"nodes": [{"name": "Ann"}], "pageInfo": {"hasNextPage": True, "endCursor": "c-1"}},
        {"nodes": [{"name": "Bob"}], "pageInfo": {"hasNextPage": False, "endCursor": "c-2"}},
    ]
    pinned = {"data": {"pin": {"id": "n-1", "pinned": True}}}
    replies = in_turn(*({"data": {"book": {"authors": page}}} for page in pages), pinned)
    play = Playground(load(workshop / "notes.py"), {("POST", "/graphql"): replies})

    assert play.call("notes.list_authors", {"book": "b-1"}) == ["Ann", "Bob"]
    assert play.call("notes.pin_note", {"note_id": "n-1"}) == {"id": "n-1", "pinned": True}


def test_a_picture_of_the_guide_is_uploaded(workshop: Path) -> None:
    """What another function returned is a file of a form, and what is not given is no field of it."""
    play = Playground(load(workshop / "notes.py"), {("POST", "/notes/n-1/pictures"): {"id": "p-1"}})

    picture = {"base64": "/wA=", "content_type": "image/png", "bytes": 2, "filename": "picture.png"}
    assert play.call("notes.add_picture", {"note_id": "n-1", "picture": picture}) == {"id": "p-1"}
    sent = play.requests[0]
    assert b'name="file"; filename="picture.png"\r\nContent-Type: image/png\r\n\r\n\xff\x00\r\n' in sent.content
    assert b"caption" not in sent.content


def test_the_ledger_of_the_guide_is_signed(workshop: Path) -> None:
    """The signature covers what a service gets, query included."""
    play = Playground(
        load(workshop / "ledger.py"), {("GET", "/entries"): []}, accounts={"default": {"key": "s3cret-key"}}
    )
    play.call("ledger.find_entries", {"word": "tea & milk"})
    headers = play.requests[0].headers

    covered = f"{headers['X-Time']}\nGET\n/v1/entries?word=tea%20%26%20milk\n".encode()
    assert headers["X-Signature"] == hmac.new(b"s3cret-key", covered, "sha256").hexdigest()


def test_the_program_of_the_guide_has_a_trace(workshop: Path) -> None:
    """It runs as it stands, with a tracer provider or without."""
    runpy.run_path(str(workshop / "nightly.py"))
