"""Finds a reference page by any of its names, and suggests similar pages if there is no such page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kosmolua.docs.meant import functions_meant
from kosmolua.docs.outline import Integrations, Outline, Outlines
from kosmolua.docs.pages import NAMES, Address
from kosmolua.docs.sections import SECTIONS, TYPES, in_sections, sections_of
from kosmolua.errors import CallError, DocNotFound, PluginError, UnknownPath
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import integration_in, parts_of
from kosmolua.suggestions import closest

MAX_SUGGESTIONS = 3
MAX_QUOTED_NAME = 80
MAX_PARTS = 2
"""The most parts of a page's name after the integration: an account, which need not exist, and a function."""


class Directory:
    """Finds the addresses of reference pages. Only the integration at the beginning of a name is loaded."""

    def __init__(self, catalog: Integrations, outlines: Outlines) -> None:
        self._catalog = catalog
        self._outlines = outlines

    def find(self, page: str) -> Address:
        """Return the address of a reference page.

        Args:
            page: The name of an integration (``render2``) or a function (``render2.list_services``). These forms are
                accepted too:

                - with ``integrations.`` or ``app.integrations.`` in front;
                - with an account, which need not exist (``render2.production.list_services``);
                - with the full name of a function, which begins with a prefix (``render2.render_list_services``);
                - only the name of a function, if just one integration has such a function;
                - a section (``hub.issues``, or ``hub.sections.issues`` if there is a function ``issues``), a type
                  (``hub.types.Issue``) or an operation (``hub GET /issues`` or ``hub issues/list``) of an OpenAPI
                  document.

        Raises:
            DocNotFound: No page has this name, or several pages have it. The hint names the likeliest pages, best
                first.
            CallError: The page is that of one of the user's scripts, and the script is broken.
            PluginError: The integration cannot be loaded.
        """
        page, _, key = page.strip().partition(" ")
        first, rest = integration_in(parts_of(page), self._catalog.names())
        try:
            integration = self._catalog.integration(first)
            if named := _named(integration, " ".join(filter(None, [".".join(rest), key]))):
                return Address(first, named)
            if key:
                meant = functions_meant(integration, key)  # the page is, for instance, 'hub GET /issue'
                raise _not_found(f"{page} {key}", [Address(first, each) for each in meant] or [Address(first)])
            if 0 < len(rest) <= MAX_PARTS and rest[0] != SECTIONS and (short := integration.short(rest[-1])):
                return Address(first, short)
        except UnknownPath:
            return self._elsewhere(page, first, rest) if rest else self._anywhere(page, first)
        if mistake := integration.broken.get(".".join(rest)):
            raise CallError(mistake.code, mistake.what, hint=mistake.hint)
        return self._whole(page, first, integration, rest)

    def _whole(self, page: str, name: str, integration: Integration, rest: Sequence[str]) -> Address:
        """Return the address of an integration, a section or a record."""
        if not rest or (len(rest) == 1 and rest[0] in ("default", *self._catalog.accounts(name))):
            return Address(name)
        kind, part = (rest[0], ".".join(rest[1:])) if len(rest) > 1 else (SECTIONS, rest[0])
        outline = in_sections(integration) if kind == SECTIONS else None
        if outline and part in sections_of(outline):
            return Address(name, section=part)
        more = integration.functions.more
        if kind == TYPES and more and more.record(part):
            return Address(name, record=part)
        meant = functions_meant(integration, rest[-1])
        raise _not_found(page, [Address(name, each) for each in meant] or [Address(name)])

    def _anywhere(self, page: str, word: str) -> Address:
        found = [Address(name, short) for name, outline in self._known() if (short := outline.find(word))]
        if len(found) == 1:
            return self.find(f"{found[0].integration}.{word}")
        if found:
            raise _ambiguous(word, found)
        raise _not_found(page, self._resembling(word))

    def _elsewhere(self, page: str, first: str, rest: Sequence[str]) -> Address:
        names = closest(first, self._catalog.names(), MAX_SUGGESTIONS)
        outlines = [(name, outline) for name, outline in self._known(names)]
        same = [Address(name, short) for name, outline in outlines if (short := outline.find(rest[-1]))]
        near = [address for name, outline in outlines for address in _resembling_in(name, outline, rest[-1])]
        pages = [*same, *near, *map(Address, names)]
        raise _not_found(page, pages or self._resembling(rest[-1]))

    def _resembling(self, word: str) -> list[Address | str]:
        pages: dict[str, Address | str] = {}
        for name, outline in self._known():
            pages |= _names_in(name, outline) | {name: Address(name)}
        pages |= {name: name for name in NAMES}
        return [pages[each] for each in closest(word, pages, MAX_SUGGESTIONS)]

    def _known(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, Outline]]:
        for name in self._catalog.names() if names is None else names:
            try:
                yield name, self._outlines.of(name)
            except PluginError:
                continue


def _named(integration: Integration, key: str) -> str | None:
    """Return the short name of the function for an operation of the service, or None."""
    more = integration.functions.more
    keys = (key, key.partition(".")[2]) if more else ()
    return next((named for each in keys if more and each and (named := more.named(each))), None)


def _names_in(name: str, outline: Outline) -> dict[str, Address]:
    pages = {short: Address(name, short) for short in outline.functions}
    return {sketch.full_name: pages[short] for short, sketch in outline.functions.items()} | pages


def _resembling_in(name: str, outline: Outline, word: str) -> list[Address]:
    pages = _names_in(name, outline)
    return list(dict.fromkeys(pages[each] for each in closest(word, pages, MAX_SUGGESTIONS)))


def _not_found(page: str, pages: Iterable[Address | str]) -> DocNotFound:
    likely = _quoted(pages)
    hint = f"did you mean {likely}?" if likely else "`kosmolua docs` and lua_list_docs() list the pages"
    return DocNotFound(f"There is no page {page[:MAX_QUOTED_NAME]!r}", hint=hint)


def _ambiguous(word: str, found: Sequence[Address]) -> DocNotFound:
    return DocNotFound(f"{len(found)} integrations have a function {word!r}", hint=f"read {_quoted(found)}")


def _quoted(pages: Iterable[Address | str]) -> str:
    distinct = list(dict.fromkeys(map(str, pages)))
    return " or ".join(f"'{page}'" for page in distinct[:MAX_SUGGESTIONS])
