"""``kosmolua integrations new NAME --from FILE``: functions written from operations, the others beside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from support.documents import Sent, live, serving, shared

from kosmolua.authoring.curated import Start, curate
from kosmolua.authoring.plan import Draft, with_access
from kosmolua.authoring.scaffold import write
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import UsageError
from kosmolua.openapi import importing
from kosmolua.openapi.importing import Wishes

Program = Callable[..., Any]
PET = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "from": {"type": "string"}, "query": {"type": "object"}},
}
ANSWER = {"200": {"description": "ok", "content": {"application/json": {"schema": PET}}}}
TOKEN = {"type": "http", "scheme": "bearer"}


def parameter(name: str, place: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    """Return a parameter of a document."""
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": kind}, **more}


def many(name: str, **more: Any) -> dict[str, Any]:
    """Return a parameter that takes a list of strings."""
    return parameter(name, "query", **{"schema": {"type": "array", "items": {"type": "string"}}, **more})


DEEP = {"style": "deepObject", "explode": True}
CREATED = {"anyOf": [{"type": "object"}, {"type": "integer"}]}
CHARGE = {
    "type": "object",
    "required": ["address"],
    "properties": {
        "address": {"type": "object", "properties": {"city": {"type": "string"}}},
        "tags": {"type": "array", "items": {"type": "object"}},
        "live": {"type": "boolean"},
    },
}
ENCODING = {"address": DEEP, "tags": DEEP}
PATHS: dict[str, Any] = {
    "/pets": {
        "get": {
            "operationId": "listPets",
            "summary": 'Find """pets""" by \\n tag',
            "parameters": [
                {**parameter("limit", "query"), "schema": {"type": "integer", "minimum": 1, "maximum": 9}},
                many("tags"),
                many("ids", style="form", explode=False),
                many("kinds", style="pipeDelimited"),
                {**parameter("from", "query"), "schema": {"enum": ["here", "there"]}},
                parameter("X-Trace", "header"),
            ],
            "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "array"}}}}},
        },
        "post": {
            "operationId": "createPet",
            "parameters": [parameter("query", "query", "boolean")],
            "requestBody": {"required": True, "content": {"application/json": {"schema": PET}}},
            "responses": ANSWER,
        },
    },
    "/pets/{petId}": {
        "parameters": [parameter("petId", "path")],
        "get": {"operationId": "getPet", "responses": ANSWER},
        "patch": {
            "operationId": "patchPet",
            "requestBody": {"content": {"application/merge-patch+json": {"schema": PET}}},
            "responses": ANSWER,
        },
        "delete": {"responses": {"204": {"description": "gone"}}},
    },
    "/pets/{api}/{json}": {
        "parameters": [parameter("api", "path"), parameter("json", "path", "integer")],
        "post": {
            "operationId": "import",
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-www-form-urlencoded": {
                        "schema": {"type": "object", "properties": {"name": {"type": "string"}}}
                    }
                },
            },
            "responses": ANSWER,
        },
        "put": {
            "operationId": "renamePets",
            "servers": [{"url": "https://pets.example/v1/"}],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "array", "nullable": True}}},
            },
            "responses": ANSWER,
        },
    },
    "/charges": {
        "get": {
            "operationId": "listCharges",
            "parameters": [
                {
                    **parameter("created", "query"),
                    **DEEP,
                    "schema": {"anyOf": [{"type": "object"}, {"type": "integer"}]},
                },
                many("expand", **DEEP),
                parameter("nested", "query"),
            ],
            "responses": ANSWER,
        },
        "post": {
            "operationId": "createCharge",
            "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": CHARGE, "encoding": ENCODING}}},
            "responses": ANSWER,
        },
    },
    "/odd": {
        "get": {"operationId": "cookies", "parameters": [parameter("a", "cookie")], "responses": ANSWER},
        "put": {"operationId": "elsewhere", "servers": [{"url": "https://b.example"}], "responses": ANSWER},
        "post": {
            "operationId": "upload",
            "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}},
            "responses": ANSWER,
        },
    },
}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("list_pets", {}),
    ("list_pets", {"limit": 3, "tags": ["a b", "c"], "ids": ["1", "2"], "kinds": ["x", "y"], "from": "here"}),
    ("list_pets", {"x_trace": "t-1"}),
    ("create_pet", {"name": "ann", "query": True}),
    ("create_pet", {"name": 'a"b', "from": "there"}),
    ("get_pet", {"petId": "a/b c"}),
    ("patch_pet", {"petId": "p-1", "name": "bea"}),
    ("delete_pet", {"petId": "p-1"}),
    ("import", {"api": "a", "json": 4, "name": "c&d"}),
    ("rename_pets", {"api": "a", "json": 4, "body": ["x", {"y": 1}]}),
    ("list_charges", {"created": {"gte": 1}, "expand": ["a.b", "c"], "nested": "n"}),
    ("list_charges", {"created": 7}),
    ("create_charge", {"address": {"city": "Bern"}, "tags": [{"a": 1}, {"b": [True]}], "live": False}),
]
SPELLED = {"petId": "pet_id", "from": "from_", "json": "json_", "nested": "nested_"}
"""What the functions written here call arguments whose names are taken."""
WANTED = ["listPets", "create_pet", "getPet", "patchPet", "DELETE /pets/{petId}", "import", "rename_pets"]
WANTED += ["list_charges", "create_charge"]


def document_in(folder: Path, schemes: dict[str, Any] | None = None, **more: Any) -> Path:
    """Write the document of a pet shop and return its path."""
    schemes = {"token": TOKEN} if schemes is None else schemes
    whole = {
        "openapi": "3.0.3",
        "info": {"title": "Pets", "version": "1"},
        "servers": [{"url": "https://pets.example/v1"}],
        "paths": PATHS,
        "components": {"securitySchemes": schemes},
        **more,
    }
    file = folder / "pets.openapi.json"
    file.write_text(json.dumps(whole), encoding="utf-8")
    return file


def start_of(document: Path, name: str, wanted: list[str]) -> tuple[Draft, Start]:
    """Return the plan and the start of a plugin of this name."""
    ready = importing.prepare(importing.fetch(str(document), bytes), Wishes(onto=name))
    return with_access(Draft(name), ready.result.access), curate(ready, wanted)


def written(document: Path, name: str, wanted: list[str], parent: Path) -> Path:
    """Write a plugin of this name and return its folder."""
    plan, start = start_of(document, name, wanted)
    return write(plan, parent, start)[0].parent


def essence(sent: Sent) -> tuple[object, ...]:
    """Return what has to be the same of two requests; the keys of a body have no order."""
    kind = sent.headers.get("content-type")
    body = json.loads(sent.body) if sent.body and "json" in (kind or "") else sorted(sent.body.split(b"&"))
    path, _, query = sent.target.partition("?")
    return sent.method, path, sorted(query.split("&")), kind, body, sent.headers.get("x-trace")


def own_test(environment: dict[str, str], home: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run the test that was written with a plugin."""
    variables = {**environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", name, "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=home, env=variables, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_its_own_test_passes_at_once(kosmolua: Program, environment: dict[str, str], home: Path) -> None:
    """Nothing has to be edited, the check has nothing to say but notes, and what is printed as next works."""
    document_in(home)
    options = ["--from", "pets.openapi.json", "--functions", ",".join(WANTED[:3]), "--functions", ",".join(WANTED[3:])]
    made = kosmolua("integrations", "new", "shop", *options)
    assert made.returncode == 0
    assert made.stderr == ""
    assert "-e 'print(json.encode(app.integrations.shop.list_pets()))'" in made.stdout

    tested = own_test(environment, home, "shop")
    assert "28 passed" in tested.stdout, tested.stdout
    checked = kosmolua("integrations", "check", "shop")
    assert checked.returncode == 0
    assert checked.stderr == ""
    assert all("note:" in line for line in checked.stdout.splitlines()), checked.stdout
    script = "local s = app.integrations.shop print(#s.list_pets(), s.cookies({}).name ~= nil)"
    ran = kosmolua("run", "--simulate", "--plugin", "shop", "-e", script)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "", ran.stderr


@pytest.mark.slow
def test_a_document_comes_through_a_pipe(kosmolua: Program, home: Path) -> None:
    """``--from -`` reads it from standard input."""
    text = document_in(home).read_text(encoding="utf-8")
    made = kosmolua("integrations", "new", "shop", "--from", "-", "--functions", WANTED[0], input=text)
    assert made.returncode == 0
    assert made.stderr == ""
    assert (home / "shop" / "openapi.json").is_file()


def test_each_function_sends_what_the_document_would(tmp_path: Path) -> None:
    """Method, path, query, media type and body are those of the operation; only the order of keys may be another."""
    document = document_in(tmp_path)
    folder = written(document, "shop", WANTED, tmp_path)
    requests: dict[str, list[tuple[object, ...]]] = {}
    for name, plugin, token in (("pets", document, "token"), ("shop", folder, "api_key")):
        with serving() as service, live(plugin, name, service, "/v1", **{token: "s3cret-key"}) as runtime:
            for function, arguments in CALLS:
                own = {("import", "shop"): "import_"}.get((function, name), function)
                spelled = SPELLED if name == "shop" else {}
                runtime.call(f"{name}.{own}", {spelled.get(key, key): value for key, value in arguments.items()})
            requests[name] = [essence(sent) for sent in service.sent]
            assert {sent.headers["authorization"] for sent in service.sent} == {"Bearer s3cret-key"}
    assert requests["shop"] == requests["pets"]


@pytest.mark.slow
def test_stripe_nests_in_queries_and_forms_here_too(tmp_path: Path) -> None:
    """``expand``, ranges of time and tables of a form go out as the document's own functions send them."""
    document = shared("stripe.json")
    folder = written(document, "shop", ["get_customers", "post_customers"], tmp_path)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_customers", {"created": {"gte": 1}, "expand": ["data.source"], "limit": 2}),
        ("post_customers", {"name": "Ann", "address": {"city": "Bern"}, "preferred_locales": ["de", "fr"]}),
    ]
    requests = []
    for name, plugin in (("stripe", document), ("shop", folder)):
        with serving() as service, live(plugin, name, service, api_key="s3cret-key") as runtime:
            for function, arguments in calls:
                runtime.call(f"{name}.{function}", arguments)
            requests.append([essence(sent) for sent in service.sent])
    assert requests[0] == requests[1]
    assert requests[0][0][2] == ["created%5Bgte%5D=1", "expand%5B0%5D=data.source", "limit=2"]


def test_nothing_is_there_twice(tmp_path: Path) -> None:
    """Each operation is one function, those written here come first, and no entry of the overlay fits nothing."""
    folder = written(document_in(tmp_path), "shop", WANTED, tmp_path)
    functions = Plugins([folder], places=(), entry_points=dict).load("shop").integration.functions
    names = [*functions]
    own = ["list_pets", "create_pet", "get_pet", "patch_pet", "delete_pet", "import_", "rename_pets"]
    own += ["list_charges", "create_charge"]
    assert names == [*own, "cookies", "upload", "elsewhere"]
    assert [functions.own[name].effect for name in own] == [
        "read",
        "write",
        "read",
        "write",
        "destroy",
        "write",
        "write",
        "read",
        "write",
    ]
    assert functions.more is not None
    assert functions.more.findings()[0] == []


@pytest.mark.parametrize(
    ("scheme", "header", "value"),
    [
        ({"type": "apiKey", "in": "header", "name": "X-Shop-Key"}, "x-shop-key", "s3cret-key"),
        ({"type": "http", "scheme": "basic"}, "authorization", "Basic YW5uOnMzY3JldC1rZXk="),
    ],
)
def test_the_credential_is_the_documents(tmp_path: Path, scheme: dict[str, Any], header: str, value: str) -> None:
    """Functions written here and those of the document send it alike."""
    folder = written(document_in(tmp_path, {"key": scheme}), "shop", ["getPet"], tmp_path)
    fields = {"user": "ann", "password": "s3cret-key"} if "basic" in scheme.values() else {"api_key": "s3cret-key"}
    with serving() as service, live(folder, "shop", service, **fields) as runtime:
        runtime.call("shop.get_pet", {"pet_id": "p"})
        runtime.call("shop.list_pets", {})
    assert [sent.headers[header] for sent in service.sent] == [value, value]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("list_pest", "has no operation 'list_pest' (did you mean 'list_pets'"),
        ("cookies", "GET /odd cannot be written as a plain function: it has a cookie parameter"),
        ("elsewhere", "PUT /odd cannot be written as a plain function: it has a different base URL"),
        ("upload", "POST /odd cannot be written as a plain function: its body is application/octet-stream"),
    ],
)
def test_what_no_plain_function_can_send_is_refused(tmp_path: Path, wanted: str, said: str) -> None:
    """The message says why, and nothing is written."""
    with pytest.raises(UsageError) as refused:
        start_of(document_in(tmp_path), "shop", [wanted])
    assert said in refused.value.message


def test_a_document_that_says_too_little_is_refused(tmp_path: Path) -> None:
    """An address that is nowhere, and a credential that is more than one key, are errors that name the option."""
    for more, said in (
        ({"servers": []}, "--base-url"),
        ({"schemes": {"a": {"type": "apiKey", "in": "cookie", "name": "sid"}}}, "--auth"),
    ):
        with pytest.raises(UsageError) as refused:
            start_of(document_in(tmp_path, **more), "shop", ["getPet"])
        assert said in refused.value.message


def test_options_that_belong_together(kosmolua: Program, home: Path) -> None:
    """``--from`` without functions, and functions without a document, are refused."""
    document_in(home)
    for options, said in (
        (["--from", "pets.openapi.json"], "--from requires --functions"),
        (["--functions", "getPet"], "--functions names operations of an OpenAPI document"),
    ):
        made = kosmolua("integrations", "new", "shop", *options)
        assert said in made.stderr
        assert made.returncode == 2
    assert not (home / "shop").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("github.json", ["issues/create", "issues/get", "pulls/list", "repos/delete", "GET /user"]),
        ("notion.json", ["GET /v1/users", "POST /v1/search"]),
    ],
)
def test_a_real_document_is_a_start(
    kosmolua: Program, environment: dict[str, str], home: Path, name: str, wanted: list[str]
) -> None:
    """The check has nothing to correct, its own test passes, and an operation beside it runs with the simulator."""
    options = ["--from", str(shared(name)), "--functions", ",".join(wanted), "--auth", "bearer"]
    made = kosmolua("integrations", "new", "real_one", *options)
    assert made.returncode == 0
    assert made.stderr == ""
    checked = kosmolua("integrations", "check", "real_one")
    assert checked.returncode == 0, checked.stdout
    assert checked.stderr == "", checked.stdout
    tested = own_test(environment, home, "real_one")
    assert tested.returncode == 0, tested.stdout
    assert f"{3 * len(wanted) + 1} passed" in tested.stdout
    listed = kosmolua("run", "--simulate", "--plugin", "real_one", "-e", f"print({BESIDE[name]} ~= nil)")
    assert listed.returncode == 0
    assert listed.stdout == "true\n"
    assert listed.stderr == ""


BESIDE = {
    "github.json": "app.integrations.real_one.pulls_get({ owner = 'a', repo = 'b', pull_number = 1 })",
    "notion.json": "app.integrations.real_one.get_self()",
}
