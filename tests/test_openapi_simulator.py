"""The simulator that is made from a document, and the pages of large documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.documents import made_up_arguments, shared, small

from kosmolua import CallError, Runtime
from kosmolua.errors import NotConfigured
from kosmolua.http.client import Api
from kosmolua.openapi.integration import of_home
from kosmolua.openapi.samples import Samples
from kosmolua.openapi.simulator import Simulator
from kosmolua.openapi.store import Home
from kosmolua.schema import luacats
from kosmolua.schema.results import check

ALL = [
    *("blockfrost.yaml", "datadog.yaml", "discord.json", "docker.yaml", "galaxy.yaml", "github.json"),
    *("netbox.yaml", "notion.json", "openai.yaml", "slack.json", "stripe.json", "twilio.json"),
]
PET = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
}


def shop() -> dict[str, Any]:
    """Return a document of a collection with everything that can be done to it."""
    slot = [{"name": "petId", "in": "path", "required": True, "schema": {"type": "string"}}]
    one = {"200": {"description": "ok", "content": {"application/json": {"schema": PET}}}}
    many = {"type": "array", "items": PET}
    listed = {"200": {"description": "ok", "content": {"application/json": {"schema": many}}}}
    page = [{"name": each, "in": "query", "schema": {"type": "integer"}} for each in ("page", "per_page", "age")]
    page.append({"name": "name", "in": "query", "schema": {"type": "string"}})
    body = {"required": True, "content": {"application/json": {"schema": PET | {"required": ["name"]}}}}
    gone = {"204": {"description": "gone"}}
    return {
        "paths": {
            "/pets": {
                "get": {"operationId": "listPets", "parameters": page, "responses": listed},
                "post": {"operationId": "createPet", "requestBody": body, "responses": one},
            },
            "/pets/{petId}": {
                "parameters": slot,
                "get": {"operationId": "getPet", "responses": one},
                "patch": {"operationId": "updatePet", "requestBody": body, "responses": one},
                "delete": {"operationId": "deletePet", "responses": gone},
            },
        }
    }


def test_a_call_and_its_simulated_reply_read_the_function_once(tmp_path: Path) -> None:
    """The details of a function can be large, so they stay in memory for those who need them next."""
    home = Home(small(tmp_path, shop()))
    functions: Any = of_home(home, "shop", "").functions.more
    asked: list[str] = []
    functions.store.database.set_trace_callback(asked.append)
    assert functions.function("get_pet").name == "get_pet"
    api = Api(Simulator(functions, "default"), "https://shop.test")
    assert api.fetch("GET", "/pets/{petId}", {"petId": "7"}).status == 200
    assert sum("detail from functions" in each for each in asked) == 1


@pytest.mark.parametrize("media", ["application/jsonl", "application/yaml"])
def test_a_reply_without_a_schema_is_what_its_media_type_says(tmp_path: Path, media: str) -> None:
    """So that a script that reads it runs."""
    answer = {"200": {"description": "ok", "content": {media: {}}}}
    document = small(tmp_path, {"paths": {"/rows": {"get": {"operationId": "rows", "responses": answer}}}})
    with Runtime(None, simulate=True, plugins=[document], environ={}) as runtime:
        assert runtime.call("pets.rows") == ([{}] if "jsonl" in media else {})


@pytest.fixture
def pets(tmp_path: Path) -> Runtime:
    """A runtime over the simulator of the shop."""
    return Runtime(None, simulate=True, plugins=[small(tmp_path, shop())], yes=True, allow=["*"], environ={})


@pytest.mark.slow
def test_a_collection_keeps_what_is_done_to_it(pets: Runtime) -> None:
    """What is created is listed, got and changed, and is 404 once it is deleted."""
    made = pets.call("pets.create_pet", {"name": "Rex", "age": 3})
    assert made["name"] == "Rex"
    assert made["age"] == 3
    assert pets.call("pets.get_pet", {"pet_id": made["id"]}) == made
    assert made in pets.call("pets.list_pets", {"all": True})
    changed = pets.call("pets.update_pet", {"pet_id": made["id"], "name": "Max"})
    assert pets.call("pets.get_pet", {"pet_id": made["id"]})["name"] == changed["name"] == "Max"
    assert pets.call("pets.delete_pet", {"pet_id": made["id"]}) == {"status": 204}
    with pytest.raises(CallError) as caught:
        pets.call("pets.get_pet", {"pet_id": made["id"]})
    assert caught.value.status == 404
    assert made["id"] not in [each["id"] for each in pets.call("pets.list_pets", {"all": True})]


def test_a_list_has_25_items_behind_its_pages(pets: Runtime) -> None:
    """They are the same each time, and each account has its own."""
    first = pets.call("pets.list_pets", {"per_page": 10})
    assert len(first) == 10
    assert pets.call("pets.list_pets", {"per_page": 10}) == first
    assert pets.call("pets.list_pets", {"per_page": 10, "page": 2}) != first
    assert len(pets.call("pets.list_pets", {"all": True})) == 25
    assert len(pets.call("pets.list_pets", {"all": True, "max_items": 7})) == 7
    assert pets.call("pets.production.list_pets", {"per_page": 10}) != first


def test_a_pattern_that_python_reads_otherwise_is_left_alone(recwarn: pytest.WarningsRecorder) -> None:
    """Nothing is printed about it, and the sample is some text."""
    made = Samples(lambda pointer: {}, "default").of({"type": "string", "pattern": "^[[a-z]&&[^b]]+$"}, "x")
    assert isinstance(made, str)
    assert made
    assert len(recwarn) == 0


def test_a_schema_behind_a_thousand_others_has_a_sample() -> None:
    """Whether they refer to the next one or offer it; the way to it is not followed to its end."""
    number = {"type": "number"}
    schemas = {f"#/{each}": {"oneOf": [{"$ref": f"#/{each + 1}"}, number]} for each in range(1000)}
    samples = Samples(lambda pointer: schemas.get(pointer, {"type": "string"}), "default")
    assert samples.of({"$ref": "#/0"}, "x") == {}
    assert isinstance(samples.of({"$ref": "#/995"}, "x"), str)


@pytest.mark.parametrize("pattern", [r"^[0-9]+$", r"^arn:[^:\s]+:rule\/(.*\S)?$", r"^\D\d$"])
def test_a_sample_matches_its_pattern(pattern: str) -> None:
    """Also where it has to be longer than what the pattern needs."""
    made = Samples(lambda pointer: {}, "default").of({"type": "string", "pattern": pattern, "minLength": 2}, "x")
    assert re.search(pattern, str(made))


def test_a_page_is_no_value_that_a_list_is_asked_for(tmp_path: Path) -> None:
    """Also where the items have a key of that name."""
    book = {"type": "object", "required": ["page"], "properties": {"page": {"type": "integer"}}}
    document = shop()
    listed = document["paths"]["/pets"]["get"]["responses"]["200"]["content"]["application/json"]
    listed["schema"] = {"type": "array", "items": book}
    with Runtime(None, simulate=True, plugins=[small(tmp_path, document)], environ={}) as runtime:
        assert len(runtime.call("pets.list_pets", {"all": True})) == 25
        assert len(runtime.call("pets.list_pets", {"page": 2, "per_page": 10})) == 10


def test_a_list_has_the_values_that_it_is_asked_for(pets: Runtime) -> None:
    """Those of what was made, and otherwise one item has them: a query that finds all would mislead a script."""
    assert [each["name"] for each in pets.call("pets.list_pets", {"name": "Rex", "all": True})] == ["Rex"]
    assert [each["age"] for each in pets.call("pets.list_pets", {"age": 1234, "all": True})] == [1234]
    assert [each["age"] for each in pets.call("pets.list_pets", {"age": 12345678901, "all": True})] == [12345678901]
    made = [pets.call("pets.create_pet", {"name": "Rex"}) for _ in range(2)]
    assert pets.call("pets.list_pets", {"name": "Rex", "all": True}) == made


def test_a_list_has_the_times_that_it_is_asked_for() -> None:
    """A range without any item is an empty list, and a wide one leaves nothing out."""
    with Runtime(None, simulate=True, environ={}) as runtime:

        def logs(**times: str) -> Any:
            return runtime.call("render2.list_owner_audit_logs", {"owner_id": "tea-1", "all": True, **times})

        assert logs(start_time="2030-01-01T00:00:00Z") == []
        assert logs(end_time="2001-01-01T00:00:00Z") == []
        assert logs(start_time="2001-01-01T00:00:00Z", end_time="2030-01-01T00:00:00Z") == logs() != []


def test_the_state_is_kept_in_a_file(tmp_path: Path) -> None:
    """A second runtime finds what the first one made."""
    path, state = small(tmp_path, shop()), tmp_path / "state.json"
    with Runtime(None, simulate=state, plugins=[path], yes=True, environ={}) as first:
        made = first.call("pets.create_pet", {"name": "Rex"})
    with Runtime(None, simulate=state, plugins=[path], yes=True, environ={}) as second:
        assert second.call("pets.get_pet", {"pet_id": made["id"]})["name"] == "Rex"


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_function_has_a_page_a_stub_and_a_reply(name: str, tmp_path: Path) -> None:
    """Of some thirty functions of a document, pages are within 6,000 characters, and at least 85 % of replies fit."""
    path = tmp_path / f"api.openapi.{name.partition('.')[2]}"
    path.symlink_to(shared(name))
    with Runtime(None, simulate=True, plugins=[path], yes=True, allow=["*"], environ={}) as runtime:
        functions = runtime.catalog.integration("api").functions
        fitting = tried = 0
        for short in list(functions)[:: 1 + len(functions) // 30]:
            function = functions[short]
            assert len(runtime.docs.read(f"api.{short}")) < 6000, short
            assert luacats.function_stub(function, "api", "account")
            try:
                value = runtime.call(f"api.{short}", made_up_arguments(function, functions.more))
            except NotConfigured:
                continue  # it is of a service beside the document's own, which needs the user's word
            tried += 1
            fitting += _fits(function.returns, value)
    assert fitting >= 0.85 * tried
    assert tried >= min(20, 0.8 * len(functions))


def test_things_whose_paths_end_in_a_suffix_are_kept_too(tmp_path: Path) -> None:
    """As in Twilio: ``/calls/{sid}.json`` is one of ``/calls.json``, and the account in the path is not its id."""
    text = {"type": "string"}
    slots = [{"name": each, "in": "path", "required": True, "schema": text} for each in ("AccountSid", "Sid")]
    call = {"type": "object", "properties": dict.fromkeys(("sid", "account_sid", "to"), text)}
    one = {"200": {"description": "ok", "content": {"application/json": {"schema": call}}}}
    body = {"content": {"application/x-www-form-urlencoded": {"schema": {"properties": {"to": text}}}}}
    many = {"type": "object", "properties": {"calls": {"type": "array", "items": call}}}
    listed = {"200": {"description": "ok", "content": {"application/json": {"schema": many}}}}
    paths = {
        "/{AccountSid}/Calls.json": {
            "parameters": slots[:1],
            "get": {"operationId": "list_calls", "responses": listed},
            "post": {"operationId": "create_call", "requestBody": body, "responses": one},
        },
        "/{AccountSid}/Calls/{Sid}.json": {
            "parameters": slots,
            "get": {"operationId": "fetch_call", "responses": one},
            "delete": {"operationId": "delete_call", "responses": {"204": {"description": "gone"}}},
        },
    }
    document = small(tmp_path, {"paths": paths}, "phone")
    with Runtime(None, simulate=True, plugins=[document], yes=True, allow=["*"], environ={}) as phone:
        made = phone.call("phone.create_call", {"account_sid": "AC1", "to": "+41"})
        assert made["account_sid"] == "AC1"
        assert made["to"] == "+41"
        assert made["sid"] != "AC1"
        known = {"account_sid": "AC1", "sid": made["sid"]}
        assert phone.call("phone.fetch_call", known) == made
        assert made in phone.call("phone.list_calls", {"account_sid": "AC1"})["calls"]
        phone.call("phone.delete_call", known)
        with pytest.raises(CallError, match="404"):
            phone.call("phone.fetch_call", known)


def _fits(kind: Any, value: object) -> bool:
    try:
        check(kind, value) if kind else None
    except Exception:  # noqa: BLE001 - any refusal is one
        return False
    return True


@pytest.mark.slow
def test_pages_of_github_are_small_and_found(tmp_path: Path) -> None:
    """The list is one of sections, each section and each function has a page, and a search leads to the right one."""
    with Runtime(None, simulate=True, environ={}) as runtime:
        docs = runtime.docs
        whole = docs.read("github")
        assert len(whole) < 8000 and "- `issues` (" in whole and "`get_repo` (read)" in whole
        for section in ("issues", "repos", "actions", "pulls"):
            assert len(docs.read(f"github.{section}")) < 8000
        name = "pulls_list_review_comments_for_repo"
        key = "github GET /repos/{owner}/{repo}/pulls/comments"
        for page in (key, "github pulls/list-review-comments-for-repo", f"github.{name}"):
            assert docs.read(page).startswith("# app.integrations.github.")
        first = docs.find("list pull requests of a repository")[0].page
        assert first.rpartition(".")[2] in ("pulls_list", "list_pull_requests", "list_pulls")
