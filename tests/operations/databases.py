"""A database that restarts, and one that is away, while clients write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from support.postgres import Postgres, reason_to_skip
from support.serving import serving

from operations.scenarios import Row, Skipped
from operations.traffic import NOTEBOOK, accounts_for, traffic

AWAY = (0, 5, 40)
"""Seconds for which the database is away, one after the other."""


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Crash PostgreSQL under a server, start it again, and look at what the clients were told."""
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
                        time.sleep(seconds)
                        postgres.start()
                        began = time.monotonic()
                        is_back = seen.goes_on(1)
                        back = time.monotonic() - began
                        seen.goes_on()
                    said, is_right = seen.verdict()
                yield Row(f"away for {seconds} s", f"{said}; ok after {back:.1f} s", is_right and is_back)
