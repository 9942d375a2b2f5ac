"""Fleets on dask whose processes are killed at random moments: no write twice that is not named, and every fleet ends.

    python tests/operations/fleet_kills.py --rounds 60

Each round starts a scheduler, two workers and a service on loopback, runs a script of two writes over 200 inputs, and
hurts one process after a random number of writes:

``worker``      kill -9 of a worker
``scheduler``   kill -9 of the scheduler
``host``        kill -9 of ``kosmolua fleet``
``pause``       a worker is stopped until the scheduler takes it for dead, and then goes on

The fleet is then resumed until every input is done. An input that is named as one with a write under way is decided
about with ``--done`` or ``--again``, as the service says. The table has a line for each round; the exit status is 1 if
a write was made twice or never, or if a fleet did not end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

KINDS = ("worker", "scheduler", "host", "pause")
INPUTS = 200
WRITES = 2
ANSWER_SECONDS = 0.04
RESUMES = 8
WORKER_TTL = 10.0
"""Seconds after which the scheduler takes a worker that says nothing for dead."""
PAUSE_SECONDS = 20.0
SCRIPT = """local pad = app.integrations.pad
pad.put({ key = input, number = 1 })
pad.put({ key = input, number = 2 })
return input
"""
PLUGIN = '''
"""A pad to write on."""
from dataclasses import dataclass
from kosmolua.plugin import Api, Integration, Send

@dataclass(frozen=True)
class Account:
    """The pad's address."""
    base_url: str
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url)

integration = Integration("pad", Account, about="A pad.")

@integration.writes
def put(api: Api, /, *, key: int, number: int) -> dict:
    """Write a line."""
    return api.post("/pad/{key}/{number}", key=key, number=number)
'''
STACKS = "import faulthandler, signal\nfaulthandler.register(signal.SIGUSR1, all_threads=True)\n"
"""A ``sitecustomize`` for the workers and the fleet: SIGUSR1 writes the stacks of all threads to standard error."""


class Pad:
    """The service: it counts the writes, and answers each after a moment."""

    def __init__(self) -> None:
        self.writes: Counter[tuple[int, int]] = Counter()
        self._lock = Lock()
        pad = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                _, _, key, number = self.path.split("/")
                with pad._lock:
                    pad.writes[int(key), int(number)] += 1
                time.sleep(random.uniform(0, 2 * ANSWER_SECONDS))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass  # the client was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Round:
    """What happened in a round."""

    kind: str
    moment: int
    twice: int = 0
    missing: int = 0
    named: int = 0
    fleets: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True if each write was made once and each fleet ended."""
        return not (self.twice or self.missing or self.problems)

    def line(self, number: int) -> str:
        """Return the line of the table."""
        said = "; ".join(self.problems) or "ok"
        return (
            f"{number:>3}  {self.kind:<9} {self.moment:>5} {self.twice:>5} {self.missing:>7} {self.named:>5} "
            f"{self.fleets:>6} {self.seconds:>7.1f}  {said}"
        )


HEADER = f"{'':>3}  {'hurt':<9} {'after':>5} {'twice':>5} {'missing':>7} {'named':>5} {'fleets':>6} {'seconds':>7}"


class Cluster:
    """A dask scheduler with two workers, as processes."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.scheduler = self._start("dask_scheduler", "--port", str(port))
        self._wait("dask_scheduler-0.log", "Scheduler at")
        worker = ("dask_worker", f"tcp://{self.address}", "--nthreads", "4", "--no-nanny", "--death-timeout", "10")
        self.workers = [self._start(*worker, number=number) for number in range(2)]
        for number in range(2):
            self._wait(f"dask_worker-{number}.log", "Registered to")

    def _start(self, program: str, *words: str, number: int = 0) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *words, "--host", "127.0.0.1", "--no-dashboard"]
        with (self._folder / f"{program}-{number}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=self._environment, cwd=self._folder)

    def _wait(self, log: str, says: str) -> None:
        ends = time.monotonic() + 90
        while says not in (said := (self._folder / log).read_text(errors="replace")):
            if time.monotonic() > ends:
                raise RuntimeError(f"dask did not start: {said}")
            time.sleep(0.05)

    @property
    def can_work(self) -> bool:
        """True if the scheduler and a worker run."""
        return self.scheduler.poll() is None and any(worker.poll() is None for worker in self.workers)

    @property
    def processes(self) -> list[subprocess.Popen[bytes]]:
        """The scheduler and the workers that run."""
        return [process for process in (self.scheduler, *self.workers) if process.poll() is None]

    def close(self) -> None:
        """Kill all processes of the cluster."""
        for process in self.processes:
            process.kill()
            process.wait()


class Site:
    """The files, the service and the cluster of one round.

    Args:
        kind: What is hurt.
        folder: An empty folder for all of it.
        limit: How many seconds a fleet may take.
    """

    def __init__(self, kind: str, folder: Path, limit: float) -> None:
        self._folder, self._limit = folder, limit
        self.pad = Pad()
        (folder / "sitecustomize.py").write_text(STACKS)
        (folder / "pad.py").write_text(PLUGIN)
        (folder / "job.lua").write_text(SCRIPT)
        (folder / "inputs.jsonl").write_text("".join(f"{number}\n" for number in range(1, INPUTS + 1)))
        account = f'[pad.one]\nbase_url = "{self.pad.url}"\npermissions = {{ write = "allow" }}\n'
        (folder / "accounts.toml").write_text(account)
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        if kind == "pause":
            self.environment["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] = f"{WORKER_TTL}s"
        self.cluster = Cluster(folder, self.environment)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a fleet over the inputs."""
        command = [sys.executable, "-m", "kosmolua", "fleet", "job.lua", "--inputs", "inputs.jsonl"]
        command += ["--accounts", "accounts.toml", "--plugin", "pad.py", "--out", "out.jsonl", *words]
        with (self._folder / "fleet.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd=self._folder)

    def has_ended(self, fleet: subprocess.Popen[bytes], result: Round) -> bool:
        """Wait for a fleet. If it takes too long, write the stacks of all processes to their logs and kill it."""
        result.fleets += 1
        with suppress(subprocess.TimeoutExpired):
            fleet.wait(self._limit)
            return True
        for process in (fleet, *self.cluster.processes[1:]):
            process.send_signal(signal.SIGUSR1)
        time.sleep(2)
        fleet.kill()
        fleet.wait()
        result.problems.append(f"a fleet did not end in {self._limit:.0f} s: see {self._folder}")
        return False

    def failed(self) -> dict[int, dict[str, object]]:
        """Return the errors of the inputs that failed, by key."""
        lines = (self._folder / "out.jsonl").read_bytes().split(b"\n")[:-1]
        outcomes = {line["key"]: line for line in map(json.loads, lines)}
        return {key: line["error"] for key, line in outcomes.items() if not line["ok"]}

    def done(self) -> int:
        """Return how many inputs the ledger has as done."""
        lines = (self._folder / "out.jsonl").read_bytes().split(b"\n")[:-1]
        return len({line["key"] for line in map(json.loads, lines) if line["ok"]})

    def close(self) -> None:
        """End all processes."""
        self.cluster.close()
        self.pad.close()


@contextmanager
def sited(kind: str, limit: float) -> Iterator[Site]:
    """Yield a fresh site."""
    folder = Path(tempfile.mkdtemp(prefix="fleet-kills-"))
    site = Site(kind, folder, limit)
    try:
        yield site
    finally:
        site.close()


def hurt(kind: str, site: Site, fleet: subprocess.Popen[bytes]) -> None:
    """Hurt a process of a running fleet."""
    victim = {"host": fleet, "scheduler": site.cluster.scheduler}.get(kind, site.cluster.workers[0])
    if kind == "pause":
        victim.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        victim.send_signal(signal.SIGCONT)
    else:
        victim.kill()
        victim.wait()


def decisions(failed: dict[int, dict[str, object]], writes: Counter[tuple[int, int]]) -> Iterator[str]:
    """Yield the options that decide about the writes under way, as a person would who asks the service."""
    for key, error in failed.items():
        if error["code"] == "under_way":
            (call,) = error["calls"]  # type: ignore[misc]
            was_done = writes[key, call["arguments"]["number"]]  # type: ignore[index]
            yield from (f"--{'done' if was_done else 'again'}", f"{key}")


def play(kind: str, moment: int, limit: float) -> Round:
    """Run a fleet, hurt it after ``moment`` writes, and resume it until all inputs are done."""
    result, started = Round(kind, moment), time.monotonic()
    with sited(kind, limit) as site:
        on_dask = ("--executor", f"dask://{site.cluster.address}")
        fleet = site.start(*on_dask)
        ends = time.monotonic() + limit
        while site.pad.writes.total() < moment and fleet.poll() is None and time.monotonic() < ends:
            time.sleep(0.005)
        hurt(kind, site, fleet)
        site.has_ended(fleet, result)
        named: set[int] = set()
        while site.done() < INPUTS and result.fleets <= RESUMES:
            failed = site.failed()
            named |= {key for key, error in failed.items() if error["code"] == "under_way"}
            where: Sequence[str] = on_dask if site.cluster.can_work else ()
            site.has_ended(site.start("--resume", *decisions(failed, site.pad.writes), *where), result)
        result.named = len(named)
        result.twice = sum(count > 1 for count in site.pad.writes.values())
        result.missing = INPUTS * WRITES - len(site.pad.writes)
        if site.done() < INPUTS:
            result.problems.append(f"{INPUTS - site.done()} inputs are not done: see {site._folder}")
    result.seconds = time.monotonic() - started
    if result.is_good:
        shutil.rmtree(site._folder, ignore_errors=True)
    elif result.twice and not result.problems:
        result.problems.append(f"see {site._folder}")
    return result


def main() -> int:
    """Run the rounds, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated: %(default)s")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that a fleet may take [%(default)s]")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    kinds, moments = given.kinds.split(","), random.Random(seed)
    print(f"seed {seed}\n{HEADER}", flush=True)
    rounds = []
    for number in range(1, given.rounds + 1):
        rounds.append(play(kinds[(number - 1) % len(kinds)], moments.randrange(1, INPUTS * WRITES), given.limit))
        print(rounds[-1].line(number), flush=True)
    bad = [each for each in rounds if not each.is_good]
    twice = sum(each.twice for each in rounds)
    print(f"{len(rounds)} rounds, {len(bad)} of them bad, {twice} writes twice", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
