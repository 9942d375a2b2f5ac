"""The narrowest permissions with which recorded runs need no question, as tables of an accounts file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kosmolua.recordings.answers import calls_of
from kosmolua.recordings.recording import Event, Recording, events_of
from kosmolua.schema.effects import EFFECTS
from kosmolua.schema.names import section_of
from kosmolua.secret import MASK

MAX_VALUES, MAX_TEXT = 20, 200
"""How many values of a parameter are listed; of more, numbers get bounds. How long texts are that are listed."""
Policy = dict[str, dict[str, Any]]
"""For each section of an account, such as ``render2.production``, its permissions."""


Bind = Callable[[Event, Sequence[Any]], "Mapping[str, Any]"]
"""Returns the arguments of a call by name, from what the script passed."""


def calls_in(recording: Recording, bind: Bind) -> list[Event]:
    """Return the calls of a run that were made or that wait for a person, in order; not those that were refused."""
    made = {number: call for number, call in calls_of(recording).items() if call.get("status") != "refused"}
    for _, event in events_of(recording, "answer"):
        call = made.get((event.get("call") or {}).get("number", 0))
        if call and call.get("account") and not call.get("arguments"):  # a read has them only as they were passed
            made[call["number"]] = {**call, "arguments": bind(call, event["ask"][2] if len(event["ask"]) > 2 else ())}
    made.update((call["number"], call) for call in recording.paused_calls)
    return [call for call in made.values() if call.get("account")]


def suggested(calls: Iterable[Event]) -> Policy:
    """Return the permissions under which calls are allowed, and as little else as these can say.

    Each parameter that all calls of a function have is held to the values that they have.
    """
    seen: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for call in calls:
        integration, _, function = call["path"].rpartition(".")
        section = section_of(integration, call["account"].partition("/")[0])
        seen.setdefault(section, {}).setdefault(function, []).append(call.get("arguments") or {})
    others: dict[str, Any] = dict.fromkeys(EFFECTS, "deny")
    return {
        section: {**{name: _permission(given) for name, given in sorted(functions.items())}, **others}
        for section, functions in sorted(seen.items())
    }


def _permission(calls: Sequence[Mapping[str, Any]]) -> str | dict[str, object]:
    shared = [name for name in calls[0] if all(given.get(name) is not None for given in calls)]
    conditions = {name: found for name in shared if (found := _condition([given[name] for given in calls])) is not None}
    if "extra" not in conditions and any(given.get("extra") is not None for given in calls):
        return "allow"  # since no other condition lets it through
    return {"allow": conditions, "else": "ask"} if conditions else "allow"


def _condition(values: Sequence[Any]) -> object:
    """Return the condition that a parameter with these values meets; None if none can be written."""
    distinct = {json.dumps(value, sort_keys=True, default=str): value for value in values}
    if any(MASK in text or len(text) > MAX_TEXT or "null" in text for text in distinct):
        return None  # a secret, a long text, or what TOML does not have
    if len(distinct) <= MAX_VALUES:
        listed = [distinct[text] for text in sorted(distinct)]
        return listed if len(listed) > 1 or isinstance(listed[0], (list, dict)) else listed[0]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return {"min": min(values), "max": max(values)}
    return None
