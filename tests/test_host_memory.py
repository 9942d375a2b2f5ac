"""What the worst scripts, and the worst children, take of the host's memory."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path

import pytest
from support.library import ACCOUNTS, library
from support.processes import eventually, linux_only

from kosmolua import Runtime
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins
from kosmolua.concurrency import MemoryBound
from kosmolua.flow.memory import SessionMemory
from kosmolua.limits import MIB
from kosmolua.mcp.execution import Execution
from kosmolua.mcp.runner import PlainRunner
from kosmolua.mcp.tools import ScriptRequest
from kosmolua.plugin import Response

SUPPORT = Path(__file__).parent
MAX_GROWTH = 200 * 1024
"""KiB that the host may grow by over its idle."""
HOST = """
import re, sys
sys.path.insert(0, sys.argv[1])
from kosmolua import Runtime
from kosmolua.catalog.plugins import Plugins
from support.library import ACCOUNTS, library, service
from kosmolua.broker.backends import Canned

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

plugins = Plugins([library()], places=(), entry_points=dict)
with Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: service), environ={}) as runtime:
    runtime.run("return app.integrations.library.list_books()")
    idle = peak()
    outcome = runtime.run(sys.stdin.read(), timeout=60)
print(peak() - idle, outcome.error and outcome.error.fields().get("limit"))
"""
FLOODED = """
import re, sys
sys.path.insert(0, sys.argv[1])
from itertools import chain, repeat
from threading import Event
from kosmolua import Runtime, protocol
from kosmolua.catalog.plugins import Plugins
from support.library import ACCOUNTS, library, service
from kosmolua.broker.backends import Canned

class Flood:
    "A child that reads no reply and sends calls until it is killed."

    def __init__(self, text):
        small, large = (b'{"kind":"call","id":1,"path":"library.list_books","branch":true%s}' % more
                        for more in (b"", b',"x":"' + text.encode() + b'"'))
        ready = protocol.frame("ready", isolation=[], missing=[])[:-1]
        self._lines, self._killed = chain([ready], repeat(small, 600), repeat(large)), False

    def read(self, limit):
        return None if self._killed else next(self._lines)

    def send(self, line):
        pass

    def kill(self):
        self._killed = True
        answered.set()

    insist = close = kill

    def status(self):
        return -9

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

def answer(request):
    answered.wait()
    return service(request)

answered = Event()
plugins = Plugins([library()], places=(), entry_points=dict)
with Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: answer), environ={}) as runtime:
    runtime.run("return app.integrations.library.returns({ what = 'nothing' })")
    idle = peak()
    outcome = runtime.run("", timeout=60, child=Flood("x" * 1_500_000 + sys.stdin.read()))
print(peak() - idle, outcome.error)
"""
CALL = "app.integrations.library.lend({ book = 'b', note = t })"
WORST = {
    "a result of empty lists": "local e, t = json.array(), {} for i = 1, 1.2e6 do t[i] = e end return t",
    "a result of small tables": "local e, t = { [''] = 0 }, {} for i = 1, 6e5 do t[i] = e end return t",
    "a result with one emoji": "return ('x'):rep(15e6) .. '\\u{1F600}'",
    "a result of short strings": "local t = {} for i = 1, 1e6 do t[i] = ('%x'):format(i) end return t",
    "output in lines": "for i = 1, 3e5 do print() end",
    "output at once": "print(('x'):rep(10 * 1024 * 1024 - 10))",
    "errors that are kept": "for i = 1, 999 do pcall(app.integrations.library.lend, { [('n'):rep(79) .. i] = 1 }) end",
    "calls at once": (
        "local t = {} for i = 1, 3e5 do t[i] = json.array() end local l = {} for i = 1, 12 do l[i] = i end "
        f"parallel.map(l, function() {CALL} end, {{ limit = 12 }})"
    ),
    "an error of 40 MB": "error(('x'):rep(40e6))",
}


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize("script", WORST.values(), ids=WORST.keys())
def test_the_host_grows_little(environment: dict[str, str], script: str) -> None:
    """Whatever a script returns, prints, passes or fails with, the host takes at most 200 MB more than idle."""
    command = [sys.executable, "-c", HOST, str(SUPPORT)]
    done = subprocess.run(
        command, input=script, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    grown, _ = done.stdout.split()
    assert int(grown) < MAX_GROWTH


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize("more", ["", "\U0001f600"], ids=["ASCII", "an emoji"])
def test_the_host_grows_little_under_a_flood_of_calls(environment: dict[str, str], more: str) -> None:
    """A child that calls without end and reads no reply is ended; one emoji makes Python keep four times as much."""
    command = [sys.executable, "-c", FLOODED, str(SUPPORT)]
    done = subprocess.run(
        command, input=more, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True
    )
    grown, _, error = done.stdout.partition(" ")
    assert int(grown) < MAX_GROWTH
    assert "the arguments of its waiting calls exceed" in error


def test_a_bound_is_shared() -> None:
    """One user has a share, all together a total, and a little is there for everybody even then."""
    bound = MemoryBound(total=100, share=60, free=10)
    assert bound.take(60, held=0)
    assert not bound.take(1, held=60)
    assert bound.take(40, held=0)
    assert not bound.take(20, held=0)
    assert bound.take(10, held=0)
    assert not bound.take(1, held=10)
    bound.give_back(60)
    assert bound.take(20, held=10)


@pytest.mark.slow
def test_a_recording_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """A run whose recording has 32 MiB takes a part of that, also at its end, when secrets are looked for in it.

    What it has read, of which it must tell the origin, takes most of that part, and does not grow further.
    """
    body = b'{"text":"%b"}' % (b"x" * MIB)
    backend = Canned(lambda _: lambda request: Response(200, {"Content-Type": "application/json"}, body))
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(ACCOUNTS, plugins=plugins, backend=backend, environ={}) as runtime:
        runtime.run("return app.integrations.library.list_books()")
        tracemalloc.start()
        try:
            script = "for _ = 1, 32 do app.integrations.library.list_books() end"
            outcome = runtime.run(script, record=tmp_path / "run.jsonl")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.ok, outcome.error
    assert (tmp_path / "run.jsonl").stat().st_size > 32 * MIB
    assert peak < 24 * MIB


def test_an_answered_outcome_is_freed_at_once() -> None:
    """A server needs no garbage collector to give up what its scripts have printed and returned."""

    async def outcome() -> weakref.ref[object]:
        with Runtime(simulate=True) as runtime:
            script = ScriptRequest("print(1)")
            given = {"asks": True, "counts": True, "check": True, "watch": lambda _: None}
            watched = Execution(PlainRunner(runtime), script, SessionMemory(), client=None, **given)
            while not watched.done:
                await watched.change(1)
            found = weakref.ref(watched.outcome())
            watched.release()
        return found

    gc.disable()
    try:
        found = asyncio.run(outcome())
        assert eventually(lambda: found() is None)  # the thread of the run can hold it for a moment longer
    finally:
        gc.enable()
