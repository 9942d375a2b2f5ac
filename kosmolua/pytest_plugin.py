"""The fixtures that pytest has where KosmoLua is installed. They import it when a test uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kosmolua import Runtime
    from kosmolua.testing import Playback


@pytest.fixture
def kosmolua_runtime() -> Iterator[Runtime]:
    """A runtime whose calls are answered by simulators. It has no accounts, variables or state of the user.

    Every call is allowed, so a test can look at what a script wrote. Each test has services of its own.
    """
    import os

    from kosmolua import Runtime

    with Runtime(os.devnull, simulate=True, yes=True, allow=["*"], environ={}) as runtime:
        yield runtime


@pytest.fixture
def kosmolua_recording(request: pytest.FixtureRequest) -> Callable[[str], Playback]:
    """A function that opens a recording in the test's folder, whose answers a script gets instead of a service's.

    Its argument is the recording's file name, see :class:`kosmolua.testing.Playback`.
    """
    from kosmolua.testing import Playback

    return lambda name: Playback(request.path.with_name(name))
