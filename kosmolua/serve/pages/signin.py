"""Signing in with a tenant's token or at an OpenID Connect provider, signing out, and the cookies for this."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from time import time
from typing import Literal
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kosmolua.errors import KosmoError
from kosmolua.secret import Secret
from kosmolua.serve.pages.oidc import Begun, OidcLogin
from kosmolua.serve.pages.page_request import PageRequest, form_of, is_local, is_own, is_same_origin, telling
from kosmolua.serve.pages.sessions import MAX_AGE, Sessions, WebSession
from kosmolua.serve.signed_texts import SignedTexts
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenants import Tenants
from kosmolua.serve.tokens import TenantTokens, claims_of, may_be_signed

COOKIE, LOGIN_COOKIE = "kosmolua", "kosmolua_login"
"""The names of two cookies: that of the session, and that of a sign-in that has begun at a provider."""
OPEN, SIGNED, PROVIDED = "open", "signed", "provided"
"""The marks of sessions that began without a token, with a signed token, or with a token from a provider."""
MAX_LOGIN_AGE = 600
"""Seconds that a person has to sign in at a provider."""
WRONG_TOKEN_SECONDS = 0.5
"""Seconds by which the answer to a wrong token is delayed."""


class SignIn:
    """Signs people in to the website and out of it, and finds out who is signed in."""

    def __init__(self, tenants: Tenants, sessions: Sessions) -> None:
        self._tenants = tenants
        self._sessions = sessions
        self._begun = SignedTexts(tenants.key, "login", Begun, MAX_LOGIN_AGE)
        self._login: OidcLogin | None = None

    def routes(self) -> list[BaseRoute]:
        """Return the routes for signing in and out."""
        return [
            Route("/login", telling(self._sign_in, self._sessions), methods=["GET", "POST"]),
            Route("/login/provider", self._leave, methods=["GET"]),
            Route("/login/provider/done", telling(self._return, self._sessions), methods=["GET"]),
            Route("/logout", telling(self._sign_out, self._sessions), methods=["POST"]),
        ]

    async def session(self, request: Request) -> WebSession | None:
        """Return the session in the cookie of a request, or None if there is no valid session.

        Raises:
            ConfigError: The stores, which know the sessions that have ended, cannot be reached.
        """
        cookie = request.cookies.get(_name(request, COOKIE))
        return await run_in_threadpool(self._sessions.read, cookie) if cookie else None

    def tenant_of(self, session: WebSession) -> Tenant | None:
        """Return the tenant of a session, or None if the tenant no longer accepts the token that began the session."""
        tenant = self._tenants.get(session.tenant)
        return tenant if tenant and session.mark in self._marks_of(tenant) else None

    def _marks_of(self, tenant: Tenant) -> list[str]:
        """Return a tenant's valid :attr:`WebSession.mark` values: keyed hashes of tokens, and words for other ways."""
        marks = tenant.tokens.marks(self._tenants.key)
        marks += [SIGNED] if tenant.settings.jwt else []
        marks += [PROVIDED] if tenant.settings.jwt and self._tenants.settings.oidc else []
        return [*marks, OPEN] if tenant is self._tenants.open_tenant else marks

    def _mark_of(self, tenant: Tenant, token: bytes) -> tuple[str, float]:
        """Return the :attr:`WebSession.mark` that ties a session to its token or way of signing in, and when it has to
        end.
        """
        if tenant.tokens.accept(token):
            return TenantTokens([Secret(token.decode())]).marks(self._tenants.key)[0], 0.0
        if tenant.settings.jwt and may_be_signed(token):
            return SIGNED, float(claims_of(token)["exp"])
        return OPEN, 0.0

    async def _sign_in(self, request: Request) -> Response:
        session = await self.session(request)
        if session and self.tenant_of(session):
            return PageRequest(request, self._sessions, session).redirect("/approvals")
        if request.method == "GET":
            return self._page(request)
        form, lists = await form_of(request)
        if session is None:
            return self._page(request, "The form was too old. Sign in again.", status=400)
        page_request = PageRequest(request, self._sessions, session, form, lists)
        if not is_own(page_request):
            return page_request.refusal()
        token = form.get("token", "").strip().encode("utf-8", "surrogatepass")
        tenant = await self._tenants.authenticate(token)
        if tenant is None:
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
            return self._page(request, "No tenant has this token.", status=401)
        following = form.get("next", "")
        answer = page_request.redirect(following if is_local(following) else "/approvals")
        return await self._begin(request, answer, tenant, *self._mark_of(tenant, token), tenant.person_of(token))

    async def again(self, request: Request) -> Response:
        """Answer a form whose session has ended: nothing is done, and a script in it is shown, so that it is not lost.

        After the sign-in, the page is shown that had the form.
        """
        sent, _ = await form_of(request) if is_same_origin(request) else ({}, {})
        came_from = urlsplit(request.headers.get("referer", ""))
        path = came_from.path.removeprefix(PageRequest(request, self._sessions, WebSession("")).root)
        following = f"{path}?{came_from.query}" if came_from.query else path
        problem = "Your session has ended, and nothing was done."
        return self._page(request, problem, status=401, following=following, kept=sent.get("source", ""))

    async def _sign_out(self, request: Request) -> Response:
        session = await self.session(request)
        form, lists = await form_of(request)
        page_request = PageRequest(request, self._sessions, session or WebSession(""), form, lists)
        if session and not is_own(page_request):
            return page_request.refusal()
        if session:
            await run_in_threadpool(self._sessions.end, session)
            if tenant := self._tenants.get(session.tenant):
                await run_in_threadpool(tenant.signed_in.forget, session.id)
        answer = page_request.redirect("/login")
        _set_cookie(request, answer, COOKIE, "", 0)
        return answer

    async def _leave(self, request: Request) -> Response:
        """Begin a sign-in at the OpenID Connect provider: redirect the person to the provider."""
        login = self._provider()
        if login is None:
            return self._page(request, "This server does not use a provider for signing in.", status=404)
        following = request.query_params.get("next", "")
        following = following if is_local(following) else "/approvals"
        try:
            begun, address = await run_in_threadpool(login.begin, _back(request), following)
        except KosmoError as error:
            return self._page(request, error.what, status=502)
        answer = Response(status_code=303, headers={"Location": address, "Cache-Control": "no-store"})
        _set_cookie(request, answer, LOGIN_COOKIE, self._begun.sign(begun), MAX_LOGIN_AGE, site="lax")
        return answer

    async def _return(self, request: Request) -> Response:
        """Complete a sign-in that the provider sends back, once, and only in the browser in which it began."""
        login, begun = self._provider(), self._begun.read(request.cookies.get(_name(request, LOGIN_COOKIE), ""))
        if login is None or begun is None:
            return self._page(
                request, "The sign-in took too long, or began in a different browser. Sign in again.", status=400
            )
        try:
            token = await run_in_threadpool(login.finish, begun, _back(request), dict(request.query_params))
        except KosmoError as error:
            return self._page(request, error.what, status=401)
        tenant = await self._tenants.authenticate(token) if may_be_signed(token) else None
        if tenant is None or tenant is self._tenants.open_tenant or not login.is_answer(begun, claims_of(token)):
            return self._page(
                request,
                "The provider has signed you in, but its token is not valid for any tenant of this server.",
                status=401,
            )
        page_request = PageRequest(request, self._sessions, WebSession(""))
        answer = page_request.page("signed_in.html", following=page_request.root + begun.following)
        _set_cookie(request, answer, LOGIN_COOKIE, "", 0, site="lax")
        return await self._begin(request, answer, tenant, PROVIDED, 0.0, tenant.person_of(token))

    async def _begin(
        self, request: Request, answer: Response, tenant: Tenant, mark: str, until: float, person: str
    ) -> Response:
        session, cookie = self._sessions.begin(tenant.name, mark, until, person, tenant.approvals.sub_of(person))
        seconds = min(MAX_AGE, until - time()) if until else MAX_AGE
        await run_in_threadpool(tenant.signed_in.begin, session.id, seconds)
        _set_cookie(request, answer, COOKIE, cookie, MAX_AGE)
        return answer

    def _page(
        self, request: Request, problem: str = "", *, status: int = 200, following: str = "", kept: str = ""
    ) -> Response:
        """Return the sign-in page, with a new session. The form on the page has the form token of this session.

        ``kept`` is a script that was not saved.
        """
        session, cookie = self._sessions.begin()
        page_request = PageRequest(request, self._sessions, session)
        following, provider = following or page_request.asked("next"), self._tenants.settings.oidc
        answer = page_request.page(
            "login.html",
            status=status,
            problem=problem,
            next=following if is_local(following) else "",
            needs_token=self._tenants.open_tenant is None,
            provider=urlsplit(provider.issuer).hostname if provider else "",
            kept=kept,
        )
        _set_cookie(request, answer, COOKIE, cookie, MAX_AGE)
        return answer

    def _provider(self) -> OidcLogin | None:
        """Return the object that signs people in at the provider, or None if the settings name no provider."""
        provider = self._tenants.settings.oidc
        if provider is None:
            return None
        if self._login is None or self._login.provider != provider:
            self._login = OidcLogin(provider, self._tenants.credentials.client_secret)
        return self._login


def _back(request: Request) -> str:
    """Return the URL of this server to which the provider sends people back after they have signed in."""
    scheme = "https" if _is_public(request) else "http"
    root = str(request.scope.get("root_path", "")).rstrip("/")
    return f"{scheme}://{request.headers['host']}{root}/login/provider/done"


def _is_public(request: Request) -> bool:
    """Return True if cookies can be secure: the request came over TLS, or for a host name that is not a loopback name.

    For such a host name, a proxy in front of this server is expected to use TLS. A browser that uses a loopback name
    without TLS drops secure cookies.
    """
    if request.url.scheme == "https":
        return True
    try:
        name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        return name != "localhost" and not ip_address(name).is_loopback
    except ValueError:
        return True


def _name(request: Request, cookie: str) -> str:
    """Return a cookie's name, with ``__Host-`` if it can be secure: over TLS and from this very host."""
    return f"__Host-{cookie}" if _is_public(request) else cookie


def _set_cookie(
    request: Request, answer: Response, cookie: str, value: str, age: int, site: Literal["strict", "lax"] = "strict"
) -> None:
    """Set a cookie in an answer."""
    name, is_secure = _name(request, cookie), _is_public(request)
    answer.set_cookie(name, value, max_age=age, httponly=True, secure=is_secure, samesite=site)
