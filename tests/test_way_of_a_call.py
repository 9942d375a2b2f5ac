"""The way of a call: how much of the package one call crosses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent / "benchmarks" / "way_of_a_call.py"


@pytest.mark.slow
def test_each_way_crosses_few_files_and_functions() -> None:
    """A reader can follow a plain call, one of an OpenAPI document, and a recorded run that pauses."""
    measured = subprocess.run([sys.executable, BENCHMARK], capture_output=True, text=True, check=False)
    assert measured.returncode == 0, measured.stdout + measured.stderr
