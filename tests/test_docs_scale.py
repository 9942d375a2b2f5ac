"""Hundreds of integrations: listing and searching them stays fast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import thread_time

import pytest
from support.catalogs import FolderCatalog, write_plugin

from kosmolua.docs import Library

INTEGRATIONS = 600
COLD, WARM = 2.0, 0.2
"""Seconds of processor time, four times what a machine of our days takes; the best of a few tries counts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(INTEGRATIONS):
        write_plugin(folder, f"service{number}")
    return folder


def seconds(work: Callable[[], object]) -> float:
    started = thread_time()
    work()
    return thread_time() - started


def slowness() -> float:
    """Return how many times slower this machine is than one that counts to ten million in a tenth of a second."""
    return max(1.0, 10 * min(seconds(lambda: sum(range(10_000_000))) for _ in range(3)))


@pytest.mark.slow
def test_a_search_through_600_integrations_is_fast(folder: Path) -> None:
    """Among 42,000 functions: seconds at most when nothing is known yet, a tenth of it after that."""
    libraries = [Library(FolderCatalog(folder)) for _ in range(3)]

    cold = min(seconds(lambda library=library: library.search("archive an invoice")) for library in libraries)
    warm = [
        min(seconds(lambda query=query: libraries[0].search(query)) for _ in range(3))
        for query in (
            "archive an invoice",
            "list",
            "how many to return",
            "service77 get contact",
            "contacts an account can see",
            "zebra",
        )
    ]

    slower = slowness()
    assert cold <= COLD * slower, f"cold: {cold:.3f} s"
    assert max(warm) <= WARM * slower, f"warm: {warm}"


@pytest.mark.slow
def test_the_right_one_of_42000_functions_is_found(folder: Path) -> None:
    """A name and words of a sentence lead to one function."""
    found = Library(FolderCatalog(folder)).search("merge webhook service77", limit=1)

    assert "1. `integrations.service77.merge_webhook`" in found


@pytest.mark.slow
def test_the_list_of_600_integrations_loads_none(folder: Path) -> None:
    """It is one line each, and no plugin is run for it."""
    catalog = FolderCatalog(folder)

    assert Library(catalog).list().count("(70 functions: 28 read, 42 write)") == INTEGRATIONS
    assert catalog.loaded == []
