"""The result of the MCP tool ``execute_lua``: text for a model, and a JSON object, both cut to the requested length."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from mcp_types import CallToolResult, ContentBlock, ResourceLink, TextContent

from kosmolua.errors import KosmoError
from kosmolua.limits import REPORTED, Limits
from kosmolua.mcp.tools import DEFAULT_ANSWER, ScriptRequest
from kosmolua.runs import Outcome
from kosmolua.truncation import decodable, truncate, weigh

ROOM_FOR_REST = 2_000
"""How many characters of an answer are reserved for calls, advice and notes. Result, output and error get the rest."""
MAX_KINDS_OF_CALL = 6
MAX_TRACEBACK = 600
MAX_RESULT, SAMPLE = 4_000, 1_000
"""If a result is longer than ``MAX_RESULT`` characters, the answer has only about ``SAMPLE`` of them, unless the client
gives a larger budget than usual.
"""
SAMPLES, MAX_FIELDS = 3, 20
"""How many items of a long list the text has, and how many of their fields it names."""
RUNS = "kosmolua://runs/"
"""The beginning of the URI of a long result."""
IN_WORDS = frozenset({"message", "hint", "traceback", "findings", "differences"})
"""The parts of an error that are in the text, and so not in the structured content."""
OF_PLAN = ("id", "calls", "assumptions", "decisions", "refused", "open_at", "outline")
"""The parts of a plan that an answer has."""
MAX_WARNINGS = 6
UNNAMED = "script.lua:"
"""How a place in a script without a name begins."""
GET_LESS = "return and print only what is needed: select fields, filter, count or page inside the script"


def answer(
    outcome: Outcome,
    script: ScriptRequest,
    host: Limits,
    way_to_approve: str,
    keep: Callable[[str, Any, str], tuple[str, str]],
) -> CallToolResult:
    """Convert the outcome of a script for the client that requested it.

    ``host`` are the limits of the server, which a script can only lower. ``keep`` stores the whole text of a cut
    answer and its result, and returns the ``page`` for ``lua_read_doc``, and the one that its resource is called after.
    """
    error = (
        outcome.error and outcome.error.fields()
    )  # without the detail: a model writes the next script, and scripts must not see the detail
    whole = {"result": outcome.result, "output": outcome.output, "error": error}
    whole |= {"plan": {name: outcome.plan[name] for name in OF_PLAN}} if outcome.plan else {}
    most = script.budget if script.budget > DEFAULT_ANSWER else MAX_RESULT
    is_long = weigh(outcome.result, most) > most
    sample, missing = truncate(outcome.result, SAMPLE, "result") if is_long else (outcome.result, [])
    kept, left_out = truncate({**whole, "result": sample}, script.budget - ROOM_FOR_REST)
    found = decodable(kept)
    if outcome.calls:
        others = Counter(status for call in outcome.calls if (status := str(call["status"])) != "ok")
        found["calls"] = {"total": len(outcome.calls), **others}
    if outcome.recording:
        found["run"] = run_of(outcome)
    page, link = "", ""
    if left_out or is_long:
        whole_text = _join(_sections(decodable(whole), outcome, script, host, way_to_approve))
        page, link = keep(whole_text, decodable(outcome.result), run_of(outcome))
    hint = f'read the whole answer with lua_read_doc, page "{page}", offset 0; or {GET_LESS}'
    if left_out:
        found["left_out"] = {"budget": script.budget, "parts": left_out, "hint": hint}
    shown = {**found, "result": outcome.result} if is_long else found
    sections = _sections(shown, outcome, script, host, way_to_approve, page=page if is_long else "")
    data = {name: part for name, part in found.items() if name != "output"}
    if missing:
        data["left_out"] = {"budget": script.budget, "parts": [*missing, *left_out], "hint": hint}
    if "plan" in data:
        data["plan"] = {name: part for name, part in data["plan"].items() if name != "outline"}
    if error:
        data["error"] = {name: part for name, part in found["error"].items() if name not in IN_WORDS}
    data = {name: part for name, part in data.items() if part not in (None, [], {})}
    content: list[ContentBlock] = [TextContent(text=decodable(_join(sections)))]
    if is_long:
        about = _about(outcome.result)
        uri = f"{RUNS}{link.partition(':')[2]}"
        content.append(ResourceLink(uri=uri, name=link, description=about, mime_type="application/json"))
    return CallToolResult(content=content, structured_content=data or None, is_error=not outcome.ok)


def refusal(error: KosmoError) -> CallToolResult:
    """Report an error to the client and its model."""
    stanza = f"\n\n{error.hint}" if error.hint and "\n" in error.hint else ""
    return CallToolResult(
        content=[TextContent(text=decodable(error.message + stanza))],
        structured_content=decodable({"error": error.fields()}),
        is_error=True,
    )


def _join(sections: Sequence[str]) -> str:
    return "\n\n".join(filter(None, sections))


def _sections(
    found: Mapping[str, Any],
    outcome: Outcome,
    script: ScriptRequest,
    host: Limits,
    way_to_approve: str,
    *,
    page: str = "",
) -> Sequence[str]:
    """Return the parts of the text; if a ``page`` has the whole result, only the beginning of the result."""
    error = found["error"]
    nothing = not (error or found["result"] or found["output"])
    return (
        _failure(error) if error else "",
        _advice(error, script, host, way_to_approve) if error else "",
        _plan(found["plan"]) if found.get("plan") else "",
        f"Recorded as run {run_of(outcome)}." if outcome.recording else "",
        _result(found["result"], page) if found["result"] else "",
        f"Output:\n{found['output'].rstrip()}" if found["output"] else "",
        "The script ended without a result or output." if nothing else "",
        _warnings(outcome.warnings),
        "\n".join(["Facts:", *map(str, outcome.facts)]) if outcome.facts else "",
        _calls(outcome.calls, {fact.path for fact in outcome.facts}),
        _left_out(found["left_out"]) if "left_out" in found else "",
    )


def _result(values: Sequence[Any], page: str) -> str:
    if not page:
        return "\n".join(["Result:", *map(_shown, values)])
    whole = f'all of it: lua_read_doc, page "{page}", offset 0, or the next script with input = "{page}"'
    if len(values) == 1 and isinstance(values[0], list):
        sample, _ = truncate(values[0][:SAMPLES], SAMPLE, "result")
        return "\n".join([f"Result: {_about(values)}, such as these ({whole}):", *map(_shown, sample)])
    sample, left_out = truncate(values, SAMPLE, "result")
    return "\n".join([f"Result (without {'; '.join(left_out)}; {whole}):", *map(_shown, sample)])


def _about(values: Sequence[Any]) -> str:
    """Return how many items a result has, and with which fields."""
    items = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    fields = dict.fromkeys(str(key) for item in items[:MAX_RESULT] if isinstance(item, dict) for key in item)
    named = f" with {', '.join([*fields][:MAX_FIELDS])}" if fields else ""
    return f"{len(items):,} {'items' if items is not values else 'values'}{named}"[:MAX_RESULT]


def run_of(outcome: Outcome) -> str:
    """Return the id of a recorded run, or an empty string."""
    return os.path.splitext(os.path.basename(outcome.recording or ""))[0]


def _plan(plan: Mapping[str, Any]) -> str:
    """Return the outline of a plan, and how to apply it."""
    how = "" if plan["refused"] else f'; apply it with execute_lua({{"apply": "{plan["id"]}"}})'
    return "\n".join([f"Plan {plan['id']} (nothing was sent{how}):", *plan["outline"]])


def _warnings(warnings: Sequence[str]) -> str:
    lines = [f"- {warning.removeprefix(UNNAMED)}" for warning in warnings[:MAX_WARNINGS]]
    if len(warnings) > MAX_WARNINGS:
        lines.append(f"- and {len(warnings) - MAX_WARNINGS} more")
    return "\n".join(["Warnings:", *lines]) if lines else ""


def _failure(error: Mapping[str, Any]) -> str:
    where = f" in line {error['line']}" if "line" in error else ""
    if error["code"] == "check":
        return _refused(error["findings"])
    message, hint = error["message"], error.get("hint", "")
    if "--" in hint and error["code"] == "limit_exceeded":  # a model cannot pass options
        message = message.removesuffix(f" ({hint})")
    message = message.removeprefix(f"{UNNAMED}{error.get('line')}: ")
    kind = "" if error["code"] == "script_error" else f" ({error['code']})"
    lines = [f"Error{where}{kind}: {message}"]
    if "\n" in hint:
        lines.append(hint)
    lines += [f"- {difference}" for difference in error.get("differences", ())]
    if error["code"] == "script_error" and "traceback" in error:
        lines.append(error["traceback"][:MAX_TRACEBACK])
    return "\n".join(lines)


def _refused(findings: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence, and a line for each mistake that the check found."""
    lines = ["Error (check): nothing was sent. Mend:"]
    for finding in findings:
        hint = f" ({finding['hint']})" if finding["hint"] else ""
        kind = "" if finding["severity"] == "error" else f"{finding['severity']}: "
        lines.append(f"- line {finding['line']}: {kind}{finding['message']}{hint}")
    return "\n".join(lines)


def _advice(error: Mapping[str, Any], script: ScriptRequest, host: Limits, way_to_approve: str) -> str:
    """Return what the model can do about an error, or an empty string."""
    if error["code"] == "limit_exceeded":
        return _advice_on_limit(REPORTED[error["limit"]][0], script, host)
    if error["code"] == "denied" and script.read_only:
        return 'The script ran with mode "read_only". With mode "run" it may be allowed to write.'
    if error["code"] == "paused":
        return f"Tell the user which calls are waiting. The user can approve them {way_to_approve}."
    if error["code"] == "waiting":
        return "The run goes on by itself at that time, with what it has done so far: do not run the script again."
    if error["code"] == "denied":
        return (
            "Only the user can change that: tell them what was refused, and do not repeat the call unchanged. "
            'With mode "plan", nothing is sent, and the answer lists the writes.'
        )
    if error["code"] == "not_configured":
        return "Only the user can change accounts: unless the script can name another, tell them what is missing."
    return ""


def _advice_on_limit(name: str, script: ScriptRequest, host: Limits) -> str:
    if name in script.limits and script.limits[name] < getattr(host, name):
        return f"The tool call itself set {name}; it can be as high as {getattr(host, name):,.10g} on this server."
    return "That is the server's limit, which no tool call can raise: do less in one script, or tell the user."


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _calls(calls: Sequence[Mapping[str, Any]], told: Collection[str]) -> str:
    """Return how many calls were made of what, but for usual reads of functions that facts are ``told`` about."""
    kinds = Counter(kind for call in calls if (kind := _kind(call)) not in told)
    lines = [f"- {count:,} x {kind}".replace("- 1 x ", "- ") for kind, count in kinds.most_common(MAX_KINDS_OF_CALL)]
    if len(kinds) > MAX_KINDS_OF_CALL:
        lines.append(f"- and {len(kinds) - MAX_KINDS_OF_CALL:,} more kinds")
    return "\n".join(["Calls:", *lines]) if kinds else ""


def _kind(call: Mapping[str, Any]) -> str:
    subject = str(call["path"])[:60]
    account = call["account"] if call["account"] != "default" else ""
    effect = call["effect"] if call["effect"] != "read" else ""
    status = call["status"] if call["status"] != "ok" else ""
    said = f"{status}: {call['error']}" if call["error"] else status
    notes = ", ".join(filter(None, (account, effect, said)))
    return f"{subject} [{notes}]" if notes else subject


def _left_out(left_out: Mapping[str, Any]) -> str:
    return f"Left out to fit {left_out['budget']:,} characters: {'; '.join(left_out['parts'])}. {left_out['hint']}."
