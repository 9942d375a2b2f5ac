"""The argument ``extra``: parts of a request that the document does not describe."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from re import DOTALL
from typing import Any

from kosmolua.expressions import regex
from kosmolua.http.headers import CREDENTIALS, OF_A_READ, is_of_a_read, objection, plain, twice
from kosmolua.openapi.bodies import OVERRIDE, is_override
from kosmolua.openapi.operations import Field
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.types import ANY, STRING, Map, Record, Scalar
from kosmolua.secret import SecretText

EXTRA = Record(
    "Extra",
    {"query": Map(ANY), "headers": Map(STRING), "body": ANY},
    {
        "query": "Added to the query.",
        "headers": f"Sent as headers; a function that reads takes {OF_A_READ}.",
        "body": "A table's keys are added to the body; any other value is the whole body.",
    },
)
"""The type of ``extra`` as the documentation shows it."""
_CREDENTIAL = regex(
    r"[ .\[]*(?:[^\[]*-)?(?:(?:access|auth|oauth|bearer|private|job)-?token|api-?(?:key|token)|remote-user|webauth-user"
    r"|auth-request-user)(?:[ \[.].*)?",
    DOTALL,
)
"""Matches the names, as :func:`plain` spells them, of headers and queries by which services tell who calls."""
_CHOSEN = "cannot be set here, since the function only reads, and the document lists the values: pass the argument"


@dataclass(frozen=True)
class Headers(Map):
    """The type of ``extra.headers``; names are in the form of :func:`plain`.

    Args:
        keys: The headers that carry the account's credential.
        named: Those that the overlay lets scripts set.
        reads: Whether the function reads: then scripts can set only those, and :data:`OF_A_READ`.
    """

    keys: frozenset[str] = CREDENTIALS
    named: frozenset[str] = frozenset()
    reads: bool = False

    def _fit(self, value: Any) -> object:
        headers: Any = super()._fit(value)
        for name, text in headers.items():
            if problem := objection(name, text, self.keys) or _credential(name, text, self.named):
                raise Mismatch(problem, f"[{name[:80]!r}]")
            if self.reads and not (is_of_a_read(name) or plain(name) in self.named):
                problem = f"cannot be set, since the function only reads: it takes {OF_A_READ}"
                hint = "; headers = [...] under [functions.NAME] in openapi.toml names more"
                raise Mismatch(problem + hint, f"[{name[:80]!r}]")
        if again := twice(headers):
            raise Mismatch("is there twice, in two spellings", f"[{again[:80]!r}]")
        return headers


@dataclass(frozen=True)
class Added(Scalar):
    """The type of ``extra.query`` and ``extra.body``.

    No name overrides the HTTP method, nor is among ``chosen``. A body can also be no table, if none is chosen.
    """

    is_table: bool = False
    chosen: frozenset[str] = frozenset()

    def _fit(self, value: Any) -> object:
        given = Map(ANY).accept(value) if self.is_table else value
        if self.chosen and not isinstance(given, Mapping):
            raise Mismatch("must be a table, since the function only reads")
        for name, said in given.items() if isinstance(given, Mapping) else ():
            if is_override(name) or name in self.chosen:
                raise Mismatch(OVERRIDE if is_override(name) else _CHOSEN, f"[{name[:80]!r}]")
            if self.is_table and (problem := _credential(name, said)):
                raise Mismatch(problem, f"[{name[:80]!r}]")
        return given


def _credential(name: str, value: object, named: Collection[str] = ()) -> str:
    """Return why a caller cannot set a part that services take for a credential, or an empty string.

    With it, a call would have another identity than the account's; a secret that the user named is the user's own.
    """
    spelled = plain(name)
    if isinstance(value, SecretText) or spelled in named or not _CREDENTIAL.fullmatch(spelled):
        return ""
    return "cannot be set, since services take it for a credential; secrets.NAME passes one of the user's own"


def checked_extra(
    *, reads: bool, named: Collection[str] = (), keys: Collection[str] = (), chosen: Collection[Field] = ()
) -> Record:
    """Return the type of ``extra``; its arguments are those of :class:`Headers`.

    ``chosen`` are parts of query and body that only arguments can set, since their values may say what is done.
    """
    headers = Headers(STRING, (), CREDENTIALS | set(map(plain, keys)), frozenset(map(plain, named)), reads)
    query, body = (frozenset(each.wire for each in chosen if each.place == place) for place in ("query", "body"))
    fields = {"query": Added("any", is_table=True, chosen=query), "headers": headers, "body": Added("any", chosen=body)}
    return replace(EXTRA, fields=fields)
