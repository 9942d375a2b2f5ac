"""The way back: the calls that undo what a recorded run wrote, as a script of which a plan is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kosmolua.broker.used_accounts import refuse_others
from kosmolua.calls.inverses import inverse_of
from kosmolua.errors import NOTHING_SENT, ConfigError, KosmoError, Stale
from kosmolua.recordings.answers import Answers, calls_of, may_have_been_done, number_of, replaced_in
from kosmolua.recordings.events import is_same
from kosmolua.recordings.outlines import kind_of, literal
from kosmolua.recordings.recording import Event, Recording, question, revived
from kosmolua.runs.resuming import used_in
from kosmolua.schema.effects import changes
from kosmolua.schema.names import ROOT, root_and_name, section_of
from kosmolua.secret import MASK

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.recordings.plans import Plan
    from kosmolua.schema.function import Step

SCRIPT = b"""\
-- Undoes what a run wrote: makes the calls in input, which are the inverses of its writes, the newest first.
for _, call in ipairs(input) do
  local called = app
  for _, name in ipairs(call.path) do called = called[name] end
  called(call.arguments)
end
"""


def way_back(
    host: Host,
    recording: Recording,
    numbers: Collection[int] = (),
    *,
    accept_accounts: bool | Callable[[str], bool] = False,
) -> tuple[list[Event], list[str]]:
    """Return the calls that undo the writes of a run, in order, and a sentence for each write that cannot be undone.

    ``numbers`` are those of the calls to undo; none for all writes.

    Raises:
        ConfigError: A call with such a number wrote nothing, or only one of the two is simulated: the run or the host.
            Or an account has changed.
    """
    mode, run = recording.header["mode"], recording.header["run"]
    if mode != host.mode:
        hint = "pass --simulate" if mode == "simulated" else "undo it without --simulate"
        raise ConfigError(f"The run {run} was {mode}, so it cannot be undone by a {host.mode} one", hint=hint)
    answers = Answers(recording).all
    refused = {number_of(each) for each in answers if each.error and not may_have_been_done(each, revived(each.error))}
    written = {
        number: call
        for number, call in calls_of(recording).items()
        if number not in refused and changes(call["effect"]) and call["status"] in ("ok", "failed", "unknown")
    }
    if unknown := sorted({*numbers} - written.keys()):
        what = f"Call {unknown[0]} of the run {run} wrote nothing, so there is nothing to undo"
        raise ConfigError(what, hint=f"to see the calls, run kosmolua runs show {run}")
    refuse_others(f"The run {run} used", host, used_in(recording), accept=accept_accounts)
    results = {number_of(each): each.value for each in answers}
    before = replaced_in(recording)
    steps: list[Event] = []
    lost: list[str] = []
    for number in sorted(numbers or written, reverse=True):
        call = written[number]
        found = _undone(host, call, before.get(number), json.loads(results.get(number) or "null"))
        if isinstance(found, str):
            lost.append(f"call {number}, {call['path']} with {call['account']}, cannot be undone: {found}")
        else:
            steps += [{**step, "undoes": number} for step in found]
    return steps, lost


def check_not_overwriting(
    plan: Plan, recording: Recording, undone: Collection[int], *, accept: bool | Callable[[str], bool]
) -> None:
    """Refuse the plan of an undo if other values are there now than the run wrote, unless this is accepted.

    ``undone`` are the numbers of the calls that were taken back: of a secret, nothing else tells that.

    Raises:
        ConfigError: What the run wrote is undone already.
        Stale: A value has changed since, and this was not accepted.
    """
    run, overwritten = recording.header["run"], _overwritten(plan, recording)
    refusal: KosmoError
    undoes = [step["undoes"] for step in plan.run["input"]]
    secret = [call for call in plan.writes if MASK in literal(call.before)]
    put_back = {call.number for call in secret if undoes[call.number - 1] in undone}
    if plan.writes and all(kind_of(call) == "same" or call.number in put_back for call in plan.writes):
        said = f"The run {run} was undone already: what it replaced is there again, or a plan has put it back"
        refusal = ConfigError(said, hint="pass --accept-changes to make the calls all the same")
        refusal.sent = NOTHING_SENT
    elif overwritten:
        said = f"What the run {run} wrote has changed since"
        refusal = Stale(said, overwritten, hint="pass --accept-changes to overwrite what is there now")
    else:
        return
    if not (accept("; ".join([said, *overwritten])) if callable(accept) else accept):
        raise refusal


def _overwritten(plan: Plan, recording: Recording) -> list[str]:
    """Return a sentence for each value that is neither what the run wrote nor what it replaced."""
    calls, said = calls_of(recording), []
    restored: dict[str, object] = {}
    for planned in plan.calls:
        number = plan.run["input"][planned.number - 1]["undoes"]
        written, put_back = calls[number]["arguments"] or {}, planned.arguments
        if (planned.path, planned.account) != (calls[number]["path"], calls[number]["account"]):
            continue
        where = {name: value for name, value in put_back.items() if is_same(written.get(name), value)}
        for name in put_back.keys() & written.keys() - where.keys():
            key = question([planned.path, planned.account, where, name])
            there = restored.get(key, planned.before.get(name, put_back[name]))
            restored[key] = put_back[name]
            is_known = there is not None and MASK not in literal(there)
            if is_known and not (is_same(there, written[name]) or is_same(there, put_back[name])):
                wrote = f"call {number}, {planned.path} with {planned.account}, wrote {name} = {literal(written[name])}"
                said.append(f"{wrote}, and {literal(there)} is there now")
    return said


def _undone(host: Host, call: Event, before: Sequence[Any] | None, result: Any) -> list[Event] | str:
    """Return the calls that undo a call, or why it cannot be undone. ``before`` has the recorded answer, if any."""
    if call["status"] != "ok":
        return "nobody knows whether it was done, so look first"
    integration, _, name = call["path"].rpartition(".")
    section = section_of(integration, call["account"])
    try:
        function = host.catalog.resolve(f"{section}.{name}").function
    except KosmoError as error:
        return error.message
    if function.before and before is None:
        return "what it replaced was not recorded"
    known = host.sealer.open(before[0], section) if before else None
    found = inverse_of(function, call["arguments"] or {}, known, result)
    return found if isinstance(found, str) else [*_steps(host, section, found)]


def _steps(host: Host, section: str, inverse: Sequence[Step]) -> Iterator[Event]:
    root = [ROOT] if root_and_name(section.partition(".")[0])[0] == ROOT else []
    for name, arguments in inverse:
        yield {"path": [*root, *section.split("."), name], "arguments": host.sealer.seal(dict(arguments), section)}
