"""Locks between processes: who waits, for how long, and what the death of a holder means."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer
from time import monotonic

import pytest

from kosmolua.errors import Busy
from kosmolua.locks import FileLock, lock_file, temporary_folder

HOLD = """
import sys, time
from kosmolua.locks import FileLock
with FileLock(sys.argv[1], "The file"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a lock."""
    return tmp_path / "a.lock"


def holding(path: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds the lock, and return it once it does."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    return holder


@pytest.mark.slow
def test_who_waits_too_long_is_told_who_holds_the_lock(path: Path) -> None:
    """With the process, the machine, and how long it waited."""
    holder = holding(path)
    try:
        started = monotonic()
        with pytest.raises(Busy) as raised, FileLock(path, "The file a", 0.3):
            pass
        assert monotonic() - started >= 0.3
        assert raised.value.message.startswith(f"The file a is in use: it is held by process {holder.pid} on ")
        assert ", for which this one has waited 0.3 s (" in raised.value.message
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout
        holder.stdout.close()


@pytest.mark.slow
def test_a_killed_holder_holds_nothing(path: Path) -> None:
    """The system unlocks it, though the note of the holder is still there."""
    holder = holding(path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert holder.stdout
    holder.stdout.close()
    with FileLock(path, "The file", 5):
        assert f"process {os.getpid()} " in path.read_text()
    assert path.read_text() == ""


@pytest.mark.slow
def test_threads_exclude_each_other_too(path: Path) -> None:
    """Two locks of one process are two holders."""
    with FileLock(path, "The file"), pytest.raises(Busy), FileLock(path, "The file"):
        pass


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    """It may be missing since what the lock protects is gone."""
    with pytest.raises(FileNotFoundError), FileLock(tmp_path / "none" / "a.lock", "The file"):
        pass
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_does_not_hold_the_lock_of_its_parent(path: Path) -> None:
    """A parent that is killed while its fork lives on leaves the lock free."""
    fork = f"import os, sys\nsource = {HOLD!r}.replace('time.sleep(60)', 'os.fork(); time.sleep(60)')\n"
    command = [sys.executable, "-c", fork + "exec('import os\\n' + source)", str(path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert parent.stdout and parent.stdout.readline() == b"held\n"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        while children.exists() and not children.read_text():
            pass
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        with FileLock(path, "The file", 5):
            pass
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        assert parent.stdout
        parent.stdout.close()


def test_an_open_file_is_locked_once(tmp_path: Path) -> None:
    """Another holder is refused at once, or after the time it would wait; closing the file lets it in."""
    path = tmp_path / "state"
    with path.open("w") as first, path.open("w") as second:
        assert lock_file(first.fileno())
        assert not lock_file(second.fileno())
        assert not lock_file(second.fileno(), 0.05)
        first.close()
        assert lock_file(second.fileno())


def test_a_holder_that_ends_in_time_is_waited_for(tmp_path: Path) -> None:
    """The lock comes as soon as the other file is closed."""
    path = tmp_path / "state"
    with path.open("w") as first, path.open("w") as second:
        assert lock_file(first.fileno())
        Timer(0.1, first.close).start()
        assert lock_file(second.fileno(), 60.0)


def test_a_killed_process_holds_no_open_file(tmp_path: Path) -> None:
    """The system takes back what it had locked."""
    path = tmp_path / "state"
    code = (
        f"from kosmolua.locks import lock_file; f = open({str(path)!r}, 'w'); print(lock_file(f.fileno()), flush=True)"
    )
    holder = subprocess.Popen([sys.executable, "-c", f"{code}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"True\n"
    with path.open("r+") as file:
        assert not lock_file(file.fileno())
        holder.kill()
        holder.wait()
        assert lock_file(file.fileno(), 20.0)


@pytest.mark.skipif(os.name != "posix", reason="servers with several processes need fork")
def test_temporary_folders_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the next use; but not those that a process has, nor new ones, nor others."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("some-dead", "some-new", "other-dead"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "some-link").symlink_to(tmp_path / "other-dead")
    with temporary_folder("some-") as first:
        for name in ("some-dead", "other-dead", os.path.basename(first)):
            os.utime(tmp_path / name, (0, 0))
        with temporary_folder("some-") as second:
            left = {each.name for each in tmp_path.iterdir()}
            assert left == {"some-new", "some-link", "other-dead", *map(os.path.basename, (first, second))}
            assert (tmp_path / "other-dead" / "file").exists()
    assert not os.path.exists(first)
