"""The clock of a run."""

from __future__ import annotations

import pytest

from kosmolua.clock import Clock


def test_a_clock_that_stands_still_loses_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end moves on meanwhile, and stays where it is afterwards."""
    now = [100.0]
    monkeypatch.setattr("kosmolua.clock.monotonic", lambda: now[0])
    clock = Clock(10)
    now[0] += 1
    with clock.standing_still():
        now[0] += 50
        assert clock.ends == 160
        assert clock.left == 9
    now[0] += 2
    assert clock.ends == 160
    assert clock.left == 7


def test_a_clock_that_has_run_out_stays_so() -> None:
    """Also where it stood still at that moment, or is to stand still afterwards."""
    clock = Clock(10)
    with clock.standing_still():
        clock.run_out()
        assert clock.left == 0
    assert clock.left == 0
    with clock.standing_still():
        assert clock.left == 0
    assert clock.left == 0


def test_a_clock_stops_at_nothing() -> None:
    """There is no time less than none."""
    assert Clock(-1).left == 0
