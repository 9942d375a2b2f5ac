"""The site: its addresses, and what holds for all of them: sign-in, form tokens and headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from kosmolua.errors import KosmoError
from kosmolua.secret import Secret
from kosmolua.serve.pages import accounts, approvals, docs, playground, runs, usage
from kosmolua.serve.pages.rendering import HEADERS, asset
from kosmolua.serve.pages.sessions import MAX_AGE, Session, Sessions
from kosmolua.serve.pages.visits import PART_HEADER, View, Visit, is_local
from kosmolua.serve.pages.workspace import Workspace
from kosmolua.serve.tenants import Tenant, Tenants
from kosmolua.serve.tokens import Tokens, expiry_of, may_be_signed

COOKIE, SECURE_COOKIE = "kosmolua", "__Host-kosmolua"
"""The cookie of a session, on loopback and elsewhere."""
OPEN, SIGNED = "open", "signed"
"""The marks of sessions that no token of a tenant's own began: none is needed, or an issuer signed it."""
MAX_FORM = 1 << 20
"""Bytes of a form."""
WRONG_TOKEN_SECONDS = 0.5
"""Seconds that the answer to a wrong token takes."""
GUESTS = ("/login",)
"""What a browser sees without a session."""
_ADDRESSES: tuple[tuple[str, str, View], ...] = (
    ("GET", "/approvals", approvals.waiting),
    ("GET", "/approvals/count", approvals.count),
    ("POST", "/approvals", approvals.decide),
    ("GET", "/runs", runs.listed),
    ("GET", "/runs/{run}", runs.shown),
    ("GET", "/runs/{run}/output", runs.output),
    ("POST", "/runs/{run}/replay", runs.replayed),
    ("POST", "/runs/{run}/resume", runs.resumed),
    ("GET", "/docs", docs.index),
    ("GET", "/docs/{page:path}", docs.page),
    ("GET", "/playground", playground.opened),
    ("POST", "/playground", playground.used),
    ("POST", "/playground/check", playground.checked),
    ("POST", "/playground/run", playground.run),
    ("GET", "/accounts", accounts.listed),
    ("POST", "/accounts/revoke", accounts.revoked),
    ("GET", "/usage", usage.shown),
)


class Site:
    """The page for people, for any number of tenants.

    Args:
        tenants: Who is served.
    """

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants
        self._sessions = Sessions(tenants.key)
        self._workspaces: dict[str, Workspace] = {}

    def routes(self) -> list[BaseRoute]:
        """Return the addresses, the last of which takes all that no other did."""
        pages = [Route(path, self._endpoint(view), methods=[method]) for method, path, view in _ADDRESSES]
        return [
            Route("/static/{name}", _static, methods=["GET"]),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/", self._endpoint(lambda visit: visit.redirect("/approvals")), methods=["GET"]),
            *pages,
            Route("/{rest:path}", self._endpoint(_not_found), methods=["GET"]),
        ]

    def _endpoint(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            session = self._session(request)
            workspace = self._workspace(session) if session else None
            if session is None or workspace is None:
                return self._to_login(request)
            form, lists = await _form(request)
            visit = Visit(request, self._sessions, session, form, lists, workspace)
            if request.method == "POST" and not self._is_own(visit):
                return visit.error("Refused", "This form was not made by this page, or is too old.", status=403)
            return await run_in_threadpool(_answer, view, visit)

        return answer

    def _session(self, request: Request) -> Session | None:
        cookie = request.cookies.get(SECURE_COOKIE if _is_public(request) else COOKIE)
        return self._sessions.read(cookie) if cookie else None

    def _workspace(self, session: Session) -> Workspace | None:
        """Return the workspace of a session, as long as what began it is accepted."""
        tenant = self._tenants.get(session.tenant)
        if tenant is None or session.mark not in self._marks_of(tenant):
            return None
        known = self._workspaces.get(tenant.name)
        if known is None or known.tenant is not tenant:
            known = self._workspaces[tenant.name] = Workspace(tenant, asyncio.get_running_loop())
        return known

    def _mark_of(self, tenant: Tenant, token: bytes) -> tuple[str, float]:
        """Return what a session remembers of the token that began it, and until when it lasts."""
        if tenant.tokens.accept(token):
            return Tokens([Secret(token.decode())]).marks(self._tenants.key)[0], 0.0
        if tenant.settings.jwt and may_be_signed(token):
            return SIGNED, expiry_of(token)
        return OPEN, 0.0

    def _marks_of(self, tenant: Tenant) -> list[str]:
        """Return what the sessions of a tenant may have been begun with."""
        marks = tenant.tokens.marks(self._tenants.key)
        marks += [SIGNED] if tenant.settings.jwt else []
        return [*marks, OPEN] if tenant is self._tenants.open_tenant else marks

    def _is_own(self, visit: Visit) -> bool:
        return is_same_origin(visit.request) and self._sessions.is_own_form(visit.session, visit.form)

    def _to_login(self, request: Request) -> Response:
        if request.method != "GET" or PART_HEADER in request.headers:
            return PlainTextResponse("Sign in first.", 401, HEADERS)
        visit = Visit(request, self._sessions, Session(""))
        query = f"?{request.url.query}" if request.url.query else ""
        return visit.redirect("/login", next=f"{request.scope['path']}{query}")

    async def _login(self, request: Request) -> Response:
        session = self._session(request)
        form, lists = await _form(request)
        if request.method == "GET" or session is None:
            problem = "The form was too old. Try again." if request.method == "POST" else ""
            return self._sign_in_page(request, problem, status=400 if problem else 200)
        visit = Visit(request, self._sessions, session, form, lists)
        if not self._is_own(visit):
            return visit.error("Refused", "This form was not made by this page, or is too old.", status=403)
        token = form.get("token", "").strip().encode("utf-8", "surrogatepass")
        tenant = await self._tenants.authenticate(token)
        if tenant is None:
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
            return self._sign_in_page(request, "No tenant has this token.", status=401)
        self._sessions.end(session)
        _, cookie = self._sessions.begin(tenant.name, *self._mark_of(tenant, token))
        following = form.get("next", "")
        answer = visit.redirect(following if is_local(following) else "/approvals")
        _set_cookie(request, answer, cookie)
        return answer

    def _sign_in_page(self, request: Request, problem: str, *, status: int) -> Response:
        session, cookie = self._sessions.begin()
        visit = Visit(request, self._sessions, session)
        following = visit.asked("next")
        answer = visit.page(
            "login.html",
            status=status,
            problem=problem,
            next=following if is_local(following) else "",
            needs_token=self._tenants.open_tenant is None,
        )
        _set_cookie(request, answer, cookie)
        return answer

    async def _logout(self, request: Request) -> Response:
        session = self._session(request)
        form, lists = await _form(request)
        visit = Visit(request, self._sessions, session or Session(""), form, lists)
        if session and not self._is_own(visit):
            return visit.error("Refused", "This form was not made by this page, or is too old.", status=403)
        if session:
            self._sessions.end(session)
        answer = visit.redirect("/login")
        is_public = _is_public(request)
        answer.delete_cookie(SECURE_COOKIE if is_public else COOKIE, secure=is_public, httponly=True, samesite="strict")
        return answer


def is_same_origin(request: Request) -> bool:
    """Return True unless a browser says that another site made the request."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def _answer(view: View, visit: Visit) -> Response:
    try:
        return view(visit)
    except KosmoError as error:
        return visit.error("That did not work", error.what, hint=error.hint or "", status=409)


def _not_found(visit: Visit) -> Response:
    return visit.error("Not found", "There is no such page.", status=404)


async def _static(request: Request) -> Response:
    return asset(str(request.path_params["name"]))


async def _form(request: Request) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the values of a form by name, the last of each and all of each; files are left out."""
    if request.method != "POST":
        return {}, {}
    async with request.form(max_files=0, max_part_size=MAX_FORM) as form:
        given: list[tuple[str, Any]] = form.multi_items()
    lists: dict[str, list[str]] = {}
    for name, value in given:
        if isinstance(value, str):
            lists.setdefault(name, []).append(value)
    return {name: values[-1] for name, values in lists.items()}, lists


def _is_public(request: Request) -> bool:
    """Return True unless the browser reaches this by a loopback name without TLS, where secure cookies are dropped."""
    if request.url.scheme == "https":
        return True
    try:
        name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        return name != "localhost" and not ip_address(name).is_loopback
    except ValueError:
        return True


def _set_cookie(request: Request, answer: Response, cookie: str) -> None:
    is_public = _is_public(request)
    answer.set_cookie(
        SECURE_COOKIE if is_public else COOKIE,
        cookie,
        max_age=MAX_AGE,
        httponly=True,
        secure=is_public,
        samesite="strict",
    )
