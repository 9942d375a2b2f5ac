"""The fields of a recording's events and of a plan, with their types, and the check of a file against them.

A *shape* is a function that returns what is wrong with a value, as in ``.source is not a text``, or an empty string.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from kosmolua import errors
from kosmolua.errors import CallError, ConfigError, KosmoError
from kosmolua.expressions import regex
from kosmolua.limits import NAMES, Limits

Shape: TypeAlias = Callable[[Any], str]
MAX_WHOLE = 2**53
PLAN_ID = regex(r"p-[0-9a-f]{8}")


def fault_of(event: Mapping[str, Any]) -> str:
    """Return what is wrong with the fields of an event, or an empty string. A kind that is not known has no fields."""
    shape = EVENTS.get(event["event"])
    return shape(event).removeprefix(".") if shape else ""


def plan_fault(plan: object) -> str:
    """Return what is wrong with the fields of a plan, or an empty string."""
    return _PLAN(plan).removeprefix(".")


def is_same(left: object, right: object) -> bool:
    """Return True if two JSON values are equal. In JSON, 1 is neither true nor 1.0."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _is(words: str, *kinds: type) -> Shape:
    return lambda value: "" if type(value) in kinds else f" is not {words}"


def _that(shape: Shape, words: str, holds: Callable[[Any], bool]) -> Shape:
    """Return a shape for values that fit another shape, and for which ``holds`` returns True."""
    return lambda value: shape(value) or ("" if holds(value) else f" is not {words}")


def _either(*shapes: Shape) -> Shape:
    def fault(value: Any) -> str:
        faults = [shape(value) for shape in shapes]
        return "" if "" in faults else faults[0]

    return fault


def _list(item: Shape) -> Shape:
    def fault(value: Any) -> str:
        if not isinstance(value, list):
            return " is not a list"
        found = ((place, item(each)) for place, each in enumerate(value, start=1))
        return next((f"[{place}]{wrong}" for place, wrong in found if wrong), "")

    return fault


def _row(*items: Shape) -> Shape:
    def fault(value: Any) -> str:
        if not isinstance(value, list) or len(value) != len(items):
            return f" is not a list of {len(items)}"
        return next((wrong for item, each in zip(items, value, strict=True) if (wrong := item(each))), "")

    return fault


def _map(item: Shape) -> Shape:
    def fault(value: Any) -> str:
        if not isinstance(value, dict):
            return " is not an object"
        return next((f".{name}{wrong}" for name, each in value.items() if (wrong := item(each))), "")

    return fault


def _object(needed: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """Return a shape for objects. Fields that it does not name may have any value."""
    known = {**needed, **(optional or {})}

    def fault(value: Any) -> str:
        if not isinstance(value, dict):
            return " is not an object"
        if missing := next((name for name in needed if name not in value), None):
            return f".{missing} is missing"
        found = ((name, shape(value[name])) for name, shape in known.items() if name in value)
        return next((f".{name}{wrong}" for name, wrong in found if wrong), "")

    return fault


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _anything(_: Any) -> str:
    return ""


def _limits(value: Any) -> str:
    """The shape of limits by name. Each limit says itself which values it may have."""
    if wrong := _map(_NUMBER)(value):
        return wrong
    try:
        Limits(**{name: each for name, each in value.items() if name in NAMES})
    except ConfigError as error:
        return f": {error.message}"
    return ""


_TEXT = _is("a text", str)
_FLAG = _is("true or false", bool)
_NULL = _is("null", type(None))
_WHOLE = _that(_is("a whole number", int), "a whole number of this size", lambda value: abs(value) < MAX_WHOLE)
_NUMBER = _that(_is("a number", int, float), "a finite number", lambda value: abs(value) < math.inf)
_MOMENT = _that(_TEXT, "a time with its zone", _is_moment)
_SEED = _that(_TEXT, "a seed", lambda text: len(text) == 32 and not set(text) - set("0123456789abcdef"))
_TEXT_OR_NULL = _either(_TEXT, _NULL)
_TEXTS = _list(_TEXT)
_ARGUMENTS = _either(_is("an object", dict), _NULL)
_ASK = _that(
    _is("a list", list),
    "a request",
    lambda ask: len(ask) > 1 and isinstance(ask[0], str) and all(isinstance(each, (list, dict)) for each in ask[2:3]),
)
_PLACE = _list(_either(_TEXT, _WHOLE))

_SCRIPT = {"name": _TEXT, "sha256": _TEXT, "source": _TEXT}
_HOST = {
    "accounts": _TEXT_OR_NULL,
    "plugins": _TEXTS,
    "scripts": _TEXT_OR_NULL,
    "simulate": _FLAG,
    "simulate_state": _TEXT_OR_NULL,
    "simulate_fail": _map(_TEXT),
}
_USED = _object(
    {
        "integration": _TEXT,
        "account": _TEXT,
        "default": _TEXT_OR_NULL,
        "origin": _TEXT_OR_NULL,
        "settings": _TEXT,
    }
)
_MODE = _that(_TEXT, "live or simulated", lambda text: text in ("live", "simulated"))
_CALLED = {
    "path": _TEXT_OR_NULL,
    "account": _TEXT_OR_NULL,
    "effect": _TEXT_OR_NULL,
    "error": _TEXT_OR_NULL,
    "duration_ms": _NUMBER,
    "started": _MOMENT,
    "time": _MOMENT,
    "attempts": _list(_WHOLE),
    "request_id": _TEXT_OR_NULL,
    "http": _TEXT,
    "redirects": _TEXTS,
    "allowed_by": _TEXT_OR_NULL,
    "asked": _MOMENT,
    "answered": _MOMENT,
    "arguments": _ARGUMENTS,
}
_CALL = _object({"number": _WHOLE, "status": _TEXT}, _CALLED)
_ASKED = _object(
    {
        "number": _WHOLE,
        "path": _TEXT,
        "account": _TEXT_OR_NULL,
        "effect": _TEXT_OR_NULL,
        "arguments": _is("an object", dict),
    },
    {"about": _TEXT, "names": _map(_TEXT), "before": _map(_anything), "undoable": _FLAG, "lost": _TEXT},
)

ERROR_FIELDS: Mapping[str, Shape] = {
    "what": _TEXT,
    "hints": _TEXTS,
    "detail": _TEXT_OR_NULL,
    "sent": _TEXT,
    "call": _TEXT_OR_NULL,
    "line": _either(_WHOLE, _NULL),
    "traceback": _TEXT_OR_NULL,
    "code": _TEXT,
    "param": _TEXT_OR_NULL,
    "status": _either(_WHOLE, _NULL),
    "retryable": _either(_FLAG, _NULL),
    "retry_after": _either(_NUMBER, _NULL),
    "request_id": _TEXT_OR_NULL,
    "body": _anything,
    "location": _TEXT_OR_NULL,
    "path": _TEXT_OR_NULL,
    "account": _TEXT_OR_NULL,
    "is_syntax": _FLAG,
    "exit": _WHOLE,
    "limit": _TEXT,
    "value": _NUMBER,
    "origin": _TEXT,
    "findings": _list(_is("an object", dict)),
    "calls": _list(_ASKED),
    "until": _NUMBER,
}
"""The attributes of errors that a recording keeps."""
_NEEDED_BY = {
    "Paused": ("calls",),
    "Parked": ("until",),
    "UnderWay": ("calls",),
    "LimitExceeded": ("limit", "value"),
    "Exited": ("exit",),
    "ScriptError": ("is_syntax",),
    "PluginError": ("origin",),
    "CheckFailed": ("findings", "line"),
}
"""The attributes without which an error of this class is not complete."""


def _error(base: type[KosmoError]) -> Shape:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, base)}
    stored = _object({"type": _that(_TEXT, "an error", kinds.__contains__), "fields": _object({}, ERROR_FIELDS)})

    def fault(value: Any) -> str:
        if wrong := stored(value):
            return wrong
        if missing := set(_NEEDED_BY.get(value["type"], ())) - value["fields"].keys():
            return f".fields.{min(missing)} is missing"
        return f".cause{wrong}" if "cause" in value and (wrong := _ERROR(value["cause"])) else ""

    return fault


_ERROR = _error(KosmoError)
_ASKED_FOR = {"id": _WHOLE, "branch": _TEXT, "ask": _ASK}

EVENTS: Mapping[str, Shape] = {
    "run": _object(
        {
            "kosmolua": _TEXT,
            "run": _TEXT,
            "time": _MOMENT,
            "mode": _MODE,
            "script": _object(_SCRIPT),
            "args": _TEXTS,
            "input": _anything,
            "params": _is("an object", dict),
            "secrets": _TEXTS,
            "limits": _limits,
            "options": _object({"read_only": _FLAG, "deny": _TEXTS}, {"check": _FLAG}),
            "account": _TEXT_OR_NULL,
            "client": _TEXT_OR_NULL,
            "host": _object(_HOST),
            "seed": _SEED,
        },
        {"title": _TEXT, "software": _TEXT_OR_NULL, "person": _TEXT_OR_NULL, "task": _object({"budget": _WHOLE})},
    ),
    "account": _USED,
    "intent": _object({**_ASKED_FOR, "number": _WHOLE, "path": _TEXT, "account": _TEXT, "effect": _TEXT}, _CALLED),
    "answer": _object(
        _ASKED_FOR,
        {
            "error": _error(CallError),
            "call": _CALL,
            "secrets": _list(_row(_PLACE, _TEXT)),
            "contents": _list(_row(_PLACE, _TEXT, _TEXT)),
            "truncated": _FLAG,
            "page": _TEXT,
            "given": _FLAG,
        },
    ),
    "page": _object({"digest": _TEXT, "value": _anything}),
    "given": _object({"id": _WHOLE}),
    "asleep": _object({"branch": _TEXT, "ask": _ASK, "until": _NUMBER}),
    "resumed": _object({"time": _MOMENT}),
    "script": _object(_SCRIPT),
    "chunk": _object({**_SCRIPT, "verb": _TEXT, "seed": _SEED}),
    "decision": _either(
        _object(
            {
                "decision": _that(_TEXT, "done or again", lambda text: text in ("done", "again")),
                "line": _WHOLE,
                "number": _WHOLE,
            },
            {"call": _is("an object", dict), "key": _TEXT},
        ),
        _object(
            {
                "decision": _that(_TEXT, "approve or deny", lambda text: text in ("approve", "deny")),
                "number": _WHOLE,
                "call": _ASKED,
            },
            {"by": _TEXT, "time": _MOMENT},
        ),
    ),
    "end": _object(
        {"time": _MOMENT, "status": _TEXT, "calls": _list(_CALL)},
        {
            "error": _ERROR,
            "by": _either(_object({"branch": _TEXT, "ask": _ASK}), _NULL),
            "usage": _map(_NUMBER),
            "title": _TEXT,
            "output": _TEXT,
            "made": _list(_row(_TEXT, _TEXT, _WHOLE, _WHOLE)),
            "worked": _NUMBER,
            "waited": _NUMBER,
        },
    ),
}
"""The shape of each kind of event."""

_PLAN = _object(
    {
        "kosmolua": _TEXT,
        "id": _that(_TEXT, "the id of a plan", lambda text: PLAN_ID.fullmatch(text) is not None),
        "script": _object(_SCRIPT),
        "run": _object(
            {
                "mode": _MODE,
                "host": _object(_HOST),
                "args": _TEXTS,
                "input": _anything,
                "params": _is("an object", dict),
                "account": _TEXT_OR_NULL,
                "client": _TEXT_OR_NULL,
                "read_only": _FLAG,
                "deny": _TEXTS,
                "check": _FLAG,
            },
            dict.fromkeys(("title", "software", "person"), _TEXT_OR_NULL),
        ),
        "calls": _list(
            _object(
                {
                    "number": _WHOLE,
                    "line": _WHOLE,
                    "path": _TEXT,
                    "account": _TEXT,
                    "effect": _TEXT,
                    "arguments": _is("an object", dict),
                    "depends_on": _list(_WHOLE),
                    "names": _map(_TEXT),
                    "before": _is("an object", dict),
                    "undoable": _FLAG,
                    "lost": _TEXT,
                    "flows": _TEXTS,
                },
                {"why": _TEXT},
            )
        ),
        "decisions": _list(_object({"line": _WHOLE, "number": _WHOLE, "path": _TEXT, "key": _TEXT})),
        "time": _MOMENT,
        "lost": _TEXTS,
        "seed": _SEED,
        "clocks": _map(_list(_NUMBER)),
        "reads": _list(
            _object(
                {
                    "number": _WHOLE,
                    "path": _TEXT,
                    "account": _TEXT,
                    "given": _is("a list", list),
                    "digest": _TEXT,
                }
            )
        ),
        "order": _TEXTS,
        "assumptions": _list(_object({"line": _WHOLE, "number": _WHOLE, "path": _TEXT, "key": _TEXT})),
        "refused": _list(_object({"number": _WHOLE, "line": _WHOLE, "path": _TEXT, "message": _TEXT})),
        "accounts": _list(_USED),
        "open_at": _either(_WHOLE, _NULL),
        "applied": _either(_object({"time": _MOMENT, "recording": _TEXT_OR_NULL, "without": _list(_WHOLE)}), _NULL),
        "signature": _TEXT_OR_NULL,
    }
)
