"""The credentials that a document's requests need, and the account fields for them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.expressions import regex
from kosmolua.http.headers import CREDENTIALS as CREDENTIAL_HEADERS
from kosmolua.http.headers import SIGNED, objection, plain
from kosmolua.http.messages import is_link_local, is_protected, origin
from kosmolua.openapi.bodies import is_override
from kosmolua.openapi.naming import snake, usable
from kosmolua.openapi.operations import Field, Operation
from kosmolua.schema.tree import rows, table, text

if TYPE_CHECKING:
    from kosmolua.openapi.document import Document

Kind: TypeAlias = Literal["bearer", "basic", "header", "query", "cookie", "client", "signature"]

AUTH = ("bearer", "basic", "header:NAME", "query:NAME", "aws:SERVICE", "none")
"""The possible values of ``--auth``, for a document that declares no credential."""
CREDENTIALS = regex(
    r"(?!.*(next|page|pagination|continuation|sync|idempotency)[-_]?token)"
    r"(.*[-_])?(api[-_]?key|access[-_]?token|auth[-_]?token|token|secret|password)",
    re.IGNORECASE,
)
"""Matches a header, parameter or base URL variable by its name if its value is a credential."""
_WORD = r"([A-Za-z][\w-]*(?: token=)?)"
_PREFIXES = (
    rf"(?:prefix(?:ed)?|prepended|preceded|begin|start)(?: with| by| of)?(?: the word)?\s+[\"'`]{_WORD} ?[\"'`]",
    rf"\b(?:string|word) [\"'`]{_WORD}[\"'`],? followed",
    rf"(?:^|Authorization:\s*|[-\"'`(])\s?{_WORD}(?: +|(?<==))[<{{\[]",
    rf"[\"'`]{_WORD}(?: +|(?<==))(?=\w*[-_\d])[\w-]*(?:key|token|\d{{4}})[\w-]*[\"'`]",
    rf"Authorization: {_WORD} +\w*(?:key|token)\b",
)
"""Match the word before a key in a description: named, or in the whole header, such as ``SSWS {API Token}``."""
_PLACEHOLDER = regex(r"(?:Bearer|Basic) <(\w+)>")
_ACCESS_KEY = ("access_key_id", "secret_access_key")
_AT_AWS = regex(
    r"//(?:[^/]*\.)?([a-z0-9-]+)(?:(?:\.|\{dash-or-dot\})(?:\{region\}|[a-z]+(?:-[a-z]+)+-\d))?\.amazonaws\.com\b"
)
"""Matches an address of AWS, in which the service stands before the region."""
_CHALLENGES = ("digest", "hoba", "mutual", "negotiate", "scram-sha-1", "scram-sha-256")
"""Ways to authenticate in which the service asks first, so that no text of an account answers."""
MOST_COMMON = 0.5
"""A header or parameter becomes a field of the account if at least this share of operations has it."""
MIN_OPERATIONS = 3
"""A header or parameter becomes a field of the account only if at least this number of operations has it."""
DROPPED = frozenset({"accept", "content-type", "authorization", "user-agent"})
"""Headers that never become arguments or fields, since KosmoLua sets them."""
TRACING = frozenset({"traceparent", "tracestate", "x-request-id"})
"""Headers that tell a request from others: never fields, and arguments only where the service requires them."""


@dataclass
class Credential:
    """A credential that a service requires.

    Args:
        kind: How requests carry it: ``client`` is a bearer token fetched with a client id and secret, ``signature`` a
            signature of AWS.
        fields: The account's fields for it, such as ``username`` and ``password``.
        name: The header, query parameter or cookie, if the kind does not determine it; the service of a signature.
        prefix: The word before the value in the header, such as ``Bot``.
        about: The description.
        login: The addresses for logging in, as the arguments of :class:`kosmolua.http.auth.OAuth2`.
        scopes: The scopes that a login can ask for.
    """

    kind: Kind
    fields: list[str]
    name: str = ""
    prefix: str = ""
    about: str = ""
    login: dict[str, Any] = made_by(default_factory=dict)
    scopes: list[str] = made_by(default_factory=list)

    def shown(self, key: str) -> str:
        """Return the value of the header for a key."""
        return f"{self.prefix}{'' if self.prefix.endswith('=') else ' '}{key}"


@dataclass
class Setting:
    """A header of every request, which an account field holds; no default: None."""

    header: str
    field: str
    default: str | None = None
    required: bool = False
    secret: bool = False
    about: str = ""


@dataclass
class UrlVariable:
    """A variable in the base URL, which an account field holds; no choices: any value."""

    wire: str
    field: str
    default: str = ""
    choices: list[str] = made_by(default_factory=list)
    secret: bool = False
    about: str = ""


@dataclass
class Access:
    """The addresses of a service, and what its requests need.

    Args:
        base_url: The base URL, with ``{name}`` for each variable; empty if each account must set one.
        variables: Its variables.
        alternatives: Lists of credentials. A request must carry all of one list.
        settings: The headers of every request.
        origins: Where credentials may be sent: the origin of the base URL, and those that the user names.
        session: How functions log in and out, as the arguments of a :class:`~kosmolua.schema.sessions.SessionRule`.
    """

    base_url: str = ""
    variables: list[UrlVariable] = made_by(default_factory=list)
    alternatives: list[list[Credential]] = made_by(default_factory=list)
    settings: list[Setting] = made_by(default_factory=list)
    origins: list[str] = made_by(default_factory=list)
    session: dict[str, Any] = made_by(default_factory=dict)

    def address(self, settings: Mapping[str, Any]) -> str:
        """Return an account's base URL, with its variables, except credentials, filled in: it can be shown."""
        url = str(settings.get("base_url") or self.base_url)
        for each in self.variables:
            if not each.secret:
                url = url.replace(f"{{{each.wire}}}", str(settings.get(each.field, each.default)))
        return url

    @property
    def has_credential(self) -> bool:
        secret = [*(each.secret for each in self.variables), *(each.secret for each in self.settings)]
        return bool(self.alternatives) or any(secret)

    def check_origin(self, url: str) -> None:
        """Check that requests can be sent to an operation's own base URL.

        Raises:
            NotConfigured: The URL is link-local, or it must not get the account's credential.
        """
        place = origin(url) or url
        if is_link_local(url) or (self.has_credential and not is_protected(url)):
            raise NotConfigured(f"{place} is neither protected by TLS nor on this machine, so no request is sent there")
        if self.has_credential and place not in self.origins:
            hint = f'if the credential may go there, set origins = ["{place}"] under [document] in openapi.toml'
            raise NotConfigured(f"{place} is not among the origins that the credential is for", hint=hint)

    @property
    def header_keys(self) -> list[str]:
        """The headers that carry credentials or secret settings."""
        every = [each for credentials in self.alternatives for each in credentials]
        signed = sorted(SIGNED) if any(each.kind == "signature" for each in every) else []
        named = [each.name for each in every if each.kind == "header"]
        return named + signed + [each.header for each in self.settings if each.secret]

    @property
    def logins(self) -> list[str]:
        """The origins that accounts log in to, sorted; ``base_url`` is that of the base URL."""
        every = [each for credentials in self.alternatives for each in credentials]
        addresses = [url for each in every for url in each.login.values()]
        return sorted({"base_url" if url.startswith("/") else origin(url) for url in addresses})


def access_of(given: Mapping[str, Any]) -> Access:
    """Restore an access from its JSON, which lacks what has a default value."""
    return Access(
        given.get("base_url", ""),
        [UrlVariable(**each) for each in given.get("variables", ())],
        [[Credential(**each) for each in credentials] for credentials in given.get("alternatives", ())],
        [Setting(**each) for each in given.get("settings", ())],
        given.get("origins", []),
        given.get("session", {}),
    )


def alternatives_of(document: Document, auth: str = "", prefix: str | None = None) -> list[list[Credential]]:
    """Return lists of credentials, of which a request must carry one list, or none.

    The last list is empty if requests need no credential. ``auth`` is the user's wish, one of :data:`AUTH`; ``prefix``
    the overlay's word before a key in a header, which may be none.

    Raises:
        ConfigError: ``auth`` is not one of :data:`AUTH`.
    """
    if auth:
        return [[_asked(auth)]] if auth != "none" else []
    root = document.root
    schemes = table(table(root.get("components")).get("securitySchemes"))
    found: list[list[Credential]] = []
    for requirement in _requirements(root, schemes):
        credentials = [_credential(root, name, document.resolve(schemes.get(name)), prefix) for name in requirement]
        known = [each for each in credentials if each]
        if len(known) < len(credentials) or not known:
            lacking = ", ".join(name for name, each in zip(requirement, credentials, strict=True) if not each)
            document.note(f"the security scheme {lacking} is not declared, or of a kind that is not supported")
            continue
        if len(known) > 1 and all(each.kind == "bearer" for each in known):
            known = known[:1]  # two names for OAuth mean the same token
        if known not in found:
            found.append(known)
    found.sort(key=lambda each: any(one.kind == "cookie" for one in each))
    return [*found, []] if found and {} in rows(root.get("security")) else found


def joined(alternatives: list[list[Credential]], operations: Sequence[Operation]) -> list[list[Credential]]:
    """Return the alternatives, as one if most operations require all of them as parameters, as Trello's do."""
    keys = [(each.kind, each.name) for credentials in alternatives for each in credentials]
    if len(keys) < 2 or any(kind not in ("query", "header") for kind, _ in keys):
        return alternatives
    needing = ({(field.place, field.wire) for field in each.fields if field.required} for each in operations)
    count = sum(needed.issuperset(keys) for needed in needing)
    is_common = count and count >= MOST_COMMON * len(operations)
    return [[each for credentials in alternatives for each in credentials]] if is_common else alternatives


def _asked(auth: str) -> Credential:
    kind, _, name = auth.partition(":")
    if kind == "bearer" and not name:
        return Credential("bearer", ["token"])
    if kind == "basic" and not name:
        return Credential("basic", ["username", "password"])
    if kind in ("header", "query") and name:
        return Credential(kind, [usable(snake(name))], name)  # type: ignore[arg-type]
    if kind == "aws" and name:
        return Credential("signature", [*_ACCESS_KEY], name)
    raise ConfigError(f"{auth!r} is not a way to authenticate", hint=f"choose one of {', '.join(AUTH)} for --auth")


def _requirements(root: Mapping[str, Any], schemes: Mapping[str, Any]) -> list[list[str]]:
    """Return the alternatives, each as the security schemes that it combines."""
    of_all = _names_in(root.get("security"))
    if of_all:
        return of_all
    of_each: dict[tuple[str, ...], int] = {}
    for item in root.get("paths", {}).values():
        for operation in map(table, table(item).values()):
            for names in _names_in(operation.get("security")):
                of_each[tuple(names)] = of_each.get(tuple(names), 0) + 1
    most = sorted(of_each, key=lambda names: -of_each[names])
    whole = [names for names in most if not any(set(names) < set(other) for other in most)]
    return [list(names) for names in whole] or [[name] for name in schemes]


def _names_in(security: object) -> list[list[str]]:
    return [list(each) for each in map(table, rows(security)) if each]


def _service(root: Mapping[str, Any]) -> str:
    """Return the name that signatures have for a service of AWS; empty if the document does not say it."""
    info = table(root.get("info"))
    for server in map(table, rows(root.get("servers"))):
        if found := _AT_AWS.search(text(server.get("url"))):
            return text(info.get("x-aws-signingName")) or found[1]
    return text(info.get("x-aws-signingName"))


def _credential(root: Mapping[str, Any], name: str, scheme: Mapping[str, Any], prefix: str | None) -> Credential | None:
    """Return a scheme's credential; None if the scheme is unknown."""
    kind, about = text(scheme.get("type")), text(scheme.get("description"))
    plain = usable(snake(name).removesuffix("_auth") or "api_key")
    placeholder = _PLACEHOLDER.search(about)
    if kind == "apiKey" and scheme.get("in") in ("header", "query", "cookie"):
        header = text(scheme.get("name"))
        if "aws" in name.lower() or "sigv4" in name.lower() or "signature" in about.lower()[:60]:
            return Credential("signature", [*_ACCESS_KEY], _service(root), about=about)
        said = _prefix(name, header, about) if prefix is None else prefix
        before = said if scheme["in"] == "header" else ""
        return Credential(scheme["in"], [plain], header, before, about=about)
    way = text(scheme.get("scheme")).lower()
    if kind == "http" and way == "basic":
        fields = [placeholder[1]] if placeholder else ["username", "password"]
        return Credential("basic", fields, about=about)
    if kind == "oauth2" and (login := _client_login(scheme)):
        fields = ["client_id", "client_secret"]
        return Credential("client", fields, about=about, login=login, scopes=_scopes(scheme))
    if kind in ("oauth2", "openIdConnect") or (kind == "http" and way == "bearer"):
        field = placeholder[1] if placeholder else "token"
        login = _login(scheme)
        return Credential("bearer", [field], prefix=prefix or "", about=about, login=login, scopes=_scopes(scheme))
    if kind == "http" and way not in _CHALLENGES:
        return Credential("header", [plain], "Authorization", text(scheme.get("scheme")), about=about)
    return None


def _prefix(scheme: str, header: str, about: str) -> str:
    """Guess the word before the key in a header, such as ``Bot``."""
    is_usual = header.lower() == "authorization"
    for pattern in _PREFIXES if is_usual else _PREFIXES[:1]:
        if said := re.search(pattern, about, re.IGNORECASE):
            return said[1]
    if not is_usual:
        return ""
    return next((word for word in ("Bearer", "Bot") if scheme.lower().startswith(word.lower())), "")


def _login(scheme: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses for logging in by browser or device code."""
    flows = table(scheme.get("flows"))
    code, device = flows.get("authorizationCode"), flows.get("deviceAuthorization")
    found: dict[str, str] = {}
    for flow, key, place in ((device, "deviceAuthorizationUrl", "device"), (code, "authorizationUrl", "authorize")):
        if isinstance(flow, dict) and text(flow.get(key)) and text(flow.get("tokenUrl")):
            found |= {place: text(flow[key]), "token": text(flow["tokenUrl"])}
            found |= {"refresh": text(flow["refreshUrl"])} if text(flow.get("refreshUrl")) else {}
    return found if all(map(_may_log_in_at, found.values())) else {}


def _client_login(scheme: Mapping[str, Any]) -> dict[str, str]:
    """Return the token endpoint for a client id and secret, if that is the only login."""
    flows = table(scheme.get("flows"))
    flow = flows.get("clientCredentials")
    url = text(table(flow).get("tokenUrl")) if len(flows) == 1 else ""
    return {"token": url} if url and _may_log_in_at(url) else {}


def _may_log_in_at(url: str) -> bool:
    """Return True if credentials are safe at an address: by TLS, on this machine, or relative."""
    return (url.startswith("/") and not url.startswith("//")) or is_protected(url)


def _scopes(scheme: Mapping[str, Any]) -> list[str]:
    """Return the scopes of a scheme, in the document's order."""
    named = (table(table(flow).get("scopes")) for flow in table(scheme.get("flows")).values())
    return list(dict.fromkeys(str(each) for scopes in named for each in scopes))


def settings_of(
    operations: Sequence[Operation], alternatives: Sequence[Sequence[Credential]], *, has_credential: bool
) -> list[Setting]:
    """Make the headers that most operations have fields of the account, and return them.

    They are removed from all operations' arguments; so are those in :data:`DROPPED`, what no caller can set, parameters
    that override the HTTP method, and, if ``has_credential``, parameters for credentials.
    """
    every = [each for operation in operations for each in operation.fields if each.place in ("header", "query")]
    counts = Counter((each.place, each.wire) for each in every)
    values = {(each.wire, each.constant) for each in every if each.constant}
    several = {wire for wire, count in Counter(wire for wire, _ in values).items() if count > 1}
    most = {key for key, count in counts.items() if count >= max(MOST_COMMON * len(operations), MIN_OPERATIONS)}
    credentials = {wire for _, wire in most if has_credential and CREDENTIALS.fullmatch(wire)}
    carried = {
        (each.kind, plain(each.name) if each.kind == "header" else each.name) for some in alternatives for each in some
    }
    found: dict[str, Setting] = {}
    for each in operations:
        each.fields = [each_field for each_field in each.fields if not _is_never_an_argument(each_field, carried)]
        for each_field in each.fields:
            is_common = each_field.place == "header" and ("header", each_field.wire) in most
            tells_apart = each_field.wire in several or plain(each_field.wire) in TRACING  # operations, or requests
            if is_common and not tells_apart and each_field.wire not in {*credentials, *found}:
                found[each_field.wire] = _setting(each_field, has_credential=has_credential)
        each.fields = [
            each_field
            for each_field in each.fields
            if not (each_field.place in ("header", "query") and each_field.wire in credentials)
            and not (each_field.place == "header" and each_field.wire in found)
        ]
    return list(found.values())


def _is_never_an_argument(given: Field, carried: Collection[tuple[str, str]]) -> bool:
    """Return True for what KosmoLua, the account or a proxy sets."""
    if plain(given.wire) in SIGNED and any(kind == "signature" for kind, _ in carried):
        return True
    if given.place == "header":
        name = plain(given.wire)
        is_set = name in DROPPED or (name in TRACING and not given.required)
        return is_set or ("header", name) in carried or bool(objection(given.wire, keys=CREDENTIAL_HEADERS))
    if given.place in ("query", "body") and is_override(given.wire):
        return True
    return (given.place, given.wire) in carried


def _setting(given: Field, *, has_credential: bool) -> Setting:
    schema = table(given.schema)
    values = schema.get("enum")
    only = values[0] if isinstance(values, list) and len(values) == 1 else None
    is_sent = given.required or re.search("version|revision", given.wire, re.IGNORECASE)  # others have a default there
    default = schema.get("default", only) if is_sent else only
    secret = not has_credential and bool(CREDENTIALS.fullmatch(given.wire))
    name = usable(snake(given.wire).removeprefix("x_") or "header")
    return Setting(given.wire, name, None if default is None else str(default), given.required, secret, given.about)


def variables_in(server: Mapping[str, Any]) -> Iterator[UrlVariable]:
    """Yield the variables of one of ``servers``."""
    declared = table(server.get("variables"))
    for wire in dict.fromkeys(re.findall(r"\{([^{}]*)\}", text(server.get("url")))):
        given = table(declared.get(wire))
        choices = [str(each) for each in given.get("enum") or ()]
        secret = bool(CREDENTIALS.fullmatch(wire))
        default = "" if secret else str(given.get("default", ""))
        yield UrlVariable(wire, usable(snake(wire)), default, choices, secret, text(given.get("description")))
