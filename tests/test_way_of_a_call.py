"""The way of a call: how much of the package one live call crosses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent / "benchmarks" / "way_of_a_call.py"


@pytest.mark.slow
def test_a_call_crosses_few_files_and_functions() -> None:
    """One call over HTTP, from the script's start to its end, can be followed by a reader."""
    measured = subprocess.run([sys.executable, BENCHMARK], capture_output=True, text=True, check=False)
    assert measured.returncode == 0, measured.stdout + measured.stderr
