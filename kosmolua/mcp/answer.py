"""The answer to execute_lua: text that a model can act on, and the outcome as one JSON object, both within a budget."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mcp_types import CallToolResult, TextContent

from kosmolua.errors import KosmoError
from kosmolua.limits import REPORTED, Limits
from kosmolua.mcp.excerpt import decodable, excerpt
from kosmolua.mcp.script import Script
from kosmolua.mcp.tools import LARGEST_ANSWER
from kosmolua.outcome import Outcome

ROOM_FOR_WORDS = 2_000
"""Characters of a budget kept for what the text says beside results and output: calls, advice, what was left out."""
MOST_KINDS_OF_CALL = 6
LONGEST_TRACEBACK = 600
GET_LESS = (
    "Return or print only what is needed: pick fields, filter, count or page inside the script"
    f"; or pass a budget, at most {LARGEST_ANSWER:,}"
)


def answer(outcome: Outcome, script: Script, host: Limits) -> CallToolResult:
    """Return what a client is told of an outcome.

    Args:
        outcome: What became of the script.
        script: What was asked for.
        host: The limits that a script may lower only.
    """
    whole = outcome.to_json() | {"error": outcome.error and outcome.error.fields()}  # a model writes the next script
    kept, left_out = excerpt(whole, script.budget - ROOM_FOR_WORDS)
    found = decodable(kept)
    if left_out:
        found["left_out"] = {"budget": script.budget, "parts": left_out, "hint": GET_LESS}
    text = "\n\n".join(filter(None, _sections(found, outcome, script, host)))
    return CallToolResult(
        content=[TextContent(text=decodable(text))],
        structured_content=found,
        is_error=not outcome.ok,
    )


def refusal(error: KosmoError) -> CallToolResult:
    """Return what a client is told of a call that cannot be answered, for its model to mend."""
    stanza = f"\n\n{error.hint}" if error.hint and "\n" in error.hint else ""
    return CallToolResult(content=[TextContent(text=decodable(error.message + stanza))], is_error=True)


def _sections(found: Mapping[str, Any], outcome: Outcome, script: Script, host: Limits) -> Sequence[str]:
    error = found["error"]
    nothing = not (error or found["result"] or found["output"])
    return (
        _failure(error) if error else "",
        _advice(error, script, host) if error else "",
        "\n".join(["Result:", *map(_shown, found["result"])]) if found["result"] else "",
        f"Output:\n{found['output'].rstrip()}" if found["output"] else "",
        "The script ended. It returned and printed nothing." if nothing else "",
        _calls(outcome.calls),
        _left_out(found["left_out"]) if "left_out" in found else "",
    )


def _failure(error: Mapping[str, Any]) -> str:
    where = f" in line {error['line']}" if "line" in error else ""
    message, hint = error["message"], error.get("hint", "")
    if "--" in hint and error["code"] == "limit_exceeded":  # an option is nothing that a model could give
        message = message.removesuffix(f" ({hint})")
    lines = [f"Error{where} ({error['code']}): {message}"]
    if "\n" in hint:
        lines.append(hint)
    if error["code"] == "script_error" and "traceback" in error:
        lines.append(error["traceback"][:LONGEST_TRACEBACK])
    return "\n".join(lines)


def _advice(error: Mapping[str, Any], script: Script, host: Limits) -> str:
    """Return what the model can do that the error itself does not know of."""
    if error["code"] == "limit_exceeded":
        return _advice_on_limit(REPORTED[error["limit"]][0], script, host)
    if error["code"] == "denied" and script.read_only:
        return 'The script ran with mode "read_only"; "run" would let it ask for writes.'
    if error["code"] in ("denied", "not_configured"):
        return "Only the user can change that: tell them what was refused, and do not try again as it is."
    return ""


def _advice_on_limit(name: str, script: Script, host: Limits) -> str:
    if name in script.limits and script.limits[name] < getattr(host, name):
        return f"The call itself set {name}; it may be as high as {getattr(host, name):,.10g} here."
    return "That is the host's limit, which no call can raise: do less in one script, or tell the user."


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _calls(calls: Sequence[Mapping[str, Any]]) -> str:
    if not calls:
        return ""
    kinds = Counter(_kind(call) for call in calls)
    lines = [f"- {count:,} x {kind}" for kind, count in kinds.most_common(MOST_KINDS_OF_CALL)]
    if len(kinds) > MOST_KINDS_OF_CALL:
        lines.append(f"- and {len(kinds) - MOST_KINDS_OF_CALL:,} more kinds")
    return "\n".join([f"Calls made: {len(calls):,}", *lines])


def _kind(call: Mapping[str, Any]) -> str:
    subject = str(call["path"])[:60]
    if call["account"]:
        subject += f" [{call['account']}, {call['effect']}]"
    return f"{subject} {call['status']}" + (f": {call['error']}" if call["error"] else "")


def _left_out(left_out: Mapping[str, Any]) -> str:
    """Return what the text lacks; it has a count of all calls, whatever the structured content had to leave out."""
    parts = [part for part in left_out["parts"] if not part.startswith("calls")]
    said = f"Left out to fit {left_out['budget']:,} characters: {'; '.join(parts)}. {left_out['hint']}."
    return said if parts else ""
