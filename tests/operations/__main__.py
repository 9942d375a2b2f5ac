"""All scenarios, with one command: ``python -m tests.operations --help``."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from random import Random, SystemRandom

sys.path.insert(0, str(Path(__file__).parent.parent))

from operations.scenarios import Row, Scenario, Skipped

SCENARIOS = {
    "crashes": 6,
    "resumes": 2,
    "damage": 2,
    "full_disk": 2,
    "clock": 2,
    "waiting": 1,
    "rolling": 1,
    "databases": 1,
    "restore": 1,
    "unattended": 1,
    "parked": 1,
    "noisy": 6,
}
"""The modules of the scenarios, each with the rounds that it plays by default."""


def play(name: str, rounds: int, seed: int) -> bool:
    """Play a scenario, print its table, and return True if nothing is wrong."""
    scenario: Scenario = importlib.import_module(f"operations.{name}").play
    is_right = True
    print(f"\n{name}, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix=f"kosmolua-{name}-") as folder:
        try:
            for row in scenario(Path(folder), rounds, Random(seed)):
                is_right &= row.is_right
                show(row)
        except Skipped as why:
            print(f"  skipped: {why}")
    return is_right


def show(row: Row) -> None:
    """Print a line of a table."""
    print(f"  {'ok' if row.is_right else 'WRONG':<6} {row.case:<44} {row.seen}", flush=True)


def main() -> int:
    """Read the command line, play, and return the exit status: 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.operations", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("scenarios", nargs="*", metavar="NAME", help=f"some of: {', '.join(SCENARIOS)}; default: all")
    parser.add_argument("--rounds", type=int, help="how often; each scenario has a default of some minutes in all")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    given = parser.parse_args()
    if unknown := {*given.scenarios} - SCENARIOS.keys():
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    names = given.scenarios or SCENARIOS
    wrong = [name for name in names if not play(name, given.rounds or SCENARIOS[name], given.seed)]
    print(f"\nwrong: {', '.join(wrong)}" if wrong else "\nall as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
