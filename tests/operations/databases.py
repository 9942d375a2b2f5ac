"""A database that restarts, and one that is away, while clients write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import requests
from support.postgres import Postgres, reason_to_skip
from support.serving import ACME, Serving, bearing, serving

from operations.scenarios import Row, Skipped
from operations.traffic import NOTEBOOK, accounts_for, traffic

AWAY = (0, 5, 40)
"""Seconds for which the database is away, one after the other."""
SOON = 2.0
"""Seconds after which the server says that it is not ready, and within which it refuses a run."""


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Crash PostgreSQL under a server, start it again, and look at what the probes and the clients were told."""
    if reason := reason_to_skip():
        raise Skipped(reason)
    with Postgres() as postgres:
        for number in range(rounds):
            for seconds in AWAY:
                own = folder / f"{number}-{seconds}"
                own.mkdir()
                with serving(own, accounts_for(own, postgres.address), "--plugin", NOTEBOOK) as server:
                    with traffic(server.url, own / "notebook") as seen:
                        seen.goes_on()
                        postgres.stop()
                        began = time.monotonic()
                        if seconds:
                            yield from told(server)
                        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
                        postgres.start()
                        began = time.monotonic()
                        is_back = seen.goes_on(1)
                        back = time.monotonic() - began
                        seen.goes_on()
                    said, is_right = seen.verdict()
                yield Row(f"away for {seconds} s", f"{said}; ok after {back:.1f} s", is_right and is_back)


def told(server: Serving) -> Iterator[Row]:
    """Yield what a server says that has just lost its database: to a probe, and to a program that starts a run."""
    began = time.monotonic()
    while requests.get(f"{server.base}/readyz", timeout=60).status_code != 503 and time.monotonic() - began < 60:
        time.sleep(0.05)
    passed = time.monotonic() - began
    yield Row("not ready", f"after {passed:.1f} s", passed < SOON)
    began = time.monotonic()
    answer = requests.post(f"{server.base}/api/runs", json={"source": "return 1"}, headers=bearing(ACME), timeout=60)
    passed, error = time.monotonic() - began, answer.json().get("error") or {}
    is_right = (answer.status_code, error.get("code"), error.get("retryable")) == (503, "unavailable", True)
    yield Row("a run", f"refused in {passed:.1f} s: {error}", is_right and passed < SOON)
