"""A program of a user, which uses all of the Python interface. Type checkers read it, and a test runs it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict, cast

from kosmolua import (
    BadArguments,
    CallError,
    CallRecord,
    ConfigError,
    Fact,
    Json,
    KosmoError,
    LimitExceeded,
    Limits,
    Outcome,
    Runtime,
    ScriptError,
    Usage,
)
from kosmolua.plugin import Api, Integration, Secret, Send
from kosmolua.testing import Playground

COUNT = "return #app.integrations.render2.list_services({ all = true }).services"
RESTART = """
local render = app.integrations.render2
for _, service in ipairs(render.list_services({ type = "web_service", all = true }).services) do
  render.restart_service({ service_id = service.id })
end
"""


@dataclass(frozen=True)
class Account:
    """A notebook."""

    api_key: Annotated[Secret, "From Settings, API keys."]

    def open(self, send: Send) -> Api:
        return Api(send, "https://notes.example/v1", bearer=self.api_key)


class Note(TypedDict):
    id: str
    text: str


notes = Integration("notes", Account, about="Notes of a person.")


@notes.reads
def get_note(api: Api, /, *, note_id: Annotated[str, "The note's id."]) -> Note:
    """Get a note."""
    return cast("Note", api.get("/notes/{note_id}", note_id=note_id))


def report(outcome: Outcome) -> int:
    """Look at every field of an outcome."""
    result: list[Json] = outcome.result
    calls: list[CallRecord] = outcome.calls
    usage: Usage = outcome.usage
    facts: list[Fact] = outcome.facts
    error: KosmoError | None = outcome.error
    if error:
        print(error.code, error.message, error.hint, file=sys.stderr)
    for call in calls:
        print(call.path, call.account, call.effect, call.status, call.duration_ms, call.error)
    for fact in facts:
        print(fact.line, fact.text, fact.count)
    print(outcome.ok, outcome.status, outcome.output, outcome.warnings, outcome.run, outcome.recording)
    print(usage.wall_ms, usage.cpu_ms, usage.memory_bytes, usage.calls, usage.output_bytes, usage.isolation)
    count = result[0] if result else 0
    return count if isinstance(count, int) else 0


def rows(outcome: Outcome) -> list[str]:
    """The names in a result, by way of a data frame."""

    def frame(rows: Sequence[Mapping[str, Json]]) -> list[str]:
        return [str(row["name"]) for row in rows]

    return outcome.frame(frame)


def plan_and_apply(runtime: Runtime) -> Outcome:
    """Plan a script, apply its plan, and plan the way back."""
    plan = runtime.plan(RESTART, name="restart.lua")
    print(plan.id, len(plan.writes), plan.outcome)
    applied = runtime.apply(plan, without=[plan.writes[0].number])
    if applied.recording:
        back = runtime.undo(applied.recording)
        print(back.lost)
    return applied


def record_and_replay(runtime: Runtime, folder: Path) -> Outcome:
    """Record a run, replay it with another script, and resume it."""
    path = folder / "run.jsonl"
    runtime.run(COUNT, record=path, title="count services")
    replayed = runtime.replay(path, f"{COUNT} + 0")
    resumed = runtime.resume(path)
    assert replayed.result == resumed.result
    return resumed


def make_calls(runtime: Runtime) -> str:
    """Make calls by path, by attribute, and a wrong one."""
    page = runtime.call("render2.list_services", {"limit": 5})
    named = runtime.call("render2.list_services", limit=5)
    assert page == named
    typed = runtime.render2.list_services(limit=5)
    first = typed["services"][0]
    try:
        runtime.call("render2.get_service", {"service_id": 5})
    except BadArguments as error:
        print(error.message)
    except (CallError, LimitExceeded) as error:
        print(error.code)
    secret = Secret("s3cret")
    runtime.render2.set_env_var(service_id=first["id"], key="TOKEN", value=secret)
    return first["name"]


async def at_once(runtime: Runtime) -> int:
    """Run scripts, a fleet and a call without blocking the event loop."""
    outcome, page = await asyncio.gather(
        runtime.run_async(COUNT, timeout=20), runtime.call_async("render2.list_services", limit=1)
    )
    assert isinstance(page, Mapping)
    total = report(outcome)
    async for each in runtime.map_async("return input * 2", [1, 2, 3], ordered=True):
        doubled = each.result[0]
        assert isinstance(doubled, int)
        total += doubled
    return total


def main(folder: Path) -> None:
    """Do all of it."""
    script = folder / "count.lua"
    script.write_text(f"print(params.word)\n{COUNT}")
    limits = Limits(timeout=20)
    with Runtime(os.devnull, simulate=True, yes=True, limits=limits, plugins=[notes], environ={}) as runtime:
        print(report(runtime.run_file(script, params={"word": "hello"}, on_output=print)))
        print(rows(runtime.run("return app.integrations.render2.list_services({ limit = 2 })")))
        print(make_calls(runtime), report(plan_and_apply(runtime)), report(record_and_replay(runtime, folder)))
        print([outcome.key for outcome in runtime.map("return input", {"a": 1, "b": 2})])
        print(asyncio.run(at_once(runtime)))
        print(runtime.docs.read("render2.list_services")[:20], runtime.docs.list()[:20])
        print(runtime.docs.search("failed deploys")[:20])
        failed = runtime.run("error('no')")
        assert isinstance(failed.error, ScriptError)
        try:
            runtime.run("return 1", timeout=-1)
        except ConfigError as error:
            print(error)
    replies = {("GET", "/notes/n-1"): {"id": "n-1", "text": "milk"}}
    assert Playground(notes, replies).run("return app.integrations.notes.get_note('n-1').text") == "milk"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
