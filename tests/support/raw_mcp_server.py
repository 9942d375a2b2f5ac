"""An MCP server without the SDK, for tests: it answers calls of its tools in ways that no SDK would.

It notes each message that it gets in the file that the environment's ``NOTES`` names.
"""

import json
import os
import sys
import time
from typing import Any

TOOL = {"name": "do", "inputSchema": {"type": "object", "properties": {"what": {"type": "string"}}}}
TYPED = TOOL | {
    "name": "typed",
    "outputSchema": {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]},
}
LOOK = TOOL | {"name": "look", "annotations": {"readOnlyHint": True}}
BROKEN = TOOL | {"name": "broken", "outputSchema": {"type": "object", "properties": {"total": {"$ref": "#/nowhere"}}}}
TIME = "2026-01-01T00:00:00Z"
TASK = {"taskId": "task-1", "createdAt": TIME, "lastUpdatedAt": TIME, "ttl": None, "pollInterval": 250}
POLLS: list[int] = []
"""How often each task was looked at."""
FORM = {"type": "object", "properties": {"agreed": {"type": "boolean"}}, "required": ["agreed"]}
ASKING: list[Any] = []
"""The numbers of calls that wait for the answer to a question."""
LATE: list[Any] = []
"""The numbers of calls that are not answered yet."""
STRUCTURED = {
    "right": {"structuredContent": {"total": 3}},
    "wrong": {"structuredContent": {"total": "3"}},
    "none": {},
    "failed": {"isError": True, "content": [{"type": "text", "text": "it failed"}]},
}
"""What the results of tools with an output schema have beside a text."""
QUESTION = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}


def say(**fields: object) -> None:
    """Write a message."""
    print(json.dumps({"jsonrpc": "2.0", **fields}), flush=True)


def text(words: str) -> dict[str, Any]:
    """Return a result that is a text."""
    return {"content": [{"type": "text", "text": words}]}


def answer_call(number: object, what: Any, token: object = None) -> None:
    """Answer a call of the tool."""
    if what is None:
        say(id=number, result=text("null"))
    elif what.startswith("hang"):
        LATE.append(number)
    elif what == "late":
        for late in LATE:
            say(id=late, result=text("late"))
        say(id=number, result=text("in time"))
    elif what == "refuse":
        say(id=number, error={"code": -32050, "message": "not today", "data": {"day": "Sunday"}})
    elif what == "refuse oddly":
        say(id=number, error={"code": -32050, "message": "not today", "data": {"day": float("nan")}})
    elif what == "refuse and exit":
        say(id=number, error={"code": -32050, "message": "not today"})
        os._exit(7)
    elif what == "nothing":
        say(id=number)
    elif what == "not an error":
        say(id=number, error="oops")
    elif what == "misshapen":
        say(id=number, result={"content": 5})
    elif what == "sampling":
        say(id=number, result={"resultType": "input_required", "inputRequests": {"a": QUESTION}, "requestState": "s"})
    elif what == "steps":
        for step in range(8):
            time.sleep(float(os.environ["STEP"]))
            say(method="notifications/progress", params={"progressToken": token, "progress": step})
        say(id=number, result=text("all steps"))
    elif what == "ask":
        ASKING.append(number)
        say(id="question", method="elicitation/create", params={"message": "May I?", "requestedSchema": FORM})
    elif what in STRUCTURED:
        say(id=number, result=text("x") | STRUCTURED[what])
    elif len(what) > 100:
        say(id=number, result=text(f"{len(what)} {what[-1]}"))
    elif what == "notices":
        say(method="notifications/message", params={"level": "no such level"})
        say(id=number, result=text("after notices"))
    elif what == "noise":
        print("[" * 100_000, "a word", '{"id": 1099511627999}', '"text"', sep="\n", flush=True)
        say(id=number, result=text("after noise"))
    else:
        os._exit(7)


for line in sys.stdin:
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(line)
    message = json.loads(line)
    match message.get("method"):
        case "server/discover" if os.environ.get("PROBED") == "dies":
            os._exit(7)
        case "server/discover" if os.environ.get("PROBED") == "is silent":
            pass
        case "initialize" if "REFUSE" in os.environ:
            say(id=message["id"], error={"code": -32000, "message": os.environ["REFUSE"]})
        case "initialize":
            info = {"name": "raw", "version": "1"}
            say(
                id=message["id"],
                result={
                    "protocolVersion": os.environ.get("VERSION", "2025-06-18"),
                    "capabilities": {"tools": {}},
                    "serverInfo": info,
                },
            )
        case "tools/list":
            more = json.loads(os.environ.get("MORE", "[]"))
            say(id=message["id"], result={"tools": [TOOL, TYPED, BROKEN, LOOK, *more]})
        case "tools/call" if "task" in message["params"]:
            POLLS.append(0)
            say(id=message["id"], result={"task": TASK | {"status": "working"}})
        case "tasks/get":
            POLLS[-1] += 1
            status = "completed" if POLLS[-1] > 6 else "working"
            say(id=message["id"], result=TASK | {"status": status})
        case "tasks/result":
            say(id=message["id"], result=text(f"after {POLLS[-1]} looks"))
        case "tasks/cancel":
            say(id=message["id"], result=TASK | {"status": "cancelled"})
        case "tools/call":
            asked = message["params"]
            answer_call(message["id"], asked["arguments"].get("what"), asked["_meta"].get("progressToken"))
        case None if ASKING and "result" in message:
            say(id=ASKING.pop(), result=text(message["result"]["action"]))
        case _ if "id" in message:
            say(id=message["id"], error={"code": -32601, "message": "Method not found"})
