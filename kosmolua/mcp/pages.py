"""The documentation as resources: one URI a page."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote

from mcp_types import Resource, ResourceTemplate, TextResourceContents

from kosmolua.docs import guide
from kosmolua.errors import DocNotFound
from kosmolua.paths import page_of
from kosmolua.runtime import Runtime

PREFIX = "kosmolua://docs/"
MARKDOWN = "text/markdown"
TEMPLATE = ResourceTemplate(
    uri_template=f"{PREFIX}{{page}}",
    name="docs",
    description="A page of the documentation: a guide, integrations.NAME or integrations.NAME.FUNCTION.",
    mime_type=MARKDOWN,
)


def resources(runtime: Runtime) -> list[Resource]:
    """Return the guides and the integrations; the functions' pages are found by the template."""
    integrations = map(page_of, runtime.catalog.names())
    return list(_listed([*guide.NAMES, *integrations]))


def read(runtime: Runtime, uri: str) -> TextResourceContents:
    """Return a page.

    Raises:
        DocNotFound: No page has this URI. The hint names the likeliest.
        PluginError: The integration cannot be loaded.
    """
    if not uri.startswith(PREFIX):
        raise DocNotFound(f"There is no resource {uri[:80]!r}", hint=f"pages are at {TEMPLATE.uri_template}")
    text = runtime.docs.read(unquote(uri.removeprefix(PREFIX)))
    return TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)


def _listed(pages: Iterable[str]) -> Iterable[Resource]:
    for page in pages:
        about = guide.GuidePage(page).summary if page in guide.NAMES else None
        yield Resource(uri=PREFIX + quote(page), name=page, description=about, mime_type=MARKDOWN)
