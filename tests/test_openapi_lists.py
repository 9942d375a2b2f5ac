"""Lists of documents that are cut at ``max_items``: whoever gets one can see that there are more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.documents import Reply, Sent, live, serving, small

from kosmolua.errors import BadArguments, NetworkError
from kosmolua.openapi.compiling import compiled
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
    """The same word, as a key of the result."""
    script = "return app.integrations.pets.list_pets({ all = true, max_items = 3 }).truncated"
    made = document(tmp_path, wrapped=True)
    with serving(pages_of(5, wrapped=True)) as service, live(made, "pets", service) as runtime:
        assert runtime.run(script).result == [True]


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


Pager = Callable[[dict[str, str], list[dict[str, Any]]], "tuple[Any, dict[str, str]]"]
PETS = [{"id": f"p{number}"} for number in range(7)]


def paged(
    folder: Path, parameters: str, keys: str, pager: Pager, overlay: str = "", **given: Any
) -> tuple[Any, list[str]]:
    """Return all pets of a service that pages in some way, two at a time, and the requests for them.

    Args:
        folder: Where the document is written.
        parameters: The query: names, types and more of the schemas, ``limit:integer; page:integer:minimum=0``.
        keys: The keys of the declared reply: ``data[]`` is a list, ``next:string`` text; without any, it is a list.
        pager: Makes the reply and its headers of the query and the pets.
        overlay: The overlay.
        given: Further arguments of the call.
    """

    def kind(word: str) -> dict[str, Any]:
        return LIST if word.endswith("[]") else {"type": word.partition(":")[2] or "object"}

    fields = []
    for each in parameters.split("; "):
        name, of, *words = each.split(":")
        said = {word.partition("=")[0]: word.partition("=")[2] for word in words}
        about = said.pop("about", "")
        numbers = {
            word: float(value) if "." in value else int(value) for word, value in said.items() if value[0].isdigit()
        }
        fields.append({"name": name, "in": "query", "schema": {"type": of, **said, **numbers}, "description": about})
    properties = {word.rstrip("[]").partition(":")[0]: kind(word) for word in keys.split()}
    schema = {"type": "object", "properties": properties} if keys else LIST
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    listing = {"operationId": "list_pets", "parameters": fields, "responses": good}

    def answer(sent: Sent) -> Reply:
        query = {name: values[0] for name, values in parse_qs(urlsplit(sent.target).query).items()}
        value, headers = pager(query, PETS)
        return Reply(value, headers=headers)

    made = small(folder, {"paths": {"/pets": {"get": listing}}}, overlay=overlay)
    with serving(answer) as service, live(made, "pets", service) as runtime:
        return runtime.call("pets.list_pets", {"all": True, **given}), service.lines


def from_place(make: Callable[[list[dict[str, Any]], int | None], Any], parameter: str, mark: str = "") -> Pager:
    """Return a pager that takes the place of the first pet in a parameter; after a mark, it is a token."""

    def page(query: dict[str, str], pets: list[dict[str, Any]]) -> tuple[Any, dict[str, str]]:
        start = int(query.get(parameter, "0").removeprefix(mark))
        following = start + 2 if start + 2 < len(pets) else None
        return make(pets[start : start + 2], following), {}

    return page


def after_last(make: Callable[[list[dict[str, Any]], bool], Any], parameter: str) -> Pager:
    """Return a pager that takes the id of the last pet."""

    def page(query: dict[str, str], pets: list[dict[str, Any]]) -> tuple[Any, dict[str, str]]:
        start = int(query[parameter][1:]) + 1 if parameter in query else 0
        return make(pets[start : start + 2], start + 2 < len(pets)), {}

    return page


def numbered(make: Callable[[list[dict[str, Any]], int], Any], parameter: str = "page", first: int = 0) -> Pager:
    """Return a pager that counts pages."""

    def page(query: dict[str, str], pets: list[dict[str, Any]]) -> tuple[Any, dict[str, str]]:
        number = int(query.get(parameter, first))
        return make(pets[2 * (number - first) : 2 * (number - first) + 2], number), {}

    return page


def headed(query: dict[str, str], pets: list[dict[str, Any]]) -> tuple[Any, dict[str, str]]:
    """Page as Nomad does, with the token in a header of its own."""
    start = int(query.get("next_token", "0"))
    return pets[start : start + 2], {"X-Nomad-NextToken": str(start + 2)} if start + 2 < len(pets) else {}


def linked(query: dict[str, str], pets: list[dict[str, Any]]) -> tuple[Any, dict[str, str]]:
    """Page as Sentry does, whose last link has no results."""
    start = int(query.get("cursor", "0"))
    more = "true" if start + 2 < len(pets) else "false"
    return pets[start : start + 2], {"Link": f'</pets?cursor={start + 2}>; rel="next"; results="{more}"'}


WAYS: dict[str, tuple[str, str, Pager]] = {
    "kubernetes": (
        "limit:integer; continue:string",
        "items[] metadata",
        from_place(lambda some, at: {"items": some, "metadata": {"continue": f"c{at}" if at else ""}}, "continue", "c"),
    ),
    "asana": (
        "limit:integer; offset:string:about=Offset token.",
        "data[] next_page",
        from_place(lambda some, at: {"data": some, "next_page": at and {"offset": f"t{at}"}}, "offset", "t"),
    ),
    "square": (
        "cursor:string; limit:integer",
        "errors[] customers[] cursor:string",
        from_place(lambda some, at: {"customers": some, **({"cursor": f"q{at}"} if at else {})}, "cursor", "q"),
    ),
    "svix": (
        "iterator:string; limit:integer",
        "data[] done:boolean iterator:string",
        from_place(lambda some, at: {"data": some, "iterator": f"i{at or 9}", "done": at is None}, "iterator", "i"),
    ),
    "resend": (
        "limit:integer; after:string",
        "data[] has_more:boolean",
        after_last(lambda some, more: {"data": some, "has_more": more}, "after"),
    ),
    "cloudflare": (
        "page:integer:default=1; per_page:integer:default=2",
        "errors[] messages[] result[] result_info",
        numbered(lambda some, page: {"result": some, "result_info": {"page": page, "total_count": 7}}, first=1),
    ),
    "jira": (
        "startAt:integer; maxResults:integer",
        "values[]",
        from_place(lambda some, at: {"values": some, "total": 7, "isLast": at is None}, "startAt"),
    ),
    "stackexchange": (
        "page:integer:default=1; pagesize:integer",
        "",
        numbered(lambda some, page: {"items": some, "has_more": page < 4}, first=1),
    ),
    "mailchimp": (
        "count:integer; offset:integer",
        "lists[] _links[] total_items:integer",
        from_place(lambda some, at: {"lists": some, "_links": [{"rel": "self"}], "total_items": 7}, "offset"),
    ),
    "nomad": ("next_token:string; per_page:integer", "", headed),
    "sentry": ("cursor:string", "", linked),
    "a page that counts from zero": (
        "page:integer:minimum=0; per_page:integer:default=2",
        "",
        numbered(lambda some, page: some),
    ),
    "a page that the reply counts from zero": (
        "page:integer; size:integer",
        "content[] number:integer last:boolean",
        numbered(lambda some, page: {"content": some, "number": page, "last": page == 3}),
    ),
    "page_index": (
        "page_index:integer:default=0; per_page:integer:default=2",
        "",
        numbered(lambda some, page: some, "page_index"),
    ),
    "a page that counts from zero, which nothing says": (
        "page:integer; per_page:integer:default=2",
        "",
        numbered(lambda some, page: some),
    ),
    "a page that counts from one, which nothing says": (
        "page:integer; per_page:integer:default=2",
        "",
        numbered(lambda some, page: some, first=1),
    ),
    "a short page with a link": (
        "page:integer:default=1; per_page:integer:maximum=20.0",
        "droplets[] links",
        numbered(
            lambda some, page: {
                "droplets": some,
                "links": {"pages": {"next": f"/pets?page={page + 1}"} if page < 4 else {}},
            },
            first=1,
        ),
    ),
    "a short page with a total": (
        "page:integer:default=1; per_page:integer:default=100",
        "pets[] total:integer",
        numbered(lambda some, page: {"pets": some, "total": 7}, first=1),
    ),
    "a short page with a token": (
        "page_token:string; page_size:integer",
        "pets[] next_page_token:string",
        from_place(lambda some, at: {"pets": some, "next_page_token": at and f"t{at}"}, "page_token", "t"),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_pages_of_a_service(tmp_path: Path, way: str) -> None:
    """Each way in which a known service pages gives each pet once, and nothing is said to be left."""
    parameters, keys, pager = WAYS[way]
    found, lines = paged(tmp_path, parameters, keys, pager)
    pets = found if isinstance(found, list) else next(each for each in found.values() if each[:1] == PETS[:1])
    assert pets == PETS
    assert len(lines) in (4, 5)  # without a sign of the end, an empty page is the last
    assert getattr(found, "truncated", None) is None
    assert isinstance(found, list) or "truncated" not in found


def test_a_whole_number_with_a_point_is_the_size_of_a_page(tmp_path: Path) -> None:
    """The largest page is asked for."""
    parameters, keys, pager = WAYS["a short page with a link"]
    assert paged(tmp_path, parameters, keys, pager)[1][0] == "GET /pets?per_page=20"


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
        paged(tmp_path, f"{parameter}; limit:integer", "", lambda query, pets: (pets, {}))


def test_pages_that_repeat_are_an_error(tmp_path: Path) -> None:
    """It names the lines of the overlay that say how the operation pages."""
    with pytest.raises(NetworkError, match=r"GET /pets repeat their items, so skip does not lead") as caught:
        paged(tmp_path, "skip:integer; limit:integer:default=2", "", lambda query, pets: (pets[:2], {}))
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

    def pager(query: dict[str, str], pets: list[dict[str, Any]]) -> tuple[Any, dict[str, str]]:
        return {"pets": [] if "page" in query else pets[:2], **reply}, {}

    given = {"limit": 2} if parameters.endswith("limit:integer") else {}
    found, _ = paged(tmp_path, parameters, keys, pager, **given)
    assert found["pets"] == PETS[:2]
    assert found["truncated"] is True


@pytest.mark.parametrize(
    ("pager", "said", "is_wrong"),
    [
        (
            lambda query, pets: (pets[3 * int(query.get("page", 1)) - 3 :][:3], {}),
            "pages: 7 items, of which 3 were asked for at a time",
            False,
        ),
        (lambda query, pets: (pets[:3], {}), "repeat their items", True),
        (lambda query, pets: (pets[:2], {}), "cannot be judged: it has only 2 items", False),
    ],
)
def test_paging_is_tried(tmp_path: Path, pager: Pager, said: str, is_wrong: bool) -> None:
    """A few items of each list show whether it pages."""
    parameters = [
        {"name": "page", "in": "query", "schema": {"type": "integer", "default": 1}},
        {"name": "per_page", "in": "query", "schema": {"type": "integer"}},
    ]
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": LIST}}}}
    listing = {"operationId": "list_pets", "parameters": parameters, "responses": good}
    made = small(tmp_path, {"paths": {"/pets": {"get": listing}, "/pets/{id}": {"get": {"responses": good}}}})

    def answer(sent: Sent) -> Reply:
        query = {name: values[0] for name, values in parse_qs(urlsplit(sent.target).query).items()}
        return Reply(pager(query, [{"id": number} for number in range(9)])[0])

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
    found, lines = paged(
        tmp_path, "page:integer; per_page:integer:default=2", "", numbered(lambda some, page: some), overlay
    )
    assert found == PETS
    assert lines[1] == "GET /pets?page=1"
