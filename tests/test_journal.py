"""The journal: one line for each call."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.documents import Reply, serving, small
from support.records import record

from kosmolua import ConfigError, NetworkError, Runtime
from kosmolua.broker.journal import MAX_PENDING, Journal
from kosmolua.calls.records import Call, FinishedCall
from kosmolua.cli.progress import Trace
from kosmolua.errors import BadArguments, Denied
from kosmolua.http.messages import Attempt
from kosmolua.plugin import Secret
from kosmolua.secret import Redactor

KEY = "rnd_SECRET_of_the_journal"


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.learn(Secret(KEY))
    return redactor


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_says_everything(redactor: Redactor) -> None:
    """Time, run, path, account, effect, arguments, status, duration, request id, attempts and error code."""
    call = Call("run-1", 7, "library.lend")
    call.account, call.effect = "work", "write"
    call.arguments = {"book": "b-1", "note": f"x {KEY}"}
    call.observe(Attempt(1, 0.1, status=503))
    call.observe(Attempt(2, 0.1, fault="reset"))
    call.observe(Attempt(3, 0.1, status=200, request_id="req-7"))
    ended = call.record(None, redactor, is_over=False)
    line = json.loads(ended.line(redactor))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line.pop("duration_ms") >= 0
    assert line == {
        "run": "run-1",
        "script": None,
        "sha256": None,
        "mode": "live",
        "allowed_by": None,
        "path": "library.lend",
        "account": "work",
        "effect": "write",
        "arguments": {"book": "b-1", "note": "x ***"},
        "status": "ok",
        "error": None,
        "attempts": [503, 0, 200],
        "request_id": "req-7",
    }


def test_a_line_without_secrets_is_searched_once(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole, since each call of a script waits for its line."""
    call = Call("run-1", 7, "library.lend")
    call.arguments = {"book": "b-1", "notes": ["a note of the book"] * 20}
    ended, searched = call.record(None, redactor, is_over=False), []
    knows = redactor.knows
    monkeypatch.setattr(redactor, "knows", lambda text: searched.append(text) or knows(text))
    assert json.loads(ended.line(redactor))["arguments"] == call.arguments
    assert len(searched) == 1


@pytest.mark.slow
def test_a_line_says_where_a_download_came_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A read that the service redirects to another origin returns what is there; the journal and the trace name it."""
    got = {"operationId": "get_zip", "responses": {"302": {"description": "elsewhere"}}}
    keyed = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
    document = small(tmp_path, {"paths": {"/zip": {"get": got}}, "components": keyed, "security": [{"key": []}]})
    journal, ended = tmp_path / "journal.jsonl", Trace()
    with serving(lambda sent: Reply(b"PK", kind="application/zip")) as files:
        moved = Reply(None, 302, "", {"Location": f"{files.url}/a.zip"})
        with serving(lambda sent: moved) as service:
            accounts = {"pets": {"default": {"token": KEY, "base_url": service.url}}}
            with Runtime(accounts, plugins=[document], environ={}, journal=journal) as runtime:
                outcome = runtime.run("return app.integrations.pets.get_zip().base64", watch=ended.note)
        assert outcome.result == ["UEs="]
        assert "authorization" not in files.last.headers
        assert [line["redirects"] for line in lines_of(journal)] == [[files.url]]
        assert f"(302, 200, redirected to {files.url})" in capsys.readouterr().err


def test_a_line_has_no_credential_of_the_arguments(redactor: Redactor) -> None:
    """Neither those that are called so, at any depth, nor those of headers, nor those that the function declares."""
    call = Call("run-1", 1, "library.log_in")
    call.account, call.effect, call.credentials = "work", "write", frozenset({"pin"})
    names = (
        "password",
        "new_password",
        "userPassword",
        "access_token",
        "refreshToken",
        "id-token",
        "api_key",
        "secret",
    )
    names += ("secret", "client_secret", "Authorization", "token")
    call.arguments = {
        **dict.fromkeys(names, "hunter22"),
        "pin": "hunter22",
        "body": {"user": {"password": "hunter22"}, "list": [{"apiKey": "hunter22"}]},
        "extra": {"headers": {"X-Shop-Token": "hunter22", "X-Auth-Key": "hunter22", "If-Match": "a"}},
        "name": "ann",
        "next_page_token": "p2",
        "password_reset": True,
        "key": "a",
        "secret_count": 3,
    }
    line = call.record(None, redactor, is_over=False).line(redactor).decode()
    assert "hunter22" not in line
    kept = json.loads(line)["arguments"]
    assert kept["extra"]["headers"] == {"X-Shop-Token": "***", "X-Auth-Key": "***", "If-Match": "a"}
    assert kept["name"] == "ann"
    assert kept["next_page_token"] == "p2"
    assert kept["key"] == "a"
    assert kept["secret_count"] == 3
    assert kept["password_reset"] is True


def test_a_declared_credential_is_not_in_the_journal(tmp_path: Path) -> None:
    """A document says it by its format; a person who is asked still sees what they approve."""
    schema = {"type": "object", "properties": {"user": {"type": "string"}, "pin": {"type": "string"}}}
    schema["properties"]["pin"]["format"] = "password"
    body = {"content": {"application/json": {"schema": schema}}}
    login = {"operationId": "logIn", "requestBody": body, "responses": {"200": {"description": "ok"}}}
    asked: list[Any] = []

    def approve(approval: Any) -> bool:
        asked.append(dict(approval.arguments))
        return True

    journal = tmp_path / "journal.jsonl"
    with serving() as service:
        path = small(tmp_path, {"paths": {"/login": {"post": login}}})
        accounts = {"pets": {"main": {"base_url": service.url}}}
        with Runtime(accounts, plugins=[path], journal=journal, environ={}) as runtime:
            outcome = runtime.run("app.integrations.pets.log_in({ user = 'ann', pin = 'hunter22' })", approve=approve)
            assert outcome.ok, outcome.error
        assert service.last.body == b'{"user":"ann","pin":"hunter22"}'
    assert asked == [{"user": "ann", "pin": "hunter22"}]
    assert lines_of(journal)[0]["arguments"] == {"user": "ann", "pin": "***"}


def test_refused_is_not_failed(redactor: Redactor) -> None:
    """A call that ended before anything was sent is refused; one that was sent and went wrong has failed."""
    refused, failed = Call("r", 1, "a.b"), Call("r", 2, "a.b")
    failed.observe(Attempt(1, 0.1))
    records = [
        refused.record(BadArguments("no"), redactor, is_over=False),
        failed.record(NetworkError("no"), redactor, is_over=False),
    ]
    assert [(record.status, record.error) for record in records] == [
        ("refused", "bad_arguments"),
        ("failed", "network"),
    ]


def test_the_file_is_appended_to(tmp_path: Path, redactor: Redactor) -> None:
    """A journal goes on where an earlier one ended, and only its owner can read it."""
    path = tmp_path / "journal.jsonl"
    for number in range(3):
        journal = Journal(path, redactor, pytest.fail)
        journal.write(record(run=f"run-{number}"))
        journal.close()
        journal.close()
    assert [line["run"] for line in lines_of(path)] == ["run-0", "run-1", "run-2"]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_line_is_one_write(tmp_path: Path, redactor: Redactor) -> None:
    """Threads that write at once leave whole lines, so a crash loses at most the call under way."""
    journal = Journal(tmp_path / "journal", redactor, pytest.fail)

    def write(number: int) -> None:
        for _ in range(50):
            journal.write(record(run=f"run-{number}", path="x" * 2000))

    threads = [Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines_of(tmp_path / "journal")) == 200


def test_a_line_stays_a_line(redactor: Redactor) -> None:
    """Line ends, broken text and values that JSON does not know leave one line of UTF-8."""
    arguments = {"x": "1\n2", "when": Path("p"), "key": Secret(KEY)}
    line = record(path="a\nb\ud800", arguments=arguments).line(redactor)
    assert line.count(b"\n") == 1
    assert json.loads(line)["arguments"] == {"x": "1\n2", "when": "p", "key": "***"}


def test_a_journal_that_is_closed_takes_no_more(tmp_path: Path, redactor: Redactor) -> None:
    """A call that ends late is written nowhere, least of all into a file that has got the journal's number since."""
    journal = Journal(tmp_path / "journal", redactor, pytest.fail)

    class Late(FinishedCall):
        def line(self, redactor: Redactor) -> bytes:
            journal.close()
            innocent.append((tmp_path / "innocent").open("w"))
            return super().line(redactor)

    innocent: list[Any] = []
    journal.write(Late(*record(path="render2.create_service")))
    innocent[0].close()
    assert (tmp_path / "innocent").read_text() == (tmp_path / "journal").read_text() == ""


def test_no_file(tmp_path: Path, redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file nothing is kept."""
    monkeypatch.chdir(tmp_path)
    journal = Journal(None, redactor, pytest.fail)
    journal.write(record())
    journal.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/journal", "."])
def test_a_file_that_cannot_be_opened(tmp_path: Path, redactor: Redactor, name: str) -> None:
    """It is said before the script runs, with the reason."""
    with pytest.raises(ConfigError, match=r"The journal .* cannot be opened: "):
        Journal(tmp_path / name, redactor, pytest.fail)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_stops_no_call(redactor: Redactor) -> None:
    """The user is warned once, and calls go on."""
    warnings: list[str] = []
    journal = Journal("/dev/full", redactor, warnings.append)
    for _ in range(3):
        journal.write(record())
    assert warnings == ["The journal /dev/full can no longer be written: No space left on device"]


def test_a_record_is_not_glued_to_half_a_line(tmp_path: Path, redactor: Redactor) -> None:
    """Where a power cut left half a record, the next one begins on a line of its own."""
    path = tmp_path / "journal"
    path.write_bytes(b'{"run": "whole"}\n{"run": "ha')
    for _ in range(2):
        journal = Journal(path, redactor, pytest.fail)
        journal.write(record(run="next"))
        journal.close()
    _, half, *others = path.read_text().splitlines()
    assert half == '{"run": "ha'
    assert [json.loads(line)["run"] for line in others] == ["next", "next"]


def paths_in(path: Path) -> list[object]:
    return [line["path"] for line in lines_of(path)]


full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
follows_renames = pytest.mark.skipif(sys.platform == "win32", reason="Windows renames no open file")


@full_device
def test_a_journal_goes_on_after_a_full_disk(tmp_path: Path, redactor: Redactor) -> None:
    """The records of the meantime are written when there is space again, and the user is told of both."""
    path, warnings = tmp_path / "journal", list[str]()
    path.symlink_to("/dev/full")
    journal = Journal(path, redactor, warnings.append)
    for name in ("a", "b"):
        journal.write(record(path=name))
    path.unlink()
    for name in ("c", "d"):
        journal.write(record(path=name))
    assert paths_in(path) == ["a", "b", "c", "d"]
    assert warnings == [
        f"The journal {path} can no longer be written: No space left on device",
        f"The journal {path} can be written again",
    ]


@full_device
def test_a_journal_keeps_no_more_records_than_it_may(tmp_path: Path, redactor: Redactor) -> None:
    """While the disk is full the oldest records are given up, and how many is said."""
    path, warnings = tmp_path / "journal", list[str]()
    path.symlink_to("/dev/full")
    journal = Journal(path, redactor, warnings.append)
    for number in range(MAX_PENDING + 3):
        journal.write(record(path=str(number)))
    path.unlink()
    journal.reopen()
    assert paths_in(path) == [str(number) for number in range(3, MAX_PENDING + 3)]
    assert warnings[1] == f"The journal {path} can be written again; 3 records are missing"


@full_device
def test_a_required_journal_refuses_writes_while_it_cannot_be_written(tmp_path: Path, redactor: Redactor) -> None:
    """Each write is refused, in a sentence that says what to do, until the file takes the records that it missed."""
    path, warnings = tmp_path / "journal", list[str]()
    path.symlink_to("/dev/full")
    journal = Journal(path, redactor, warnings.append, required=True)
    journal.require()
    journal.write(record(path="a"))
    for _ in range(2):
        with pytest.raises(
            Denied, match=r"forbids calls that change data without a journal \(free space on its disk.*Nothing was sent"
        ):
            journal.require()
    path.unlink()
    journal.require()
    assert paths_in(path) == ["a"]
    assert len(warnings) == 2


def test_a_required_journal_needs_a_file(redactor: Redactor) -> None:
    """Where none is named the configuration is wrong, and that is said before anything runs."""
    with pytest.raises(ConfigError, match=r"requires a journal, and there is none \(name its file with --journal"):
        Journal(None, redactor, pytest.fail, required=True)


def test_a_journal_that_is_not_required_refuses_nothing(redactor: Redactor) -> None:
    """Without a file every write goes on."""
    Journal(None, redactor, pytest.fail).require()


@follows_renames
@pytest.mark.parametrize("rotate", [lambda path: path.rename(path.with_suffix(".1")), lambda path: path.unlink()])
def test_a_journal_follows_rotation(tmp_path: Path, redactor: Redactor, rotate: Callable[[Path], object]) -> None:
    """After a rename or a removal the next record goes into a new file of the same name."""
    path = tmp_path / "journal"
    journal = Journal(path, redactor, pytest.fail)
    journal.write(record(path="before"))
    rotate(path)
    journal.write(record(path="after"))
    assert paths_in(path) == ["after"]
    assert [paths_in(old) for old in tmp_path.glob("journal.1")] in ([["before"]], [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_journal_is_opened_anew_when_asked(tmp_path: Path, redactor: Redactor) -> None:
    """After reopen the file is there again even before the next record, which is written once."""
    path = tmp_path / "journal"
    journal = Journal(path, redactor, pytest.fail)
    journal.write(record(path="before"))
    if sys.platform != "win32":
        path.unlink()
    journal.reopen()
    journal.write(record(path="after"))
    journal.close()
    journal.reopen()
    journal.write(record(path="late"))
    assert paths_in(path)[-1] == "after"


def test_a_folder_that_is_gone(tmp_path: Path, redactor: Redactor) -> None:
    """It is one warning, and the records are kept until the folder is back."""
    folder, warnings = tmp_path / "log", list[str]()
    folder.mkdir()
    journal = Journal(folder / "journal", redactor, warnings.append)
    (folder / "journal").unlink()
    folder.rmdir()
    for name in ("a", "b"):
        journal.write(record(path=name))
    folder.mkdir()
    journal.write(record(path="c"))
    assert paths_in(folder / "journal") == ["a", "b", "c"]
    assert [warning.rpartition("/journal ")[2] for warning in warnings] == [
        "can no longer be written: No such file or directory",
        "can be written again",
    ]


def test_a_full_journal_is_renamed(tmp_path: Path, redactor: Redactor) -> None:
    """A new one begins, the latest before it is .1, and the oldest go; no line is lost or cut meanwhile."""
    path = tmp_path / "journal.jsonl"
    size = len(record().line(redactor)) * 3 + 50
    journal = Journal(path, redactor, pytest.fail, max_size=size)
    for number in range(9):
        journal.write(record(number=number, path=f"a.b{number}"))
    files = [path, *(Path(f"{path}.{number}") for number in (1, 2))]
    seen = [[json.loads(line)["path"] for line in file.read_text().splitlines()] for file in files]
    assert seen == [[f"a.b{number}" for number in numbers] for numbers in ((6, 7, 8), (3, 4, 5), (0, 1, 2))]
    for number in range(30):
        journal.write(record(number=number))
    journal.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "journal.jsonl",
        *(f"journal.jsonl.{n}" for n in (1, 2, 3, 4)),
    ]
    assert all(each.stat().st_size <= size for each in tmp_path.iterdir())


def test_two_processes_may_fill_one_journal(tmp_path: Path, redactor: Redactor) -> None:
    """Each follows when the other renames it."""
    path = tmp_path / "journal.jsonl"
    size = len(record().line(redactor)) * 5
    journals = [Journal(path, redactor, pytest.fail, max_size=size) for _ in range(2)]
    for number in range(20):
        journals[number % 2].write(record(path=f"a.b{number:02}"))
    lines = [line for file in sorted(tmp_path.iterdir(), reverse=True) for line in file.read_text().splitlines()]
    paths = [json.loads(line)["path"] for line in lines]
    assert paths == [f"a.b{number:02}" for number in range(20)][-len(paths) :]
    assert len(paths) >= 16


@pytest.mark.parametrize(
    ("given", "simulate", "line", "kept"),
    [
        (True, False, "", True),
        (True, True, "", False),
        (True, False, "[kosmolua]\njournal = false\n", False),
        (None, False, "", False),
    ],
)
def test_the_default_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: bool | None, simulate: bool, line: str, kept: bool
) -> None:
    """It is kept in the state folder if it is asked for, unless calls are simulated or the file turns it off."""
    monkeypatch.setattr("kosmolua.broker.host.state_folder", lambda: str(tmp_path / "state"))
    (tmp_path / "accounts.toml").write_text(line)
    with Runtime(tmp_path / "accounts.toml", journal=given, simulate=simulate, environ={}) as runtime:
        runtime.run("pcall(app.integrations.render2.list_services)", name="report.lua")
    assert (tmp_path / "state" / "journal.jsonl").exists() == kept
    if kept:
        (entry,) = map(json.loads, (tmp_path / "state" / "journal.jsonl").read_text().splitlines())
        assert entry["script"] == "report.lua"
        assert entry["mode"] == "live"
        assert entry["status"] == "refused"
        digest = hashlib.sha256(b"pcall(app.integrations.render2.list_services)").hexdigest()
        assert entry["sha256"] == digest


def test_a_default_journal_that_cannot_be_kept_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Calls go on: a container may have no home. A journal that is required is an error."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("kosmolua.broker.host.state_folder", lambda: str(tmp_path / "file"))
    warnings: list[str] = []
    with Runtime({}, journal=True, environ={}, warn=warnings.append) as runtime:
        runtime.run("pcall(app.integrations.render2.list_services)")
    (warning,) = warnings
    assert warning.startswith("calls are not recorded in ")
    assert "set journal = false under [kosmolua]" in warning
    with pytest.raises(ConfigError, match="which the accounts file requires, cannot be opened"):
        Runtime({"kosmolua": {"journal_required": True}}, journal=True, environ={})
