"""The website: its routes, and the check that a request comes from a person who is signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from kosmolua.errors import KosmoError
from kosmolua.serve.links import question_links
from kosmolua.serve.pages import (
    accounts,
    approvals,
    catalogue,
    compare,
    docs,
    fleets,
    insights,
    news,
    plans,
    playground,
    runs,
    schedules,
)
from kosmolua.serve.pages.page_request import (
    PART_HEADER,
    NotFound,
    PageRequest,
    View,
    conditional,
    form_of,
    is_own,
    is_same_origin,
    telling,
)
from kosmolua.serve.pages.rendering import HEADERS, asset, asset_tag
from kosmolua.serve.pages.sessions import Sessions, WebSession
from kosmolua.serve.pages.signin import SignIn
from kosmolua.serve.pages.workspace import SUBJECTS, Workspace
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenants import Tenants
from kosmolua.stores.store import RUN_ID, RunFilter

_ADDRESSES: tuple[tuple[str, str, View], ...] = (
    ("GET", "/approvals", approvals.waiting),
    ("GET", "/approvals/{call}", approvals.shown),
    ("POST", "/approvals", approvals.decide),
    ("GET", "/runs", runs.listed),
    ("GET", "/runs/compare", compare.shown),
    ("GET", "/runs/{run}", runs.shown),
    ("GET", "/runs/{run}/output", runs.output),
    ("GET", "/runs/{run}/output.txt", runs.text),
    ("GET", "/runs/{run}/result.json", runs.result),
    ("GET", "/runs/{run}/calls/{number:int}", runs.call),
    ("GET", "/runs/{run}/calls/{number:int}/answer.json", runs.answer),
    ("POST", "/runs/{run}/stop", runs.stopped),
    ("POST", "/runs/{run}/undo", runs.undone),
    ("POST", "/runs/{run}/resume", runs.resumed),
    ("GET", "/fleets", fleets.listed),
    ("GET", "/fleets/{fleet}", fleets.shown),
    ("GET", "/plans", plans.listed),
    ("GET", "/plans/{plan}", plans.shown),
    ("POST", "/plans/{plan}", plans.decided),
    ("GET", "/schedules", schedules.listed),
    ("GET", "/schedules/{kind}/{name}", schedules.shown),
    ("POST", "/schedules/{kind}/{name}", schedules.decided),
    ("GET", "/docs", docs.index),
    ("GET", "/docs/{page:path}", docs.page),
    ("GET", "/playground", playground.opened),
    ("POST", "/playground", playground.used),
    ("POST", "/playground/check", playground.checked),
    ("POST", "/playground/complete", playground.completed),
    ("GET", "/playground/runs/{run}", playground.run),
    ("GET", "/playground/plans/{plan}", playground.plan),
    ("GET", "/accounts", accounts.listed),
    ("POST", "/accounts/revoke", accounts.revoked),
    ("GET", "/catalogue", catalogue.listed),
    ("GET", "/catalogue/{name}", catalogue.shown),
    ("GET", "/insights", insights.shown),
)


class Website:
    """The website for the people of all tenants: checks the session of each request, and finds the view for it."""

    def __init__(self, tenants: Tenants) -> None:
        self._sessions = Sessions(tenants.key, tenants.stores)
        self._sign_in = SignIn(tenants, self._sessions)
        self._tenants = tenants
        self._links = question_links(tenants.key)
        self._workspaces: dict[str, Workspace] = {}

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the website. The last route answers every path that no other route answers."""
        zipped = [Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)]
        pages = [
            Route(path, self._endpoint(view), methods=[method], middleware=zipped) for method, path, view in _ADDRESSES
        ]
        return [
            Route("/static/{name}", _static, methods=["GET"], middleware=zipped),
            *self._sign_in.routes(),
            Route("/events", self._events, methods=["GET"]),
            Route("/a/{call}", telling(self._question, self._sessions), methods=["GET", "POST"]),
            Route("/", self._endpoint(lambda page_request: page_request.redirect("/approvals")), methods=["GET"]),
            *pages,
            Route("/{rest:path}", self._endpoint(_not_found), methods=["GET"]),
        ]

    def _endpoint(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            session, workspace = await self._signed_in(request)
            if workspace is None:
                return await self._to_login(request)
            await workspace.tenant.share.begin()
            form, lists = await form_of(request)
            page_request = PageRequest(request, self._sessions, session, form, lists, workspace)
            if request.method == "POST" and not is_own(page_request):
                return page_request.refusal()
            return await run_in_threadpool(_answer, view, page_request)

        return telling(answer, self._sessions)

    async def _question(self, request: Request) -> Response:
        """Answer a request for the page of one question, by its id or by a link that was sent to people.

        A link that was sent to one person alone proves who opens it; any other needs a session. It is refused to a
        session of somebody else.
        """
        link = self._links.read(request.path_params["call"])
        if link is None:
            return await self._endpoint(approvals.shown)(request)
        session, workspace = await self._signed_in(request)
        if is_proof := workspace is None:
            tenant = self._tenants.get(link.tenant)
            if not link.person or tenant is None:
                return await self._to_login(request)
            session, workspace = WebSession("", link.tenant), self._workspace_of(tenant)
        await workspace.tenant.share.begin()
        form, lists = await form_of(request)
        asked = PageRequest(request, self._sessions, session, form, lists, workspace)
        if session.tenant != link.tenant or (link.person and session.person not in ("", link.person)):
            who = link.person or f"people of {link.tenant}"
            return asked.error(
                "Not for you", f"This link is for {who}, and you are signed in as somebody else.", status=403
            )
        if request.method == "POST" and not (is_same_origin(request) if is_proof else is_own(asked)):
            return asked.refusal()
        person = link.person or asked.person
        return await run_in_threadpool(_answer, lambda each: approvals.linked(each, link, person), asked)

    async def _events(self, request: Request) -> Response:
        _, workspace = await self._signed_in(request)
        if workspace is None:
            return await self._to_login(request)
        run, fleet, section = (request.query_params.get(name, "") for name in ("run", "fleet", "section"))
        about = RunFilter(runs=frozenset({run})) if RUN_ID.fullmatch(run) else RunFilter(fleet=fleet[:12])

        async def is_over() -> bool:
            return await self._sign_in.session(request) is None

        return news.stream(workspace, section if section in SUBJECTS else about, is_over)

    async def _signed_in(self, request: Request) -> tuple[WebSession, Workspace | None]:
        """Return the session, and the workspace of its tenant; None if nobody is signed in, or not any more."""
        session = await self._sign_in.session(request)
        tenant = self._sign_in.tenant_of(session) if session else None
        return session or WebSession(""), self._workspace_of(tenant) if tenant else None

    def _workspace_of(self, tenant: Tenant) -> Workspace:
        known = self._workspaces.get(tenant.name)
        if known is None or known.tenant is not tenant:
            known = self._workspaces[tenant.name] = Workspace(tenant, asyncio.get_running_loop())
        return known

    async def _to_login(self, request: Request) -> Response:
        if PART_HEADER in request.headers:
            return PlainTextResponse("This page is only for people who are signed in.", 401, HEADERS)
        if request.method != "GET":
            return await self._sign_in.again(request)
        page_request = PageRequest(request, self._sessions, WebSession(""))
        query = f"?{request.url.query}" if request.url.query else ""
        return page_request.redirect("/login", next=f"{request.scope['path']}{query}")


def _answer(view: View, page_request: PageRequest) -> Response:
    try:
        return view(page_request)
    except NotFound as error:
        said, back = error.args
        return page_request.error("Not found", said, status=404, back=back)
    except KosmoError as error:
        return page_request.failure(error)


def _not_found(page_request: PageRequest) -> Response:
    raise NotFound("There is no such page.", "/approvals")


async def _static(request: Request) -> Response:
    name = str(request.path_params["name"])
    return conditional(request, asset(name), tag) if (tag := asset_tag(name)) else asset(name)
