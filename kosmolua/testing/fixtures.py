"""Fixtures for pytest; ``pytest_plugins = ["kosmolua.testing"]`` in ``conftest.py`` enables them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kosmolua.testing.playground import Playback, recordings_beside


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Callable[[str], Playback]:
    """A function that opens a recording in the test's folder, given the recording's file name."""
    return recordings_beside(request.path)
