"""The documentation on the website: the pages, the list of all pages, and the search."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from kosmolua.docs.pages import NAMES
from kosmolua.errors import BadDocArguments, DocNotFound
from kosmolua.schema.names import page_of
from kosmolua.serve.pages.markup import Prose, Resolve
from kosmolua.serve.pages.page_request import PageRequest

MAX_HITS = 20
MAX_PAGE = 60_000
"""The characters of a page beyond which its functions are only listed."""
FUNCTIONS, NEXT = "\n## Functions\n", "\n## "
MAX_RENDERED = 100
"""How many pages are kept as HTML."""
_PATH = re.compile(r"(?:app\.)?((?:integrations|mcp|scripts)\.[A-Za-z0-9_.]+)")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def index(request: PageRequest) -> Response:
    """Return the page that lists all documentation. If the URL has a query, list the results of the search instead."""
    query = request.asked("q").strip()
    if not query:
        return _shown(request, "", request.own.runtime.docs.list())
    try:
        hits = request.own.runtime.docs.find(query, limit=MAX_HITS)
    except BadDocArguments:
        hits = ()
    return _page(request, None, query=query, hits=hits)


def page(request: PageRequest) -> Response:
    """Return the page of the documentation that the URL names. If there is none, return a page that says so."""
    name = str(request.request.path_params["page"])
    try:
        text = request.own.runtime.docs.read(name)
    except DocNotFound as error:
        likely = tuple(re.findall(r"'([^']+)'", error.hint or ""))
        return request.error("Not found", error.what, status=404, back="/docs", links=likely)
    return _shown(request, name, text)


def _shown(request: PageRequest, name: str, text: str) -> Response:
    catalog = request.own.runtime.catalog
    pages = {page_of(each): each for each in catalog.names()}
    around = next((each for each in pages if name == each or name.startswith(f"{each}.")), None)
    functions = frozenset(catalog.integration(pages[around]).functions) if around else frozenset[str]()
    prose = _rendered(name, _beginning(text), request.root, frozenset(pages), around, functions)
    return _page(request, name, is_kept=True, body=prose.html, headings=prose.headings)


def _beginning(text: str) -> str:
    """Return a page or, if it is long and describes functions one by one, what comes before their descriptions."""
    head, mark, rest = text.partition(FUNCTIONS)
    if len(text) <= MAX_PAGE or not mark:
        return text
    return f"{head}{mark}Each function has a page of its own.\n{rest.partition(NEXT)[0]}"


@lru_cache(maxsize=MAX_RENDERED)
def _rendered(
    name: str,
    text: str,
    root: str,
    integrations: frozenset[str],
    around: str | None,
    functions: frozenset[str],
) -> Prose:
    return Prose(text, _resolver(name, root, integrations, around, functions), f"{root}/playground")


def _page(request: PageRequest, name: str | None, **shown: Any) -> Response:
    frame: dict[str, Any] = {"query": "", "hits": (), "body": "", "headings": (), "page": name, "title": name or "Docs"}
    listed = {"guides": NAMES, "integrations": [page_of(each) for each in request.own.runtime.catalog.names()]}
    return request.page("docs.html", "docs", parts=("found",), **{**frame, **listed, **shown})


def _resolver(
    name: str, root: str, integrations: frozenset[str], around: str | None, functions: frozenset[str]
) -> Resolve:
    """Return a function that finds the page about a name in code. It returns the URL of the page, or None.

    The returned function knows the names of pages, paths such as ``app.integrations.render2``, and the ``functions`` of
    the integration ``around``, to which the current page belongs. A name in capitals stands for others.
    """

    def resolve(word: str) -> str | None:
        path = _PATH.fullmatch(word) if not word.rpartition(".")[2].isupper() else None
        if word in NAMES:
            return f"{root}/docs/{word}"
        if path and any(path[1] == each or path[1].startswith(f"{each}.") for each in integrations):
            return f"{root}/docs/{quote(path[1])}" if path[1] != name else None
        return f"{root}/docs/{around}.{word}" if around and word in functions else None

    return resolve
