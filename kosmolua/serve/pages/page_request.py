"""Requests that people make to the website, with session, tenant and form; and the answers to these requests."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kosmolua.errors import ConfigError, KosmoError
from kosmolua.limits import whole_number
from kosmolua.serve.pages.rendering import HEADERS, advice, asset_path, render
from kosmolua.serve.pages.sessions import Sessions, WebSession
from kosmolua.serve.pages.workspace import Workspace
from kosmolua.serve.tenant import Voter

SECTIONS = (
    ("approvals", "Inbox"),
    ("runs", "Runs"),
    ("fleets", "Fleets"),
    ("plans", "Plans"),
    ("schedules", "Schedules"),
    ("playground", "Playground"),
    ("catalogue", "Catalogue"),
    ("accounts", "Accounts"),
    ("insights", "Insights"),
    ("docs", "Docs"),
)
"""The sections of the website, each with its title, in the order of the navigation."""
SOMEBODY = "a person on the page"
MAX_FORM = 1 << 20
"""The maximum size of a field of a form, in bytes."""
_TOKEN = re.compile(rb'name="token_of_form" value="[0-9a-f]+"')
"""What differs between two answers with the same page."""
PART_HEADER = "x-part"
"""The header of a request for only one block of a page. The browser replaces this block in the page that it shows."""


class NotFound(Exception):
    """Raised by a view for what is not there: a sentence, and the path that the button "Back" leads to."""


@dataclass(frozen=True)
class PageRequest:
    """A person's request to the website, with everything that is needed to answer it.

    ``form`` has the last value of each field of the form, and ``lists`` all values. ``workspace`` is None if the person
    is not signed in.
    """

    request: Request
    sessions: Sessions
    session: WebSession
    form: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    workspace: Workspace | None = None

    @property
    def own(self) -> Workspace:
        """The data of the person's tenant, and the actions that people can take. The person must be signed in."""
        assert self.workspace, "only pages for people who are signed in have a workspace"
        return self.workspace

    @property
    def person(self) -> str:
        """The name of the person, or a phrase in place of it, for the journal."""
        return self.session.person or SOMEBODY

    @property
    def voter(self) -> Voter:
        """The person among those who have to approve a call."""
        return self.session.person, self.session.sub

    @property
    def root(self) -> str:
        """The path below which a proxy serves the website; empty if the website is served at the root."""
        return str(self.request.scope.get("root_path", "")).rstrip("/")

    @property
    def part(self) -> str | None:
        """The name of the block of the template that the browser requests; None if it requests the whole page.

        A block is a part of the page that the website's script can replace.
        """
        return self.request.headers.get(PART_HEADER)

    @property
    def start(self) -> int:
        """From which entry on a list is shown, by the parameter ``from`` of the URL's query."""
        return whole_number(self.asked("from")) or 0

    def page_from(self, first: int, without: Collection[str] = ()) -> str:
        """Return the URL of the same list from another entry on, relative to this one, without some parameters."""
        given = self.request.query_params.items()
        kept = {name: value for name, value in given if value and name not in ("from", *without)}
        kept |= {"from": str(first)} if first > 0 else {}
        return f"?{urlencode(kept)}"

    def asked(self, name: str) -> str:
        """Return a parameter of the URL's query, or an empty string if the query has no such parameter."""
        return str(self.request.query_params.get(name, ""))[:1000]

    def page(
        self,
        template: str,
        section: str = "",
        *,
        parts: tuple[str, ...] = (),
        status: int = 200,
        nonce: str = "",
        is_kept: bool = False,
        **shown: Any,
    ) -> Response:
        """Render a page, or only the block that the browser requests, and return the answer.

        The navigation highlights ``section``. A browser can request the blocks ``parts``; any other request gets the
        whole page. ``shown`` are the variables of the template. Styles that a script adds need the ``nonce``.
        Browsers keep a page with ``is_kept``, and ask whether it has changed before they show it again.
        """
        part = self.part if self.part in parts else None
        frame = self._frame(section, is_whole=part is None)
        answer = render(template, {**frame, "nonce": nonce, **shown}, part=part, status=status, nonce=nonce)
        if is_kept:
            answer.headers["Cache-Control"] = "private, no-cache"
        if nonce or status != 200:
            return answer
        known = sha256(_TOKEN.sub(b"", bytes(answer.body)) + self.session.id.encode()).hexdigest()
        return conditional(self.request, answer, f'W/"{known[:20]}"')

    def error(
        self,
        title: str,
        message: str,
        *,
        status: int,
        hint: str = "",
        back: str = "/approvals",
        links: tuple[str, ...] = (),
        retry: tuple[str, str, str] | None = None,
        **shown: Any,
    ) -> Response:
        """Return a page that says what happened, and what the person can do.

        The button "Back" leads to the path ``back``, if there is one. ``links`` are pages of the documentation that may
        have been meant. ``retry`` is a button that does it all the same: its words, its path, and the field that it
        sets to ``yes``.
        """
        told: dict[str, Any] = {
            "title": title,
            "message": message,
            "hint": hint,
            "back": back and self.root + back,
            "links": links,
            "retry": retry,
        }
        return self.page("error.html", status=status, **told, **shown)

    def failure(self, error: KosmoError, back: str = "/approvals") -> Response:
        """Return a page about an error that ended the request."""
        return self.error("The request failed", error.what, hint=advice(error), status=409, back=back)

    def refusal(self) -> Response:
        """Return the answer that refuses a form which does not belong to the person's session."""
        return self.error(
            "Refused",
            "This form is too old, or does not come from this website. Go back, reload the page and try again.",
            status=403,
        )

    def redirect(self, path: str, **query: str) -> Response:
        """Return an answer that redirects to a page of the website, at a path relative to its root."""
        address = f"{self.root}{path}{'?' if query else ''}{urlencode(query)}"
        return RedirectResponse(address, 303, {**HEADERS, "Cache-Control": "no-store"})

    def _frame(self, section: str, *, is_whole: bool) -> dict[str, Any]:
        """Return the variables that every template needs."""
        return {
            "form_token": self._form_token,
            "root": self.root,
            "section": section,
            "sections": SECTIONS,
            "static": lambda name: self.root + asset_path(name),
            "tenant": self.workspace.tenant.name if self.workspace else "",
            "waiting_count": self._count_waiting() if is_whole else 0,
        }

    def _count_waiting(self) -> int:
        try:
            return self.workspace.urgent() if self.workspace else 0
        except ConfigError:  # the store cannot be reached now; a page that needs it reports that
            return 0

    def _form_token(self) -> Markup:
        return Markup('<input type="hidden" name="token_of_form" value="{}">').format(
            self.sessions.form_token(self.session)
        )


def conditional(request: Request, answer: Response, tag: str) -> Response:
    """Return an answer with an ETag, or status 304 without a body if the client has it already."""
    answer.headers["ETag"] = tag
    if request.method != "GET" or tag not in request.headers.get("if-none-match", ""):
        return answer
    kept = {name: value for name, value in answer.headers.items() if name not in ("content-length", "content-type")}
    return Response(status_code=304, headers=kept)


View = Callable[[PageRequest], Response]
"""A function that answers a person's request. It is called in a separate thread, so it can block."""


def telling(endpoint: Callable[[Request], Awaitable[Response]], sessions: Sessions) -> Callable[..., Any]:
    """Return an endpoint that answers with a page about the error if the store of the sessions cannot be reached."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ConfigError as error:
            return PageRequest(request, sessions, WebSession("")).failure(error)

    return answer


def is_local(path: str) -> bool:
    """Return True if a redirect to this path stays on this website."""
    parts = urlsplit(path)
    return path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc


def is_own(asked: PageRequest) -> bool:
    """Return True if a form has the form token of the person's session, and was not sent from another website."""
    return is_same_origin(asked.request) and asked.sessions.is_own_form(asked.session, asked.form)


def is_same_origin(request: Request) -> bool:
    """Return False if the headers say that the request was made by a page of another website."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def form_of(request: Request) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the last value of each field of a form, and all its values. Files in the form are ignored."""
    if request.method != "POST":
        return {}, {}
    async with request.form(max_files=0, max_part_size=MAX_FORM) as form:
        given: list[tuple[str, Any]] = form.multi_items()
    lists: dict[str, list[str]] = {}
    for name, value in given:
        if isinstance(value, str):
            lists.setdefault(name, []).append(value)
    return {name: values[-1] for name, values in lists.items()}, lists
