"""Renders Markdown as safe HTML, with highlighted code and with links to other pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from kosmolua.escaping import exposed

Resolve = Callable[[str], "str | None"]
"""A function from a name in code, such as the name of a function, to the URL of the page about it; or to None."""
LANGUAGES = {"lua", "python", "toml", "json", "sh", "console", "ini", "yaml"}
LONG_WORD = 24
_CODE = re.compile(r"`([^`]+)`")
_SIGN = re.compile(r"[._](?=\w)")
_HEADING = re.compile(r"<(/?)h[1-6]>")
_NO_LETTERS = re.compile(r"[^a-z0-9]+")


class Prose:
    """A Markdown text, rendered as HTML. HTML in it is shown as text.

    A name in code for which ``resolve`` returns a URL becomes a link. Blocks of Lua get a link to the ``playground``.
    ``html`` is safe to insert into a page. ``headings`` lists the anchor and the text of each heading of level two.
    """

    def __init__(self, text: str, resolve: Resolve, playground: str) -> None:
        self.headings: list[tuple[str, str]] = []
        reader = _reader()
        tokens = reader.parse(text)
        self._name_headings(tokens)
        rendered = _Renderer(resolve, playground).render(tokens, reader.options, {})
        self.html = Markup(rendered)

    def _name_headings(self, tokens: Sequence[Token]) -> None:
        used: set[str] = set()
        for token, inside in pairwise(tokens):
            if token.type != "heading_open":
                continue
            text = "".join(each.content for each in inside.children or ())
            anchor = _NO_LETTERS.sub("-", text.lower()).strip("-") or "part"
            while anchor in used or anchor in ("main", "found", "page"):
                anchor += "-"
            used.add(anchor)
            token.attrSet("id", anchor)
            if token.tag == "h2":
                self.headings.append((anchor, text))


@lru_cache(maxsize=1)
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


class _Renderer(RendererHTML):
    """The Markdown renderer: makes tables scroll, highlights code, and makes links send no referrer.

    Each method returns the HTML for the token at ``index``. The HTML is a plain string, since a ``Markup`` would escape
    the strings that are added to it.
    """

    def __init__(self, resolve: Resolve, playground: str) -> None:
        super().__init__()
        self._resolve = resolve
        self._playground = playground

    def table_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return the HTML for the start of a table, in a box that scrolls."""
        number = sum(token.type == "table_open" for token in tokens[: index + 1])
        return f'<div class="scroll" tabindex="0" role="region" aria-label="Table {number}"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return the HTML for the end of a table."""
        return "</table></div>\n"

    def text(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return text as HTML. A browser can break a long word, such as a path, after its dots and underscores."""
        content = tokens[index].content
        return str(path(content) if len(content) > LONG_WORD and " " not in content else escape(content))

    def code_inline(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return inline code as HTML, with a link if the code is a name and there is a page about it."""
        word = tokens[index].content
        shown = Markup("<code>{}</code>").format(word)
        address = None if _is_in_link(tokens, index) else self._resolve(word)
        return str(Markup('<a href="{}">{}</a>').format(address, shown) if address else shown)

    def code_block(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return an indented block of code as HTML."""
        return self._code(tokens[index].content, "")

    def fence(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return a fenced block of code as HTML, with highlighting if its language is known."""
        token = tokens[index]
        return self._code(token.content, token.info.split()[0] if token.info.split() else "")

    def link_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return the HTML for the start of a link. A link to another website sends no referrer."""
        href = str(tokens[index].attrGet("href") or "")
        outside = Markup(' rel="noopener noreferrer nofollow"') if ":" in href or href.startswith("//") else ""
        return str(Markup('<a href="{}"{}>').format(href, outside))

    def _code(self, source: str, language: str) -> str:
        link = ""
        if language == "lua" and "---@" not in source and len(source) < 1500:
            link = Markup('<a class="try" href="{}?source={}">Try it</a>').format(self._playground, quote(source))
        block = Markup('<pre tabindex="0"><code>{}</code></pre>').format(coloured(source, language))
        return str(Markup('<div class="code">{}{}</div>\n').format(block, link))


def path(name: object) -> Markup:
    """Return the path of a function as HTML. A browser can break the line after each dot and underscore."""
    return Markup(_SIGN.sub(r"\g<0><wbr>", str(escape(exposed(str(name))))))


def with_code(text: str) -> Markup:
    """Return a line of Markdown as HTML in which only code between backticks is rendered."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(exposed(text)))))


def unlinked(text: str) -> Markup:
    """Return a Markdown text of a script as HTML without links, images and headings."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    return Markup(_HEADING.sub(r"<\1p>", reader.render(text)))


def coloured(text: str, language: str) -> Markup:
    """Return code as HTML. If the language is known, the tokens of the code have CSS classes for highlighting."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False) if language in LANGUAGES else None
    except ClassNotFound:
        lexer = None
    if lexer is None:
        return escape(text)
    return Markup(highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="hl-")))


def coloured_lines(script: str) -> list[Markup]:
    """Return the lines of a Lua script as HTML, in which the tokens have CSS classes for highlighting."""
    return [Markup(line) for line in coloured(script, "lua").removesuffix("\n").split("\n")]


def _is_in_link(tokens: Sequence[Token], index: int) -> bool:
    depth = 0
    for token in tokens[:index]:
        depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
    return depth > 0
