"""A server in a small container outlives what one tenant does, and answers another meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.processes import linux_only
from support.rounds import rounds

from operations.noisy import disturbed

pytestmark = [linux_only, pytest.mark.slow]


WAYS = ["10 MB of output", "sources of 3.5 MB", "15 MB of result", "many small values"]


@pytest.mark.parametrize("way", WAYS[: rounds(2, 4)])
def test_the_server_lives(tmp_path: Path, way: str) -> None:
    """With 256 MiB of memory, in each of the ways that fill it; and each run of the other tenant is right."""
    seen = disturbed(tmp_path / "server", way, 256, 1, 2)
    assert seen.lives
    assert not seen.failed
    assert seen.said
