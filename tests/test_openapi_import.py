"""Importing OpenAPI documents: what is written, what is asked for, what an update changes, and where it comes from."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.documents import Reply, Sent, serving, shared, small
from support.screen import on_screen

from kosmolua import Runtime
from kosmolua.cli import console
from kosmolua.docs.search import Search
from kosmolua.errors import ConfigError, NotConfigured, UsageError
from kosmolua.http import aws
from kosmolua.http.messages import Request, Response
from kosmolua.openapi import importing
from kosmolua.openapi.accounts import fields_of
from kosmolua.openapi.importing import Wishes
from kosmolua.openapi.integration import home_of, of_home
from kosmolua.openapi.overlay import Overlay
from kosmolua.openapi.store import DocumentStore, Home
from kosmolua.secret import Secret

__all__ = ["on_screen"]
Program = Callable[..., Any]


def pets(*operations: tuple[str, str, str], secured: bool = True, servers: Any = None) -> dict[str, Any]:
    """Return a document of some operations: method, path and id."""
    paths: dict[str, Any] = {}
    for method, path, id_ in operations:
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in slots(path)
        ]
        good = {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}}
        operation = {"parameters": parameters, "responses": good, **({"operationId": id_} if id_ else {})}
        paths.setdefault(path, {})[method] = operation
    schemes = {"token": {"type": "http", "scheme": "bearer"}} if secured else {}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Pet Shop", "version": "1"},
        "servers": [{"url": "https://pets.example/v1"}] if servers is None else servers,
        "paths": paths,
        "components": {"securitySchemes": schemes},
    }


def slots(path: str) -> list[str]:
    """Return the names in braces of a path."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


FIRST = [("get", "/pets", "listPets"), ("get", "/pets/{id}", "getPet"), ("delete", "/pets/{id}", "")]


def write_document(folder: Path, document: dict[str, Any]) -> Path:
    """Write a document to pets.json and return its path."""
    file = folder / "pets.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


@pytest.mark.slow
def test_an_import_writes_a_folder_that_is_found(kosmolua: Program, tmp_path: Path) -> None:
    """The next run has the integration, its docs and its simulator; the import says where the credential goes."""
    file = write_document(tmp_path, pets(*FIRST))
    done = kosmolua("integrations", "import", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pets: 3 functions in 1 section (2 read, 1 destroy)")
    assert "sends your token to https://pets.example" in done.stdout
    listed = kosmolua("integrations")
    assert "pets\tuser\t2 reads, 0 writes, 1 destroy" in listed.stdout
    run = kosmolua("run", "--simulate", "-e", "print(app.integrations.pets.get_pet({ id = 'p-1' }) ~= nil)")
    assert run.stdout == "true\n", run.stderr
    assert "GET /pets/{id}" in kosmolua("docs", "pets GET /pets/{id}").stdout
    assert 'token = { env = "PETS_TOKEN" }' in kosmolua("accounts", "example", "pets").stdout
    again = kosmolua("integrations", "import", file)
    assert again.returncode == 2
    assert "already" in again.stderr


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (pets(*FIRST, secured=False), "--auth"),
        (pets(*FIRST, servers=[]), "--base-url"),
        (pets(*FIRST, servers=[{"url": "/v1"}]), "--base-url"),
    ],
)
def test_what_a_document_does_not_say_is_asked_for(tmp_path: Path, document: dict[str, Any], said: str) -> None:
    """A credential or an address that is nowhere declared is an error that names the option."""
    fetched = importing.fetch(str(write_document(tmp_path, document)), lambda: b"")
    with pytest.raises(UsageError) as refused:
        importing.prepare(fetched, Wishes())
    assert said in refused.value.message


def signed(server: str = "https://pets.{region}.amazonaws.com") -> dict[str, Any]:
    """Return a document as those of AWS: requests are signed, and a header says which operation is meant."""
    scheme = {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Amazon Signature v4"}
    region = {"enum": ["us-east-1", "eu-west-1"], "default": "us-east-1"}
    listed = {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}}
    body = {"content": {"application/json": {"schema": {"type": "object", "properties": {"Id": {"type": "string"}}}}}}
    paths = {}
    for name in ("ListPets", "DeletePet", "FeedPet"):
        target = {"name": "X-Amz-Target", "in": "header", "required": True, "schema": {"enum": [f"Pets_2026.{name}"]}}
        date = {"name": "X-Amz-Date", "in": "header", "schema": {"type": "string"}}
        operation = {"operationId": name, "parameters": [target], "requestBody": body, "responses": listed}
        paths[f"/#X-Amz-Target=Pets_2026.{name}"] = {"post": operation, "parameters": [date]}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Pets"},
        "servers": [{"url": server, "variables": {"region": region}}],
        "components": {"securitySchemes": {"hmac": scheme}},
        "security": [{"hmac": []}],
        "paths": paths,
    }


def test_a_document_of_aws_is_imported(tmp_path: Path) -> None:
    """Its requests are signed with an access key; each operation is a function, by what its path has after ``#``."""
    fetched = importing.fetch(str(write_document(tmp_path, signed())), lambda: b"")
    ready = importing.prepare(fetched, Wishes())
    assert "sends signatures by your access key to https://pets.{region}.amazonaws.com" in "\n".join(ready.lines())
    effects = {each.name: each.effect for each in ready.result.functions}
    assert effects == {"list_pets": "write", "delete_pet": "destroy", "feed_pet": "write"}
    fields = [each.name for each in fields_of(ready.result.access)]
    assert fields == ["access_key_id", "secret_access_key", "session_token", "region", "base_url"]
    basic = fields_of(importing.prepare(fetched, Wishes(auth="basic")).result.access)[:2]
    assert [each.about.split()[2] for each in basic] == ["name", "password"]
    again = importing.prepare(fetched, Wishes(auth="aws:animals"))
    assert again.result.access.alternatives[0][0].name == "animals"
    assert importing.prepare(fetched, Wishes(auth="bearer")).result.access.alternatives[0][0].kind == "bearer"
    elsewhere = importing.fetch(str(write_document(tmp_path, signed("https://pets.example"))), lambda: b"")
    with pytest.raises(UsageError, match=r"does not say for which service .*--auth aws:SERVICE"):
        importing.prepare(elsewhere, Wishes())


def test_an_action_of_aws_is_one_function(tmp_path: Path) -> None:
    """Documents have it as a GET and a POST, sometimes at two paths; the POST is sent, and reads what a GET reads."""
    paths: dict[str, Any] = {}
    for action, place in (("DescribePets", "{Owner}/"), ("DeletePet", "{Owner}/"), ("MakePet", "")):
        for method, where in (("get", place), ("post", "")):
            asked = {"operationId": f"{method.upper()}_{action}", "x-aws-operation-name": action, "responses": {}}
            paths.setdefault(f"/{where}#Action={action}", {})[method] = asked
    file = write_document(tmp_path, signed() | {"paths": paths})
    ready = importing.prepare(importing.fetch(str(file), lambda: b""), Wishes())
    effects = {each.name: (each.operation.key, each.effect) for each in ready.result.functions}
    assert effects == {
        "describe_pets": ("POST /#Action=DescribePets", "read"),
        "delete_pet": ("POST /#Action=DeletePet", "destroy"),
        "make_pet": ("POST /#Action=MakePet", "write"),
    }
    said = "\n".join(ready.lines())
    assert "3 actions are declared as GET and as POST; the function sends the POST\n  0 operations left out" in said
    functions = of_home(Home(file), "pets", "").functions.more
    assert functions is not None
    assert functions.named("GET /{Owner}/#Action=DeletePet") == "delete_pet"


def test_a_document_of_aws_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import says what to install, and so does a call."""
    file = write_document(tmp_path, signed())
    for module in (importing, aws):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    said = r"needs the package boto3; nothing was imported \(pip install 'kosmolua\[aws\]'"
    with pytest.raises(UsageError, match=said):
        importing.prepare(importing.fetch(str(file), lambda: b""), Wishes())
    key = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI"}
    with (
        Runtime({"pets": {"default": key}}, plugins=[file], yes=True, environ={}) as runtime,
        pytest.raises(NotConfigured, match="signed requests, which need the package boto3"),
    ):
        runtime.call("pets.list_pets")


def test_the_requests_of_aws_are_signed(tmp_path: Path) -> None:
    """Each call has its own target and a signature of service and region; the secret key leaves the host nowhere."""
    pytest.importorskip("botocore", reason="needs botocore")
    integration = of_home(home_of(write_document(tmp_path, signed())), "pets", "")
    sent: list[Request] = []

    def send(request: Request) -> Response:
        sent.append(request)
        return Response(200, {"Content-Type": "application/x-amz-json-1.1"}, b'{"Pets": []}')

    key: dict[str, Any] = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": Secret("wJalrXUtnFEMI")}
    opened = integration.account(**key, region="eu-west-1", session_token=Secret("t-12345678")).open(send)
    results = [integration.functions[name].handler(opened, id="p1") for name in ("list_pets", "feed_pet")]
    assert results == [{"Pets": []}, {"Pets": []}]
    assert [each.fields["X-Amz-Target"] for each in sent] == ["Pets_2026.ListPets", "Pets_2026.FeedPet"]
    assert {each.url for each in sent} == {"https://pets.eu-west-1.amazonaws.com/"}
    fields = sent[0].fields
    assert fields["Content-Type"] == "application/x-amz-json-1.1"
    assert fields["X-Amz-Security-Token"] == "t-12345678"
    names = "accept;content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
    assert f"/eu-west-1/pets/aws4_request, SignedHeaders={names}, Signature=" in fields["Authorization"]
    assert "wJalrXUtnFEMI" not in str(fields)


def test_options_say_what_the_document_does_not(tmp_path: Path) -> None:
    """``--auth`` and ``--base-url`` stand in openapi.toml, ``--only`` leaves operations out."""
    fetched = importing.fetch(str(write_document(tmp_path, pets(*FIRST, secured=False, servers=[]))), lambda: b"")
    wishes = Wishes("shop", auth="header:X-Shop-Key", base_url="https://shop.example/api", only=["GET /pets*"])
    ready = importing.prepare(fetched, wishes)
    files = ready.write(tmp_path)
    assert {each.name for each in files} == {"openapi.json", "openapi.toml", "names.lock", "__init__.py"}
    assert [each.name for each in ready.result.functions] == ["list_pets", "get_pet"]
    store = DocumentStore(Home.of_folder(tmp_path / "shop"))
    access = store.meta("access")
    assert access["base_url"] == "https://shop.example/api"
    assert access["alternatives"][0][0]["name"] == "X-Shop-Key"
    assert access["origins"] == ["https://shop.example"]


LONG = "UsersCalendarsEventsInstancesExceptionsAttachmentsSessions"
NAMES = [
    ("get", "/getMe", "", "get_me"),
    ("post", "/answerCallbackQuery", "", "answer_callback_query"),
    ("post", "/session/logOut", "", "log_out_session"),
    ("post", "/warehouses/{id}/reboot", "", "reboot_warehouse"),
    ("post", "/servers/{id}/actions/power-off", "", "power_off_server"),
    ("get", "/access-tokens/{id}/invalidate", "", "invalidate_access_token"),
    ("get", "/products/search", "", "search_products"),
    ("get", "/items/{id}/build", "", "get_build"),
    ("get", "/dialogs/{id}", "v1_dialogs_get_get_dialog", "v1_dialogs_get_dialog"),
    ("get", "/twice", "again_again", "again_again"),
    ("get", "/once", "again", "again"),
    ("get", "/v2/2", "page_2_2", "page_2_2"),
    ("get", "/long/a", f"list{LONG}Alpha", "list_exceptions_attachments_sessions_alpha"),
    ("get", "/long/b", f"{LONG}Beta", "instances_exceptions_attachments_sessions_beta"),
]


def test_names_say_what_a_path_or_an_id_says(tmp_path: Path) -> None:
    """A path that ends in a verb has it, no word is there twice in a row, and a long id keeps its end."""
    result = importing.compiled(pets(*(each[:3] for each in NAMES)), Overlay())
    names = {(each.operation.method.lower(), each.operation.path): each.name for each in result.functions}
    for method, path, _, name in NAMES:
        assert names[method, path] == name


def test_a_document_says_what_it_is_for() -> None:
    """By its title and its largest sections, without what all their names begin with."""
    operations = [("get", f"/{path}", "") for path in ("shop_orders", "shop_orders/{id}", "shop_gift_cards")]
    assert importing.compiled(pets(*operations), Overlay()).title == "Pet Shop: orders, gift cards"
    assert importing.compiled(pets(*operations[:2]), Overlay()).title == "Pet Shop"


def test_a_document_is_fetched_from_an_address(tmp_path: Path) -> None:
    """A redirect is followed, no credential is sent, a relative server is one beside the document."""
    text = json.dumps(pets(*FIRST, servers=[{"url": "/v1"}])).encode()

    def answer(sent: Sent) -> Reply:
        if sent.target == "/old.json":
            return Reply(status=302, headers={"Location": "/spec/pets.json?x=1"})
        return Reply(text)

    with serving(answer) as service:
        fetched = importing.fetch(f"{service.url}/old.json", lambda: b"")
        ready = importing.prepare(fetched, Wishes("pets"))
    assert service.lines == ["GET /old.json", "GET /spec/pets.json?x=1"]
    assert "authorization" not in service.last.headers
    assert ready.result.access.base_url == f"{service.url}/v1"
    assert f'url = "{service.url}/old.json"' in ready.overlay


def several(folder: Path, **changed: Any) -> Path:
    """Write a document of several files, as vendors keep them, and return its path."""
    reply = {"description": "", "content": {"application/json": {"schema": {"$ref": "../schemas/pet.json#/Pet"}}}}
    get = {"operationId": "getPet", "parameters": [{"$ref": "../parameters.json#/Id"}], "responses": {"200": reply}}
    owner = {"type": "object", "properties": {"pets": {"type": "array", "items": {"$ref": "#/Pet"}}}}
    pet = {"type": "object", "properties": {"id": {"type": "string"}, "owner": {"$ref": "owner.json"}}}
    files = {
        "pets.json": {**pets(), "paths": {"$ref": "paths/all.json"}},
        "paths/all.json": {"/pets/{id}": {"$ref": "pet.json"}},
        "paths/pet.json": {"get": get},
        "parameters.json": {"Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}},
        "schemas/pet.json": {"Pet": pet, "example": {"$ref": "of/an/example.json"}},
        "schemas/owner.json": {**owner, "properties": {"pets": {"items": {"$ref": "pet.json#/Pet"}}}},
        **changed,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder / "pets.json"


def test_a_document_of_several_files_is_one(tmp_path: Path) -> None:
    """All files below its folder are brought in, also from one to another; the import says how many there were."""
    ready = importing.prepare(importing.fetch(str(several(tmp_path)), lambda: b""), Wishes())
    assert "and 5 more files read in" in ready.lines()[0]
    made = ready.write(tmp_path / "integrations")[0].parent / "openapi.json"
    path = tmp_path / "shop.openapi.json"
    path.write_bytes(made.read_bytes())
    with Runtime(None, simulate=True, plugins=[path], environ={}) as runtime:
        function = runtime.catalog.integration("shop").functions["get_pet"]
        assert [each.name for each in function.parameters][:1] == ["id"]
        assert "owner" in function.returns.fields  # type: ignore[union-attr]
        assert set(runtime.call("shop.get_pet", {"id": "p-1"})) >= {"id"}


def test_a_document_of_several_files_comes_from_one_host(tmp_path: Path) -> None:
    """Its files are fetched from where it is."""
    several(tmp_path)

    def answer(sent: Sent) -> Reply:
        return Reply((tmp_path / sent.target.lstrip("/")).read_bytes())

    with serving(answer) as service:
        ready = importing.prepare(importing.fetch(f"{service.url}/pets.json", lambda: b""), Wishes())
    assert [each.name for each in ready.result.functions] == ["get_pet"]
    assert ready.result.notes == []


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("../../secret.json", r"refers to \.\./secret.json, which is not in its folder"),
        ("file:///etc/passwd", "is not in its folder|cannot be read"),
        ("nul%00.json", "which is no path"),
        ("missing.json", "refers to paths/missing.json, which cannot be read"),
        ("https://other.example/a.json", "is not in its folder"),
    ],
)
def test_no_document_is_hollow(tmp_path: Path, reference: str, said: str) -> None:
    """What cannot be brought in is an error, and so is a file beside a document that came through a pipe."""
    file = several(tmp_path, **{"paths/all.json": {"/pets/{id}": {"$ref": reference}}})
    with pytest.raises(ConfigError, match=said):
        importing.prepare(importing.fetch(str(file), lambda: b""), Wishes())
    with pytest.raises(ConfigError, match=r"Standard input refers to other files, such as paths/all.json"):
        importing.prepare(importing.fetch("-", file.read_bytes), Wishes(name="pets"))


def test_no_file_is_redirected_to_another_host() -> None:
    """Nor does it come from an address that is none."""
    with serving(lambda sent: Reply({})) as other:
        moved = Reply(None, 302, "", {"Location": f"{other.url}/all.json"})
        for reference, said in (("all.json", f"redirected to {other.url}"), ("http://[a", "is no address")):
            document = {**pets(), "paths": {"/pets": {"$ref": reference}}}
            with serving(lambda sent, found=document: moved if "all" in sent.target else Reply(found)) as service:
                fetched = importing.fetch(f"{service.url}/pets.json", lambda: b"")
                with pytest.raises(ConfigError, match=re.escape(said)):
                    importing.prepare(fetched, Wishes())


def test_no_file_comes_from_another_host(tmp_path: Path) -> None:
    """A document at an address cannot make the import fetch something elsewhere."""
    document = {**pets(), "paths": {"/pets": {"$ref": "http://127.0.0.1:1/pets.json"}}}
    with serving(lambda sent: Reply(document)) as service:
        fetched = importing.fetch(f"{service.url}/pets.json", lambda: b"")
        with pytest.raises(ConfigError, match=r"refers to http://127.0.0.1:1/pets.json, which is at another host"):
            importing.prepare(fetched, Wishes())


def test_what_is_not_fetched() -> None:
    """Neither plain http to elsewhere, nor files by address, nor an answer that is an error, nor more than 64 MiB."""
    for url in ("http://pets.example/openapi.json", "file:///etc/passwd", "ftp://pets.example/x"):
        with pytest.raises(ConfigError, match="use https"):
            importing.fetch(url, lambda: b"")
    with serving(lambda sent: Reply({}, status=404)) as service, pytest.raises(ConfigError, match="answered 404"):
        importing.fetch(service.url, lambda: b"")
    far = serving(lambda sent: Reply(status=302, headers={"Location": "http://pets.example/"}))
    with far as service, pytest.raises(ConfigError, match="use https"):
        importing.fetch(service.url, lambda: b"")


def test_a_document_that_is_too_large_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds while the answer comes."""
    monkeypatch.setattr(importing, "MAX_BYTES", 1000)
    with serving(lambda sent: Reply(b" " * 2000)) as service, pytest.raises(ConfigError, match="larger than"):
        importing.fetch(service.url, lambda: b"")


def test_an_update_keeps_every_name(tmp_path: Path) -> None:
    """Renamed ids, renamed slots, new and dropped operations: what a script calls stays what it was."""
    file = write_document(tmp_path, pets(*FIRST))
    importing.prepare(importing.fetch(str(file), lambda: b""), Wishes()).write(tmp_path)
    write_document(
        tmp_path,
        pets(
            ("get", "/pets", "fetchAllPets"),
            ("get", "/pets/{petId}", "getPet"),
            ("post", "/pets", "listPets"),
            ("get", "/owners", ""),
        ),
    )
    changes = importing.update(tmp_path / "pets", lambda: b"")
    assert changes.added == ["list_pets_pets", "list_owners"]
    assert changes.gone == ["delete_pet"]
    assert changes.changed == {"get_pet": "+pet_id, -id"}
    names = {each.name: each.operation.key for each in changes.update.result.functions}
    assert names["list_pets"] == "GET /pets"
    assert names["get_pet"] == "GET /pets/{petId}"
    changes.update.write(tmp_path)
    write_document(tmp_path, pets(*FIRST))
    back = importing.update(tmp_path / "pets", lambda: b"")
    assert "delete_pet" in back.added
    assert {each.name for each in back.update.result.functions} == {"list_pets", "get_pet", "delete_pet"}


def test_a_credential_goes_to_no_other_origin_than_the_user_named(tmp_path: Path) -> None:
    """An operation that is elsewhere is refused before anything is sent, also where the address has variables."""
    document = pets(*FIRST)
    document["paths"]["/pets"]["get"]["servers"] = [{"url": "https://{name}.other.example", "variables": NAMED}]
    accounts = {"pets": {"default": {"token": "made-up-1"}}}
    for servers in (None, [{"url": "https://{name}.example/v1", "variables": NAMED}]):
        path = small(tmp_path, {**document, **({"servers": servers} if servers else {})})
        refused = pytest.raises(
            NotConfigured, match=r"https://up\.other\.example is not among the origins.*Nothing was"
        )
        with Runtime(accounts, plugins=[path], environ={}) as runtime, refused:
            runtime.call("pets.list_pets")
    path = small(tmp_path, document, overlay='[document]\norigins = ["https://up.other.example"]\n')
    with Runtime(accounts, plugins=[path], environ={}) as runtime:
        access = runtime.catalog.integration("pets").functions.more.store.meta("access")
        assert access["origins"] == ["https://pets.example", "https://up.other.example"]


@pytest.mark.parametrize("place", ["operation", "path"])
def test_a_service_beside_the_base_url_gets_no_key(tmp_path: Path, place: str) -> None:
    """Whether the operation or its path names it, until the overlay does; nothing reaches it before."""
    with serving() as service, serving() as other:
        document = pets(*FIRST, servers=[{"url": service.url}])
        around = document["paths"]["/pets"] if place == "path" else document["paths"]["/pets"]["get"]
        around["servers"] = [{"url": other.url}]
        accounts = {"pets": {"default": {"token": "made-up-1"}}}
        with Runtime(accounts, plugins=[small(tmp_path, document)], environ={}) as runtime:
            with pytest.raises(NotConfigured, match="not among the origins"):
                runtime.call("pets.list_pets")
            runtime.call("pets.get_pet", {"id": "1"})
        assert service.lines == ["GET /pets/1"]
        assert other.lines == []
        path = small(tmp_path, document, overlay=f'[document]\norigins = ["{other.url}"]\n')
        with Runtime(accounts, plugins=[path], environ={}) as runtime:
            runtime.call("pets.list_pets")
        assert other.last.headers["authorization"] == "Bearer made-up-1"


@pytest.mark.parametrize(
    ("said", "summary"),
    [
        ({}, "获取题目."),
        ({"summary": "取得一个题目", "description": "Details."}, "取得一个题目."),
        ({"operationId": "getPets", "summary": "Get pets", "description": "All of them."}, "All of them."),
    ],
)
def test_a_summary_can_be_in_any_script(tmp_path: Path, said: dict[str, str], summary: str) -> None:
    """The id stands in for one that is missing; only one that repeats the id is left for the description."""
    document = pets(*FIRST)
    document["paths"]["/pets"]["get"] = {"operationId": "获取题目", "responses": {}, **said}
    functions = of_home(Home(small(tmp_path, document)), "pets", "").functions
    assert functions[functions.more.named("GET /pets")].summary == summary


def test_a_schema_with_a_discriminator_can_be_each_that_extends_it(tmp_path: Path) -> None:
    """Also through another one: their keys are arguments, and keys of results. It can still be only itself."""
    document = pets(*FIRST)

    def extending(base: str, key: str) -> dict[str, Any]:
        keys = {"type": "object", "required": [key], "properties": {key: {"type": "string"}}}
        return {"allOf": [{"$ref": f"#/components/schemas/{base}"}, keys]}

    kind = {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}}
    document["components"]["schemas"] = {
        "Pet": {**kind, "discriminator": {"propertyName": "kind"}},
        "Cat": extending("Pet", "lives"),
        "Tabby": extending("Cat", "stripes"),
        "Car": extending("Plain", "wheels"),
        "Plain": kind,
    }
    media = {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}
    document["paths"]["/pets"]["post"] = {
        "operationId": "addPet",
        "requestBody": {"content": media},
        "responses": {"200": {"description": "ok", "content": media}},
    }
    function = of_home(Home(small(tmp_path, document)), "pets", "").functions["add_pet"]
    names = ["kind", "lives", "stripes", "reply", "extra"]
    assert [each.name for each in function.parameters] == names
    assert [each.name for each in function.parameters if each.required] == ["kind"]
    assert function.returns.spell("pets") == "pets.Pet.Cat|pets.Pet.Tabby|pets.Pet"
    assert [[*each.fields] for each in function.returns.members] == [names[:2], names[:3], names[:1]]


def test_a_path_has_what_it_says_beside_its_reference(tmp_path: Path) -> None:
    """A path item may add parameters to the one that it refers to."""
    document = pets(*FIRST)
    tag = {"name": "tag", "in": "query", "schema": {"type": "string"}}
    document["paths"]["/tagged"] = {"$ref": "#/paths/~1pets", "parameters": [tag]}
    functions = of_home(Home(small(tmp_path, document)), "pets", "").functions
    name = functions.more.named("GET /tagged")
    assert "tag" in [each.name for each in functions[name].parameters]


def test_a_server_of_an_operation_can_be_a_path(tmp_path: Path) -> None:
    """It is one of the service at the base URL, in place of the path there."""
    with serving() as service:
        document = pets(*FIRST, servers=[{"url": f"{service.url}/v2"}])
        document["paths"]["/pets"]["get"]["servers"] = [{"url": "/v3/"}]
        accounts = {"pets": {"default": {"token": "made-up-1"}}}
        with Runtime(accounts, plugins=[small(tmp_path, document)], environ={}) as runtime:
            runtime.call("pets.list_pets")
            runtime.call("pets.get_pet", {"id": "1"})
        assert service.lines == ["GET /v3/pets", "GET /v2/pets/1"]


@pytest.mark.parametrize(
    "url",
    [
        *("http://files.example", "http://169.254.169.254", "https://169.254.169.254", "https://[fe80::1]"),
        *("https://0xa9fea9fe", "https://2852039166", "https://[::ffff:169.254.169.254]"),
    ],
)
def test_no_word_lets_a_credential_go_there(tmp_path: Path, url: str) -> None:
    """Neither plain http to elsewhere nor a link-local address, in any spelling, even if it is named."""
    document = pets(*FIRST)
    document["paths"]["/pets"]["get"]["servers"] = [{"url": url}]
    path = small(tmp_path, document, overlay=f'[document]\norigins = ["{url}"]\n')
    accounts = {"pets": {"default": {"token": "made-up-1"}}}
    refused = pytest.raises(NotConfigured, match="neither protected by TLS nor on this machine")
    with Runtime(accounts, plugins=[path], environ={}) as runtime, refused:
        runtime.call("pets.list_pets")
    fetched = importing.fetch(str(write_document(tmp_path, document)), lambda: b"")
    with pytest.raises(UsageError, match="cannot get a credential"):
        importing.prepare(fetched, Wishes(origins=[url]))


@pytest.mark.parametrize("url", ["http://pets.example", "http://169.254.169.254", "https://169.254.169.254/v1"])
def test_a_base_url_that_a_document_cannot_choose(tmp_path: Path, url: str) -> None:
    """The user has to name such a service: nothing is imported, and a call says what is missing."""
    document = pets(*FIRST, servers=[{"url": url}])
    with pytest.raises(UsageError, match="has no base URL with https"):
        importing.prepare(importing.fetch(str(write_document(tmp_path, document)), lambda: b""), Wishes())
    accounts = {"pets": {"default": {"token": "made-up-1"}}}
    refused = pytest.raises(NotConfigured, match="base_url")
    with Runtime(accounts, plugins=[small(tmp_path, document)], environ={}) as runtime, refused:
        runtime.call("pets.list_pets")


def test_an_import_names_further_origins(tmp_path: Path) -> None:
    """``--origin`` writes them to openapi.toml, the lines say what is refused, and an update keeps them."""
    document = pets(*FIRST)
    document["paths"]["/pets"]["get"]["servers"] = [{"url": "https://files.example/x"}]
    fetched = importing.fetch(str(write_document(tmp_path, document)), lambda: b"")
    lines = importing.prepare(fetched, Wishes()).lines()
    assert "  sends your token to https://pets.example" in lines
    assert (
        "  refuses calls at https://files.example (1 of the functions), which --origin https://files.example allows"
        in lines
    )
    ready = importing.prepare(fetched, Wishes(origins=["https://files.example/x"]))
    assert "  sends your token to https://pets.example, https://files.example" in ready.lines()
    assert 'origins = ["https://pets.example", "https://files.example"]' in ready.overlay
    ready.write(tmp_path)
    write_document(tmp_path, {**document, "servers": [{"url": "https://new.example"}]})
    changes = importing.update(tmp_path / "pets", lambda: b"")
    assert changes.origins == ["https://new.example"]
    assert changes.update.result.access.origins == ["https://new.example", "https://files.example"]


NAMED = {"name": {"default": "up"}}


def test_an_update_shows_where_a_credential_would_go_now(tmp_path: Path) -> None:
    """A document that names another host does not get the credential without being seen."""
    file = write_document(tmp_path, pets(*FIRST))
    importing.prepare(importing.fetch(str(file), lambda: b""), Wishes()).write(tmp_path)
    write_document(tmp_path, pets(*FIRST, servers=[{"url": "https://evil.example"}]))
    changes = importing.update(tmp_path / "pets", lambda: b"")
    assert changes.origins == ["https://evil.example"]
    assert any("evil.example" in line for line in changes.lines())


@pytest.mark.slow
def test_a_document_comes_through_a_pipe(kosmolua: Program, tmp_path: Path) -> None:
    """``import -`` and ``update NAME -`` read it from standard input."""
    wrong = kosmolua("integrations", "import", "-", input="{}")
    assert wrong.returncode == 3
    assert wrong.stderr.startswith("kosmolua: Standard input is not an OpenAPI document")
    done = kosmolua("integrations", "import", "-", "--name", "pets", input=json.dumps(pets(*FIRST)))
    assert done.stdout.startswith("pets: 3 functions in 1 section"), done.stderr
    more = json.dumps(pets(*FIRST, ("get", "/owners", "")))
    updated = kosmolua("integrations", "update", "pets", "-", "--yes", input=more)
    assert updated.returncode == 0, updated.stderr
    assert "  + list_owners" in updated.stdout, updated.stderr
    assert "pets\tuser\t3 reads" in kosmolua("integrations").stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
def test_a_person_is_asked_although_the_document_comes_through_a_pipe(
    kosmolua: Program, environment: dict[str, str], tmp_path: Path
) -> None:
    """The answer is what is typed at the terminal, not what follows the document."""
    from support.terminal import Terminal

    kosmolua("integrations", "import", "-", "--name", "pets", input=json.dumps(pets(*FIRST)))
    file = write_document(tmp_path, pets(*FIRST, ("get", "/owners", "")))
    pipe = 'cat "$1" | "$0" -m kosmolua integrations update pets -'
    with Terminal(["sh", "-c", pipe, sys.executable, str(file)], environment) as terminal:
        terminal.until_asked("Write it? [y/N]:")
        terminal.send("y\n")
        assert terminal.wait() == 0
    assert "pets\tuser\t3 reads" in kosmolua("integrations").stdout


@pytest.mark.slow
def test_the_command_asks_before_it_writes_an_update(kosmolua: Program, tmp_path: Path) -> None:
    """Where nobody can be asked, only ``--yes`` writes."""
    file = write_document(tmp_path, pets(*FIRST))
    kosmolua("integrations", "import", file)
    write_document(tmp_path, pets(*FIRST, ("get", "/owners", "")))
    shown = kosmolua("integrations", "update", "pets")
    assert shown.returncode == 1
    assert "  + list_owners" in shown.stdout
    assert kosmolua("integrations", "update", "pets", "--yes").returncode == 0
    again = kosmolua("integrations", "update", "pets")
    assert again.returncode == 0
    assert again.stdout == "pets: 0 new, 0 gone, 0 with changed arguments, none renamed\n"


@pytest.mark.parametrize(
    ("names", "said", "asked"),
    [
        (["searchPets"], "search_pets is sent as a write, but seems to read", "Is it a read?"),
        (["searchPets", "queryPets"], "these 2 functions are sent as writes, but seem to read: ", "all of them reads?"),
    ],
)
def test_functions_that_read_by_their_names_are_shown(
    config: Path,
    on_screen: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    names: list[str],
    said: str,
    asked: str,
) -> None:
    """The person who imports a document says whether a POST that is called a search is a read."""
    file = write_document(tmp_path, pets(*FIRST, *(("post", f"/{name}", name) for name in names)))
    monkeypatch.setattr(console, "agrees", lambda question: asked in question)
    assert said in on_screen("integrations", "import", str(file), columns=200)
    overlay = (config / "integrations" / "pets" / "openapi.toml").read_text()
    assert '"search_pets"' in overlay.partition("[effects]")[2]


OVERLAY = """
only = ["/pets*"]
skip = ["DELETE *"]

[paging.default]
kind = "page"
parameter = "page"

[functions.getPet]
name = "find_pet"
effect = "write"
summary = "Look for a pet."

[functions."GET /pets".arguments.kind]
name = "species"
"""


def test_an_overlay_changes_names_effects_and_arguments(tmp_path: Path) -> None:
    """What a person knows goes before what the document says."""
    document = pets(*FIRST, ("get", "/owners", "listOwners"))
    kinds = [{"name": each, "in": "query", "schema": {"type": "string"}} for each in ("kind", "page")]
    document["paths"]["/pets"]["get"]["parameters"] = kinds
    listed = {"type": "array", "items": {"type": "object"}}
    document["paths"]["/pets"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = listed
    path = small(tmp_path, document, overlay=OVERLAY)
    with Runtime(None, simulate=True, plugins=[path], environ={}) as runtime:
        functions = runtime.catalog.integration("pets").functions
        assert [*functions] == ["list_pets", "find_pet"]
        assert functions["find_pet"].effect == "write"
        assert functions["find_pet"].summary == "Look for a pet."
        assert {"species", "all", "max_items"} <= {each.name for each in functions["list_pets"].parameters}


def test_a_page_shows_what_matters(tmp_path: Path) -> None:
    """Required and usual arguments are described first, whole if there is room; a summary says more than the name."""
    document = pets(("get", "/search", "searchPets"), ("get", "/pets/{id}", "getPet"))
    long = " ".join(f"word{number}" for number in range(200))
    names = [*(f"rare_{number}" for number in range(40)), "query", "body", "index"]
    document["paths"]["/search"]["get"]["parameters"] = [
        {"name": name, "in": "query", "required": name == "index", "schema": {"type": "string"}} for name in names
    ]
    document["paths"]["/search"]["get"] |= {"summary": "searchPets()", "description": "Finds pets by a text. Slow."}
    document["paths"]["/pets/{id}"]["get"]["parameters"][0]["description"] = long
    with Runtime(None, simulate=True, plugins=[small(tmp_path, document)], environ={}) as runtime:
        page = runtime.docs.read("pets.search_pets")
        assert "Finds pets by a text.\n" in page
        assert "Finds pets by a text. Slow." in page
        rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
        assert rows[:4] == ["index", "query", "body", "rare_0"]
        assert long in runtime.docs.read("pets.get_pet")
        assert runtime.catalog.integration("pets").functions["get_pet"].summary == "Get pet."


def test_an_import_can_be_removed(
    config: Path, on_screen: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only after a question, without what others put into its folder; accounts are left, and named."""
    ready = importing.prepare(importing.fetch(str(write_document(tmp_path, pets(*FIRST))), lambda: b""), Wishes())
    folder = ready.write(config / "integrations")[0].parent
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[pets.work]\ntoken = "t-1"\n')
    command = ("integrations", "remove", "pets", "--accounts", str(accounts))
    with monkeypatch.context() as patch:
        patch.setattr(console, "agrees", lambda question: str(folder) not in question)
        assert "pets was not removed (--yes removes it)" in on_screen(*command)
    assert folder.is_dir()
    assert f"accounts are left in {accounts}: pets.work" in " ".join(on_screen(*command, "--yes", columns=200).split())
    assert not folder.exists()
    ready.write(config / "integrations")
    (folder / "notes.txt").write_text("mine")
    assert "stays, since it has other files" in on_screen(*command, "--yes", columns=200)
    assert [each.name for each in folder.iterdir()] == ["notes.txt"]


BEYOND = pets(
    ("post", "/getMe", ""),
    ("post", "/orders/search", "OrdersSearch"),
    ("post", "/orders", "createOrderSearch"),
    ("post", "/accounts/get", "accountsGet"),
    ("post", "/deleteWebhook", ""),
    ("post", "/tokens/{id}/revoke", ""),
    ("put", "/orders/{id}", "bulk_delete_orders"),
    ("get", "/library/refresh", "refreshLibrary"),
    ("get", "/refreshes", "getRefresh"),
    ("post", "/tasks/fetchAndLock", "fetchAndLock"),
    ("post", "/guests/{id}", "checkInGuest"),
)
READS = ["get_me", "orders_search", "accounts_get"]


def effects_of(folder: Path, overlay: str = "") -> dict[str, str]:
    """Return the effects of the functions of a document with operations whose names say more than their methods."""
    with Runtime(None, simulate=True, plugins=[small(folder, BEYOND, overlay=overlay)], environ={}) as runtime:
        functions = runtime.catalog.integration("pets").functions
        return {name: functions[name].effect for name in functions}


def test_a_name_can_raise_an_effect(tmp_path: Path) -> None:
    """A GET that acts writes, what deletes by its name destroys, and no name makes less of an effect by itself."""
    assert effects_of(tmp_path) == {
        **dict.fromkeys(READS, "write"),
        "create_order_search": "write",
        **dict.fromkeys(["delete_webhook", "revoke_token", "bulk_delete_orders"], "destroy"),
        **dict.fromkeys(["refresh_library", "fetch_and_lock", "check_in_guest"], "write"),
        "get_refresh": "read",
    }


def test_an_import_proposes_reads(tmp_path: Path) -> None:
    """They are shown; whoever agrees has them in openapi.toml, where each can be taken out."""
    ready = importing.prepare(importing.fetch(str(write_document(tmp_path, BEYOND)), lambda: b""), Wishes())
    assert ready.proposals == READS
    assert "but may only read by their names: get_me" in "\n".join(ready.lines())
    assert "4 functions act or delete by their names, whatever the method: " in "\n".join(ready.lines())
    agreed = ready.with_reads()
    assert agreed.proposals == []
    effects = effects_of(tmp_path, agreed.overlay)
    assert [name for name, effect in effects.items() if effect == "read"] == [*READS, "get_refresh"]


@pytest.mark.slow
@pytest.mark.parametrize(("effects", "reads"), [(["--effects", "accept"], 4), ([], 1)])
def test_nobody_agrees_to_reads_in_silence(kosmolua: Program, tmp_path: Path, effects: list[str], reads: int) -> None:
    """Where nobody can be asked, only ``--effects accept`` makes them reads."""
    done = kosmolua("integrations", "import", write_document(tmp_path, BEYOND), *effects)
    assert f"({reads} read," in done.stdout, done.stderr
    assert f"pets\tuser\t{reads} read" in kosmolua("integrations").stdout


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("[effects]\nreads = []", "did you mean 'read'"),
        ("functoins = 1", "did you mean 'functions'"),
        ("[functions.getPet]\neffect = 'reads'", r"toml:2: functions\.getPet\.effect must be one of 'read', 'write'"),
        ("[functions.getPet]\nname = 'end'", r"toml:2: functions\.getPet\.name: 'end' cannot be"),
        ("[functions.getPet]\nname = 'list_pets'", "two functions are called list_pets"),
        ("[paging.default]\nkind = 'cursor'", "kind must be one of 'token'"),
        ("[paging.default]\nkind = 'token'", "needs the key parameter"),
        ("[paging.default]\nkind = 'page'\nparameter = 'page'\nfirst = 'one'", "first must be an integer"),
        ("[functions.getPet.arguments.idd]\nname = 'x'", "has no argument 'idd'"),
    ],
)
def test_a_wrong_overlay_is_an_error(tmp_path: Path, overlay: str, said: str) -> None:
    """A typo must not be passed over in silence."""
    path = small(tmp_path, pets(*FIRST), overlay=overlay)
    with Runtime(None, simulate=True, plugins=[path], environ={}) as runtime, pytest.raises(Exception, match=said):
        runtime.catalog.integration("pets")


@pytest.mark.slow
def test_check_names_entries_that_fit_nothing(kosmolua: Program, tmp_path: Path) -> None:
    """An entry about an operation that is not there is told, with the likeliest."""
    kosmolua("integrations", "import", write_document(tmp_path, pets(*FIRST, ("post", "/pets/search", "searchPets"))))
    folder = next((tmp_path / "home").rglob("pets/openapi.toml"))
    folder.write_text(folder.read_text() + '\n[functions.getPett]\neffect = "read"\n')
    done = kosmolua("integrations", "check", "pets")
    assert done.returncode == 1
    assert "getPett" in done.stdout and "did you mean 'getPet'" in done.stdout
    assert "search_pets writes" in done.stdout


@pytest.mark.slow
def test_check_names_a_function_that_stands_for_an_operation_and_is_not_there(
    kosmolua: Program, tmp_path: Path
) -> None:
    """Nobody would find such an operation, neither by its own name nor by the other."""
    kosmolua("integrations", "import", write_document(tmp_path, pets(*FIRST)))
    folder = next((tmp_path / "home").rglob("pets/openapi.toml"))
    folder.write_text(folder.read_text() + '\n[functions.getPet]\ncovered_by = "fetch_pet"\n')
    done = kosmolua("integrations", "check", "pets")
    assert done.returncode == 1
    assert "GET /pets/{id}: covered_by = 'fetch_pet' names no registered function" in done.stdout


@pytest.mark.slow
def test_a_document_extends_an_integration(kosmolua: Program) -> None:
    """Registered functions win and come first, the rest of Render is beside them with the same accounts."""
    done = kosmolua("integrations", "import", shared("../render/openapi.json"), "--onto", "render2")
    assert done.returncode == 0, done.stderr
    script = """
      local render = app.integrations.render2
      local blueprint = render.staging.retrieve_blueprint({ blueprint_id = "exs-cph1rs3idesc73a2b2mg" })
      print(blueprint.id, #render.list_owners().owners > 0)
      print(render.render_retrieve_blueprint == render.retrieve_blueprint)
    """
    run = kosmolua("run", "--simulate", "-e", script)
    assert run.stdout == "exs-cph1rs3idesc73a2b2mg\ttrue\ntrue\n", run.stderr


@pytest.mark.parametrize("name", ["docker.yaml", "github.json", "netbox.yaml"])
@pytest.mark.slow
def test_real_documents_that_say_too_little_are_asked_about(name: str) -> None:
    """Docker and NetBox have no address, GitHub no credential."""
    fetched = importing.fetch(str(shared(name)), lambda: b"")
    with pytest.raises(UsageError, match="--auth" if name == "github.json" else "--base-url"):
        importing.prepare(fetched, Wishes("other"))


@pytest.mark.parametrize(
    ("query", "page"),
    [("power off a droplet", "act"), ("give a droplet a nickname", "replace"), ("sentinel of a droplet", "create")],
)
def test_a_search_knows_what_a_body_can_say(tmp_path: Path, query: str, page: str) -> None:
    """The values that a key lists, the keys of a body that is one argument, and what a key is said to be."""
    actions = [{"type": "object", "properties": {"type": {"enum": [each]}}} for each in ("power_off", "reboot")]
    listed = {"type": "array", "items": {"type": "object", "properties": {"nickname": {"type": "string"}}}}
    text = {"type": "string", "description": "The sentinel that watches it."}
    bodies = {"act": {"oneOf": actions}, "replace": listed, "create": {"type": "object", "properties": {"s": text}}}
    paths = {
        f"/{name}/{{droplet}}": {
            "post": {
                "operationId": name,
                "summary": "Droplets.",
                "requestBody": {"content": {"application/json": {"schema": schema}}},
                "responses": {},
            }
        }
        for name, schema in bodies.items()
    }
    functions = of_home(Home(small(tmp_path, {"paths": paths})), "api", "").functions.more
    assert Search([functions.index]).find(query, 1)[0].page == f"integrations.api.{page}"
