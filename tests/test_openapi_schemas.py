"""Schemas as vendors write them: names of parts, subtypes, and several successes of one operation."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.documents import Reply, live, serving, small

from kosmolua import Runtime
from kosmolua.openapi.document import Document, read
from kosmolua.openapi.samples import Samples
from kosmolua.schema.json_schema import SchemaReader
from kosmolua.schema.tree import target

JSON = "application/json"
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
SCHEMAS = "#/components/schemas/"


def reading(name: str, schema: Any, **rest: Any) -> dict[str, Any]:
    """Return a GET whose result has a schema."""
    answers = {"200": {"description": "ok", "content": {JSON: {"schema": schema}}}}
    return {"get": {"operationId": name, "responses": answers, **rest}}


def page_of(tmp_path: Path, document: dict[str, Any], function: str) -> str:
    """Return the page of a document's function."""
    with Runtime(None, simulate=True, plugins=[small(tmp_path, document)], environ={}) as runtime:
        return runtime.docs.read(f"pets.{function}")


NAMED_PARTS = {
    "paths": {
        "/pets": reading("list_pets", {"type": "array", "items": {"$ref": "https://pets.test/schemas/pet"}}),
        "/owner": reading("get_owner", {"$ref": "#owner"}),
        "/tree": reading("get_tree", {"$ref": f"{SCHEMAS}Tree"}),
    },
    "components": {
        "schemas": {
            "Owner": {
                "$anchor": "owner",
                "type": "object",
                "properties": {"name": TEXT, "$id": TEXT, "first": {"$ref": f"{SCHEMAS}Pet"}},
            },
            "Pet": {
                "$id": "https://pets.test/schemas/pet",
                "type": "object",
                "properties": {
                    "tag": {"$ref": "#/$defs/Tag"},
                    "chip": {"$ref": "chip"},
                    "owner": {"$ref": f"{SCHEMAS}Owner"},
                },
                "$defs": {"Tag": {"type": "object", "properties": {"label": TEXT}}},
            },
            "Chip": {
                "$id": "https://pets.test/schemas/chip",
                "type": "object",
                "properties": {"number": {"type": "integer"}},
            },
            "Tree": {
                "$dynamicAnchor": "node",
                "type": "object",
                "properties": {"height": NUMBER, "left": {"$dynamicRef": "#node"}},
            },
            "Filter": {"$recursiveAnchor": True, "properties": {"of": TEXT, "not": {"$recursiveRef": "#"}}},
        }
    },
}


def test_a_reference_leads_to_a_part_by_its_name(tmp_path: Path) -> None:
    """By an ``$anchor``, by an ``$id``, and relative to the ``$id`` around it, or else to the root."""
    path = small(tmp_path, NAMED_PARTS)
    root = read(path.read_bytes(), "pets")
    schemas, document = root["components"]["schemas"], Document(root)
    assert root["paths"]["/owner"]["get"]["responses"]["200"]["content"][JSON]["schema"] == {"$ref": f"{SCHEMAS}Owner"}
    assert {key: each.get("$ref") for key, each in schemas["Pet"]["properties"].items()} == {
        "tag": "#/components/schemas/Pet/$defs/Tag",
        "chip": f"{SCHEMAS}Chip",
        "owner": f"{SCHEMAS}Owner",
    }
    assert set(document.keys(schemas["Tree"]["properties"]["left"])) == {"height", "left"}
    assert set(document.keys(schemas["Filter"]["properties"]["not"])) == {"of", "not"}
    assert not document.notes
    assert read(path.read_bytes(), "pets") == root
    with Runtime(None, simulate=True, plugins=[path], environ={}) as runtime:
        assert isinstance(runtime.call("pets.list_pets")[0]["chip"]["number"], int)
        assert isinstance(runtime.call("pets.get_tree")["height"], int)


def test_a_name_that_no_part_has_leads_nowhere(tmp_path: Path) -> None:
    """The document is read, and a note names the reference."""
    gone = {"/gone": reading("gone", {"type": "object", "properties": {"a": {"$dynamicRef": "#gone"}}})}
    with Runtime(None, simulate=True, plugins=[small(tmp_path, {"paths": gone})], environ={}) as runtime:
        assert runtime.call("pets.gone") == {"a": "sample"}


def extending(base: str, **keys: Any) -> dict[str, Any]:
    """Return a schema that extends another one with keys."""
    return {"allOf": [{"$ref": SCHEMAS + base}, {"type": "object", "properties": keys}]}


PET = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": TEXT, "friend": {"$ref": f"{SCHEMAS}Pet"}},
}
SUBTYPES = {
    "Pet": {
        **PET,
        "discriminator": {"propertyName": "kind", "mapping": {"cat": f"{SCHEMAS}Cat", "dog": "Dog"}},
    },
    "Cat": extending("Pet", lives=TEXT),
    "Dog": extending("Pet", tricks=TEXT),
    "Card": {"type": "object", "properties": {"type": TEXT, "number": TEXT}},
    "Bank": {"type": "object", "properties": {"type": {"enum": ["iban"]}, "iban": TEXT}},
    "Payment": {
        "oneOf": [{"$ref": f"{SCHEMAS}Card"}, {"$ref": f"{SCHEMAS}Bank"}],
        "discriminator": {"propertyName": "type"},
    },
}


@pytest.mark.parametrize(
    ("name", "keys", "kind"),
    [
        ("Cat", {"kind", "friend", "lives"}, ("kind", "cat")),
        ("Dog", {"kind", "friend", "tricks"}, ("kind", "dog")),
        ("Pet", {"kind", "lives"}, ("kind", "cat")),
        ("Payment", {"type", "number"}, ("type", "Card")),
        ("Bank", {"type", "iban"}, ("type", "iban")),
    ],
)
def test_a_sample_is_of_one_subtype(name: str, keys: set[str], kind: tuple[str, str]) -> None:
    """It has no keys of others, and the value that tells it apart."""
    root = read(json.dumps({"openapi": "3.1.0", "components": {"schemas": SUBTYPES}}).encode(), "pets")
    made: Any = Samples(partial(target, root), "default").of({"$ref": SCHEMAS + name}, "x")
    assert set(made) == keys
    assert made[kind[0]] == kind[1]


def answering(**answers: Any) -> dict[str, Any]:
    """Return a POST with a response for each status: a schema, or None for one without content."""
    responses = {
        status.removeprefix("s"): {"description": "", **({"content": {JSON: {"schema": each}}} if each else {})}
        for status, each in answers.items()
    }
    return {"post": {"operationId": "make", "responses": responses}}


THING = {"type": "object", "title": "Thing", "required": ["id"], "properties": {"id": TEXT}}
JOB = {"type": "object", "title": "Job", "required": ["job"], "properties": {"job": TEXT}}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"s200": THING, "s202": JOB}, ["id", "job"]),
        ({"s200": THING, "s204": None}, ["id", "status"]),
        ({"s201": None, "s202": JOB}, ["job", "status"]),
        ({"s200": THING, "s201": THING}, ["id"]),
        ({"s200": THING, "sdefault": JOB}, ["id"]),
        ({"s2XX": THING, "s202": JOB}, ["id", "job"]),
    ],
)
def test_a_result_is_what_any_success_has(tmp_path: Path, answers: dict[str, Any], said: list[str]) -> None:
    """The page shows the keys of each."""
    document = small(tmp_path, {"paths": {"/things": answering(**answers)}})
    with Runtime(None, simulate=True, plugins=[document], yes=True, allow=["*"], environ={}) as runtime:
        page = runtime.docs.read("pets.make").partition("Returns")[2]
        assert sorted(re.findall(r"@field (id|job|status)\b", page)) == said


@pytest.mark.parametrize(("status", "is_warned"), [("s202", False), ("sdefault", True)])
def test_the_check_knows_what_each_success_has(tmp_path: Path, status: str, is_warned: bool) -> None:
    """A script may treat a result as any of them."""
    closed = {"type": "object", "properties": {"names": TEXT}, "additionalProperties": False}
    answers: dict[str, Any] = {"s200": closed, status: {"type": "array", "items": TEXT}}
    document = small(tmp_path, {"paths": {"/things": answering(**answers)}})
    script = "for _, name in ipairs(app.integrations.pets.make({})) do print(name) end"
    with Runtime(None, simulate=True, plugins=[document], yes=True, allow=["*"], environ={}) as runtime:
        assert bool(runtime.run(script, check=True).warnings) == is_warned


@pytest.mark.parametrize(("key", "hint"), [("id", ""), ("status", ""), ("idd", "did you mean 'id'?")])
def test_the_check_knows_the_fields_of_each_success(tmp_path: Path, key: str, hint: str) -> None:
    """What none of them has is a mistake."""
    document = small(tmp_path, {"paths": {"/things": answering(s200=THING, s204=None)}})
    with Runtime(None, simulate=True, plugins=[document], yes=True, allow=["*"], environ={}) as runtime:
        outcome = runtime.run(f"print(app.integrations.pets.make({{}}).{key})", check=True)
        assert bool(outcome.warnings) == bool(hint)
        assert hint in "".join(outcome.warnings)


def test_a_type_says_which_value_stands_for_it(tmp_path: Path) -> None:
    """The mapping of a discriminator has it, and what else is said of the property stays."""
    told = {**SUBTYPES, "Bank": {"type": "object", "properties": {"type": {**TEXT, "description": "The way."}}}}
    how = {"propertyName": "type", "mapping": {"card": "Card", "wire": f"{SCHEMAS}Bank", "iban": "Bank"}}
    told["Payment"] = {**told["Payment"], "discriminator": how}
    paths = {"/pets": reading("get_pet", {"$ref": f"{SCHEMAS}Pet"}), "/pay": answering(s200={"type": "object"})}
    paths["/pay"]["post"]["requestBody"] = {"content": {JSON: {"schema": {"$ref": f"{SCHEMAS}Payment"}}}}
    document = small(tmp_path, {"paths": paths, "components": {"schemas": told}})
    with Runtime(None, simulate=True, plugins=[document], environ={}) as runtime:
        assert '---@field kind "cat"' in runtime.docs.read("pets.get_pet")
        assert 'One of "card", "wire", "iban"' in runtime.docs.read("pets.make")


@pytest.mark.parametrize(
    ("kind", "values", "fitting"),
    [
        (TEXT, ["dog", "puppy"], ["dog", "puppy"]),
        ({**TEXT, "enum": ["dog", "puppy", "cat"]}, ["dog", "puppy"], ["dog", "puppy"]),
        ({**TEXT, "enum": ["Dog", "Puppy"]}, ["dog", "puppy"], ["Dog", "Puppy"]),
        (NUMBER, ["1", "2"], [1, 2]),
    ],
    ids=["text", "choice", "other spelling", "number"],
)
def test_a_value_stands_for_what_a_type_extends_too(
    kind: dict[str, Any], values: list[str], fitting: list[Any]
) -> None:
    """A puppy is a dog, and what a parent says of the property is not contradicted."""
    mapping = dict(zip(values, ("Dog", "Puppy"), strict=True))
    animal = {"properties": {"is": kind}, "discriminator": {"propertyName": "is", "mapping": mapping}}
    schemas = {"Animal": animal, "Dog": extending("Animal"), "Puppy": extending("Dog")}
    told = Document(read(json.dumps({"openapi": "3.1.0", "components": {"schemas": schemas}}).encode(), "pets"))
    dog = SchemaReader(look_up=told.look_up).read({"$ref": f"{SCHEMAS}Dog"}, "dog")
    assert [value for value in (*fitting, "fish") if dog.takes({"is": value})] == fitting


def test_a_page_says_how_a_day_and_a_time_are_written(tmp_path: Path) -> None:
    """Their formats alone are no words for it."""
    days = [{"name": name, "in": "query", "schema": {**TEXT, "format": name}} for name in ("date", "date-time")]
    document = small(tmp_path, {"paths": {"/log": reading("get_log", TEXT, parameters=days)}})
    with Runtime(None, simulate=True, plugins=[document], environ={}) as runtime:
        page = runtime.docs.read("pets.get_log")
    assert "Like '2026-01-31'." in page
    assert "Like '2026-01-31T12:00:00Z'." in page


@pytest.mark.parametrize("made", [{"type": "object", "properties": {"access_token": TEXT}}, {"type": "object"}])
def test_a_credential_of_any_success_is_a_secret(tmp_path: Path, made: dict[str, Any]) -> None:
    """A script cannot read it, whichever of the statuses the service answers with, and whether it says so or not."""
    document = small(tmp_path, {"paths": {"/things": answering(s200=THING, s201=made)}})
    answer = Reply({"access_token": "made-up-12345"}, 201)
    with serving(lambda sent: answer) as service, live(document, "pets", service) as runtime:
        outcome = runtime.run("return app.integrations.pets.make({}).access_token:reverse()")
    assert "54321" not in str(outcome.result)
