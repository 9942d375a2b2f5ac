"""Operations that a registered function stands for: every name that the service has for them leads to that function."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kosmolua import Runtime
from kosmolua.errors import DocNotFound, UnknownPath

OTHERS = [
    ("render2", "GET /services/{serviceId}", "get_service"),
    ("render2", "retrieve-service", "get_service"),
    ("render2", "retrieve_service", "get_service"),
    ("github", "issues/list-for-repo", "list_issues"),
    ("github", "issues_list_for_repo", "list_issues"),
    ("github", "GET /repos/{owner}/{repo}", "get_repo"),
]
NAMES = [*OTHERS, ("render2", "list-services", "list_services")]


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime over simulators."""
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        yield runtime


@pytest.mark.parametrize(("integration", "key", "function"), NAMES)
def test_a_page_is_read_by_any_name_of_the_service(runtime: Runtime, integration: str, key: str, function: str) -> None:
    """With a space or a dot before it, and with an account between."""
    page = runtime.docs.read(f"{integration}.{function}")
    assert page.startswith(f"# app.integrations.{integration}.{function}")
    for written in (f"{integration} {key}", f"{integration}.{key}", f"{integration}.production.{key}"):
        assert runtime.docs.read(written) == page


@pytest.mark.slow
@pytest.mark.parametrize(("integration", "key", "function"), NAMES)
def test_a_search_for_a_name_of_the_service_finds_it_first(
    runtime: Runtime, integration: str, key: str, function: str
) -> None:
    """It stands there once."""
    pages = [hit.page for hit in runtime.docs.find(key)]
    assert pages[0] == f"integrations.{integration}.{function}"
    assert len({*pages}) == len(pages)


@pytest.mark.parametrize(("integration", "key", "function"), OTHERS)
def test_a_call_by_another_name_is_told_the_function(
    runtime: Runtime, integration: str, key: str, function: str
) -> None:
    """The hint names that one alone: from Python, from Lua with the check and without, and behind an account."""
    said = f"did you mean '{function}'?"
    for path in (f"{integration}.{key}", f"{integration} {key}", f"{integration}.default.{key}"):
        with pytest.raises(UnknownPath) as refused:
            runtime.call(path)
        assert refused.value.hint == said
    script = f'return app.integrations.{integration}["{key}"]()'
    for check in (True, False):
        error = runtime.run(script, check=check).error
        assert error and said in error.message


def test_a_route_that_is_not_there_is_no_page(runtime: Runtime) -> None:
    """Whoever asks for a function is not given the page of all."""
    with pytest.raises(DocNotFound, match="no page 'render2 GET /nothing'"):
        runtime.docs.read("render2 GET /nothing")


def test_the_command_line_leads_there_too(kosmolua: Callable[..., Any], tmp_path: Path) -> None:
    """A shell passes the route as one word."""
    done = kosmolua("call", "--simulate", "render2 GET /services/{serviceId}", "service_id=srv-1")
    assert done.returncode == 1
    assert "did you mean 'get_service'?" in done.stderr
