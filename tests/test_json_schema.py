"""JSON Schema as types: what each spelling accepts, what is left open, and twelve real documents."""

from __future__ import annotations

import datetime
import gc
import json
import pickle
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import hypothesis
import jsonschema
import pytest
from support.rounds import rounds

from kosmolua.plugin import between, matching, non_empty
from kosmolua.schema import luacats
from kosmolua.schema.annotations import type_of
from kosmolua.schema.bounds import MAX_MATCHED, Length, Pattern, Range
from kosmolua.schema.json_schema import NOTHING, SchemaReader
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.tree import SchemaTree, target
from kosmolua.schema.types import ANY, INTEGER, STRING, Choice, List, Map, Record, Scalar, Type, Union

DOCUMENTS = Path(__file__).parent.parent.parent / "shared" / "openapi"
PET = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "tag": {"type": "string"}}}


def read(schema: Any, document: Any = None) -> Type:
    """Return the type of a schema that leaves no note."""
    reader = SchemaReader(schema if document is None else document)
    kind = reader.read(schema, "thing")
    assert reader.notes == []
    return kind


def problem(kind: Type, value: object) -> str:
    """Return where and why a value does not fit."""
    with pytest.raises(Mismatch) as refused:
        kind.accept(value)
    return f"{refused.value.where} {refused.value.problem}".strip()


def fits(kind: Type, value: object) -> bool:
    """Return True if a value fits."""
    try:
        kind.accept(value)
    except Mismatch:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, ANY),
        ({}, ANY),
        ({"description": "Whatever."}, ANY),
        (False, NOTHING),
        ({"type": "string"}, STRING),
        ({"type": "string", "format": "date-time"}, Scalar("string", format="date-time")),
        ({"type": "integer", "minimum": 1, "maximum": 5}, Scalar("integer", (Range(1, 5),))),
        ({"type": "number", "exclusiveMinimum": 0}, Scalar("number", (Range(0, exclusive_minimum=True),))),
        (
            {"type": "number", "maximum": 1, "exclusiveMaximum": True},
            Scalar("number", (Range(maximum=1, exclusive_maximum=True),)),
        ),
        ({"type": "string", "minLength": 1, "maxLength": 5}, Scalar("string", (Length(1, 5),))),
        ({"type": "string", "pattern": "^a"}, Scalar("string", (Pattern("^a", whole=False),))),
        ({"enum": ["a", "b", "a"]}, Choice(("a", "b"))),
        ({"enum": [1, True, "x", 2.5, [1], {"a": 1}]}, Choice((1, True, "x", 2.5, [1], {"a": 1}))),
        ({"type": "string", "enum": ["1", 2]}, Choice(("1", "2"))),
        ({"type": "string", "enum": []}, STRING),
        ({"const": "card"}, Choice(("card",))),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, List(INTEGER, (Length(1),))),
        ({"type": "array"}, List(ANY)),
        ({"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}, List(Union((INTEGER, STRING)))),
        ({"type": "array", "prefixItems": [{"type": "integer"}], "items": False}, List(INTEGER)),
        ({"type": "object"}, Map(ANY)),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, Map(INTEGER)),
        ({"type": ["string", "integer"]}, Union((STRING, INTEGER))),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, Union((STRING, INTEGER))),
        (
            {"anyOf": [{"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}]},
            Union((STRING, INTEGER)),
        ),
        ({"oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}, Choice(("a", "b"))),
        ({"anyOf": [{"type": "string"}, {}]}, ANY),
        (
            {"allOf": [{"type": "integer", "minimum": 0}, {"minimum": 3, "maximum": 9}]},
            Scalar("integer", (Range(3, 9),)),
        ),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, INTEGER),
        ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, Choice(("b",))),
    ],
    ids=str,
)
def test_a_schema_is_a_type(schema: Any, expected: Type) -> None:
    """Each keyword has its place in a type, in the spellings of all drafts."""
    assert read(schema) == expected


@pytest.mark.parametrize(
    ("schema", "label"),
    [
        ({"properties": {"a": {}}}, "object"),
        ({"additionalProperties": {"type": "string"}}, "object"),
        ({"items": {"type": "string"}}, "array"),
        ({"pattern": "x"}, "string"),
        ({"minimum": 1}, "number"),
        ({"format": "uuid"}, "any"),
    ],
)
def test_a_type_that_is_not_named_is_inferred(schema: Any, label: str) -> None:
    """Many documents leave it out where the other keywords tell."""
    assert luacats.label(read(schema)) == label


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "nullable": True},
        {"type": "string", "x-nullable": True},
        {"type": ["string", "null"]},
        {"oneOf": [{"type": "string"}, {"type": "null"}]},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"oneOf": [{"type": "string"}, {"enum": [None]}]},
        {"allOf": [{"type": "string"}], "nullable": True},
        {"allOf": [{"type": "string", "nullable": True}, {"nullable": True, "type": "string"}]},
    ],
    ids=str,
)
def test_null_has_many_spellings(schema: Any) -> None:
    """All of them mean the same: the string or nothing."""
    kind = read(schema)
    assert kind == Scalar("string", nullable=True)
    assert kind.accept(None) is None
    assert kind.accept("a") == "a"


def test_choices_that_json_has_not_are_texts() -> None:
    """An unquoted date in YAML is a date in Python."""
    assert read({"enum": [datetime.date(2026, 11, 25)]}) == Choice(("2026-11-25",))


def test_null_among_choices_is_no_choice() -> None:
    """It is said once, by nullable."""
    assert read({"type": "string", "enum": ["a", None]}) == Choice(("a",), nullable=True)
    assert read({"type": "null"}) == Choice((), nullable=True)
    assert problem(read({"type": "null"}), 1) == "must be nothing, not 1"


def test_a_reference_keeps_its_siblings() -> None:
    """OpenAPI 3.1 has them, and writers of 3.0 mean them."""
    document = {"components": {"schemas": {"Pet": PET, "Short": {"type": "string", "maxLength": 9}}}}
    nullable = read({"$ref": "#/components/schemas/Pet", "nullable": True, "description": "Or none."}, document)
    assert isinstance(nullable, Record)
    assert nullable.name == "Pet"
    assert nullable.nullable is True
    assert read({"$ref": "#/components/schemas/Short", "minLength": 2}, document) == Scalar("string", (Length(2, 9),))


def test_a_pointer_may_be_encoded() -> None:
    """Render's document refers into its own paths that way."""
    document = {"paths": {"/a/{b}~c": {"x y": [{"type": "integer"}]}}}
    assert read({"$ref": "#/paths/~1a~1%7Bb%7D~0c/x%20y/0"}, document) == INTEGER


def test_a_property_may_be_called_ref() -> None:
    """Only a string refers to anything."""
    kind = read({"type": "object", "properties": {"$ref": {"type": "string"}}, "additionalProperties": False})
    assert kind.accept({"$ref": "x"}) == {"$ref": "x"}


def test_all_of_is_one_record() -> None:
    """Keys and demands of all parts, through references and inner allOf."""
    document = {
        "definitions": {
            "Pet": PET,
            "Named": {"allOf": [{"$ref": "#/definitions/Pet"}, {"properties": {"id": {"type": "integer"}}}]},
        }
    }
    kind = read({"allOf": [{"$ref": "#/definitions/Named"}, {"required": ["id"]}], "description": "x"}, document)
    assert isinstance(kind, Record)
    assert dict(kind.fields) == {"name": STRING, "tag": STRING, "id": INTEGER}
    assert kind.required == {"name", "id"}


def test_a_key_of_two_parts_fits_both() -> None:
    """What one says of a key restricts what the other says."""
    kind = read(
        {"allOf": [{"properties": {"a": {"type": "integer", "minimum": 1}}}, {"properties": {"a": {"maximum": 3}}}]}
    )
    assert problem(kind, {"a": 5}) == ".a must be an integer in 1..3, not 5"


def test_keys_around_alternatives_belong_to_each() -> None:
    """``oneOf`` beside ``properties`` is common."""
    kind = read(
        {
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "integer"}},
            "oneOf": [
                {"properties": {"kind": {"const": "card"}, "number": {"type": "string"}}, "required": ["kind"]},
                {"properties": {"kind": {"const": "cash"}, "amount": {"type": "integer"}}, "required": ["kind"]},
            ],
        }
    )
    assert kind.accept({"id": 1, "kind": "cash", "amount": 2}) == {"id": 1, "kind": "cash", "amount": 2}
    assert problem(kind, {"kind": "cash", "amount": 2}) == "needs the key 'id'"
    assert problem(kind, {"id": 1, "kind": "cash", "amount": "2"}) == '.amount must be an integer, not "2" (a string)'


def test_alternatives_that_only_demand_keys_are_left_to_the_service() -> None:
    """``anyOf`` of ``required`` lists makes no union of five equal records."""
    kind = read(PET | {"anyOf": [{"required": ["name"]}, {"required": ["tag"]}]})
    assert isinstance(kind, Record)
    assert kind.accept({"name": "Rex"}) == {"name": "Rex"}


def test_other_keys_fit_as_the_schema_says() -> None:
    """Any by default, none, or those of a type."""
    open_, closed, typed = (read(PET | {"additionalProperties": more}) for more in (True, False, {"type": "integer"}))
    assert open_.accept({"name": "Rex", "age": 3}) == {"name": "Rex", "age": 3}
    assert problem(closed, {"name": "Rex", "tga": "x"}) == "has no key 'tga' (did you mean 'tag'?)"
    assert typed.accept({"name": "Rex", "age": 3}) == {"name": "Rex", "age": 3}
    assert problem(typed, {"name": "Rex", "age": "x"}) == '.age must be an integer, not "x" (a string)'


def test_a_record_may_contain_itself() -> None:
    """By a key, by a list, by way of another record, and as null."""
    node = {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "next": {"oneOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        },
    }
    kind = read({"$ref": "#/$defs/Node"}, {"$defs": {"Node": node}})
    assert kind.accept({"next": {"next": None, "value": 1}, "children": [{"value": 2}]})
    assert problem(kind, {"next": {"children": [{"value": "x"}]}}) == (
        '.next.children[1].value must be an integer, not "x" (a string)'
    )
    again = read({"$ref": "#/$defs/Node"}, {"$defs": {"Node": node}})
    assert kind == again
    assert hash(kind) == hash(again)
    assert pickle.loads(pickle.dumps(kind)) == kind
    assert kind.lua == "Node"


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"$ref": "#/$defs/A"}},
        {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
        {"A": {"allOf": [{"$ref": "#/$defs/A"}, {"type": "object"}]}},
        {"A": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/A"}}]}},
        {"A": {"type": "object", "additionalProperties": {"$ref": "#/$defs/A"}}},
        {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
    ],
    ids=str,
)
def test_a_circle_without_a_record_ends(schemas: Any) -> None:
    """At its second turn anything fits."""
    kind = SchemaReader({"$defs": schemas}).read({"$ref": "#/$defs/A"})
    assert isinstance(kind.lua, str)
    assert kind.json_schema() is not None


def test_alternatives_do_not_multiply_without_end() -> None:
    """A schema of a few lines must not stand for millions of types."""
    level: dict[str, Any] = {
        f"L{number}": {
            "properties": {f"p{number}": {}},
            "anyOf": [{"$ref": f"#/$defs/L{number + 1}"}, {"$ref": f"#/$defs/L{number + 1}", "title": "x"}],
        }
        for number in range(60)
    }
    itself = {"properties": {"a": {}}, "anyOf": [{"$ref": "#/$defs/It"}, {"$ref": "#/$defs/It", "required": ["a"]}]}
    diamond = {f"D{number}": {"allOf": [{"$ref": f"#/$defs/D{number + 1}"}] * 2} for number in range(60)}
    document = {"$defs": level | diamond | {"L60": {"type": "object"}, "D60": PET, "It": itself}}
    started = time.thread_time()
    for name in ("L0", "D0", "It"):
        kind = SchemaReader(document).read({"$ref": f"#/$defs/{name}"})
        list(luacats.records_by_depth([kind]))
    assert time.thread_time() - started < 5


def test_a_parent_that_lists_its_children_is_merged_into_one() -> None:
    """Inheritance with a discriminator refers in a circle."""
    base = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}},
        "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "discriminator": {"propertyName": "kind"},
    }
    cat = {"allOf": [{"$ref": "#/$defs/Pet"}, {"properties": {"lives": {"type": "integer"}}}]}
    dog = {"allOf": [{"$ref": "#/$defs/Pet"}, {"properties": {"barks": {"type": "boolean"}}}]}
    document = {"$defs": {"Pet": base, "Cat": cat, "Dog": dog}}
    kind = read({"$ref": "#/$defs/Cat"}, document)
    assert isinstance(kind, Record)
    assert list(kind.fields) == ["kind", "lives"]
    assert luacats.label(read({"$ref": "#/$defs/Pet"}, document)) == "object"


def test_a_list_of_lists_of_itself_is_checked_on_its_first_turn() -> None:
    """JSON values are declared like this."""
    value = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/Value"}}]}
    kind = read({"$ref": "#/$defs/Value"}, {"$defs": {"Value": value}})
    assert kind.accept(["a", ["b", 1]]) == ["a", ["b", 1]]
    assert problem(kind, 1) == "must be a string or a list, not 1"


def test_integers_beyond_64_bits() -> None:
    """Lua gets them as strings and gives them back as strings; they become integers again."""
    kind = read({"type": "integer", "format": "int64"})
    assert kind.accept("18446744073709551615") == 2**64 - 1
    assert kind.accept(2**63) == 2**63
    assert problem(kind, "5") == 'must be an integer, not "5" (a string)'
    assert read({"enum": [2**64]}).accept(str(2**64)) == 2**64
    limited = read({"type": "integer", "maximum": 2**63 - 1})
    assert problem(limited, "18446744073709551616").endswith("not 18446744073709551616")


def test_bounds_beyond_64_bits_are_dropped_with_a_note() -> None:
    """OpenAI's document has such a pair, rounded by JavaScript."""
    reader = SchemaReader()
    kind = reader.read({"type": "integer", "minimum": -9223372036854776000, "maximum": 9223372036854776000}, "seed")
    assert kind == INTEGER
    assert len(reader.notes) == 2
    assert reader.notes[0] == "seed: minimum -9223372036854776000 does not fit into 64 bits"


@pytest.mark.parametrize(
    ("schema", "note"),
    [
        ({"type": "strnig"}, "thing: 'strnig' is not a type"),
        ("string", "thing: a str is not a schema"),
        (None, "thing: a NoneType is not a schema"),
        ({"$ref": "#/nowhere"}, "#/nowhere: the reference leads nowhere"),
        ({"$ref": "other.yaml#/Pet"}, "other.yaml#/Pet: the reference leads out of the document"),
        ({"$ref": "file:///etc/passwd"}, "file:///etc/passwd: the reference leads out of the document"),
        ({"type": "string", "pattern": "["}, "thing: the pattern '[' is not checked"),
        ({"type": "string", "pattern": "^(a+)+$"}, "thing: the pattern '^(a+)+$' is not checked"),
        ({"type": "string", "pattern": 5}, "thing: the pattern '5' is not checked"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "thing: no number is in 5..1"),
        ({"type": "integer", "minimum": "1"}, "thing: minimum 1 does not fit into 64 bits"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_wide_and_noted(schema: Any, note: str) -> None:
    """A sloppy document is used as far as it goes, and the import tells what was left out."""
    reader = SchemaReader()
    kind = reader.read(schema, "thing")
    assert reader.notes == [note]
    assert kind in (ANY, STRING, INTEGER)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": [], "required": "name"},
        {"type": "object", "properties": {"a": {}}, "required": {"a": True}},
        {"allOf": "x"},
        {"oneOf": {}},
        {"enum": "abc"},
        {"type": []},
        {"type": "array", "minItems": "3", "maxItems": -1},
        {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
        {"allOf": [None, 5, {}]},
        {"anyOf": []},
        {"type": "object", "properties": {"a": True, "b": False}, "additionalProperties": "yes"},
        {"type": "object", "properties": {"a": {}}, "required": [["a"], {}, None]},
        {"properties": {"a": {}}, "$ref": "#", "oneOf": [{"$ref": []}, {"$ref": {}}]},
        {"type": [["string"]], "enum": [{}, []]},
        {"$ref": "#/oneOf/99999999999999999999", "oneOf": [{}]},
    ],
    ids=str,
)
def test_keywords_of_a_wrong_type_harm_nobody(schema: Any) -> None:
    """None of them raises, and the type can be used."""
    kind = SchemaReader().read(schema)
    list(luacats.records_by_depth([kind]))
    assert kind.accept({}) in ({}, [])


KEYWORDS = [
    *("type", "properties", "required", "items", "prefixItems", "additionalProperties", "patternProperties", "allOf"),
    *("oneOf", "anyOf", "not", "enum", "const", "nullable", "format", "pattern", "minimum", "maximum", "default"),
    *("exclusiveMinimum", "minLength", "maxItems", "minProperties", "title", "description", "readOnly", "$ref"),
]
WORDS = ["string", "integer", "object", "array", "null", "#", "#/a", "#/properties/a", "a", "^a*$", "", "("]
SLOPPY = hypothesis.strategies.recursive(
    hypothesis.strategies.sampled_from([*WORDS, None, True, False, 0, 1, -1, 2.5, 2**70]),
    lambda inner: (
        hypothesis.strategies.lists(inner, max_size=4)
        | hypothesis.strategies.dictionaries(hypothesis.strategies.sampled_from([*KEYWORDS, "a"]), inner, max_size=5)
    ),
    max_leaves=25,
)


@pytest.mark.slow
@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(SLOPPY, SLOPPY)
def test_no_schema_breaks_the_reader(schema: Any, value: Any) -> None:
    """Whatever stands in a document, it becomes a type that can be used and spelled, and refuses in its own words."""
    kind = SchemaReader(schema).read(schema)
    list(luacats.records_by_depth([kind]))
    assert isinstance(kind.lua + kind.words + luacats.label(kind) + repr(luacats.bounds_in(kind)), str)
    assert kind == kind
    assert hash(kind) == hash(kind)
    read_back = SchemaReader().read(json.loads(json.dumps(kind.json_schema())))
    assert isinstance(read_back, Type)
    fits(kind, value)
    fits(kind, None)


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """Collect no garbage meanwhile: what another test has left would be finalized with hardly any stack left."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage")
def test_very_deep_schemas_end() -> None:
    """A document cannot make the reader recurse without end."""
    schema: Any = {"type": "string"}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    reader = SchemaReader()
    assert isinstance(reader.read(schema), List)
    assert "nested too deeply" in reader.notes[0]
    for _ in range(5000):
        schema = {"allOf": [schema, {"nullable": True}]}
    assert reader.read(schema, "whole") == ANY
    chain = {f"L{number}": {"$ref": f"#/$defs/L{number + 1}", "title": "x", "type": "string"} for number in range(900)}
    assert SchemaReader({"$defs": chain}).read({"$ref": "#/$defs/L0"}).accept("a") == "a"


def test_a_pattern_is_not_tried_on_a_long_string() -> None:
    """Patterns of documents come from anybody, and the host's time is not the script's."""
    kind = read({"type": "string", "pattern": "^a*b*c*$"})
    assert problem(kind, "x") == "must be a string that matches '^a*b*c*$', not \"x\" (a string)"
    assert kind.accept("x" * (MAX_MATCHED + 1))


def test_what_only_the_service_writes_is_left_out_of_what_is_sent() -> None:
    """Required or not."""
    schema = PET | {
        "required": ["id", "name"],
        "properties": {"id": {"type": "integer", "readOnly": True}, "name": {"type": "string"}},
    }
    sent, came = SchemaReader(without="readOnly").read(schema), SchemaReader(without="writeOnly").read(schema)
    assert isinstance(sent, Record)
    assert isinstance(came, Record)
    assert list(sent.fields) == ["name"]
    assert list(came.fields) == ["id", "name"]
    assert sent.required == {"name"}


def test_a_required_key_that_may_be_null_is_filled_with_null() -> None:
    """Lua cannot tell nil from a key that is not there."""
    kind = read({"type": "object", "required": ["a"], "properties": {"a": {"type": ["string", "null"]}}})
    assert kind.accept({}) == {"a": None}


def test_records_have_names() -> None:
    """That of the definition, or the path to it, or a title that is a name; two records never share one."""
    reader = SchemaReader({"$defs": {"a-pet": PET, "a.pet": PET | {"required": []}}})
    user = {"type": "object", "properties": {"plan": {"title": "Plan", "properties": {"x": {}}}, "it": PET}}
    kinds = [reader.read({"$ref": f"#/$defs/{name}"}) for name in ("a-pet", "a.pet")] + [reader.read(user, "User")]
    records = [record.name for record in luacats.records_by_depth(kinds)]
    assert records == ["a_pet", "a_pet_2", "User", "Plan", "User.it"]


def test_docs_of_keys_are_kept() -> None:
    """Descriptions and defaults stand in the record, for pages and stubs."""
    kind = read(
        {"properties": {"a": {"type": "integer", "description": "How many.", "default": 20}, "b": {"title": "B"}}}
    )
    assert isinstance(kind, Record)
    assert kind.about == {"a": "How many.", "b": "B"}
    assert kind.defaults == {"a": 20}


# Types as JSON Schema, and back


class Tree(TypedDict, total=False):
    name: Annotated[str, "What it is called.", matching("[a-z]+", "oak")]
    size: Annotated[int | None, between(1, 9)]
    children: list[Tree]
    labels: dict[str, Literal["a", "b"]]


ANNOTATIONS = [
    int,
    float,
    str | None,
    bool,
    Any,
    Literal["a", "b"],
    list[int],
    dict[str, bool],
    int | list[str] | None,
    Annotated[str, non_empty()],
    Annotated[list[int], non_empty()],
    Annotated[float, between(0.5, 1.5)],
    Tree,
    list[Tree | None],
]
VALUES = [
    *(None, 0, 1, 0.75, 1.5, 99, True, "", "a", "oak", "OAK", [], {}, [1], ["a"], [None], {"a": True}),
    *(
        {"name": "oak"},
        {"name": "OAK"},
        {"size": 0},
        {"size": None},
        {"children": [{"size": 3}]},
        {"labels": {"x": "c"}},
    ),
    *([{"children": [{"name": "1"}]}], [None, {"labels": {"x": "a"}}], {"nmae": "oak"}),
]


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=str)
def test_a_type_says_in_json_schema_what_it_accepts(annotation: Any) -> None:
    """A validator agrees with it on each value, but for tables that are empty in Lua, and so does what is read back."""
    kind = type_of(annotation)
    schema = kind.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    again = read(schema)
    for value in VALUES:
        assert fits(again, value) == fits(kind, value), value
        if value not in ([], {}):
            assert validator.is_valid(value) == fits(kind, value), value


def test_a_schema_with_records_is_readable() -> None:
    """Records stand in ``$defs``, with their sentences."""
    assert type_of(Tree).json_schema() == {
        "$ref": "#/$defs/Tree",
        "$defs": {
            "Tree": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^(?:[a-z]+)$", "description": "What it is called."},
                    "size": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
                    "labels": {"type": "object", "additionalProperties": {"type": "string", "enum": ["a", "b"]}},
                },
                "additionalProperties": False,
            }
        },
    }


# Real documents


def loaded(file: Path) -> Any:
    """Return a document, or skip the test if it cannot be had."""
    if not file.exists():
        pytest.skip("the documents are not at ../shared/openapi")
    if file.suffix == ".json":
        return json.loads(file.read_text(encoding="utf-8-sig"))
    yaml = pytest.importorskip("yaml", reason="no YAML parser is installed")
    return yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def schemas_in(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the named schemas of a document, and those of its parameters, bodies and answers."""
    left = [document]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield from (("inline", each) for key, each in node.items() if key == "schema" and isinstance(each, dict))
            named = [each for key, each in node.items() if key in ("schemas", "definitions") and isinstance(each, dict)]
            yield from (pair for each in named for pair in each.items())
        if isinstance(node, (dict, list)):
            left.extend(node.values() if isinstance(node, dict) else node)


FILES = ["discord.json", "github.json", "notion.json", "slack.json", "stripe.json", "twilio.json"]
SLOW = ["blockfrost.yaml", "datadog.yaml", "docker.yaml", "galaxy.yaml", "openai.yaml", "netbox.yaml"][: rounds(4, 6)]
SOON = 20.0
"""Seconds of processor time in which all schemas of a document are read to their last key; two on a usual machine."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FILES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_all_schemas_of_a_document_are_read(name: str) -> None:
    """Soon, without recursing too deeply, and with few notes; each can be spelled in every way."""
    document = loaded(DOCUMENTS / name)
    started = time.thread_time()
    reader = SchemaReader(document)
    kinds = [reader.read(schema, name) for name, schema in schemas_in(document)]
    records = list(luacats.records_by_depth(kinds))
    assert time.thread_time() - started < SOON
    assert len(kinds) > 40
    assert len(reader.notes) < 25
    assert len({record.name for record in records}) == len(records)
    for kind in [*kinds[:200], *records[:200]]:
        assert kind.lua
        assert kind.words
    assert kinds[0].json_schema()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["github.json", "stripe.json"])
def test_one_schema_costs_little(name: str) -> None:
    """The rest of the document is not read."""
    document = loaded(DOCUMENTS / name)
    pointers = [f"#/components/schemas/{key}" for key in [*document["components"]["schemas"]][:20]]
    started = time.thread_time()
    for pointer in pointers:
        SchemaReader(document).read({"$ref": pointer})
    assert time.thread_time() - started < 0.5


def in_draft_2020(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 with ``nullable`` as a validator understands it."""
    if isinstance(schema, list):
        return [in_draft_2020(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: in_draft_2020(each) for key, each in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


@pytest.mark.slow
def test_what_a_validator_takes_is_accepted() -> None:
    """Of GitHub's own examples none is refused that fits its schema, so that no right call is refused either."""
    document = loaded(DOCUMENTS / "github.json")
    reader = SchemaReader(document)
    tree = SchemaTree(partial(target, document))
    components = in_draft_2020(document["components"])
    answers = [
        tree.resolve(answer)
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for answer in operation["responses"].values()
    ]
    count = 0
    for media in (media for answer in answers for media in answer.get("content", {}).values()):
        validator = jsonschema.Draft202012Validator(in_draft_2020(media["schema"]) | {"components": components})
        kind = reader.read(media["schema"], "answer")
        for example in map(tree.resolve, media.get("examples", {}).values()):
            assert isinstance(example, dict)
            count += 1
            assert fits(kind, example["value"]) or not validator.is_valid(example["value"])
    assert count > 1000


def test_an_object_is_flat_with_the_keys_of_all_its_parts() -> None:
    """Those behind references and in allOf, and of a union those of each member; required is what all require."""
    document = {
        "Named": {"properties": {"name": {"type": "string"}}, "required": ["name"]},
        "Cat": {"properties": {"lives": {"type": "integer"}, "fur": {}}, "required": ["lives", "fur"]},
        "Dog": {"properties": {"tricks": {"type": "integer"}, "fur": {}}, "required": ["fur"]},
    }
    pet = {"allOf": [{"$ref": "#/Named"}], "oneOf": [{"$ref": "#/Cat"}, {"$ref": "#/Dog"}]}
    flat = SchemaTree(partial(target, document)).flat(pet)

    assert flat is not None
    properties, required, is_open = flat
    assert properties.keys() == {"name", "lives", "fur", "tricks"}
    assert required == {"name", "fur"}
    assert is_open


@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": "array", "items": {}}, True, None])
def test_what_is_no_object_is_not_flat(schema: Any) -> None:
    """It has no keys."""
    assert SchemaTree(partial(target, {})).flat(schema) is None


def test_two_unions_of_one_schema_both_hold() -> None:
    """Each member of one with each of the other, in types and for the keys of an object; what only requires is left."""
    one = {"oneOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "string"}}}]}
    other = {"oneOf": [{"properties": {"c": {"type": "integer"}}}, {"required": ["c"]}]}
    whole = {"type": "object", "allOf": [one, other]}
    kind = read(whole)

    assert SchemaTree(partial(target, {})).keys(whole).keys() == {"a", "b", "c"}
    assert isinstance(kind, Union)
    assert [sorted(each.fields) for each in kind.members if isinstance(each, Record)] == [["a", "c"], ["b", "c"]]
    assert list(read(whole | {"allOf": [{"oneOf": [{"required": ["c"]}]}, one]}).json_schema()) == ["anyOf", "$defs"]


def test_a_union_inside_of_its_member_is_whole() -> None:
    """A type does not depend on which was read first, or compared with which."""
    alternatives = {"anyOf": [{"$ref": "#/$defs/Card"}, {"$ref": "#/$defs/Bank"}]}
    document = {"$defs": {"Card": {"properties": {"next": alternatives}}, "Bank": {"properties": {"id": {}}}}}
    kind = SchemaReader(document).read(alternatives, "source")

    assert isinstance(kind, Union)
    card = kind.members[0]
    assert isinstance(card, Record)
    assert card.fields["next"].lua == "Card|Bank"
