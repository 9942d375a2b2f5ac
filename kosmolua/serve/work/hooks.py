"""Hooks: the addresses at which services call, whose deliveries are verified, kept in the store, and run once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from time import time
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kosmolua.errors import KosmoError
from kosmolua.protocol import decode
from kosmolua.serve.flow import body_of
from kosmolua.serve.log import TENANT
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenants import Tenants
from kosmolua.serve.work.settings import HookSettings
from kosmolua.serve.work.signatures import Forged, id_of, verify
from kosmolua.stores.tasks import HOOK, QUEUED, ServerTask, new_run

ROOT = "/hooks"
_CREDENTIAL = re.compile(
    r"auth|cookie|token|secret|signature|credential|password|api-?key|jwt|oidc"
    r"|^x-(forwarded|real)|^forwarded|^x-kosmolua"
)
"""Matches the names of headers that the script does not get: those with credentials, and those of proxies."""


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Return the routes of the hooks of all tenants."""

    async def receive(request: Request) -> Response:
        path = request.path_params
        found = _find(tenants, path.get("tenant"), path["name"])
        if len(found) > 1:
            return _refusal(404, f"Several tenants have this hook: call {ROOT}/TENANT/{path['name']}")
        if not found:
            return _refusal(404, "There is no such hook")
        try:
            body = await body_of(request, tenants.settings.max_request)
        except ClientDisconnect:
            return _refusal(400, "The delivery was not sent whole. Nothing was run.")
        if body is None:
            return _refusal(413, f"The body is larger than {tenants.settings.max_request:,} bytes")
        tenant, hook = found[0]
        request.scope[TENANT] = tenant.name
        tenant.accepting += 1
        try:
            return await asyncio.to_thread(_accept, tenant, hook, dict(request.headers), body)
        except Forged as error:
            return _refusal(401, f"The delivery was not accepted: {error}. Nothing was run.")
        except KosmoError as error:
            return JSONResponse({"error": error.fields()}, 503, {"Retry-After": "5"})
        finally:
            tenant.accepting -= 1

    return [
        Route(f"{ROOT}/{{name}}", receive, methods=["POST"]),
        Route(f"{ROOT}/{{tenant}}/{{name}}", receive, methods=["POST"]),
    ]


def _find(tenants: Tenants, tenant: str | None, name: str) -> list[tuple[Tenant, HookSettings]]:
    return [
        (each, hook)
        for each in tenants
        if tenant in (None, each.name) and (hook := each.work.hooks.get(name)) is not None
    ]


def _accept(tenant: Tenant, hook: HookSettings, headers: Mapping[str, str], body: bytes) -> Response:
    """Verify a delivery, keep it in the store for any server to run, and return the answer."""
    secret = tenant.work.secrets[hook.name].now().reveal()
    ids = [f"{HOOK}/{hook.name}/{id_of(id)}" for id in verify(hook.signature, secret, headers, body, time())]
    given = _decoded(body)
    if hook.signature == "slack" and isinstance(given, dict) and given.get("type") == "url_verification":
        return JSONResponse({"challenge": given.get("challenge")})
    tasks, run = tenant.runtime.store.tasks, new_run()
    id, *also = ids or [f"{HOOK}/{hook.name}/{run}"]
    shown = {name: value for name, value in headers.items() if not _CREDENTIAL.search(name)}
    text = json.dumps({"headers": shown, "body": given})
    now = tasks.now()
    if tasks.add(ServerTask(id, HOOK, hook.name, run, now, now, QUEUED, given=text), also):
        return JSONResponse({"run": run}, 202)
    earlier = next((task for each in ids if (task := tasks.find(each))), None)
    return JSONResponse({"run": earlier.run if earlier else None, "repeated": True}, 202)


def _decoded(body: bytes) -> Any:
    """Return the value of a body in JSON, and the text of any other."""
    text = body.decode("utf-8", "replace")
    try:
        value = decode(text)
        json.dumps(value, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return text
    return value


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": {"code": "refused", "message": message}}, status)
