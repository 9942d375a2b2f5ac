"""The guides: hand-written pages that live in the package."""

from __future__ import annotations

from dataclasses import dataclass

from kosmolua.docs import markdown
from kosmolua.docs.page import Page

NAMES = ("overview", "accounts", "errors", "sandbox", "examples", "plugins", "mcp")
"""In the order in which to read them."""


@dataclass(frozen=True)
class GuidePage(Page):
    """A guide, which has the same text in every detail but the brief one.

    Args:
        topic: One of :data:`NAMES`.
    """

    topic: str

    @property
    def name(self) -> str:
        """The name that leads here."""
        return self.topic

    def full(self) -> str:
        """Return the Markdown of the guide, also from inside a zip."""
        from pkgutil import get_data

        data = get_data("kosmolua.docs", f"guides/{self.topic}.md")
        assert data is not None, f"the guide {self.topic} is not in the package"
        return data.decode().strip()

    types = signatures = full

    def brief(self) -> str:
        """Return the first paragraph and the headings."""
        document = markdown.read(self.full())
        headings = "\n".join(f"- {heading}" for heading in document.sections)
        return f"# {document.title}\n\n{self.summary}\n\n{headings}"

    @property
    def summary(self) -> str:
        """The first paragraph on one line."""
        introduction = markdown.read(self.full()).introduction
        return " ".join(introduction.partition("\n\n")[0].split())
