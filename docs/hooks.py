"""The hooks of the site: pages from elsewhere in the repository, the reference of functions, and the texts for agents.

MkDocs calls the functions that begin with ``on_``. Each page is there twice: as HTML, and as the Markdown it came from.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import indent

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

from kosmolua import Runtime
from kosmolua.clients.formats import with_entry
from kosmolua.clients.known import CLIENTS
from kosmolua.docs.outline import Sketch, outline_of
from kosmolua.docs.sections import has_page_of_sections, sections_of
from kosmolua.docs.signatures import typed
from kosmolua.schema.integration import Integration

ROOT = Path(__file__).parent.parent
GUIDES = "kosmolua/docs/guides"
PICTURES = (".svg", ".png")
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "RELEASING.md": "releasing.md",
    "CHANGELOG.md": "changelog.md",
    **{f"docs/{path.name}": path.name for path in sorted(ROOT.glob("docs/*")) if path.suffix in (".md", *PICTURES)},
}
PAGES = ELSEWHERE | {f"{GUIDES}/{path.name}": path.name for path in ROOT.glob(f"{GUIDES}/*.md")}
REFERENCE = ("render2", "github")
ANY_CLIENT = "Most other clients read a file of this shape:"
"""The sentence of the guide to MCP before which the site has a tab for each client."""
PROGRAM = "/home/ann/.venv/bin/kosmolua"
BEHIND = "---\nsearch:\n  boost: 0.1\n---\n\n"
"""The start of a page that the search lists after the guides, which a thousand functions would hide."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no guides, and their pictures."""
    for source, page in ELSEWHERE.items():
        content: str | bytes = (ROOT / source).read_bytes()
        if not page.endswith(PICTURES):
            content = _relinked(content.decode(), Path(source).parent, config)
        files.append(File.generated(config, page, content=content))
    with Runtime(simulate=True, environ={}) as runtime:
        for name in REFERENCE:
            for page, text in _reference(runtime, name):
                files.append(File.generated(config, f"reference/{name}/{page}.md", content=text))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:
    """Write ``llms.txt``: the pages of the navigation, as Markdown."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for item in nav.items:
        lines += ["", f"## {item.title}", ""]
        pages = [page for page in item.children or [item] if isinstance(page, Page)]
        lines += [f"- [{page.title}]({config.site_url}{page.file.src_uri})" for page in pages]
    files.append(File.generated(config, "llms.txt", content="\n".join(lines) + "\n"))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link what names a guide, ``kosmolua docs NAME`` or ``guide NAME``, and write the page's twin."""
    guides = "|".join(path.stem for path in Path(config.docs_dir).glob("*.md"))
    named = re.compile(rf"(?<!\[)(`kosmolua docs ({guides})`|(?<=guide )`({guides})`)")
    up = "../" * page.file.src_uri.count("/")
    parts = re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [named.sub(lambda found: f"[{found[1]}]({up}{found[2] or found[3]}.md)", text) for text in parts[::2]]
    text = "".join(parts)
    if page.file.src_uri == "mcp.md":
        text = text.replace(ANY_CLIENT, f"{_clients()}\n{ANY_CLIENT}")
    twin = Path(config.site_dir, page.file.src_uri)
    twin.parent.mkdir(parents=True, exist_ok=True)
    twin.write_text(text, encoding="utf-8")
    return text


def _clients() -> str:
    """Return a tab for each client: what sets it up, what that writes, and what makes the client read it."""
    tabs = []
    for client in CLIENTS.values():
        written = with_entry(client.style, "", client.keys_in({}), client.local([PROGRAM, "mcp"])).strip()
        kind = client.places[-1].rpartition(".")[2]
        shown = f"`kosmolua install {client.name}` writes:\n\n```{kind}\n{written}\n```\n\nThen: {client.restart}."
        tabs.append(f'=== "{client.title}"\n\n{indent(shown, "    ")}\n')
    return "\n".join(tabs)


def _relinked(text: str, folder: Path, config: MkDocsConfig) -> str:
    """Return a file's text with its links to other files: those that are pages, and the rest in the repository."""

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath((folder / found[1]).as_posix())
        if not (ROOT / path).exists():
            raise PluginError(f"a page links {path}, which is not there")
        return f"]({PAGES.get(path) or f'{config.repo_url}/blob/main/{path}'}{found[2] or ''})"

    return re.sub(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)", link, text)


def _reference(runtime: Runtime, name: str) -> Iterator[tuple[str, str]]:
    """Yield the pages of an integration: its list, and one a function, or one a section where there are too many."""
    integration = runtime.catalog.integration(name)
    outline = outline_of(integration)
    sections = sections_of(outline) if has_page_of_sections(outline) else {}
    alone = [each for each in outline.functions if not any(each in functions for functions in sections.values())]
    listed = runtime.docs.read(f"integrations.{name}", detail="brief")
    pages = [*sections, *alone]
    yield "index", re.sub(rf"^- `({'|'.join(pages)})`", r"- [`\1`](\1.md)", listed, flags=re.MULTILINE)
    for function in alone:
        yield function, BEHIND + runtime.docs.read(f"integrations.{name}.{function}")
    for section, functions in sections.items():
        described = "\n".join(_briefly(integration, functions))
        yield section, f"{BEHIND}# integrations.{name}: {section}\n\n{described}"


def _briefly(integration: Integration, functions: Mapping[str, Sketch]) -> Iterator[str]:
    """Yield each function with its effect, its summary and how it is called."""
    for name, sketch in functions.items():
        signature = typed(integration.functions[name])
        yield f"## {name}\n\n{sketch.effect.capitalize()}: {sketch.summary}\n\n```text\n{signature}\n```\n"
