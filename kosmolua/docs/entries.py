"""Entries: what a search looks through, drawn from guides, outlines and the Markdown beside plugins."""

from __future__ import annotations

from collections.abc import Iterator

from kosmolua.docs import guide, markdown
from kosmolua.docs.address import Address
from kosmolua.docs.guide import GuidePage
from kosmolua.docs.outline import Outline, Outlines
from kosmolua.docs.ranking import Entry
from kosmolua.docs.shelf import Shelf
from kosmolua.errors import PluginError


def entries_of(shelf: Shelf, outlines: Outlines) -> Iterator[Entry]:
    """Yield an entry for each guide, integration and function. An integration that cannot be loaded has none."""
    for name in guide.NAMES:
        yield _guide(GuidePage(name))
    for name in shelf.names():
        try:
            outline, prose = outlines.of(name), shelf.prose(name)
        except PluginError:
            continue
        yield from _integration(name, outline, prose or "")


def _guide(page: GuidePage) -> Entry:
    sections = markdown.read(page.full()).sections
    text = "\n\n".join(f"{heading}.\n{body}" for heading, body in sections.items())
    return Entry(page.name, f"{page.name} {' '.join(sections)}", page.summary, text)


def _integration(name: str, outline: Outline, markdown_text: str) -> Iterator[Entry]:
    document = markdown.read(markdown_text)
    written: dict[str | None, str] = {None: document.introduction}
    for heading, body in document.sections.items():
        about = outline.find(heading)
        written[about] = f"{written.get(about, '')}\n{body}"
    page = str(Address(name))
    yield Entry(page, f"{name} {document.title}", outline.about, written[None])
    for short, (full_name, _, summary, words) in outline.functions.items():
        prose = written.get(short, "")
        yield Entry(f"{page}.{short}", f"{name} {full_name}", summary, f"{words}\n{prose}")
