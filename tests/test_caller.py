"""The thread that called a run, and its clock."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kosmolua.clock import Clock
from kosmolua.errors import Interrupted
from kosmolua.runs.caller import Caller


def fail() -> None:
    raise LookupError("no such thing")


def test_what_others_ask_is_done_by_the_caller() -> None:
    """In order, one after another; what comes of it, or goes wrong, is for the one who asked."""
    caller = Caller()
    with ThreadPoolExecutor(1) as pool:
        caller.tell(lambda: None)
        answer = pool.submit(caller.ask, threading.get_ident)
        failure = pool.submit(caller.ask, fail)
        while not failure.done():
            caller.attend(0.01)
    assert answer.result() == threading.get_ident()
    with pytest.raises(LookupError):
        failure.result()


def test_the_caller_answers_itself() -> None:
    """It would wait for ever for its own attention."""
    assert Caller().ask(lambda: 1) == 1


def test_what_is_told_raises_in_the_caller() -> None:
    """Nobody else waits for it."""
    caller = Caller()
    caller.tell(fail)
    with pytest.raises(LookupError):
        caller.attend(1)


def test_nobody_waits_for_a_caller_that_has_left() -> None:
    """Neither who asked before nor who asks afterwards."""
    caller = Caller()
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(caller.ask, lambda: 1)
        while caller._wanted.empty():
            time.sleep(0.001)
        caller.leave()
        after = pool.submit(caller.ask, lambda: 1)
        for question in (before, after):
            with pytest.raises(Interrupted):
                question.result(60)


def test_nobody_waits_for_an_answer_that_a_signal_has_cut_short() -> None:
    """Ctrl-C may come when the caller has taken up a question and not begun with it."""
    caller = Caller()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(caller.ask, lambda: 1)
        caller._wanted.get()
        caller.leave()
        with pytest.raises(Interrupted):
            asked.result(60)


def test_a_clock_that_stands_still_loses_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end moves on meanwhile, and stays where it is afterwards."""
    now = [100.0]
    monkeypatch.setattr("kosmolua.clock.monotonic", lambda: now[0])
    clock = Clock(10)
    now[0] += 1
    with clock.standing_still():
        now[0] += 50
        assert (clock.ends, clock.left) == (160, 9)
    now[0] += 2
    assert (clock.ends, clock.left) == (160, 7)


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
