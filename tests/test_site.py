"""The site: that it is whole, and that what agents read of it is there."""

from __future__ import annotations

import json
import os
import re
import runpy
import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
import requests
import yaml
from conftest import ROOT
from filelock import FileLock

from kosmolua import Runtime
from kosmolua.clients.known import CLIENTS

pytest.importorskip("mkdocs", reason="builds the site")
pytest.importorskip("material", reason="builds the site")

LINKS = runpy.run_path(str(ROOT / ".ci" / "links.py"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning, once for all processes of pytest."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    built, given = folder / "site", folder / "built"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(built)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "XDG_CONFIG_HOME": str(folder)}
    with FileLock(folder / "site.lock"):
        if not given.exists():
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
            assert (done.returncode, done.stdout + done.stderr) == (0, "")
            given.touch()
    return built


def test_every_guide_is_in_the_navigation() -> None:
    """Nobody finds a page that the menu does not have."""
    text = json.dumps(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    guides = {path.name for folder in ("kosmolua/docs/guides", "docs") for path in (ROOT / folder).glob("*.md")}
    assert guides - set(re.findall(r'"([\w-]+\.md)"', text)) == set()


def test_thirty_questions_are_two_clicks_from_the_first_page() -> None:
    """The page of questions is linked on the first page, and each answer leads to a heading that is there."""
    text = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    assert "](docs/questions.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    questions = re.findall(r"^(\d+)\. \*\*.+?\?\*\*(.*?)(?=^\d+\.|^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert [int(number) for number, _ in questions] == list(range(1, 31))
    for number, answer in questions:
        links = re.findall(r"\]\(([^)#]+)(?:#([^)]+))?\)", answer)
        assert links, number
        for path, anchor in links:
            page = (ROOT / "docs" / path).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
            assert not anchor or anchor in map(slug, headings), (number, path, anchor)


@pytest.mark.slow
def test_the_website_in_pictures_shows_the_website_of_now(tmp_path: Path) -> None:
    """docs/shots.py takes every picture that the page shows, and those that are there were taken by it."""
    pytest.importorskip("playwright", reason="takes pictures of pages")
    shots = runpy.run_path(str(ROOT / "docs" / "shots.py"))
    if not shots["CHROMIUM"]:
        pytest.skip("there is no Chromium (apt-get install chromium)")
    shots["take"](tmp_path)
    taken = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    page = (ROOT / "docs" / "website.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+\.png)\)", page)) == {*taken} == {path.name for path in ROOT.glob("docs/*.png")}
    sizes = {name: struct.unpack(">II", content[16:24]) for name, content in taken.items()}
    assert sizes == {name: (390 if name == "phone.png" else 1200, 760) for name in taken}


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.slow
def test_each_page_has_a_twin_in_markdown(site: Path) -> None:
    """An agent that knows a page's address reads its text, without the menu around it."""
    pages = {path.parent.relative_to(site) for path in site.rglob("index.html")} - {Path()}
    assert len(pages) > 200
    there = set(twins(site))
    without = [page for page in pages if not {f"{page}.md", f"{page}/index.md"} & there]
    assert without == []


@pytest.mark.slow
def test_llms_txt_lists_pages_that_are_there(site: Path) -> None:
    """Each of its addresses is that of a text."""
    lines = (site / "llms.txt").read_text()
    assert lines.startswith("# KosmoLua\n\n> ")
    listed = re.findall(r"\]\(https://kosmolua\.github\.io/kosmolua/(.*)\)", lines)
    assert len(listed) > 25
    assert set(listed) - set(twins(site)) == set()


@pytest.mark.slow
def test_every_function_is_in_the_reference(site: Path) -> None:
    """One page a function of render2 and of those written for github; the others on the page of their section."""
    texts = {name: read(site, name) for name in ("render2", "github")}
    with Runtime(simulate=True, environ={}) as runtime:
        for name, text in texts.items():
            functions = runtime.catalog.integration(name).functions
            assert len(functions) > 100
            pages = {Path(twin).stem for twin in twins(site) if twin.startswith(f"reference/{name}/")}
            assert [each for each in functions if each not in pages and f"\n## {each}\n" not in text] == []


@pytest.mark.slow
def test_each_client_has_a_tab(site: Path) -> None:
    """With the entry that `kosmolua install` writes into its settings."""
    page = (site / "mcp" / "index.html").read_text()
    assert [client.title for client in CLIENTS.values() if f">{client.title}</label>" not in page] == []
    assert page.count("/home/ann/.venv/bin/kosmolua") > len(CLIENTS)


@pytest.mark.slow
def test_what_names_a_guide_is_a_link_to_it(site: Path) -> None:
    """Where the program's reader types a command, the site's reader clicks."""
    assert "[`kosmolua docs repl`](repl.md)" in (site / "recordings.md").read_text()
    assert 'href="../repl/"><code>kosmolua docs repl</code></a>' in (site / "recordings" / "index.html").read_text()


@pytest.mark.slow
def test_links_to_other_sites_have_the_form_of_one(site: Path) -> None:
    """None is that of an example, or has a bracket or a full stop at its end that belonged to the text."""
    found = LINKS["links"](site)
    assert len(found) > 5
    assert [each for each in found if not LINKS["is_well_formed"](each)] == []


@pytest.mark.parametrize(
    ("address", "answer", "fault"),
    [
        ("https://semver.org/", 200, ""),
        ("https://www.example.org/", 200, "is no address of a page"),
        ("http://semver.org/", 200, "is no address of a page"),
        ("https://semver.org/.", 200, "is no address of a page"),
        ("https://semver.org/{page}", 200, "is no address of a page"),
        ("https://semver.org/gone", 404, "answers 404"),
        ("https://shy.org/", 403, ""),
        ("https://away.org/", None, "does not answer (ConnectionError)"),
    ],
)
def test_an_address_that_does_not_answer_is_a_fault(
    address: str, answer: int | None, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """.ci/links.py says so, but not of one that refuses programs."""

    def get(_: str, **__: object) -> requests.Response:
        if answer is None:
            raise requests.ConnectionError
        response = requests.Response()
        response.status_code, response.raw = answer, BytesIO()
        return response

    monkeypatch.setattr(requests, "get", get)
    assert LINKS["fault"](address) == fault


def twins(site: Path) -> list[str]:
    return [path.relative_to(site).as_posix() for path in site.rglob("*.md")]


def read(site: Path, integration: str) -> str:
    return "\n".join(path.read_text() for path in (site / "reference" / integration).glob("*.md"))
