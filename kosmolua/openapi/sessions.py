"""Logins of a service: which functions log in and out, by the overlay's ``[session]`` or OAuth's ``password`` flow."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from kosmolua.errors import ConfigError
from kosmolua.openapi.document import Document
from kosmolua.openapi.operations import Operation, OperationResult
from kosmolua.openapi.overlay import Overlay
from kosmolua.openapi.security import Access
from kosmolua.protocol import Json
from kosmolua.schema.tree import rows, table, text
from kosmolua.suggestions import did_you_mean

_TOKENS = ("access_token", "accessToken", "token", "auth_token", "authToken", "session_token", "sessionToken", "jwt")
"""The names of a login's token in its result."""
_LOGOUT = re.compile(r"(.*_)?(log|sign)_?(out|off)(_.*)?")
_FORM = {
    "type": "object",
    "required": ["username", "password"],
    "properties": {
        "username": {"type": "string"},
        "password": {"type": "string", "format": "password"},
        "scope": {"type": "string", "description": "The scopes to ask for, separated by spaces."},
        "grant_type": {"type": "string", "enum": ["password"], "default": "password"},
    },
}
_TOKEN = {
    "type": "object",
    "properties": {"access_token": {"type": "string"}, "token_type": {"type": "string"}},
    "required": ["access_token"],
}


def is_open(document: Document, operation: Operation) -> bool:
    """Return True if an operation needs no credential."""
    security = document.root.get("security") if operation.security is None else operation.security
    return not security or {} in rows(security)


def with_login(root: dict[str, Any]) -> dict[str, Any]:
    """Return a document with an operation for the token endpoint of OAuth's ``password`` flow, if it has none."""
    url = next(_token_urls(root), "")
    paths = table(root.get("paths"))
    if not url or _login_path(root, url) or (urlsplit(url).netloc and urlsplit(url).netloc not in _hosts(root)):
        return root
    operation = {
        "operationId": "log_in",
        "summary": "Log in with a name and a password (OAuth 2, RFC 6749).",
        "security": [],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _FORM}}},
        "responses": {"200": {"description": "A token.", "content": {"application/json": {"schema": _TOKEN}}}},
    }
    parts = urlsplit(url)
    servers = {"servers": [{"url": f"{parts.scheme}://{parts.netloc}"}]} if parts.netloc else {}
    path = f"/{parts.path.lstrip('/')}"
    return {**root, "paths": {**paths, path: {**table(paths.get(path)), "post": operation, **servers}}}


def session_of(
    document: Document, overlay: Overlay, access: Access, functions: Mapping[str, Operation]
) -> dict[str, Any]:
    """Return how functions log in and out, as a rule's arguments; empty if none does. Declares the token a secret.

    Raises:
        ConfigError: The overlay names a function or a field that does not exist.
    """
    told = overlay.table("session")
    url = next(_token_urls(document.root), "")
    path = _login_path(document.root, url) if url else ""
    logins = [name for name, each in functions.items() if path and each.key == f"POST {path}"]
    if "login" in told:
        logins = [_named(name, functions, overlay) for name in told["login"]]
    fields = [name for credentials in access.alternatives for each in credentials for name in each.fields]
    if not fields or not (logins or told):
        return {}
    bearer = [each.fields[-1] for credentials in access.alternatives for each in credentials if each.kind == "bearer"]
    field = str(told.get("field") or [*bearer, *fields][0])
    if field not in fields:
        hint = did_you_mean(field, fields) or f"it has {', '.join(fields)}"
        raise ConfigError(f"{overlay.file}: [session] field = {field!r} is no credential of the account", hint=hint)
    results = [functions[name].result for name in logins]
    place = str(told.get("token") or _place(document, results))
    for each in results:
        each.schema = _declared(each.schema, place.split("."))
        each.media = each.media or ["application/json"]
    out = [_named(name, functions, overlay) for name in told.get("logout", ())]
    if "logout" not in told:
        out = [name for name in functions if _LOGOUT.fullmatch(name)]
    return {
        "field": field,
        "place": place,
        "logins": logins,
        "logouts": out,
        "user": str(told.get("user", "")),
        "alternatives": [[name for each in credentials for name in each.fields] for credentials in access.alternatives],
    }


def _named(key: str, functions: Mapping[str, Operation], overlay: Overlay) -> str:
    """Return the name of the function of an operationId, a key or a name."""
    known = {key: name for name, each in functions.items() for key in (each.id, each.key, name) if key}
    if key not in known:
        what = f"{overlay.file}: [session] names {key!r}, which is no function"
        raise ConfigError(what, hint=did_you_mean(key, known))
    return known[key]


def _place(document: Document, results: Sequence[OperationResult]) -> str:
    """Return where the result of a login has the token, by its schema."""
    for each in results:
        keys = document.keys(each.schema)
        if found := next((name for name in _TOKENS if name in keys), ""):
            return found
    return _TOKENS[0]


def _declared(schema: Json, place: Sequence[str]) -> Json:
    """Return a result's schema in which the text at a place is a secret."""
    secret: dict[str, Any] = {"type": "string", "format": "password"}
    for key in reversed(place):
        secret = {"type": "object", "properties": {key: secret}}
    return {"allOf": [schema, secret]} if isinstance(schema, dict) and schema else secret


def _token_urls(root: dict[str, Any]) -> Iterator[str]:
    """Yield the addresses of ``password`` flows of schemes that have no other login."""
    for scheme in table(table(root.get("components")).get("securitySchemes")).values():
        flows = table(table(scheme).get("flows"))
        if flows.keys() == {"password"}:
            yield text(table(flows["password"]).get("tokenUrl"))


def _login_path(root: dict[str, Any], url: str) -> str:
    """Return the path of the document's own operation at a token endpoint; empty if it has none."""
    wanted = f"/{urlsplit(url).path.lstrip('/')}"
    paths = [path for path, item in table(root.get("paths")).items() if "post" in table(item)]
    return max((path for path in paths if wanted == path or wanted.endswith(path)), key=len, default="")


def _hosts(root: dict[str, Any]) -> Collection[str]:
    return {urlsplit(text(table(each).get("url"))).netloc for each in rows(root.get("servers"))}
