"""The audit of a server: lines that are bound to those before them, and the commands that look after it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from support.records import record

from kosmolua import ConfigError, Outcome
from kosmolua.broker.journal import Journal
from kosmolua.locks import lock_file
from kosmolua.secret import Redactor
from kosmolua.serve.audit import AuditEntry, Auditor, ChainedJournal, verify
from kosmolua.serve.runs import Running

KEY = b"the key of the audit"


def write(path: Path, count: int, **given: Any) -> None:
    journal = ChainedJournal(path, Redactor(), lambda _: None, **given)
    for number in range(count):
        journal.write(AuditEntry({"run": f"r{number}"}))
    journal.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An audit of five lines."""
    write(tmp_path / "audit.jsonl", 5)
    return tmp_path / "audit.jsonl"


def test_each_line_is_bound_to_the_one_before(file: Path) -> None:
    """All are as written, also after another process has gone on."""
    write(file, 2)
    found = verify(str(file))
    assert (found.lines, found.breaks, found.is_whole) == (7, [], True)
    assert found.last == json.loads(file.read_text().splitlines()[-1])["chain"]


def test_a_changed_line_is_found(file: Path) -> None:
    """It is named by its file and number, and so is the line after it."""
    file.write_text(file.read_text().replace("r2", "r9"))
    assert [(each.file, each.line) for each in verify(str(file)).breaks] == [(str(file), 3), (str(file), 4)]


def test_a_missing_and_an_added_line_are_found(file: Path) -> None:
    """Whoever takes a line out, or puts one in, breaks the line that follows."""
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2] + lines[3:]))
    assert [each.line for each in verify(str(file)).breaks] == [3]
    file.write_text("".join([*lines[:2], '{"run": "x"}\n', *lines[2:]]))
    assert [each.line for each in verify(str(file)).breaks] == [3, 4]


def test_the_first_lines_of_an_older_version_are_told(tmp_path: Path) -> None:
    """They have no digest, but the first line with one is bound to them."""
    path = tmp_path / "audit.jsonl"
    path.write_text('{"run": "old"}\n')
    write(path, 2)
    found = verify(str(path))
    assert (found.lines, found.unchained, found.breaks) == (2, 1, [])
    path.write_text(path.read_text().replace("old", "new"))
    assert [each.line for each in verify(str(path)).breaks] == [2]


def test_a_key_keeps_others_from_making_the_chain_anew(tmp_path: Path) -> None:
    """Neither with another key nor without one; it is said how many lines the key binds."""
    path = tmp_path / "audit.jsonl"
    write(path, 2)
    write(path, 3, key=KEY)
    found = verify(str(path), lambda: KEY)
    assert (found.lines, found.keyed, found.breaks) == (5, 3, [])
    with pytest.raises(ConfigError, match="was written with the key audit_key"):
        verify(str(path))
    assert [each.line for each in verify(str(path), lambda: b"another").breaks] == [3, 4, 5]
    write(path, 1)
    assert [each.line for each in verify(str(path), lambda: KEY).breaks] == [6]


def test_renamed_files_belong_to_the_audit(tmp_path: Path) -> None:
    """The chain goes on over a rotation; without the older file it is told that lines are missing."""
    path = tmp_path / "audit.jsonl"
    write(path, 12, max_size=700)
    renamed = sorted(tmp_path.glob("audit.jsonl.*"))
    assert renamed
    found = verify(str(path))
    assert (found.lines, found.breaks, found.is_whole) == (12, [], True)
    for each in renamed:
        each.unlink()
    found = verify(str(path))
    assert (found.breaks, found.is_whole) == ([], False)


CHILD = """
import sys
from kosmolua.secret import Redactor
from kosmolua.serve.audit import AuditEntry, ChainedJournal
journal = ChainedJournal(sys.argv[1], Redactor(), print, max_size=4000)
for number in range(30):
    journal.write(AuditEntry({"run": f"r{number}"}))
"""


def test_a_journal_that_has_written_keeps_no_other_waiting(tmp_path: Path) -> None:
    """The file is locked for as long as a line is written, though it stays open."""
    path = tmp_path / "audit.jsonl"
    journal = ChainedJournal(path, Redactor(), print)
    journal.write(AuditEntry({"run": "r"}))
    with path.open("ab") as file:
        assert lock_file(file.fileno())
    journal.close()


@pytest.mark.slow
def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    """No line is lost or bound to the wrong one, while the file is renamed too."""
    path = tmp_path / "audit.jsonl"
    children = [subprocess.Popen([sys.executable, "-c", CHILD, str(path)]) for _ in range(3)]
    assert [each.wait(120) for each in children] == [0, 0, 0]
    found = verify(str(path))
    assert (found.lines, found.breaks, found.is_whole) == (90, [], True)


def test_a_line_says_who_did_what_for_whom_by_which_rule() -> None:
    """One line for a run: the person, the tenant, and for each function that changed something, who allowed it."""
    told: list[bytes] = []
    auditor = Auditor(Journal(None, Redactor(), print), "live", [told.append])
    run = Running("acme", "0123456789ab", "an agent", "a.lua", "ff", "Restarts", "Cursor", "ann@corp.example")
    for path, rule in (("shop.order", "write of [shop.work] permissions"), ("shop.cancel", "approved by Bob")):
        for _ in range(2):
            auditor.called(run, record(path=path, effect="write", allowed_by=rule))
    auditor.ended(run, Outcome([], "", None, []))
    line = json.loads(told[0])
    assert (line["tenant"], line["person"], line["status"]) == ("acme", "ann@corp.example", "done")
    assert line["did"] == [
        {"path": "shop.order", "account": "work", "allowed_by": "write of [shop.work] permissions", "count": 2},
        {"path": "shop.cancel", "account": "work", "allowed_by": "approved by Bob", "count": 2},
    ]
    assert line["allowed_by"] == ["write of [shop.work] permissions", "approved by Bob"]


def test_the_command_verifies_and_exports(file: Path, kosmolua: Program) -> None:
    """It prints the digest of the last line, fails where a line is wrong, and prints lines since a time."""
    done = kosmolua("audit", "verify", file)
    assert (done.returncode, done.stdout.split(";")[0]) == (0, "5 lines, all as written, bound without a key")
    assert kosmolua("audit", "export", file).stdout == file.read_text()
    assert kosmolua("audit", "export", file, "--since", "2999-01-01").stdout == ""
    file.write_text(file.read_text().replace("r2", "r9"))
    done = kosmolua("audit", "verify", file)
    assert done.returncode == 1
    assert f"{file}:3: it was changed" in done.stdout
    assert "No such file" in kosmolua("audit", "verify").stderr
