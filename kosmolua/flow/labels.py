"""The labels that hold for a function, and the labelled leaves of what it returned."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from kosmolua.expressions import regex
from kosmolua.flow.texts import MIN_NUMBER, MIN_SPELLED, MIN_TEXT, whole
from kosmolua.schema.labels import AUDIENCES, NONE, ORIGINS, OTHER_FIELDS, Labels, Origin
from kosmolua.schema.names import SERVERS
from kosmolua.schema.types import List, Map, Record, Scalar, Type, Union
from kosmolua.secret import MASK

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Target
    from kosmolua.schema.arguments import Parameter

OWN, SHARED, PUBLIC = ORIGINS
DESTINATIONS = frozenset(
    {
        *("to", "cc", "bcc", "recipient", "receiver", "email", "mail", "phone", "mobile", "iban", "account", "id"),
        *("url", "uri", "webhook", "host", "hostname", "domain", "ip", "address", "endpoint", "callback"),
        *("destination", "channel", "owner", "repo", "repository", "branch", "org", "organization", "team", "member"),
        *("user", "username", "login", "assignee", "participant", "attendee", "guest", "invitee", "collaborator"),
        *("reviewer", "subscriber", "payee", "beneficiary"),
    }
)
"""The last words, in the singular, of the names of parameters that say where something goes or whom it reaches."""
FORMATS = frozenset(
    {"email", "idn-email", "uri", "uri-reference", "iri", "url", "hostname", "idn-hostname", "ipv4", "ipv6"}
)
"""The formats of parameters that do."""
_WORD = regex(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_TYPED = r"(?i:\w*(?:phone|mobile|fax|account|bank|card|routing)_?number\b)"
_TYPED_NUMBER = regex(rf"{_TYPED}|(?i:(?:\w*_)?(?:phone|mobile|fax|iban)\b)")
_IDS = regex(
    rf"(?!{_TYPED})"
    r"(?:(?:\w*_)?(?:id|ids|sha|number|uuid)_?|\w*[a-z](?:Id|Ids|Sha|Uuid|Number))"
)
"""The names of what a service makes itself; people have numbers of telephones and accounts, and type them."""
_ID = regex(r"[\w+=-]{1,128}")
MADE_IDS = regex(rf'[{{,]"(?:{_IDS.pattern})":"({_ID.pattern})"[,}}]', re.ASCII)
"""The ids in an answer as JSON, under names that only they have: no text inside of it can have these quotes."""
_TIME = regex(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_ADDRESS_KEY = regex(r"(?:\w*_)?(?:url|uri|href)|\w*[a-z](?:Url|Uri)", re.IGNORECASE)
_URL = regex(r"https?://([A-Za-z0-9.-]+)(?::\d+)?(?:[/?#]|$)")
_API_HOST = regex(
    r"(?:apis?|www|rest|app|graph|graphql|gateway)(?:[\d-][a-z\d]*)*|v\d+|(?:eu|us|uk|ca|ap|au|in|jp|sa)(?:-[a-z]+)?-?\d?"
)
"""The names of hosts, versions and regions below which the domain belongs to the service, too."""
_COMMON_DOMAIN = regex(r"(?:com?|org|net|gov|ac|edu|or|ne|go)\.[a-z]{2}")
_NAMES = ("number", "id", "id_", "iid", "key", "name", "title", "subject", "filename")
_VERBS = frozenset(("get", "list", "search", "read", "find", "fetch", "query", "retrieve", "show", "lookup", "check"))
MAX_NAME = 40
MIN_KEY = 16
"""The shortest key of a table that may be a text, although it is a plain word."""
MAX_ABOVE = 2
"""How many records can be around the list of a page, of which ``all = true`` returns the items."""
_HELD = regex(r'"([^"\\]*)":[{\[]')
"""Matches the name of a table or a list in JSON."""


class Leaf(NamedTuple):
    """A text or number of a result, with the key it stands under and the record in which it stands.

    ``is_made`` is True for what the service makes itself, such as an id: it is its integration's own, whatever
    ``origin`` the texts beside it have.
    """

    value: str | int | float
    key: str
    item: str
    origin: str
    is_private: bool
    is_made: bool


def stricter(one: Any, other: Any) -> Any:
    """Return the less trusted of two origins, field by field."""
    if isinstance(one, str) and isinstance(other, str):
        return max(one, other, key=ORIGINS.index)
    tables = [each if isinstance(each, Mapping) else {OTHER_FIELDS: each} for each in (one, other)]
    rest = [each.get(OTHER_FIELDS, PUBLIC) for each in tables]
    names = {OTHER_FIELDS, *tables[0], *tables[1]}
    return {name: stricter(tables[0].get(name, rest[0]), tables[1].get(name, rest[1])) for name in names}


class FunctionLabels(NamedTuple):
    """What holds for one function: its labels, and the parameters that say where a write goes or whom it reaches.

    The keys of ``maps`` are values that the script gives, too; those inside of ``opened``, which can have any, if they
    are no plain words.
    """

    labels: Labels
    ends: Collection[str]
    maps: Collection[str]
    opened: Collection[str] = ()

    def is_destination(self, keys: Sequence[str]) -> bool:
        """Return True if an argument under these keys says where a write goes or whom it reaches."""
        if keys[0] in self.ends or len(keys) == 1:
            return keys[0] in self.ends
        to, inner = self.labels.to, keys[1:]
        is_named = any(map(_names_destination, inner)) if to is None else any(key in to for key in inner)
        return is_named or any(key in self.ends for key in inner)


class LabelRules:
    """The labels of all functions: of the accounts file, then declared ones, then those of a table, then defaults.

    Results of ``trusted`` functions are as good as the account's own; ``origins`` are those of others, by patterns.
    Unless it ``can_trust``, these make labels only stricter.
    """

    def __init__(
        self, trusted: Sequence[str] = (), origins: Mapping[str, Origin] | None = None, *, can_trust: bool = True
    ) -> None:
        self._trusted = trusted if can_trust else ()
        self._origins = origins or {}
        self._can_trust = can_trust
        self._known: dict[str, FunctionLabels] = {}

    def of(self, target: Target) -> FunctionLabels:
        """Return the labels of a function, with an origin, and its destinations."""
        if target.acted:
            alone = replace(target, acted=())
            return _joined([self.of(replace(alone, function=each)) for each in (target.function, *target.acted)])
        known = self._known.get(target.path)
        if known is None:
            labels = self._of(target)
            ends = [each.name for each in target.function.parameters if _is_destination(each, labels)]
            maps = [each.name for each in target.function.parameters if _is_map(each.type)]
            opened = [each.name for each in target.function.parameters if _is_open(each.type)]
            known = FunctionLabels(labels, frozenset(ends), frozenset(maps), frozenset(opened))
            self._known[target.path] = known
        return known

    def _of(self, target: Target) -> Labels:
        function, integration, path = target.function, target.integration, target.path
        rows = (each for pattern, each in integration.labels.items() if fnmatchcase(function.name, pattern))
        table = next(rows, NONE)
        declared = function.labels
        default = PUBLIC if integration.root == SERVERS else SHARED
        origin: Any = declared.origin or table.origin or default
        if isinstance(origin, Mapping):
            origin = {OTHER_FIELDS: table.origin if isinstance(table.origin, str) else default, **origin}
        for pattern, given in self._origins.items():
            if fnmatchcase(path, pattern):
                origin = given if self._can_trust else stricter(origin, given)
        if any(fnmatchcase(path, pattern) for pattern in self._trusted):
            origin = OWN
        return Labels(
            origin,
            declared.private or table.private,
            table.to if declared.to is None else declared.to,
            declared.audience or table.audience,
        )


def _joined(known: Sequence[FunctionLabels]) -> FunctionLabels:
    """Return what holds for a call that amounts to all of these functions, such as a GraphQL document."""
    labels = [each.labels for each in known]
    named = [each.private for each in labels if not isinstance(each.private, bool)]
    said = [each.to for each in labels if each.to is not None]
    joined = Labels(
        reduce(stricter, [each.origin for each in labels]),
        any(each.private is True for each in labels) or frozenset().union(*named),
        frozenset().union(*said) if said else None,
        max((each.audience for each in labels if each.audience), key=AUDIENCES.index, default=None),
    )
    return known[0]._replace(labels=joined, ends=frozenset().union(*(each.ends for each in known)))


def _is_destination(parameter: Parameter, labels: Labels) -> bool:
    if labels.to is not None:
        return parameter.name in labels.to
    return _names_destination(parameter.name) or _has_format(parameter.type)


@lru_cache(maxsize=1024)
def _names_destination(key: str) -> bool:
    words = _WORD.findall(key)
    last = words[-1].lower() if words else ""
    is_named = any(word in DESTINATIONS for word in (last, last.removesuffix("s"), last.removesuffix("es")))
    return is_named or _is_typed(key)


def _is_typed(key: str) -> bool:
    return _TYPED_NUMBER.fullmatch(key) is not None


def _is_map(kind: Type) -> bool:
    return isinstance(kind, Map) or (isinstance(kind, Union) and any(map(_is_map, kind.members)))


def _is_open(kind: Type) -> bool:
    """Return True if a value of this type can have tables with any keys."""
    if isinstance(kind, (Union, List)):
        return any(map(_is_open, kind.members if isinstance(kind, Union) else [kind.item]))
    return isinstance(kind, Map) or (isinstance(kind, Scalar) and kind.kind == "any")


def typed_in(target: Target, data: str) -> set[str]:
    """Return the fields of an answer, as JSON, that are maps of texts, such as ``metadata``: others name their keys.

    Of types, only the fields are read that the answer has: a whole one can take seconds.
    """
    held, above = set(_HELD.findall(data)), MAX_ABOVE if data[:1] == "[" else 0
    every = (target.function, *target.acted)
    return {name for each in every for name in _typed_in(each.returns, held, above, set())}


def _typed_in(kind: Type | None, held: Collection[str], above: int, seen: set[int]) -> Iterator[str]:
    """Yield them, if their names are ``held``; ``above`` records may have others, which are around a page's list."""
    if kind is None or id(kind) in seen:
        return
    seen.add(id(kind))
    if isinstance(kind, Record):
        for name in kind.fields:
            if name in held or above:
                inner = kind.fields[name]
                if isinstance(inner, Map) and isinstance(inner.value, Scalar) and inner.value.kind == "string":
                    yield name
                yield from _typed_in(inner, held, max(above - 1, 0), seen)
    elif isinstance(kind, List):
        yield from _typed_in(kind.item, held, 0, seen)
    elif isinstance(kind, (Map, Union)):
        for part in kind.members if isinstance(kind, Union) else [kind.value]:
            yield from _typed_in(part, held, above, seen)


def _has_format(kind: Type) -> bool:
    if isinstance(kind, Union):
        return any(map(_has_format, kind.members))
    if isinstance(kind, List):
        return _has_format(kind.item)
    return isinstance(kind, Scalar) and kind.format in FORMATS


def places(
    value: object, maps: Collection[str] = (), keys: tuple[str, ...] = (), opened: Collection[str] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every text and number in arguments, with the keys of tables under which it stands.

    Yield also keys, but of names only those of ``maps``, and inside of ``opened`` those that are no plain words.
    """
    if isinstance(value, (str, int, float)):
        if not isinstance(value, bool):
            yield keys, whole(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from places(item, (), keys, opened)
    elif isinstance(value, (dict, Mapping)):
        for key, item in value.items():
            if isinstance(key, str) and ((keys and keys[0] in maps) or not key.isidentifier()):
                yield keys or (key,), key
            elif keys and keys[0] in opened and (len(key) >= MIN_KEY or not _is_word(key)):
                yield keys[:1], key
            if type(item) is str or type(item) is int:
                yield (*keys, str(key)), item
            else:
                yield from places(item, maps if not keys else (), (*keys, str(key)), opened)


def leaves(value: object, labels: Labels, hosts: Collection[str], typed: Collection[str] = ()) -> list[Leaf]:
    """Return the leaves of a result that can be told apart; ``hosts`` are the hosts of the service itself."""
    private = labels.private
    gathered = _Leaves(frozenset() if isinstance(private, bool) else frozenset(private), hosts, typed)
    gathered.gather(value, "", "", labels.origin, PUBLIC, is_private=private is True)
    pieces: dict[tuple[str, str], list[str]] = {}
    for origin, key, text in gathered.short:
        for under in {"", key}:
            pieces.setdefault((origin, under), []).append(text)
    for (origin, key), texts in pieces.items():
        gathered.found.append(Leaf("".join(texts), key, "", origin, is_private=False, is_made=False))
    return gathered.found


class _Leaves:
    """The leaves of one result. A closure that calls itself is a cycle, and would keep it until it is collected."""

    def __init__(self, named: frozenset[str], hosts: Collection[str], typed: Collection[str]) -> None:
        self.found: list[Leaf] = []
        self.short: list[tuple[str, str, str]] = []
        """Origin, key and text of what is too short to be told apart, and can be a piece of a longer text."""
        self._named = named
        self._hosts = hosts
        self._typed = typed

    def gather(self, value: object, key: str, item: str, origin: Any, default: str, *, is_private: bool) -> None:
        fields = {} if isinstance(origin, str) else origin
        default = fields.get(OTHER_FIELDS, default)
        said = origin if isinstance(origin, str) else default
        if isinstance(value, dict):
            for name in _NAMES:
                if isinstance(value.get(name), (str, int)) and value[name] != MASK:
                    item = str(value[name])[:MAX_NAME]
                    break
            for name, inner in value.items():
                if name not in fields and (not _is_word(name) or (said == OWN and len(name) >= MIN_KEY)):
                    self.found.append(Leaf(name, key, item, said, is_private, is_made=False))
                kind = type(inner)
                if not inner or kind is bool or (kind is int and -MIN_NUMBER < inner < MIN_NUMBER):
                    continue
                if kind is str and len(inner) < MIN_TEXT and inner.isascii():
                    self.short.append((said, name, inner))
                    continue
                hidden = is_private or name in self._named
                if (kind is str or kind is int or kind is float) and name not in fields:
                    made = is_made(name, inner, self._hosts) and not (key in self._typed and said_by(name)[0])
                    self.found.append(Leaf(inner, name, item, said, hidden, made))
                else:
                    self.gather(inner, name, item, fields.get(name, origin), default, is_private=hidden)
        elif isinstance(value, list):
            if len(value) >= MIN_SPELLED and all(type(code) is int and 32 <= code < 127 for code in value):
                self.found.append(Leaf(bytes(value).decode(), key, item, said, is_private, is_made=False))
            for inner in value:
                self.gather(inner, key, item, origin, default, is_private=is_private)
        elif isinstance(value, str) and len(value) < MIN_TEXT:
            self.short.append((said, key, value))
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            self.found.append(Leaf(value, key, item, said, is_private, is_made(key, value, self._hosts)))


@lru_cache(maxsize=1024)
def _is_word(name: str) -> bool:
    """Return True for a key that is certainly the name of a field, and not a value such as ``mallory77``."""
    return name.isidentifier() and not any(map(str.isdigit, name))


def is_made(key: str, value: str | float, hosts: Collection[str]) -> bool:
    """Return True for a number that nobody types, a time, an id, and an address of the service itself."""
    is_id, is_address, is_typed = said_by(key)
    if not isinstance(value, str):
        return not is_typed
    if (is_id and _ID.fullmatch(value)) or (value[:4].isdigit() and _TIME.fullmatch(value)):
        return True
    if not is_address or not (found := _URL.match(value)):
        return False
    host = found[1].lower()
    return any(host == each or host.endswith(f".{each}") for each in hosts)


@lru_cache(maxsize=1024)
def said_by(key: str) -> tuple[bool, bool, bool]:
    """Return whether a field is named like an id, like an address, and like a number that people type."""
    return _IDS.fullmatch(key) is not None, _ADDRESS_KEY.fullmatch(key) is not None, _is_typed(key)


def hosts_of(target: Target) -> frozenset[str]:
    """Return the domain of a service, as far as the default of its base URL tells it: what others own is none."""
    addresses = [field.default for field in target.integration.account_fields if field.name == "base_url"]
    hosts = [urlsplit(each).hostname or "" for each in addresses if isinstance(each, str)]
    return frozenset(_domain(host) for host in hosts if host.count("."))


def _domain(host: str) -> str:
    first, _, rest = host.partition(".")
    is_common = "." not in rest or _COMMON_DOMAIN.fullmatch(rest)
    return host if is_common or not _API_HOST.fullmatch(first) else _domain(rest)


def scope_of(target: Target) -> str:
    """Return integration and account, within which the ids of a service are trusted."""
    return f"{target.integration.name}.{target.holder}"


def noun_in(key: str) -> str:
    """Return what a parameter names, such as ``channel`` for ``channel_name``, as :func:`noun_of` returns it."""
    words = [each.lower() for each in _WORD.findall(key)]
    return " ".join(words[:-1] if len(words) > 1 and words[-1] in ("name", "slug") else words)


def noun_of(path: str) -> str:
    """Return what a function returns, as far as its name says it: ``mail`` for ``mailbox.list_mails``."""
    words = path.rpartition(".")[2].split("_")
    said = " ".join(words[1:] if words[0] in _VERBS else words) or "item"
    if said.endswith("ies"):
        return f"{said[:-3]}y"
    return said[:-1] if said.endswith("s") and not said.endswith("ss") else said
