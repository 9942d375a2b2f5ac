"""What a model reads after a script: what came out, what went wrong, and what it can do about it."""

from __future__ import annotations

import json
import time
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult

from kosmolua.calls.facts import Facts
from kosmolua.errors import ConfigError, Denied, DocNotFound, KosmoError, NotConfigured, ScriptError
from kosmolua.limits import Limits
from kosmolua.mcp import transcripts
from kosmolua.mcp.answer import answer, refusal
from kosmolua.mcp.executions import in_thread
from kosmolua.mcp.tools import ScriptRequest
from kosmolua.mcp.transcripts import Transcripts
from kosmolua.runs import Outcome

HOST = Limits(timeout=120)
OK = {"path": "render2.list_deploys", "account": "default", "effect": "read", "status": "ok", "error": None}
FAILED = OK | {"path": "render2.get_service", "status": "failed", "error": "api_error"}


def answered(
    *result: Any,
    output: str = "",
    error: KosmoError | None = None,
    calls: list[dict[str, object]] | None = None,
    **script: Any,
) -> CallToolResult:
    return answer(
        Outcome(list(result), output, error, calls or []),
        ScriptRequest("", **script),
        HOST,
        "with kosmolua resume",
        lambda text, result, run: ("run:last", "run:0123"),
    )


def text(*result: Any, **said: Any) -> str:
    content = answered(*result, **said).content[0]
    assert content.type == "text"
    return content.text


def test_nothing_is_said_too() -> None:
    """A script without result, output and calls is told to have ended, and has no structured content."""
    assert text() == "The script ended without a result or output."
    assert answered().structured_content is None


def test_results_are_lines_of_json_and_strings_are_themselves() -> None:
    """Each returned value has a line of compact JSON; a string is not quoted, since pages and reports are strings."""
    assert text({"a": [1, 2.5, None]}, "two\nlines") == 'Result:\n{"a":[1,2.5,null]}\ntwo\nlines'


def test_calls_are_counted_by_kind() -> None:
    """A thousand calls are a few lines: how many of which, for which account, and how they ended."""
    said = text(1, calls=[OK] * 998 + [FAILED] * 2)
    assert said.endswith("Calls:\n- 998 x render2.list_deploys\n- 2 x render2.get_service [failed: api_error]")
    fact = Facts([], [(1, "render2.list_deploys", "limit")])
    told = answer(Outcome([], "", None, [OK], facts=fact), ScriptRequest(""), HOST, "", lambda *_: ("", ""))
    assert told.content[0].model_dump()["text"].endswith("limit was nil")
    write = OK | {"account": "staging", "effect": "write"}
    assert text(1, calls=[write]).endswith("Calls:\n- render2.list_deploys [staging, write]")
    assert answered(1, calls=[OK] * 998 + [FAILED] * 2).structured_content["calls"] == {"total": 1000, "failed": 2}
    kinds = text(1, calls=[OK | {"path": f"render2.f{number}"} for number in range(10)])
    assert kinds.endswith("- and 4 more kinds")


def test_an_error_comes_first_with_its_line_and_traceback() -> None:
    """Line, code and message lead; a traceback of Lua follows; what was printed before is kept."""
    error = ScriptError("script.lua:3: attempt to index a nil value", line=3, traceback="stack traceback:\n\tmain")
    result = answered(output="before\n", error=error)
    assert result.is_error
    assert text(output="before\n", error=error) == (
        "Error in line 3: attempt to index a nil value\nstack traceback:\n\tmain\n\nOutput:\nbefore"
    )


@pytest.mark.parametrize(
    ("error", "script", "advice"),
    [
        (HOST.exceeded("wall"), {}, "That is the server's limit, which no tool call can raise"),
        (Limits(timeout=1).exceeded("wall"), {"limits": {"timeout": 1}}, "it can be as high as 120 on this server"),
        (HOST.exceeded("memory"), {"limits": {"timeout": 1}}, "That is the server's limit"),
        (Limits(memory=8).exceeded("memory"), {"limits": {"memory": 8}}, "as high as 100,663,296 on this server"),
        (HOST.exceeded("depth"), {}, "That is the server's limit"),
        (Denied("no"), {}, "Only the user can change that"),
        (Denied("no"), {}, 'With mode "plan", nothing is sent'),
        (Denied("no"), {"read_only": True}, 'With mode "run" it may be allowed to write'),
        (NotConfigured("no account", hint="[render2.x]\napi_key = 1"), {}, "api_key = 1\n\nOnly the user"),
    ],
)
def test_advice_is_what_a_model_can_do(error: KosmoError, script: dict[str, Any], advice: str) -> None:
    """Beside the error stands what the model can do, which the error, made for everybody, cannot know."""
    assert advice in text(error=error, **script)
    assert "--" not in text(error=error, **script)


def test_everything_large_at_once_keeps_to_the_budget() -> None:
    """Result, output and error are all cut; each is still there, and nothing is longer than asked for."""
    calls = [OK | {"path": f"render2.function_with_a_long_name_{number}"} for number in range(1000)]
    error = ScriptError("m" * 100_000, line=1, traceback="t" * 100_000)
    result = answered([["r" * 100] * 9999], output="o" * 100_000, error=error, calls=calls, budget=8_000)
    said = result.content[0]
    assert said.type == "text"
    assert len(said.text) <= 8_000
    outcome = result.structured_content
    assert len(str(outcome)) <= 8_000
    for part in ("result", "output", "error.message", "error.traceback"):
        assert any(note.startswith(part) for note in outcome["left_out"]["parts"]), part
    assert result.is_error


def test_nothing_is_said_twice() -> None:
    """Output, warnings, facts, and the words about an error are only in the text."""
    error = ScriptError("script.lua:3: attempt to index a nil value", line=3, traceback="stack traceback:\n\tmain")
    assert answered(7, output="seen", error=error).structured_content == {
        "result": [7],
        "error": {"code": "script_error", "line": 3},
    }


def test_an_answer_has_the_beginning_of_a_long_result() -> None:
    """Text and structured content say where the rest is, unless the client asks for more than usual."""
    rows = [{"id": number, "name": "x" * 20} for number in range(200)]
    found = answered(rows).structured_content
    assert found["result"] == [rows[: len(found["result"][0])]]
    assert len(json.dumps(found)) < 1_500
    assert found["left_out"]["parts"] == [f"result[1]: {200 - len(found['result'][0])} of 200 items"]
    assert answered(rows, budget=50_000).structured_content["result"] == [rows]
    said = text(rows)
    assert said.startswith("Result: 200 items with id, name, such as these (all of it: lua_read_doc, ")
    assert 'input = "run:last"):\n{"id":0,' in said
    assert len(said) < 600


def test_a_long_result_is_a_link_too() -> None:
    """A client can read all of it as a resource, whose description says what it is."""
    link = answered([{"id": number, "name": "x" * 20} for number in range(200)]).content[1]
    assert link.type == "resource_link"
    assert (link.uri, link.description) == ("kosmolua://runs/0123", "200 items with id, name")
    assert len(answered([1, 2]).content) == 1


def test_a_long_map_shows_what_is_left_out() -> None:
    """What is no list has its beginning, cut by its structure."""
    said = text({"rows": ["x" * 20] * 400, "total": 400})
    assert said.startswith("Result (without result[1].rows: ")
    assert '"total":400' in said


def test_facts_follow_the_warnings() -> None:
    """Each has a line of its own."""
    outcome = Outcome([], "", None, [], facts=Facts([], [(2, "x.list", "name")] * 3 + [(0, "x.get", "id")]))
    result = answer(outcome, ScriptRequest(""), HOST, "", lambda text: "")
    assert "Facts:\nline 2: x.list: name was nil (3 times)\nx.get: id was nil" in result.content[0].model_dump()["text"]


def test_what_would_break_a_decoder_is_mended() -> None:
    """Lone surrogates and infinities, which a broken child could send, leave as question marks and null."""
    result = answered("\ud800", float("inf"), output="\udfff", calls=[OK | {"path": "\ud800"}])
    result.model_dump_json()
    assert result.structured_content["result"] == ["?", None]


def test_a_refusal_is_an_error_result_with_its_stanza() -> None:
    """A hint of several lines follows the message."""
    result = refusal(ConfigError("Nothing there", hint="[a]\nb = 1"))
    assert result.is_error
    assert result.content[0].model_dump()["text"] == "Nothing there\n\n[a]\nb = 1"


@pytest.mark.slow
def test_what_a_thread_holds_is_freed_when_it_has_ended() -> None:
    """If the client disconnects while its answer is made, the memory of the answer is in use until then."""
    done: list[str] = []

    async def disconnect() -> None:
        with anyio.move_on_after(0.01):
            await in_thread(lambda: (time.sleep(0.1), done.append("made")))
        done.append("freed")

    anyio.run(disconnect)
    assert done == ["made", "freed"]


def test_a_result_that_is_not_kept_whole_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants it as a resource, or as the input of a script, gets the reason; what fits is there."""
    kept = Transcripts()
    monkeypatch.setattr(transcripts, "MAX_CHARACTERS", 20)
    _, page = kept.keep(None, "", ["short"])
    assert kept.result(None, page) == ('["short"]', ["short"])
    _, page = kept.keep(None, "", ["too long for that"])
    with pytest.raises(DocNotFound, match="not kept whole"):
        kept.result(None, page)
