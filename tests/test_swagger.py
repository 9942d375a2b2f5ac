"""Swagger 2.0: what a document says in it is what its OpenAPI 3.0 says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kosmolua.openapi.compiling import Compiled, compiled
from kosmolua.openapi.document import read
from kosmolua.openapi.overlay import Overlay

PET = {"type": "object", "properties": {"name": {"type": "string"}, "mother": {"$ref": "#/definitions/Pet"}}}
DOCUMENT: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Pets"},
    "host": "pets.example",
    "basePath": "/v1",
    "schemes": ["http", "https"],
    "definitions": {"Pet": PET},
    "parameters": {"Body": {"in": "body", "name": "pet", "required": True, "schema": {"$ref": "#/definitions/Pet"}}},
    "responses": {"Gone": {"description": "It is gone."}},
    "securityDefinitions": {
        "plain": {"type": "basic"},
        "login": {
            "type": "oauth2",
            "flow": "accessCode",
            "authorizationUrl": "https://pets.example/authorize",
            "tokenUrl": "https://pets.example/token",
            "scopes": {"read": "Read."},
        },
    },
    "security": [{"login": ["read"]}],
    "paths": {
        "/pets": {
            "parameters": [{"in": "query", "name": "kind", "type": "string"}],
            "get": {
                "operationId": "listPets",
                "parameters": [
                    {"in": "query", "name": "kind", "type": "array", "items": {"type": "string"}},
                    {"in": "query", "name": "ids", "type": "array", "items": {}, "collectionFormat": "multi"},
                    {"in": "query", "name": "tags", "type": "array", "items": {}, "collectionFormat": "pipes"},
                    {"in": "query", "name": "cells", "type": "array", "items": {}, "collectionFormat": "tsv"},
                ],
                "responses": {
                    "200": {
                        "description": "Pets.",
                        "schema": {"type": "array", "items": {"$ref": "#/definitions/Pet"}},
                    },
                    "410": {"$ref": "#/responses/Gone"},
                },
            },
            "post": {
                "operationId": "addPet",
                "parameters": [{"$ref": "#/parameters/Body"}],
                "responses": {
                    "200": {"description": "It.", "schema": {"$ref": "#/paths/~1pets/get/responses/200/schema"}}
                },
            },
        },
        "/pets/{id}/picture": {
            "post": {
                "operationId": "addPicture",
                "parameters": [
                    {"in": "path", "name": "id", "type": "integer", "required": True},
                    {"in": "formData", "name": "picture", "type": "file", "required": True, "description": "A PNG."},
                    {"in": "formData", "name": "tags", "type": "array", "items": {"type": "string"}},
                ],
                "responses": {"200": {"description": "The picture.", "schema": {"type": "file"}}},
                "produces": ["image/png"],
            }
        },
    },
}


@pytest.fixture(scope="module")
def pets() -> Compiled:
    """The compiled document."""
    return compiled(read(json.dumps(DOCUMENT).encode(), "pets"), Overlay())


def operation(pets: Compiled, name: str) -> Any:
    """Return the operation of a function."""
    return next(each.operation for each in pets.functions if each.name == name)


def fields(pets: Compiled, name: str) -> dict[str, Any]:
    """Return the arguments of a function by the service's name."""
    return {each.wire: each for each in operation(pets, name).fields}


def test_a_document_is_openapi_once_it_is_read() -> None:
    """Nothing of the old form is left at its top."""
    root = read(json.dumps(DOCUMENT).encode(), "pets")

    assert root["openapi"] == "3.0.3"
    assert root.keys() == {"openapi", "info", "security", "servers", "paths", "components"}


def test_the_server_is_that_of_host_and_path(pets: Compiled) -> None:
    """By https, if it is one of the schemes."""
    assert pets.access.base_url == "https://pets.example/v1"


def test_a_path_without_a_slash_does_not_lengthen_the_host() -> None:
    """Requests go to the host that the document names."""
    root = read(json.dumps(DOCUMENT | {"basePath": "v1"}).encode(), "pets")

    assert root["servers"] == [{"url": "https://pets.example/v1"}]


def test_media_types_that_are_no_list_are_left_out() -> None:
    """A response is then JSON, as without them."""
    answer = {"description": "A pet.", "schema": PET}
    paths = {"/pet": {"get": {"produces": "text/plain", "responses": {"200": answer}}}}
    root = read(json.dumps(DOCUMENT | {"paths": paths}).encode(), "pets")

    assert root["paths"]["/pet"]["get"]["responses"]["200"]["content"].keys() == {"application/json"}


def test_a_file_is_no_json() -> None:
    """Of what a service produces, only other media types can be that of a file, and any can if there are none."""
    answers = {"200": {"description": "A picture.", "schema": {"type": "file"}}}
    for kinds, left in ((["application/json", "image/png"], ["image/png"]), (["application/json"], ["*/*"])):
        paths = {"/picture": {"get": {"produces": kinds, "responses": answers}}}
        found = compiled(read(json.dumps(DOCUMENT | {"paths": paths}).encode(), "pets"), Overlay())
        result = operation(found, "get_picture").result
        assert result.media == left
        assert result.schema is None


def test_a_login_has_its_addresses(pets: Compiled) -> None:
    """They stand in a flow now."""
    ((credential,),) = pets.access.alternatives

    assert credential.kind == "bearer"
    assert credential.scopes == ["read"]
    assert credential.login == {
        "authorize": "https://pets.example/authorize",
        "token": "https://pets.example/token",
    }


def test_a_list_is_written_in_the_way_it_names(pets: Compiled) -> None:
    """Joined by commas, repeated, or joined by bars or tabs; a parameter of the operation replaces that of its path."""
    styles = {wire: each.style for wire, each in fields(pets, "list_pets").items()}

    assert styles == {"kind": "joined", "ids": "repeated", "tags": "pipes", "cells": "tabs"}
    assert fields(pets, "list_pets")["kind"].schema["type"] == "array"


def test_a_shared_body_is_the_keys_of_its_schema(pets: Compiled) -> None:
    """Beside the parameters of its path."""
    assert operation(pets, "add_pet").body.media == ["application/json"]
    assert fields(pets, "add_pet").keys() == {"kind", "name", "mother"}
    assert fields(pets, "add_pet")["mother"].schema == {"$ref": "#/components/schemas/Pet"}


def test_a_shared_response_has_its_words(pets: Compiled) -> None:
    """As if it stood in the operation."""
    assert operation(pets, "list_pets").statuses == {"410": "It is gone."}


def test_a_schema_elsewhere_is_found(pets: Compiled) -> None:
    """A reference into a path still leads to its target."""
    assert operation(pets, "add_pet").result.schema == {"$ref": "#/components/schemas/schema_1"}
    assert not [note for note in pets.notes if "leads nowhere" in note]


def test_a_form_with_a_file_has_parts(pets: Compiled) -> None:
    """The file is binary, a list is joined, and descriptions and what is required stay."""
    form = fields(pets, "add_picture")

    assert operation(pets, "add_picture").body.media == ["multipart/form-data"]
    assert form["picture"].schema == {"type": "string", "format": "binary"}
    assert form["picture"].required is True
    assert form["tags"].required is False
    assert form["picture"].about == "A PNG."
    assert form["tags"].style == "joined"


def test_a_result_that_is_a_file_is_no_json(pets: Compiled) -> None:
    """It has the media type that the operation produces."""
    result = operation(pets, "add_picture").result

    assert result.schema is None
    assert result.media == ["image/png"]


@pytest.mark.parametrize("kind", [{}, {"type": "array"}])
def test_several_items_are_alternatives(kind: dict[str, Any]) -> None:
    """As in the document of Slack: of the value itself, unless it is a list."""
    either = [{"type": "integer"}, {"type": "string"}]
    answer = {"description": "ok", "schema": {**kind, "items": either}}
    root = read(json.dumps(DOCUMENT | {"paths": {"/pet": {"get": {"responses": {"200": answer}}}}}).encode(), "pets")
    schema = root["paths"]["/pet"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == ({**kind, "items": {"anyOf": either}} if kind else {"anyOf": either})
