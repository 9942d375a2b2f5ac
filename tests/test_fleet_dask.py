"""Fleets on a dask cluster that is there: a scheduler and a worker as processes of their own, on loopback."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from operations import fleet_kills
from support.loopback import Loopback
from support.processes import eventually
from support.rounds import rounds
from support.servers import reserved_port

from kosmolua import Runtime
from kosmolua.fleet.executors import opened
from kosmolua.plugin import Request, Response

KEY = "sk-canary-7c1d9e"
PLUGIN = '''
"""Notes, some of which are files of the worker."""
from dataclasses import dataclass
from kosmolua.plugin import Api, Integration, Secret, Send

@dataclass(frozen=True)
class Account:
    """A key."""
    api_key: Secret
    base_url: str
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url, bearer=self.api_key)

integration = Integration("notes", Account, about="Notes.")

@integration.reads
def get_note(api: Api, /, *, note: int) -> dict:
    """Get a note."""
    return api.get("/notes/{note}", note=note)
'''
SCRIPT = "---@param note integer Which\n\nreturn app.integrations.notes.get_note(params).title"


@contextmanager
def running(log: Path, says: str, *words: str, **variables: str) -> Iterator[None]:
    """Run a program of dask while a ``with`` block lasts, which begins once the program has said something."""
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:], "--host", "127.0.0.1", "--no-dashboard"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env={**os.environ, **variables})
    try:
        assert eventually(lambda: says in log.read_text() or process.poll() is not None, 180)
        assert says in log.read_text(), log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster with one worker, which has the key in its environment."""
    pytest.importorskip("distributed", reason="needs kosmolua[dask]")
    with (
        reserved_port() as port,
        running(tmp_path / "scheduler.log", "Scheduler at", "dask_scheduler", "--port", str(port)),
        running(
            tmp_path / "worker.log",
            "Registered to",
            "dask_worker",
            f"tcp://127.0.0.1:{port}",
            "--nthreads",
            "1",
            NOTES_KEY=KEY,
        ),
    ):
        yield f"127.0.0.1:{port}"


def answer(request: Request) -> Response:
    """Answer whoever has the key."""
    if request.headers["Authorization"] != f"Bearer {KEY}":
        return Response(401)
    return Response(200, {}, json.dumps({"title": f"Note {request.url.rpartition('/')[2]}"}).encode())


@pytest.mark.slow
def test_a_cluster_that_is_there_does_the_work(kosmolua: Program, write: Write, cluster: str, tmp_path: Path) -> None:
    """The worker has the key and this machine has not; a wrong parameter is a line of its own, as on threads."""
    rows = write("rows.jsonl", "".join(f'{{"note": {note}}}\n' for note in [*range(1, 9), '"x"']))
    out = tmp_path / "out.jsonl"
    with Loopback(answer) as service:
        account = f'[notes.one]\napi_key = {{ env = "NOTES_KEY" }}\nbase_url = "{service.url}"\n'
        words: list[Any] = ["fleet", write("read.lua", SCRIPT), "--inputs", rows, "--out", out]
        words += ["--accounts", write("accounts.toml", account), "--plugin", write("notes.py", PLUGIN)]
        done = kosmolua(*words, "--executor", f"dask://{cluster}")
    assert "8 done, 1 failed" in done.stderr
    assert done.returncode == 1, done.stderr
    lines = {line["key"]: line for line in map(json.loads, out.read_text().splitlines())}
    assert {key: line["result"] for key, line in lines.items() if line["ok"]} == {n: [f"Note {n}"] for n in range(1, 9)}
    assert lines[9]["error"]["code"] == "bad_arguments"
    assert KEY not in out.read_text() + done.stderr


@pytest.mark.slow
def test_what_cannot_travel_is_refused_in_a_sentence(kosmolua: Program, write: Write) -> None:
    """A server that an option names may have a credential in its command: no traceback, and nothing is run."""
    words = ["fleet", write("s.lua", "return 1"), "--inputs", write("rows.jsonl", "1\n"), "--simulate"]
    done = kosmolua(*words, "--server", "tools=echo", "--executor", "concurrent.futures:ProcessPoolExecutor")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "kosmolua: The tasks cannot be sent to another process: MCP servers that are passed as a table"
    )


@pytest.mark.slow
def test_a_result_that_was_gathered_is_not_kept(write: Write) -> None:
    """A cluster that still had it would compute it again when its worker dies."""
    distributed = pytest.importorskip("distributed", reason="needs kosmolua[dask]")
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "processes": False}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
        Runtime(simulate=True) as runtime,
    ):
        gc.disable()  # a future is released at once, and not when garbage is next collected
        try:
            outcomes = runtime.map("return input", range(300), executor=client.get_executor(), limit=2)
            assert [next(outcomes).ok for _ in range(20)] == [True] * 20
            assert eventually(lambda: len(client.futures) <= 3)  # two under way, and the last one
        finally:
            gc.enable()


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="a fault of Python 3.11")
def test_no_profiler_stops_a_worker_for_ever(cluster: str) -> None:
    """Python 3.11 may stop all threads for ever when frames are asked for while threads begin and end."""
    distributed = pytest.importorskip("distributed", reason="needs kosmolua[dask]")

    def profiles(dask_worker: Any) -> bool:
        return bool(dask_worker.periodic_callbacks["profile"].is_running())

    with distributed.Client(f"tcp://{cluster}") as client, Runtime(simulate=True) as runtime:
        assert [*client.run(profiles).values()] == [True]
        assert [outcome.ok for outcome in runtime.map("return 1", [1], executor=client.get_executor())] == [True]
        assert eventually(lambda: [*client.run(profiles).values()] == [False])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["worker", "host", "scheduler"][: rounds(1, 3)])
def test_a_fleet_whose_processes_are_killed_writes_nothing_twice(kind: str) -> None:
    """200 inputs of two writes, and kill -9 at a random moment: each fleet ends, and what is in doubt is named."""
    pytest.importorskip("distributed", reason="needs kosmolua[dask]")
    result = fleet_kills.play(kind, random.randrange(1, 400), limit=300)
    assert result.problems == []
    assert result.twice == 0
    assert result.missing == 0


@pytest.mark.slow
def test_a_closed_connection_to_dask_breaks_the_executor(cluster: str) -> None:
    """Which a fleet reports in a sentence, with the outcomes that it has."""
    distributed = pytest.importorskip("distributed", reason="needs kosmolua[dask]")
    with opened(f"dask://{cluster}", None) as (executor, _):
        assert executor.submit(abs, -1).result(60) == 1
        distributed.get_client().close()
        with pytest.raises(BrokenExecutor, match="the connection to dask is closed"):
            executor.submit(abs, -1)
