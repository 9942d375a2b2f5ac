"""The effects of operations: by their method, and by what their names say beyond it."""

from __future__ import annotations

from collections.abc import Sequence

from kosmolua.expressions import regex
from kosmolua.openapi.naming import fixed_segments, snake
from kosmolua.openapi.operations import Operation
from kosmolua.schema.effects import Effect

READS = ("GET", "HEAD", "OPTIONS", "TRACE")
_CALLED = regex(r"#(?:Action|X-Amz-Target)=(?:[^.]*\.)?(\w+)")
"""Matches what an operation of AWS does, whatever its method, in its path."""
_VERBS = """
reading: check count describe estimate fetch find get list lookup preview query read retrieve search validate
reading_last: count find get list lookup query search
writing: add apply archive assign cancel create delete edit execute import insert move post publish put remove replace
writing: request reset run save send set start store submit trigger update upsert write
writing: ack acknowledge and claim in lock mark modify out purge revoke terminate wipe
destroying: delete destroy erase invalidate purge remove revoke terminate wipe
acting: accept activate approve cancel clear confirm deactivate decline disable enable execute flush logout reboot
acting: rebuild refresh reindex reject reload reset restart send shutdown start stop trigger unsubscribe
of_many: batch bulk mass multi
taking_back: can cancel restore undo
"""


def _verbs(kind: str) -> frozenset[str]:
    lines = (line.partition(": ") for line in _VERBS.splitlines())
    return frozenset(verb for each, _, verbs in lines if each == kind for verb in verbs.split())


_READING, _READING_LAST, _WRITING = map(_verbs, ("reading", "reading_last", "writing"))
_DESTROYING, _ACTING, _OF_MANY, _TAKING_BACK = map(_verbs, ("destroying", "acting", "of_many", "taking_back"))


def effect_of(operation: Operation, name: str) -> Effect:
    """Return the effect of an operation whose function has a name.

    It is that of the method, or a greater one: a GET that acts writes, and what deletes by its name destroys.
    """
    if operation.method == "DELETE":
        return "destroy"
    if operation.graphql.get("kind") == "query":
        return "read"
    called = _CALLED.search(operation.path)
    words, last = _words(snake(called[1]) if called else name), _last(operation)
    if "create" in words and len(last) > 1:
        last = [""]  # what is made there may be for a deletion
    deletes = _begins(words, _DESTROYING) or _begins(last, _DESTROYING)
    if deletes and words[0] not in _READING | _TAKING_BACK and "cache" not in words:
        return "destroy"
    is_act = words[0] in _ACTING or words[-1] in _ACTING or (len(last) == 1 and last[0] in _ACTING)
    acts = operation.hints.get("x-kubernetes-action") == "connect" or (is_act and words[0] not in _READING)
    acts = acts or (called is not None and words[0] not in _READING)
    return "read" if (operation.method in READS or "x-get" in operation.hints) and not acts else "write"


def may_only_read(operation: Operation, name: str) -> bool:
    """Return True if a POST or PUT is named like a read, answers with something, and takes no file."""
    words, last = _words(name), _last(operation)
    sounds = _begins(words, _READING) or words[-1] in _READING_LAST or last[0] in _READING or last[-1] in _READING_LAST
    if operation.graphql:
        return False
    takes_files = any(each.is_file for each in operation.fields)
    is_read = sounds and not _WRITING.intersection(words) and bool(operation.result.media) and not takes_files
    return operation.method in ("POST", "PUT") and is_read


def _words(name: str) -> list[str]:
    """Return the words of a function's name, without numbers and signs at its end."""
    words = name.split("_")
    while len(words) > 1 and not words[-1].isalpha():
        words.pop()
    return words


def _last(operation: Operation) -> list[str]:
    """Return the words of the last segment of a path, unless a parameter follows it."""
    fixed = fixed_segments(operation.path)
    return fixed[-1].split("_") if fixed and not operation.path.rstrip("/").endswith("}") else [""]


def _begins(words: Sequence[str], verbs: frozenset[str]) -> bool:
    """Return True if a name begins with one of these verbs, also for many at once."""
    return words[0] in verbs or (words[0] in _OF_MANY and words[1:2] != [] and words[1] in verbs)
