"""The ASGI application of the server: its routes, and the layers that check, log and count requests."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kosmolua.errors import KosmoError
from kosmolua.mcp.addresses import PATH
from kosmolua.mcp.clients import PERSON, SUBJECT
from kosmolua.mcp.http import HostCheck, bearer
from kosmolua.memory import keep_what_is_there
from kosmolua.secret import Secret
from kosmolua.serve import api, resource_metadata
from kosmolua.serve.flow import STOPPING_MCP, Draining, Heartbeat, Newcomers, Refusals, Weighing
from kosmolua.serve.log import TENANT, AccessLog, Log, request_fields
from kosmolua.serve.metrics import CONTENT_TYPE, Metrics
from kosmolua.serve.pages.site import Website
from kosmolua.serve.resource_metadata import challenge
from kosmolua.serve.shares import share_time
from kosmolua.serve.siblings import PASSED_ON, Siblings
from kosmolua.serve.tenants import Tenants
from kosmolua.serve.work import hooks
from kosmolua.serve.work.worker import TaskWorker
from kosmolua.stores.tasks import ServerTask

ALIVE, READY, METRICS = "/healthz", "/readyz", "/metrics"
_OWN = {ALIVE, READY, METRICS, PATH}


class ServerState:
    """What the parts of the server's ASGI application share: tenants, metrics and log.

    ``hosts`` are host names of the server, in addition to those in the accounts file. While ``is_ready`` is True,
    ``/readyz`` says so. ``is_draining`` is True once the server is about to stop.
    """

    def __init__(self, tenants: Tenants, metrics: Metrics, log: Log, hosts: tuple[str, ...] = ()) -> None:
        self.tenants = tenants
        self.metrics = metrics
        self.log = log
        self.is_ready = False
        self.is_draining = False
        self._hosts = hosts
        self._said_of_store = ""
        tenants.health.note = self.note_store

    def hosts(self) -> tuple[str, ...]:
        """Return the host names that clients can use for the server."""
        own = urlsplit(self.tenants.settings.url or "").hostname
        return (*self._hosts, *self.tenants.settings.hosts, *([own] if own else []))

    def note_request(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        """Count a request that was answered, with the answer's ``size`` in bytes. Log it too, unless it is a probe."""
        if PASSED_ON in scope:
            return
        path = scope["path"]
        self.metrics.requested(path if path in _OWN else "page", scope["method"], status, seconds)
        if path not in (ALIVE, READY):
            self.log.note("request", **request_fields(scope, status, size, seconds))

    def note_task(self, tenant: str, task: ServerTask, late: float) -> None:
        """Count and log a task that is over, and how many seconds after its time it was taken."""
        self.metrics.worked(tenant, task.source, task.status, late)
        told = {"source": task.source, "name": task.name, "run": task.run, "status": task.status, "error": task.note}
        self.log.note("task", tenant=tenant, late=round(late, 3), **{key: each or None for key, each in told.items()})

    def note_refusal(self, address: str) -> None:
        """Count and log a request without a valid token of a tenant, from this address."""
        self.metrics.refused()
        self.log.note("unauthorized", address=address)

    def note_store(self, seconds: float, error: KosmoError | None) -> None:
        """Count a try of the store. Log when the store is lost, with the reason, and when it is back."""
        self.metrics.store_tried(seconds, error)
        said = str(error) if error else ""
        if said != self._said_of_store:
            self._said_of_store = said
            self.log.note("store lost" if said else "store back", error=said or None)

    async def may_read_metrics(self, request: Request) -> bool:
        """Return True if a request has the token for the metrics or, without such a token, comes from this machine."""
        if token := self.tenants.credentials.metrics:
            return hmac.compare_digest(bearer(request.headers), token.reveal().encode())
        return _is_of_this_machine(request)


class McpEndpoint:
    """The ASGI application at the path of MCP: passes each request to the tenant whose token is in the request.

    Only the answers of tenants have a heartbeat: it would turn a late refusal into an answer with status 200.
    """

    def __init__(
        self, tenants: Tenants, refusals: Refusals, siblings: Siblings | None, is_draining: Callable[[], bool]
    ) -> None:
        self._tenants = tenants
        self._refusals = refusals
        self._is_draining = is_draining
        self._siblings = siblings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = bearer(Headers(scope=scope))
        tenant = await self._tenants.authenticate(token)
        if tenant is None:
            await self._refusals(scope, receive, send)
            return
        scope[TENANT] = tenant.name
        scope[PERSON] = tenant.person_of(token)
        scope[SUBJECT] = Secret(token.decode("latin-1")) if scope[PERSON] else None
        await tenant.share.begin()
        app = tenant.mcp
        if self._siblings:
            app = partial(self._siblings.answer, app, self._tenants.settings.max_request)
        weighed: ASGIApp = Heartbeat(Weighing(app, tenant.room, tenant.pace, self._tenants.settings.max_request))
        if self._is_draining():
            weighed = Newcomers(weighed, self._tenants.settings.max_request)
        await (STOPPING_MCP if tenant.is_stopped else weighed)(scope, receive, send)


def application(state: ServerState, siblings: Siblings | None = None) -> ASGIApp:
    """Return the ASGI application; ``siblings`` passes requests to the server's other processes, if there are some."""
    tenants, worker = state.tenants, TaskWorker(state.tenants, state.note_task)

    async def is_alive(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def is_ready(request: Request) -> Response:
        if not state.is_ready:
            return PlainTextResponse("not ready\n", 503)
        if error := tenants.health.error:
            return PlainTextResponse(f"not ready: {error.message}\n", 503)
        return PlainTextResponse("ready\n")

    refusals = Refusals(state.note_refusal, lambda request: challenge(tenants.settings, request))

    async def metrics(request: Request) -> ASGIApp:
        if not await state.may_read_metrics(request):
            return refusals
        page = state.metrics.page(names_tenants=tenants.credentials.metrics is not None)
        return Response(page, media_type=CONTENT_TYPE)

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        share_time(asyncio.get_running_loop())
        await tenants.start()
        worker.start()
        keep_what_is_there()
        state.is_ready = True
        yield
        state.is_ready = False
        await tenants.stop()
        await worker.stop()

    endpoint = McpEndpoint(tenants, refusals, siblings, lambda: state.is_draining)
    routes = [
        Route(ALIVE, is_alive),
        Route(READY, is_ready),
        Route(METRICS, metrics),
        Route(PATH, endpoint),
        *resource_metadata.routes(tenants),
        *api.routes(tenants, refusals),
        *hooks.routes(tenants),
        *Website(tenants).routes(),
    ]
    routed = Starlette(routes=routes, lifespan=running)

    async def directly(scope: Scope, receive: Receive, send: Send) -> None:
        """Leave out the routing and its layers for the path of nearly all requests."""
        await (endpoint if scope.get("path") == PATH else routed)(scope, receive, send)

    app = Draining(directly, lambda: state.is_draining, {*_OWN, f"{hooks.ROOT}/"})
    remedy = "The key hosts in [serve] of the accounts file lists its names."
    return AccessLog(HostCheck(app, state.hosts, remedy), state.note_request)


def _is_of_this_machine(request: Request) -> bool:
    """Return True if a request comes from a program on this machine, and did not come through a proxy."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return request.client is None or ip_address(request.client.host).is_loopback
    except ValueError:
        return False
