"""Disks that a recording does not fit on: a run ends and goes on later, or is refused before anything is sent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from operations.scenarios import WRITES, Bench, Row, Skipped, answer_of


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Record on a small disk until it is full, make space, and resume; then begin a run while the disk is read-only."""
    for number in range(rounds):
        with Bench(folder / str(number)) as bench, small_disk(folder / f"disk-{number}", random.randint(3, 6)) as disk:
            bench.recording = disk / "run.jsonl"
            answer = answer_of(bench.start("run"))
            before = bench.shelf.lent.total()
            subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
            options, resumed = bench.doubts()
            if options:
                resumed = answer_of(bench.start("resume", *options))
            yield Row(
                f"full after {before} of {WRITES} writes",
                f"{answer['error'] and answer['error']['message'][:60]}; asked about {len(options) // 2}",
                not answer["ok"] and resumed["ok"] and bench.is_exact,
            )
            bench.shelf.lent.clear()
            bench.recording = disk / "another.jsonl"
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            refused = bench.start("run")
            refused.communicate()
            seen = f"status {refused.returncode}, {bench.shelf.lent.total()} writes"
            yield Row("read-only", seen, refused.returncode == 3 and not bench.shelf.lent)


@contextmanager
def small_disk(folder: Path, pages: int) -> Iterator[Path]:
    """Yield a folder with a disk of its own, of so many pages of memory."""
    folder.mkdir()
    size = pages * os.sysconf("SC_PAGE_SIZE")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "kosmolua", str(folder)], capture_output=True)
    if done.returncode:
        raise Skipped("no disk can be mounted here: it needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
