"""GraphQL services: what an import makes of a schema, and how its functions query, change, page and fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from support.documents import Service
from support.graphql_server import COUNT, SDL, Library, library

from kosmolua import Runtime
from kosmolua.catalog.catalog import Target
from kosmolua.errors import ConfigError
from kosmolua.flow.late import LateJudge
from kosmolua.openapi import importing
from kosmolua.openapi.importing import Fetched, Import, Wishes
from kosmolua.stores.folder_store import Folder

pytest.importorskip("graphql")
L = "local lib = app.integrations.lib\n"
BOOKS = """query($after: String) {
  books(first: 20, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } }
}"""


def opened(
    folder: Path, ready: Import, permissions: str = 'write = "allow"', budgets: str = "", **options: Any
) -> Runtime:
    """Return a runtime in which an import is the integration ``lib``."""
    for name, text in ready.texts().items():
        (folder / f"lib.{name}").write_text(text)
    (folder / "accounts.toml").write_text(f"{budgets}[lib]\npermissions = {{ {permissions} }}\n[lib.default]\n")
    (folder / "lib.openapi.toml").write_text(ready.overlay)
    return Runtime(plugins=[folder / "lib.openapi.json"], accounts=folder / "accounts.toml", **options)


def imported(service: Service) -> Import:
    """Return the import of a service that is asked for its schema."""
    fetched = importing.fetch(service.url, lambda: b"", graphql=True)
    return importing.prepare(fetched, Wishes("lib", auth="none", graphql=True))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, Runtime]]:
    """A library on loopback, and a runtime with its integration."""
    with library() as (made, service), opened(tmp_path_factory.mktemp("lib"), imported(service)) as runtime:
        yield made, runtime


@pytest.mark.parametrize(
    ("source", "result"),
    [
        (
            'lib.author({ id = "x" })',
            {"born": "1970-01-01T00:00:00Z", "id": "x", "name": "Ann", "rival": {"id": "rival", "name": "Bo"}},
        ),
        ('lib.author({ id = "x", fields = "name" })', {"name": "Ann"}),
        ('lib.author({ id = "x", fields = "name # the author\'s" })', {"name": "Ann"}),
        ("lib.version()", "7"),
        (
            'lib.search({ text = "q" })',
            [
                {"__typename": "Book", "genre": "NOVEL", "id": "1", "tags": ["x"], "title": "Book 1"},
                {"__typename": "Author", "id": "a", "name": "q"},
            ],
        ),
        ("#lib.books({}).nodes", 30),
        ('#lib.books({ first = 2, fields = "nodes { id }" }).nodes', 2),
        ("#lib.books({ all = true }).nodes", COUNT),
        ("#lib.books({ all = true, fields = 'nodes { id }' }).nodes", COUNT),
        ("lib.books({ all = true, max_items = 40 }).truncated", True),
        (
            'lib.add_book({ title = "T", author_id = "a", tags = { "u" } })',
            {"book": {"genre": "NOVEL", "id": "new", "tags": ["u"], "title": "T"}},
        ),
        ('lib.rename({ author_id = "3", name = "N", fields = "id name" })', {"id": "3", "name": "N"}),
        ("lib.secretly()", None),
        ('lib.query("{ v: version }")', {"v": "7"}),
        ('lib.query({ query = "query A { version } query B { version }", operation = "B" })', {"version": "7"}),
        (f"#lib.query({{ query = [[{BOOKS}]], all = true }}).books.nodes", COUNT),
    ],
)
def test_a_call_returns_the_value_of_its_field(served: tuple[Library, Runtime], source: str, result: object) -> None:
    """Scalars two levels deep, or what `fields` selects; a connection's pages with `all`."""
    outcome = served[1].run(f"{L}return {source}")
    assert outcome.result == [result], outcome.error


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ('lib.author({ id = "missing" })', "api_error", "There is no such author (NOT_FOUND, at author)"),
        ("lib.author({ id = 'x', fields = 'name } version { a' })", "bad_arguments", "'version' stands after"),
        ("lib.author({ id = 'x', fields = 'name {' })", "bad_arguments", "Nothing was sent"),
        ('lib.query("{ nope")', "bad_arguments", "Nothing was sent"),
        ('lib.query("mutation { uploadCover(id: 1) }")', "bad_arguments", "Mutation.uploadCover has no function"),
        ('lib.query("subscription { added { id } }")', "bad_arguments", "a subscription has no single answer"),
        ('lib.query({ query = "{ version }", all = true })', "bad_arguments", "declare a variable $after"),
        ('lib.query({ query = "mutation { rename(name: 2) { id } }", all = true })', "bad_arguments", "is for queries"),
        ('lib.query({ query = "{ version } query B { version }", operation = "" })', "bad_arguments", "one operation"),
        ('lib.query("{ ...F } fragment F on A { a } fragment F on A { b }")', "bad_arguments", "two fragments F"),
        ('lib.query("{ ...F } fragment F on A { b { x: accessToken } }")', "bad_arguments", "be selected as x"),
        ("lib.author({ id = 'x', fields = 'x: api_key' })", "bad_arguments", "may be a credential"),
        ('lib.delete_book({ id = "3" })', "denied", "lib.delete_book destroys"),
        ('lib.query("mutation { deleteBook(id: 3) }")', "denied", "lib.query destroys"),
    ],
)
def test_what_fails_says_why(served: tuple[Library, Runtime], source: str, code: str, said: str) -> None:
    """Errors in a reply with status 200 raise like those of other APIs, with path and code."""
    error = served[1].run(L + source).error
    assert error
    assert error.code == code
    assert said in str(error)


@pytest.mark.slow
def test_a_document_has_the_permissions_of_its_fields(tmp_path: Path) -> None:
    """It is denied if one of its fields is, wherever it stands; a query is a read, also where writes are denied."""
    inside = "query { ...F } fragment F on Query { hidden: secretly }"
    with library() as (_, service):
        permissions = 'write = "deny", secretly = "deny", query = "allow"'
        with opened(tmp_path, imported(service), permissions) as runtime:
            allowed = runtime.run(f'{L}return lib.query("{{ version }}")')
            denied = runtime.run(f'{L}return lib.query("{inside}")')
            written = runtime.run(f'{L}return lib.query("mutation {{ rename(authorId: 1, name: 2) {{ id }} }}")')
    assert allowed.result == [{"version": "7"}], allowed.error
    assert denied.error
    assert denied.error.code == "denied"
    assert written.error
    assert written.error.code == "denied"
    assert [call["effect"] for each in (allowed, written) for call in each.calls] == ["read", "write"]


def test_a_document_is_denied_with_its_fields_by_an_option(tmp_path: Path) -> None:
    """As --deny of a function would else be passed by a document that does the same."""
    with library() as (_, service), opened(tmp_path, imported(service), deny=["lib.rename"], yes=True) as runtime:
        outcome = runtime.run(f'{L}return lib.query("mutation {{ rename(authorId: 1, name: 2) {{ id }} }}")')
    assert outcome.error
    assert outcome.error.code == "denied"
    assert 'lib.rename is denied by deny=["lib.rename"]' in outcome.error.message


@pytest.mark.slow
def test_a_document_takes_from_the_budgets_of_its_fields(tmp_path: Path) -> None:
    """As a call of the function does."""
    script = f'{L}return lib.query("mutation {{ rename(authorId: 1, name: 2) {{ id }} }}")'
    given: dict[str, Any] = {
        "budgets": '[kosmolua.budgets]\n"lib.rename" = { writes = { max = 1, per = "day" } }\n',
        "store": Folder(tmp_path / "runs"),
    }
    with library() as (_, service), opened(tmp_path, imported(service), **given) as runtime:
        runtime.run(script)
        spent = runtime.run(script).error
    assert spent
    assert spent.code == "limit_exceeded"
    assert "of lib.rename in [kosmolua.budgets]" in spent.message


def test_an_import_says_what_it_left_out() -> None:
    """A required upload has no function, an optional one is no argument, and both are notes."""
    ready = importing.prepare(
        Fetched(SDL.encode(), "lib.graphql"), Wishes("lib", auth="none", base_url="https://lib.example", graphql=True)
    )
    functions = {each.name: each.effect for each in ready.result.functions}
    assert "upload_cover" not in functions
    assert functions["delete_book"] == "destroy"
    assert functions["add_book"] == "write"
    assert "uploadCover uploads a file, which cannot be sent, so it has no function" in ready.result.notes
    assert "illustrate: picture uploads a file, which cannot be sent, so it was left out" in ready.result.notes


def test_what_is_no_schema_is_refused() -> None:
    """The sentence names the source, and what can be passed."""
    with pytest.raises(ConfigError, match=r"x\.graphql is no GraphQL schema"):
        importing.prepare(Fetched(b"type {", "x.graphql"), Wishes("lib", graphql=True))


def test_an_openapi_document_cannot_claim_to_be_graphql(tmp_path: Path) -> None:
    """Only an import with --graphql makes a POST a read; the document alone does not."""
    ready = importing.prepare(
        Fetched(SDL.encode(), "lib.graphql"), Wishes("lib", auth="none", base_url="https://lib.example", graphql=True)
    )
    claimed = Fetched(json.dumps(ready.root).encode(), "lib.json")
    again = importing.prepare(claimed, Wishes("lib", auth="none", base_url="https://lib.example"))
    assert "read" not in {each.effect for each in again.result.functions}


def test_the_service_is_simulated_from_its_types(tmp_path: Path) -> None:
    """The reply has what was selected; arguments are echoed, and connections have pages."""
    ready = importing.prepare(
        Fetched(SDL.encode(), "lib.graphql"), Wishes("lib", auth="none", base_url="https://lib.example", graphql=True)
    )
    script = f"""{L}
    local books = lib.books({{ all = true }})
    local added = lib.add_book({{ title = "T", author_id = "a", tags = {{ "u" }} }}).book
    local own = lib.query("{{ one: author(id: 7) {{ name rival {{ name }} }} }}").one
    return #books.nodes, added.title, added.tags, type(own.rival.name), lib.author({{ id = "x" }}).id
    """
    with opened(tmp_path, ready, simulate=True) as runtime:
        outcome = runtime.run(script)
    assert outcome.result == [25, "T", ["u"], "string", "x"], outcome.error


def test_check_and_docs_know_the_types(served: tuple[Library, Runtime]) -> None:
    """A wrong argument is found before the run; the page has the types, and what is returned by default."""
    _, runtime = served
    (found,) = runtime.checker().check(f'{L}lib.add_book({{ titel = "T", author_id = "a" }})').errors[:1]
    page = runtime.docs.read("integrations.lib.add_book")
    assert "title" in found.message + found.hint
    assert "By default: book { id title genre tags }" in page
    assert "---@class lib.BookPayload" in page


@pytest.mark.parametrize(
    ("source", "effect"),
    [
        ('lib.query("{ version }")', "read"),
        ("local t = [[query A { version }]]\npcall(lib.query, { query = t, variables = { id = id } })", "read"),
        ('lib.query([[query A { version } mutation B { rename(name: 2) { id } }]], {}, "A")', "read"),
        ('lib.query({ query = "mutation { rename(name: 2) { id } }" })', "write"),
        ('lib.query("mutation { deleteBook(id: 3) }")', "destroy"),
        ("lib.query(text)", "write"),
        (r"""lib.query("query A {\n  author(id: \"7\") { name }\n}")""", "read"),
        (
            r"""lib.query('\u{7b} ver\x73i\111n \z
            }')""",
            "read",
        ),
        ('lib.query({ query = "{ version }", [key] = "B" })', "write"),
    ],
)
def test_check_charges_a_document_for_what_it_selects(
    served: tuple[Library, Runtime], source: str, effect: str
) -> None:
    """One that the script computes may be a write."""
    assert [each.effect for each in served[1].checker().check(L + source).bill] == [effect]


def test_check_reads_a_document(served: tuple[Library, Runtime]) -> None:
    """A mistake in it is found before anything is sent."""
    (error,) = served[1].checker().check(f'{L}lib.query("{{ versoin }}")').errors
    assert "Query.versoin has no function" in error.message


@pytest.mark.slow
def test_the_command_imports_a_service(kosmolua: Program, tmp_path: Path) -> None:
    """It asks the service for its schema, lists what was made, and its functions can be called."""
    with library() as (_, service):
        made = kosmolua("integrations", "import", service.url, "--graphql", "--name", "lib", "--auth", "none")
        (tmp_path / "accounts.toml").write_text("[lib.default]\n")
        called = kosmolua("call", "lib.version", "--accounts", str(tmp_path / "accounts.toml"))
    assert "lib: 10 functions in 2 sections (5 read, 4 write, 1 destroy)" in made.stdout, made.stderr
    assert json.loads(called.stdout) == "7", called.stderr


@pytest.mark.slow
def test_a_strawberry_service(tmp_path: Path) -> None:
    """A schema of another library: an interface, an input object with a default, an error, and Relay's edges."""
    pytest.importorskip("strawberry", reason="strawberry fits another graphql-core", exc_type=ImportError)
    from support.strawberry_server import answer

    service = Service(answer)
    script = f"""{L}
    local tree = lib.tree({{ name = "oak" }})
    local edges = lib.trees({{ all = true, fields = "edges {{ node {{ name }} }}" }}).edges
    local planted = lib.plant({{ name = "fir" }})
    local _, err = pcall(lib.tree, {{ name = "none" }})
    return tree.name, #edges, edges[12].node.name, planted.name, planted.height, err.message
    """
    try:
        with opened(tmp_path, imported(service)) as runtime:
            outcome = runtime.run(script)
    finally:
        service.close()
    assert outcome.ok, outcome.error
    assert outcome.result[:5] == ["oak", 25, "tree 12", "fir", 3]
    assert "no such tree" in outcome.result[5]


GITHUB = """
local github = app.integrations.github
local fields = "nameWithOwner issues(first: 3) { totalCount }"
local repo = github.graphql_repository({ owner = "acme", name = "shop", fields = fields })
local issues = github.graphql_search({ query = "is:open", type = "ISSUE", all = true }).nodes
local own = github.graphql("query { viewer { login } }")
local _, err = pcall(github.graphql, "mutation { deleteIssue(input: { issueId: 1 }) { clientMutationId } }")
return repo.issues.totalCount, #issues, type(own.viewer.login), err.code
"""


def test_github_has_its_graphql_api() -> None:
    """Its fields are functions with the accounts of github; one's own document that deletes needs approval."""
    with Runtime(simulate=True, environ={}) as runtime:
        outcome = runtime.run(GITHUB)
        section = runtime.docs.list("integrations.github.sections.graphql")
    assert outcome.result == [25, 25, "string", "denied"], outcome.error
    assert "graphql_create_issue" in section


@pytest.mark.slow
def test_a_simulated_reply_is_bounded() -> None:
    """A document whose lists are in lists, or whose fragment is inside itself, gets an error at once."""
    nested = f"{{ {'forks(first: 25) { nodes { ' * 40} id {' } }' * 40} }}"
    endless = "{ ...F } } fragment F on Repository { parent { ...F } "
    with Runtime(simulate=True, environ={}) as runtime:
        for inner in (nested, endless):
            script = f'return app.integrations.github.graphql([[{{ repository(owner: "a", name: "b") {inner} }}]])'
            assert "has at most 20,000 values" in str(runtime.run(script).error)


@pytest.mark.parametrize(
    "call",
    [
        """lib.query('mutation { rename(authorId: "' .. OTHER .. '", name: "N") { id } }')""",
        """lib.query('mutation { a: rename(authorId: \"\"\"' .. OTHER .. '\"\"\", name: "N") { id } }')""",
        """lib.query({ query = 'mutation($x: ID!) { rename(authorId: $x, name: "N") { id } }',
            variables = { x = OTHER } })""",
        """lib.query({ query = 'mutation($x: ID!) { rename(authorId: $x, name: "N") { id } illustrate(id: $x) }',
            variables = { x = OTHER } })""",
    ],
    ids=["a text", "a block", "a variable", "a variable that is used twice"],
)
def test_a_document_names_no_destination_out_of_a_text_by_others(tmp_path: Path, call: str) -> None:
    """A destination within the document is one, and a name of the script's own is none of others."""
    with library() as (_, service), opened(tmp_path, imported(service), yes=True, flow="ask") as runtime:
        read = f"{L} local OTHER = lib.search({{ text = 'mallory' .. 77 }})[2].name"
        said = runtime.run(f"{read} return {call}").error
        assert "uthorId = mallory77 comes from the name of" in str(said)
        ours = call.replace("' .. OTHER .. '", "walter88").replace("OTHER", "'walter88'")
        assert runtime.run(f"{read} return {ours}").ok


def test_a_recorded_document_is_what_its_fields_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has read has the labels of their functions, also in a run that is resumed."""
    noted: list[list[str]] = []
    note = LateJudge.note

    def watched(judge: LateJudge, number: int, target: Target, *rest: Any, **more: Any) -> None:
        noted.append([each.name for each in target.acted])
        note(judge, number, target, *rest, **more)

    monkeypatch.setattr(LateJudge, "note", watched)
    with library() as (_, service), opened(tmp_path, imported(service), flow="ask") as runtime:
        stopped = runtime.run(f'{L} lib.query("{{ version }}") error("later")', record=tmp_path / "run.jsonl")
        runtime.resume(tmp_path / "run.jsonl")
    assert stopped.recording
    assert noted == [["version"], ["version"]]
