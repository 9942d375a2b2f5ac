"""A dump of the database while clients write, restored: another server serves it, and lists the runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from support.postgres import Postgres, reason_to_skip
from support.serving import serving

from operations.scenarios import Row, Skipped
from operations.traffic import NOTEBOOK, accounts_for, traffic


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Dump, restore into another database, and serve that."""
    if reason := reason_to_skip() or ("" if shutil.which("pg_dump") else "pg_dump is not installed"):
        raise Skipped(reason)
    with Postgres() as postgres:
        for number in range(rounds):
            copy = postgres.address.replace("/postgres?", f"/copy{number}?")
            one, two = folder / f"{number}-one", folder / f"{number}-two"
            one.mkdir()
            two.mkdir()
            with serving(one, accounts_for(one, postgres.address), "--plugin", NOTEBOOK) as server:
                with traffic(server.url, one / "notebook") as seen:
                    seen.goes_on()
                    before = len(seen.done)
                    dump = subprocess.run(["pg_dump", postgres.address], check=True, capture_output=True).stdout
                    seen.goes_on()
                yield Row("dumped while clients write", *seen.verdict())
            psql = ["psql", "--quiet", "--set", "ON_ERROR_STOP=1"]
            subprocess.run([*psql, "--command", f"create database copy{number}", postgres.address], check=True)
            subprocess.run([*psql, copy], input=dump, check=True, stdout=subprocess.DEVNULL)
            listed = runs_in(copy, two)
            yield Row("restored", f"{listed} runs, {before} were done before", listed >= before > 0)
            with serving(two, accounts_for(two, copy), "--plugin", NOTEBOOK) as server:
                with traffic(server.url, two / "notebook") as seen:
                    seen.goes_on()
                yield Row("served by another server", *seen.verdict())


def runs_in(store: str, folder: Path) -> int:
    """Return how many runs of the tenant the command line lists."""
    command = [sys.executable, "-m", "kosmolua", "runs", "list", "--tenant", "acme", "--store", store]
    environ = {**os.environ, "XDG_STATE_HOME": str(folder)}
    done = subprocess.run([*command, "--last", "100000", "--json"], env=environ, capture_output=True, check=True)
    return len(json.loads(done.stdout))
