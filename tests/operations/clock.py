"""A run that is interrupted and resumed while the host's clock is set by more than a year, forward and back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from operations.scenarios import WRITES, Bench, Row, Skipped, answer_of

DAYS = (400, -400)
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long days(void) { return atol(getenv("CLOCK_DAYS") ? getenv("CLOCK_DAYS") : "0") * 86400; }

int clock_gettime(clockid_t id, struct timespec *ts) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(id, ts);
  if (id == CLOCK_REALTIME) ts->tv_sec += days();
  return status;
}

time_t time(time_t *t) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  if (t) *t = ts.tv_sec;
  return ts.tv_sec;
}

int gettimeofday(struct timeval *tv, void *tz) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  tv->tv_sec = ts.tv_sec;
  tv->tv_usec = ts.tv_nsec / 1000;
  return 0;
}
"""
"""A library that sets the clock of the programs into which it is loaded."""


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Kill a run at a random write, set the clock, resume, kill that too, set it back, and resume."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skipped("there is no C compiler, which makes the library that sets the clock")
    (folder / "clock.c").write_text(SHIM)
    library = folder / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "clock.c", "-ldl"], check=True)
    for number in range(rounds):
        with Bench(folder / str(number)) as bench:
            bench.start_and_kill(random.randint(1, WRITES // 3), random.choice(("before", "after")), "run")
            for days in DAYS:
                with clock_set(library, days):
                    shown = subprocess.run(["date", "-u", "+%Y"], capture_output=True, text=True, check=True).stdout
                    options, _ = bench.doubts()
                    bench.start_and_kill(random.randint(1, WRITES // 3), "after", "resume", *options)
                yield Row(f"{days:+} days", f"the year {shown.strip()}, asked about {len(options) // 2}")
            options, answer = bench.doubts()
            answer = answer_of(bench.start("resume", *options)) if options else answer
            yield Row("at last", f"{bench.shelf.lent.total()} writes", answer["ok"] and bench.is_exact)


@contextmanager
def clock_set(library: Path, days: int) -> Iterator[None]:
    """Let the programs that are started in a ``with`` block have a clock that is wrong by so many days."""
    os.environ |= {"LD_PRELOAD": str(library), "CLOCK_DAYS": str(days)}
    try:
        yield
    finally:
        del os.environ["LD_PRELOAD"], os.environ["CLOCK_DAYS"]
