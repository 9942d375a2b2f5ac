"""Lists of documents that are cut at ``max_items``: whoever gets one can see that there are more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from support.documents import Reply, Sent, live, serving, small
from support.pagers import BASE, OTHERS, PETS, VENDORS, Way, numbered

from kosmolua.errors import BadArguments, NetworkError
from kosmolua.http.messages import Request, Response
from kosmolua.openapi.compiling import compiled
from kosmolua.openapi.integration import home_of, of_home
from kosmolua.openapi.overlay import Overlay
from kosmolua.openapi.paging import Recipe
from kosmolua.openapi.trial import try_paging
from kosmolua.openapi.vendors import paging_of, vendors

LIST = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}}
PAGES = [
    {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}},
    {"name": "per_page", "in": "query", "schema": {"type": "integer", "default": 2}},
]


def document(folder: Path, *, wrapped: bool = False) -> Path:
    """Return a document of one list that comes in pages: as it is, or inside a table."""
    schema = {"type": "object", "properties": {"items": LIST}} if wrapped else LIST
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    listing = {"operationId": "list_pets", "parameters": PAGES, "responses": good}
    return small(folder, {"paths": {"/pets": {"get": listing}}})


def pages_of(count: int, *, wrapped: bool = False) -> Callable[[Sent], Reply]:
    """Return a service with some pets, two a page."""

    def answer(sent: Sent) -> Reply:
        page = int(parse_qs(urlsplit(sent.target).query).get("page", ["1"])[0])
        items = [{"id": number} for number in range(count)][2 * page - 2 : 2 * page]
        return Reply({"items": items} if wrapped else items)

    return answer


@pytest.mark.parametrize(("count", "shown"), [(5, "3\ttrue\t3"), (3, "3\tnil\t3"), (1, "1\tnil\t1")])
def test_a_list_says_that_it_is_truncated(tmp_path: Path, count: int, shown: str) -> None:
    """It stays a list, for pairs and for JSON; one that ends just there is whole."""
    script = """
      local pets = app.integrations.pets.list_pets({ all = true, max_items = 3 })
      local keys = 0
      for _ in pairs(pets) do keys = keys + 1 end
      print(#pets, pets.truncated, keys)
      return json.encode(pets)
    """
    with serving(pages_of(count)) as service, live(document(tmp_path), "pets", service) as runtime:
        outcome = runtime.run(script, check=True)
        assert outcome.output == f"{shown}\n"
        assert outcome.warnings == []
        assert json.loads(outcome.result[0]) == [{"id": number} for number in range(min(count, 3))]


def test_a_page_that_is_a_table_has_the_key(tmp_path: Path) -> None:
    """The same word, as a key of the result, which the check knows."""
    script = "return app.integrations.pets.list_pets({ all = true, max_items = 3 }).truncated"
    made = document(tmp_path, wrapped=True)
    with serving(pages_of(5, wrapped=True)) as service, live(made, "pets", service) as runtime:
        outcome = runtime.run(script, check=True)
        assert outcome.result == [True]
        assert outcome.warnings == []


def test_python_gets_a_list_that_says_so(tmp_path: Path) -> None:
    """It equals any other list of these items."""
    with serving(pages_of(5)) as service, live(document(tmp_path), "pets", service) as runtime:
        pets = runtime.call("pets.list_pets", {"all": True, "max_items": 3})
        assert pets == [{"id": 0}, {"id": 1}, {"id": 2}]
        assert pets.truncated is True


def test_a_recording_repeats_it(tmp_path: Path) -> None:
    """A script that asks for the rest does so again when it is replayed."""
    script = "return app.integrations.pets.list_pets({ all = true, max_items = 3 }).truncated"
    with serving(pages_of(5)) as service, live(document(tmp_path), "pets", service) as runtime:
        assert runtime.run(script, record=tmp_path / "run.jsonl").result == [True]
        assert runtime.replay(tmp_path / "run.jsonl").result == [True]
        assert len(service.sent) == 2


@pytest.mark.slow
def test_the_command_warns(kosmolua: Callable[..., Any], tmp_path: Path) -> None:
    """JSON on standard output cannot say it, so standard error does."""
    with serving(pages_of(5)) as service:
        accounts = tmp_path / "accounts.toml"
        accounts.write_text(f'[pets.default]\nbase_url = "{service.url}"\n')
        done = kosmolua(
            *("call", "--accounts", accounts, "--plugin", document(tmp_path)),
            *("pets.list_pets", "all=true", "max_items=3"),
        )
    assert json.loads(done.stdout) == [{"id": 0}, {"id": 1}, {"id": 2}]
    assert "there are more than these 3 items; max_items says how many to fetch" in done.stderr


def paged(
    folder: Path, way: Way, overlay: str = "", *, host: str = "", base: str = "", **given: Any
) -> tuple[Any, list[str]]:
    """Return all pets of a service that pages in some way, two at a time, and the requests for them.

    ``base`` stands before its paths, ``given`` are further arguments of the call; the document is of ``host``, or of a
    service that is not known.
    """
    fields = []
    for each in way.parameters.split("; "):
        name, of, *words = each.split(":")
        said: dict[str, Any] = {word.partition("=")[0]: word.partition("=")[2] for word in words}
        about = said.pop("about", "")
        numbers = {word: float(text) if "." in text else int(text) for word, text in said.items() if text[0].isdigit()}
        fields.append({"name": name, "in": "query", "schema": {"type": of, **said, **numbers}, "description": about})
    schema: dict[str, Any] = {"type": "object", "properties": {}} if way.keys else LIST
    for each in way.keys.split():
        place, _, words = each.partition(":")
        *around, key = [place] if place.startswith("@") else place.split(".")
        inside = schema["properties"]
        for name in around:
            inside = inside.setdefault(name, {"type": "object"}).setdefault("properties", {})
        of, _, form = words.partition(":format=")
        inside[key.removesuffix("[]")] = LIST if key.endswith("[]") else {"type": of or "object", "format": form}
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    listing = {"operationId": "list_pets", "parameters": fields, "responses": good}
    servers = [{"url": f"https://{host or 'api.test'}"}]
    made = small(folder, {"servers": servers, "paths": {"/pets": {"get": listing}}}, overlay=overlay)
    lines = []

    def send(request: Request) -> Response:
        lines.append(f"{request.method} {request.target}")
        value, headers = way.pager(dict(parse_qsl(urlsplit(request.target).query)))
        return Response(200, {"Content-Type": "application/json", **headers}, json.dumps(value).encode())

    integration = of_home(home_of(made), "pets", str(made))
    function = integration.functions.more.function("list_pets")  # type: ignore[union-attr]
    assert function
    opened = integration.account(base_url=BASE + base).open(send)
    return function.handler(opened, **function.bind("pets.list_pets", [{"all": True, **given}])), lines


def list_in(found: Any) -> Any:
    """Return the pets in a result: itself, or what it has at some key."""
    if isinstance(found, list):
        return found if found[:1] == PETS[:1] else None
    return next(filter(None, map(list_in, found.values())), None) if isinstance(found, dict) else None


@pytest.mark.parametrize("name", [*VENDORS, *OTHERS])
def test_all_pages_of_a_service(tmp_path: Path, name: str) -> None:
    """Each way in which a known service pages gives each pet once, and nothing is said to be left."""
    way = VENDORS.get(name) or OTHERS[name]
    found, lines = paged(tmp_path, way, host=way.host)
    assert list_in(found) == PETS
    assert len(lines) in (4, 5)  # without a sign of the end, an empty page is the last
    assert getattr(found, "truncated", None) is None
    assert isinstance(found, list) or "truncated" not in found


def test_the_next_page_is_where_the_first_one_was(tmp_path: Path) -> None:
    """Confluence leaves out the beginning of the path, and services behind a gateway do not know it."""
    found, lines = paged(tmp_path, VENDORS["confluence"], base="/gateway/wiki")
    assert list_in(found) == PETS
    assert {line.partition("?")[0] for line in lines} == {"GET /gateway/wiki/pets"}


@pytest.mark.parametrize("name", [name for name, way in VENDORS.items() if way.host])
def test_the_pages_of_an_unknown_service_are_not_silently_wrong(tmp_path: Path, name: str) -> None:
    """Where its host tells nothing, all pets come, or it is seen that they do not."""
    try:
        found, _ = paged(tmp_path, VENDORS[name])
    except BadArguments:  # there is no argument ``all``
        return
    is_seen = getattr(found, "truncated", False) or (isinstance(found, dict) and found.get("truncated"))
    assert list_in(found) == PETS or is_seen


def test_a_whole_number_with_a_point_is_the_size_of_a_page(tmp_path: Path) -> None:
    """The largest page is asked for."""
    assert paged(tmp_path, VENDORS["digitalocean"])[1][0] == "GET /pets?per_page=20"


@pytest.mark.parametrize(
    "parameter",
    [
        "from:string:format=date",
        "from:number:about=Created after this timestamp",
        "start:string:about=The id to start from",
    ],
)
def test_a_date_or_an_id_is_no_offset(tmp_path: Path, parameter: str) -> None:
    """Such a list has no pages that could be counted."""
    with pytest.raises(BadArguments, match="all"):
        paged(tmp_path, Way(f"{parameter}; limit:integer", "", lambda query: (PETS, {})))


def test_pages_that_repeat_are_an_error(tmp_path: Path) -> None:
    """It names the lines of the overlay that say how the operation pages."""
    with pytest.raises(NetworkError, match=r"GET /pets repeat their items, so skip does not lead") as caught:
        paged(tmp_path, Way("skip:integer; limit:integer:default=2", "", lambda query: (PETS[:2], {})))
    assert '[functions."GET /pets".paging]' in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "keys", "reply"),
    [
        ("page:integer; per_page:integer:default=2", "pets[]", {"total": 9}),
        ("cursor:string; limit:integer", "pets[]", {"has_more": True}),
        ("cursor:string; limit:integer", "pets[]", {}),
        ("cursor:string; limit:integer:default=2", "pets[]", {}),
    ],
)
def test_a_list_whose_rest_cannot_be_reached_is_truncated(
    tmp_path: Path, parameters: str, keys: str, reply: dict[str, Any]
) -> None:
    """A total, a flag, or a full page after which nothing leads on, say that there are more."""

    def pager(query: dict[str, str]) -> tuple[Any, dict[str, str]]:
        return {"pets": [] if "page" in query else PETS[:2], **reply}, {}

    found, _ = paged(tmp_path, Way(parameters, keys, pager))
    assert found["pets"] == PETS[:2]
    assert found["truncated"] is True


NINE = [{"id": number} for number in range(9)]


@pytest.mark.parametrize(
    ("pager", "said", "is_wrong"),
    [
        (
            lambda query: NINE[2 * int(query.get("page", 1)) - 2 :][:2],
            "pages: 4 items, of which 2 were asked for at a time",
            False,
        ),
        (lambda query: NINE[:2], "repeat their items", True),
        (lambda query: NINE[:1], "cannot be judged: it has only 1 items", False),
    ],
)
def test_paging_is_tried(tmp_path: Path, pager: Callable[[dict[str, str]], Any], said: str, is_wrong: bool) -> None:
    """A few items of each list show whether it pages; no more of a page are asked for than the document allows."""
    parameters = [
        {"name": "page", "in": "query", "schema": {"type": "integer", "default": 1}},
        {"name": "per_page", "in": "query", "schema": {"type": "integer", "maximum": 2}},
    ]
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": LIST}}}}
    listing = {"operationId": "list_pets", "parameters": parameters, "responses": good}
    made = small(tmp_path, {"paths": {"/pets": {"get": listing}, "/pets/{id}": {"get": {"responses": good}}}})

    def answer(sent: Sent) -> Reply:
        query = {name: values[0] for name, values in parse_qs(urlsplit(sent.target).query).items()}
        return Reply(pager(query))

    with serving(answer) as service, live(made, "pets", service) as runtime:
        functions = runtime.catalog.integration("pets").functions.more
        trials = [*try_paging(functions, lambda name, given: runtime.call(f"pets.{name}", given))]  # type: ignore[arg-type]
    assert [(each.function, each.is_wrong) for each in trials] == [("list_pets", is_wrong)]
    assert said in trials[0].sentence


def test_the_host_says_how_a_list_pages(tmp_path: Path) -> None:
    """Where a document leaves a doubt, what is known of the service decides; each entry is valid in an overlay."""
    for host in vendors():
        assert Overlay("openapi.toml", {"paging": {"default": paging_of(f"https://{host.replace('*', 'a')}/v1")}})
    assert paging_of("https://api.example.com") == {}
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("offset", "pageSize")]
    listing = {"type": "object", "properties": {"records": LIST}}
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": listing}}}}
    paths = {"/pets": {"get": {"operationId": "list_pets", "parameters": parameters, "responses": good}}}
    made: dict[str, Any] = {"openapi": "3.1.0", "info": {}, "paths": paths}

    def recipe(url: str) -> Recipe | None:
        return compiled({**made, "servers": [{"url": url}]}, Overlay()).functions[0].recipe

    known = recipe("https://api.airtable.com/v0")
    assert known and (known.kind, known.parameter, known.field, known.items) == ("token", "offset", "offset", "records")
    assert recipe("https://api.example.com") != known


def test_the_overlay_counts_pages_from_zero(tmp_path: Path) -> None:
    """``first = 0`` is kept, whatever the document says."""
    overlay = '[functions.list_pets.paging]\nkind = "page"\nparameter = "page"\nfirst = 0\n'
    way = Way("page:integer; per_page:integer:default=2", "", numbered(lambda some, page: some, first=0))
    found, lines = paged(tmp_path, way, overlay)
    assert found == PETS
    assert lines[1] == "GET /pets?page=1"


def test_a_union_says_what_leads_to_the_next_page() -> None:
    """As of documents that FastAPI makes: whatever may be null is one, and a member can name several types."""
    said = {"anyOf": [{"type": ["string", "integer"]}, {"type": "null"}]}
    page = {"type": "object", "properties": {"pets": {"anyOf": [LIST, {"type": "null"}]}, "next_cursor": said}}
    listing = {
        "parameters": [{"name": "start", "in": "query", "schema": {"anyOf": [{"type": "string"}, {"type": "null"}]}}],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": page}}}},
    }
    root = {"openapi": "3.1.0", "servers": [{"url": "https://pets.example"}], "paths": {"/pets": {"get": listing}}}
    (built,) = compiled(root, Overlay()).functions
    assert built.recipe == Recipe("token", "start", "next_cursor", "pets")
