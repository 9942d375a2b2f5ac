"""The tools as a model sees them: short, annotated, and no wider than the host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kosmolua.errors import BadArguments
from kosmolua.limits import Limits
from kosmolua.mcp.tools import check, tools_for

LARGEST = 2_500
TOOLS = {tool.name: tool for tool in tools_for(Limits(timeout=30), read_only=False)}


def test_four_tools_are_small(capsys: pytest.CaptureFixture[str]) -> None:
    """All that a model reads of the four tools, schemas and annotations too, is under 2,500 characters together."""
    tools = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in TOOLS.values()]
    sizes = {tool["name"]: len(json.dumps(tool, separators=(",", ":"))) for tool in tools}
    with capsys.disabled():
        print(f"\nThe tools have {sum(sizes.values()):,} characters of at most {LARGEST:,}: {sizes}")
    assert list(sizes) == ["lua_list_docs", "lua_search_docs", "lua_read_doc", "execute_lua"]
    assert sum(sizes.values()) < LARGEST


def test_many_integrations_are_named_briefly() -> None:
    """The list of tools stays under 2,800 characters: the description falls back to shorter words."""
    about = [f"Integrations: {'x' * 1_000}", f"Integrations: {'y' * 500}", "lua_list_docs names them."]
    assert described([about[0], "Integrations: render2."]).endswith("Integrations: render2.")
    assert described(about).endswith("lua_list_docs names them.")


def described(about: list[str]) -> str:
    return tools_for(Limits(), read_only=False, about=about)[-1].description or ""


@pytest.mark.parametrize("name", TOOLS)
def test_schemas_are_valid(name: str) -> None:
    """Each input schema is JSON Schema, and its defaults fit it."""
    schema = TOOLS[name].input_schema
    Draft202012Validator.check_schema(schema)
    defaults = {key: each["default"] for key, each in schema["properties"].items() if "default" in each}
    Draft202012Validator(schema["properties"] and {**schema, "required": []}).validate(defaults)


def test_annotations_say_what_may_change() -> None:
    """The documentation only reads; execute_lua may destroy, unless the host denies every write."""
    for name in ("lua_list_docs", "lua_search_docs", "lua_read_doc"):
        annotations = TOOLS[name].annotations
        assert annotations
        assert annotations.read_only_hint is True
        assert annotations.open_world_hint is False
    assert annotations_of_execute_lua(read_only=False) == (False, True, True)
    assert annotations_of_execute_lua(read_only=True) == (True, False, True)


def annotations_of_execute_lua(*, read_only: bool) -> tuple[bool | None, ...]:
    annotations = tools_for(Limits(), read_only=read_only)[-1].annotations
    assert annotations
    return annotations.read_only_hint, annotations.destructive_hint, annotations.open_world_hint


def test_limits_may_only_be_lowered() -> None:
    """The host's limits are the maxima of the schema, and the check holds them."""
    assert TOOLS["execute_lua"].input_schema["properties"]["timeout"]["maximum"] == 30
    assert check(TOOLS["execute_lua"], {"code": "", "timeout": 30}) == {"code": "", "timeout": 30}
    with pytest.raises(
        BadArguments,
        match=r"execute_lua: timeout must be a number of at most 30, not 30\.5\. Nothing was sent\.",
    ):
        check(TOOLS["execute_lua"], {"code": "", "timeout": 30.5})


@pytest.mark.parametrize(
    ("tool", "given", "said", "param"),
    [
        ("lua_read_doc", {"pag": "x"}, "has no argument 'pag' (did you mean 'page'?)", "pag"),
        ("lua_read_doc", {"zzz": "x"}, "(its arguments are page, detail, budget, offset)", "zzz"),
        ("lua_read_doc", {}, "lua_read_doc needs page", "page"),
        (
            "lua_read_doc",
            {"page": "x", "detail": "all"},
            "detail must be one of 'brief', 'signatures',",
            "detail",
        ),
        (
            "lua_search_docs",
            {"query": "x", "limit": 0},
            "lua_search_docs: limit must be an integer in 1..100, not 0",
            "limit",
        ),
        ("execute_lua", {"code": "", "args": ["a", 1]}, "args[2] must be a string, not 1", "args"),
        (
            "execute_lua",
            {"code": "", "timeout": True},
            "timeout must be a number of at most 30, not true",
            "timeout",
        ),
        (
            "execute_lua",
            {"code": "", "timeout": 0},
            "timeout must be above 0, not 0",
            "timeout",
        ),
        ("execute_lua", {"code": ["x" * 5000]}, "code must be a string, not a list", "code"),
    ],
)
def test_wrong_arguments_are_said(tool: str, given: dict[str, Any], said: str, param: str | None) -> None:
    """What is unknown, missing or does not fit is refused in one short sentence that names it."""
    with pytest.raises(BadArguments) as caught:
        check(TOOLS[tool], given)
    assert said in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.param == param
    assert ("Nothing was sent" in caught.value.message) == (tool == "execute_lua")


@pytest.mark.parametrize(
    ("tool", "given", "taken"),
    [
        ("lua_search_docs", {"query": "3", "limit": "3"}, {"query": "3", "limit": 3}),
        ("lua_read_doc", {"page": "x", "budget": "9000", "offset": "7"}, {"page": "x", "budget": 9000, "offset": 7}),
        (
            "execute_lua",
            {"code": "1", "timeout": "2.5", "max_calls": "30"},
            {"code": "1", "timeout": 2.5, "max_calls": 30},
        ),
    ],
)
def test_a_number_may_be_written_as_a_string(tool: str, given: dict[str, Any], taken: dict[str, Any]) -> None:
    """Some clients send every argument as a string; where a string is wanted it stays one."""
    assert check(TOOLS[tool], given) == taken


@pytest.mark.parametrize("wrong", ["", "three", "3 s", "0x10", "nan", "1e999"])
def test_a_string_that_is_no_number_is_refused(wrong: str) -> None:
    """The message shows it as it was given, or as the number that no limit can be."""
    with pytest.raises(BadArguments, match="timeout must be"):
        check(TOOLS["execute_lua"], {"code": "", "timeout": wrong})


def test_null_counts_as_not_given() -> None:
    """Models like to spell out what they leave out."""
    assert check(TOOLS["execute_lua"], {"code": "return 1", "args": None, "timeout": None}) == {"code": "return 1"}
