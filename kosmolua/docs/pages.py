"""Pages of the documentation, in four degrees of detail; a budget selects the fullest that fits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from kosmolua.docs import markdown
from kosmolua.schema.names import page_of

DETAILS = ("full", "types", "signatures", "brief")
"""The degrees of detail, from the fullest to the briefest."""
DEFAULT_DETAIL = "full"

MIN_BUDGET = 400
_LEFT_OUT = {
    "condensed": "examples and descriptions of parameters are left out",
    "outlined": "types, examples and descriptions of parameters are left out",
    "types": "prose and examples are left out",
    "signatures": "descriptions, prose and examples are left out",
    "brief": "everything but a line for each part is left out",
}


@dataclass(frozen=True)
class Address:
    """The address of a reference page; ``str`` gives its name, such as ``integrations.render2.list_services``."""

    integration: str
    function: str | None = None
    section: str | None = None
    record: str | None = None

    def __str__(self) -> str:
        record = f"types.{self.record}" if self.record else None
        return page_of(self.integration, *filter(None, [self.function, self.section, record]))


class Page(ABC):
    """A page of the documentation, which can be written in several degrees of detail."""

    poorer: tuple[str, ...] = DETAILS[1:]
    """The methods that return shorter forms of the page, the fullest form first. A budget chooses among them."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name with which the page is requested."""

    @property
    def smaller(self) -> str:
        """The pattern of the names of the pages of its parts, ``integrations.render2.FUNCTION``; empty if there are
        none.
        """
        return ""

    @abstractmethod
    def full(self) -> str:
        """Return the whole page as Markdown."""

    def types(self) -> str:
        """Return the page with only the LuaCATS declarations of its functions; by default, the whole page."""
        return self.full()

    def signatures(self) -> str:
        """Return a line for each function: the signature with types, and the summary; by default, the whole page."""
        return self.full()

    def brief(self) -> str:
        """Return a line for each function: the name and the summary; by default, the whole page."""
        return self.full()

    def write(self, detail: str, budget: int | None = None) -> str:
        """Return the page in one of :data:`DETAILS`, or in the fullest shorter form that fits into ``budget``.

        If something is left out, the last line says what, and how to read it. A budget is at least :data:`MIN_BUDGET`.
        """
        whole = self._in(detail)
        if budget is None or len(whole) <= budget:
            return whole
        how = self._how_to_get_it(detail, whole)
        for poorer in self.poorer if detail == DEFAULT_DETAIL else DETAILS[DETAILS.index(detail) + 1 :]:
            text = f"{self._in(poorer)}\n\n({_LEFT_OUT[poorer].capitalize()}: {how})"
            if len(text) <= budget:
                return text
        return _cut(self._in("brief"), how, budget)

    def _in(self, detail: str) -> str:
        text: str = getattr(self, detail)()
        return text

    def _how_to_get_it(self, detail: str, whole: str) -> str:
        part = f"read {self.smaller} for one part, or " if self.smaller else ""
        return f"{part}read {self.name} with detail {detail} and a budget of {len(whole)}"


def _cut(text: str, how: str, budget: int) -> str:
    total = text.count("\n") + 1
    room = budget - len(_note(total, total, how))
    kept = text[: max(room, 0)].rpartition("\n")[0]
    return (kept + _note(total - kept.count("\n") - 1, total, how))[:budget]


def _note(left_out: int, total: int, how: str) -> str:
    return f"\n\n({left_out:,} of {total:,} lines are left out: {how})"


@dataclass(frozen=True)
class SeveralPages(Page):
    """Several pages, one after another, in the order in which they were requested."""

    pages: Sequence[Page]

    @property
    def name(self) -> str:
        return ", ".join(page.name for page in self.pages)

    @property
    def smaller(self) -> str:
        """The name of the first page, as an example of a page to read alone."""
        return self.pages[0].name

    def full(self) -> str:
        return self._in("full")

    def _in(self, detail: str) -> str:
        return "\n\n".join(page._in(detail) for page in self.pages)


_FOR_AGENTS = ("overview", "accounts", "errors", "sandbox", "examples", "recordings", "mcp", "fleets")
FOR_PEOPLE = (
    "cli",
    "repl",
    "python",
    "journal",
    "plugins",
    "plugin_requests",
    "plugin_writes",
    "plugin_names",
    "openapi",
    "servers",
    "flow",
    "serving",
    "schedules",
    "telemetry",
)
"""The guides that neither a script nor an agent needs."""
NAMES = (*_FOR_AGENTS, *FOR_PEOPLE)
"""The guides, in the order in which to read them."""
_SECTIONS_FOR_SCRIPTS = {
    "accounts": ("Choose an account in a script",),
    "sandbox": ("Libraries that a script can use", "Calls in parallel", "What is missing: files, network, require"),
}
"""The sections that scripts need, in guides that also have sections for people."""


@dataclass(frozen=True)
class GuidePage(Page):
    """A guide, one of :data:`NAMES`: the same in every degree of detail except ``brief``."""

    topic: str
    for_scripts: bool = False

    @property
    def name(self) -> str:
        return self.topic

    def full(self) -> str:
        """Return the guide, with ``for_scripts`` without the sections that only people need."""
        text = self._text()
        wanted = _SECTIONS_FOR_SCRIPTS.get(self.topic)
        if not self.for_scripts or wanted is None:
            return text
        document = markdown.read(text)
        sections = [f"## {heading}\n\n{document.sections[heading]}" for heading in wanted]
        return "\n\n".join([f"# {document.title}", document.introduction, *sections])

    def brief(self) -> str:
        """Return the title, the first paragraph and the headings."""
        document = markdown.read(self.full())
        headings = "\n".join(f"- {heading}" for heading in document.sections)
        return f"# {document.title}\n\n{self.summary}\n\n{headings}"

    @property
    def summary(self) -> str:
        """The first paragraph of the guide, on one line."""
        introduction = markdown.read(self._text()).introduction
        return " ".join(introduction.partition("\n\n")[0].split())

    def _text(self) -> str:
        """Return the whole text, which may lie inside a zip file."""
        from pkgutil import get_data

        data = get_data("kosmolua.docs", f"guides/{self.topic}.md")
        assert data is not None, f"the guide {self.topic} is not in the package"
        return data.decode().strip()
