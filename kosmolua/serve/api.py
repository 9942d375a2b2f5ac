"""The HTTP API of the server: what the website shows and does for a tenant, for programs, and its OpenAPI document.

A request bears the token of its tenant, as requests for MCP do, or that of those who operate the server. Routes
and the document derive from :data:`kosmolua.serve.operations.ENDPOINTS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from kosmolua import __version__
from kosmolua.errors import NOT_NOW, KosmoError, RateLimited
from kosmolua.mcp.http import NO_TOKEN, bearer
from kosmolua.protocol import decode
from kosmolua.serve.flow import Refusals, body_of
from kosmolua.serve.log import TENANT
from kosmolua.serve.operations import (
    ENDPOINTS,
    OPERATOR,
    TENANT_ONLY,
    TENANT_PARAMETER,
    Endpoint,
    Json,
    RequestRefused,
)
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenants import Tenants

ROOT = "/api"
DOCUMENT = f"{ROOT}/openapi.json"
RETRY_AFTER = 1
"""Seconds after which a request can be tried again that was refused with status 503."""


class ApiResponse(JSONResponse):
    """An answer in JSON. Lone surrogates in it, such as in the name of a script, are replaced: UTF-8 has none."""

    def render(self, content: object) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


_NAMES = re.compile(r"{(\w+)}")
_TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list}


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    paths: dict[str, Any] = {}
    for each in ENDPOINTS:
        operation: dict[str, Any] = {
            "operationId": each.name,
            "summary": each.about,
            "parameters": _parameters(each),
            "responses": {"200": {"description": "Done.", "content": {"application/json": {"schema": {}}}}},
        }
        if each.body:
            schema = {"type": "object", "properties": each.body, "required": [*each.required]}
            operation["requestBody"] = {
                "required": bool(each.required),
                "content": {"application/json": {"schema": schema}},
            }
        paths.setdefault(ROOT + each.path, {})[each.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "KosmoLua server", "version": __version__},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _parameters(each: Endpoint) -> list[dict[str, Any]]:
    of_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _NAMES.findall(each.path)
    ]
    query = {**each.query, **TENANT_PARAMETER}
    return of_path + [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]


def routes(tenants: Tenants, refusals: Refusals) -> list[BaseRoute]:
    """Return the routes of the API; ``refusals`` answers requests without a valid token of a tenant."""

    async def describe(request: Request) -> Response:
        return ApiResponse(document())

    def endpoint(each: Endpoint) -> Callable[[Request], Awaitable[Any]]:
        async def answer(request: Request) -> ASGIApp:
            token = bearer(request.headers)
            is_operator = tenants.is_operator(token)
            tenant = None if is_operator else await tenants.authenticate(token)
            if tenant is None and not is_operator:
                return partial(refusals, body=_refusal(NO_TOKEN.strip()), answer=ApiResponse)
            if tenant:
                request.scope[TENANT] = tenant.name
                await tenant.share.begin()
            try:
                given = await _given(each, request, tenants.settings.max_request)
                chosen = _chosen(each, tenants, tenant, given.pop("tenant", None))
                answers = [await each.answer(each_tenant, given) for each_tenant in chosen]
                return ApiResponse(answers[0] if len(answers) == 1 else {"tenants": answers})
            except RequestRefused as refused:
                return ApiResponse(_refusal(str(refused)), refused.status)
            except NOT_NOW as error:
                wait = getattr(error, "retry_after", RETRY_AFTER)
                status = 429 if isinstance(error, RateLimited) else 503
                return ApiResponse({"error": error.fields()}, status, {"Retry-After": str(wait)})
            except KosmoError as error:
                return ApiResponse({"error": error.fields()}, 409)

        return answer

    async def unknown(request: Request) -> Response:
        asked = f"{request.method} {request.url.path[:200]}"
        return ApiResponse(_refusal(f"There is no operation {asked} ({DOCUMENT} lists them)"), 404)

    made = [Route(ROOT + each.path, endpoint(each), methods=[each.method]) for each in ENDPOINTS]
    others = Route(ROOT + "/{path:path}", unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return [Route(DOCUMENT, describe, methods=["GET"]), *made, others]


def _refusal(message: str) -> Json:
    return {"error": {"code": "refused", "message": message}}


def _chosen(each: Endpoint, tenants: Tenants, own: Tenant | None, name: str | None) -> list[Tenant]:
    if own:
        if each.reach == OPERATOR:
            raise RequestRefused(403, "This needs the token operator_token in [serve] of the accounts file")
        if name not in (None, own.name):
            raise RequestRefused(403, "The token belongs to another tenant")
        return [own]
    if name is None:
        if each.reach == TENANT_ONLY:
            raise RequestRefused(400, "Name the tenant with the parameter tenant, or on a command line with --tenant")
        return [*tenants]
    found = tenants.get(name)
    if found is None:
        raise RequestRefused(404, "There is no such tenant")
    return [found]


async def _given(each: Endpoint, request: Request, max_request: int) -> dict[str, Any]:
    query = dict(request.query_params)
    if unknown := query.keys() - {*each.query, *TENANT_PARAMETER}:
        raise RequestRefused(400, f"There is no parameter {sorted(unknown)[0][:80]!r}")
    return {**query, **(await _body(each, request, max_request)), **request.path_params}


async def _body(each: Endpoint, request: Request, max_request: int) -> dict[str, Any]:
    read = await body_of(request, max_request)
    if read is None:
        raise RequestRefused(413, f"The body is larger than {max_request:,} bytes")
    try:
        body = decode(read.decode()) if read else {}
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        what = "The body is not valid JSON in UTF-8, or it is nested too deeply"
        raise RequestRefused(400, what) from None
    if not isinstance(body, dict):
        raise RequestRefused(400, "The body must be a JSON object")
    for name in each.required:
        if name not in body:
            raise RequestRefused(400, f"The property {name} is missing")
    for name, value in body.items():
        if name not in each.body:
            raise RequestRefused(400, f"There is no property {name[:80]!r}")
        schema = each.body[name]
        if "type" in schema and not _fits(value, schema):
            kind = f"array of {schema['items']['type']}s" if "items" in schema else schema["type"]
            raise RequestRefused(400, f"The property {name} must be of the type {kind}")
    return body


def _fits(value: object, schema: Json) -> bool:
    if not isinstance(value, _TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        return False
    return not isinstance(value, list) or all(_fits(each, schema["items"]) for each in value)
