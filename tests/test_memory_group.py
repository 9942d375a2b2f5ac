"""A host whose container has less memory than its scripts want: the kernel ends scripts, not the host."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.cgroups import MemoryGroup, memory_group
from support.processes import linux_only

pytestmark = [linux_only, pytest.mark.slow]
MIB = 1024**2
SCRIPT = "local t = {} for i = 1, 60 do t[i] = ('x'):rep(1048576 - 100) .. i end sleep(4) return #t"
LARGE = f"ballast = b'x' * {90 * MIB}"
"""A host that is larger than any of its scripts, as a server soon is: the kernel would take it first."""
SERVER = f"""
import json
from concurrent.futures import ThreadPoolExecutor
from kosmolua import Runtime
{LARGE}

with Runtime({{}}, environ={{}}) as runtime:
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(runtime.run, [{SCRIPT!r}] * 4))
    last = runtime.run("return 1")
    print(json.dumps([[outcome.result, str(outcome.error or "")] for outcome in [*outcomes, last]]))
"""
PROGRAM = f"""
from kosmolua.cli import main
{LARGE}
main(["run", "--json", "-e", {SCRIPT!r}])
"""
SAYS_SO = "The sandbox died: its process was ended by SIGKILL (the system may be out of memory"


def run_in(group: MemoryGroup, program: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a group."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, preexec_fn=group.join)


def test_a_server_outlives_the_scripts_that_its_container_has_no_room_for() -> None:
    """With 160 MiB, four scripts of 60 MB cannot all live; those that the kernel ends say so, and the next one runs."""
    with memory_group(160 * MIB) as group:
        host = run_in(group, SERVER)
        kills = group.kills()
    assert host.returncode == 0, host
    *outcomes, last = json.loads(host.stdout)
    lost = [error for result, error in outcomes if result != [60]]
    assert len(lost) >= 3
    assert kills >= len(lost)
    assert all(error.startswith(SAYS_SO) for error in lost), lost
    assert last == [[1], ""]


def test_a_program_outlives_its_script() -> None:
    """A script whose process was started directly is what the kernel ends, and the program says what became of it."""
    with memory_group(130 * MIB) as group:
        program = run_in(group, PROGRAM)
    assert program.returncode == 1, program
    error = json.loads(program.stdout)["error"]
    assert error["code"] == "worker_lost"
    assert error["message"].startswith(SAYS_SO)
