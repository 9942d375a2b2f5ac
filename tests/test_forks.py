"""A fork of a process that has a runtime, as web servers and task queues make them: each has its own workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from support.processes import eventually, is_running, linux_only
from support.rawserver import answer, serving

pytestmark = [linux_only, pytest.mark.usefixtures("new_processes")]

TESTS = Path(__file__).parent
HOST = """
import gc, json, os, sys, threading, time
sys.path.append(TESTS)
from support.processes import zygotes
from kosmolua import Runtime

def tell(**facts):
    os.write(1, json.dumps(facts).encode() + b"\\n")

def zygote():
    return next(iter(zygotes()), None)

runtime = Runtime({}, workers=1)
runtime.run("return 1")
"""


def host(body: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a program that has a runtime with a warm process, and goes on with this."""
    command = [sys.executable, "-c", f"TESTS = {str(TESTS)!r}{HOST}{textwrap.dedent(body)}"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told_by(body: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Run such a program to its end, and return what it told."""
    output, problems = host(body, environment).communicate(timeout=60)
    assert problems == ""
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.slow
def test_a_fork_runs_scripts_in_workers_of_its_own(environment: dict[str, str]) -> None:
    """Both go on side by side, and what the fork closes is its own."""
    body = """
        if os.fork() == 0:
            tell(result=runtime.run("return 2").result, zygote=zygote())
            runtime.close()
            os._exit(0)
        before = zygote()
        os.wait()
        tell(result=runtime.run("return 3").result, zygote=zygote(), before=before)
    """
    fork, parent = told_by(body, environment)
    assert fork["result"] == [2]
    assert parent["result"] == [3]
    assert fork["zygote"] != parent["before"] == parent["zygote"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "end", ["sys.exit()", "del runtime; gc.collect(); os._exit(0)", "runtime.close(); sys.exit()"], ids=str
)
def test_a_fork_that_ends_leaves_the_other_alone(environment: dict[str, str], end: str) -> None:
    """However it goes, and without a run of its own, the warm process of its parent goes on."""
    body = f"""
        before = zygote()
        if os.fork() == 0:
            {end}
        os.wait()
        tell(result=runtime.run("return 3").result, same=zygote() == before)
    """
    assert told_by(body, environment) == [{"result": [3], "same": True}]


@pytest.mark.slow
def test_a_fork_in_the_middle_of_a_run_has_room_for_its_own(environment: dict[str, str]) -> None:
    """A run of another thread has the only place in the parent, not in the fork, and comes to its end there."""
    body = """
        begun = threading.Event()
        source = "print(1) local t = os.clock() while os.clock() - t < 0.5 do end return 4"
        ask = lambda: tell(parent=runtime.run(source, on_output=lambda _: begun.set()).result)
        thread = threading.Thread(target=ask)
        thread.start()
        begun.wait()
        if os.fork() == 0:
            tell(fork=runtime.run("return 5").result)
            runtime.close()
            os._exit(0)
        os.wait()
        thread.join()
    """
    told = told_by(body, environment)
    assert {"parent": [4]} in told
    assert {"fork": [5]} in told


@pytest.mark.slow
def test_a_fork_of_an_asyncio_host_runs_scripts_too(environment: dict[str, str]) -> None:
    """The threads of ``run_async`` are not in the fork, which starts its own."""
    body = """
        import asyncio
        asyncio.run(runtime.run_async("return 6"))
        if os.fork() == 0:
            tell(result=asyncio.run(asyncio.wait_for(runtime.run_async("return 7"), 60)).result)
            os._exit(0)
        os.wait()
    """
    assert told_by(body, environment) == [{"result": [7]}]


@pytest.mark.slow
def test_a_fork_makes_its_calls_over_connections_of_its_own(environment: dict[str, str]) -> None:
    """Two processes on one connection would read each other's answers."""
    with serving(answer(200, [])) as service:
        body = f"""
            from support.library import library
            account = {{"api_key": "key-of-the-forks", "base_url": "{service.url}"}}
            runtime = Runtime({{"library": {{"work": account}}}}, plugins=[library()])
            list_books = lambda: runtime.call("library.list_books")
            list_books()
            if os.fork() == 0:
                tell(books=list_books())
                os._exit(0)
            os.wait()
            tell(books=list_books())
        """
        found_too = {**environment, "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], str(TESTS)])}
        assert told_by(body, found_too) == [{"books": []}] * 2
    assert service.connections == 2
    assert service.taken == 3


@pytest.mark.slow
@linux_only
def test_a_fork_keeps_no_warm_process_of_a_parent_that_died(environment: dict[str, str]) -> None:
    """The line to the warm process is the parent's alone: it breaks when the parent is killed."""
    body = """
        child = os.fork()
        if child:
            tell(zygote=zygote(), child=child)
        time.sleep(60)
    """
    parent = host(body, environment)
    assert parent.stdout
    told = json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait()
    try:
        assert eventually(lambda: not is_running(told["zygote"]))
        assert is_running(told["child"])
    finally:
        os.kill(told["child"], signal.SIGKILL)
        parent.communicate()
