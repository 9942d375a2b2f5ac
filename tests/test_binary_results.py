"""Binary results: the bytes of a download stay with the host, and scripts measure, pass on and read them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import Write

from kosmolua import CallError, Runtime
from kosmolua.broker.backends import Canned
from kosmolua.calls.records import CallStarted
from kosmolua.catalog.plugins import Plugins
from kosmolua.http.binary import Content
from kosmolua.plugin import Api, Binary, Integration, Request, Response, Secret, Send, bytes_of
from kosmolua.runs.session import Session

PICTURE = bytes(range(256)) * 8
IN_BASE64 = b64encode(PICTURE).decode()
DIGEST = sha256(PICTURE).hexdigest()
SHOWN = f"(2,048 bytes, SHA-256 {DIGEST}, {PICTURE[:60]!r}...)".replace(", b'", ", '")
FILES = "local files = app.integrations.files\n"


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    def open(self, send: Send) -> Api:
        return Api(send, "https://files.example")


def integration() -> Integration:
    """Return an integration whose functions return bytes and take some."""
    files = Integration("files", Account, about="Files.")

    @files.reads
    def get(api: Api, /, *, name: str = "a.png") -> Binary:
        """Get a file."""
        return api.download("/files/{name}", name=name)

    @files.reads
    def all_of_them(api: Api, /) -> dict[str, list[Binary]]:
        """Get two files."""
        return {"files": [api.download("/files/a.png"), api.download("/files/b.png")]}

    @files.writes
    def add(api: Api, /, *, file: Binary, names: list[str] | None = None) -> Any:
        """Add a file."""
        return api.post("/files", multipart={"file": file})

    @files.writes
    def put(api: Api, /, *, file: Binary) -> int:
        """Put a file."""
        return len(bytes_of(file))

    @files.reads
    def count(api: Api, /, *, number: int) -> int:
        """Count."""
        return number

    return files


class Service:
    """Answers with bytes, and keeps what it is sent."""

    def __init__(self) -> None:
        self.backend = Canned(lambda account: self.answer)
        self.content = PICTURE

    def answer(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(200, {"Content-Type": "image/png; q=1"}, self.content)
        return Response(200, {"Content-Type": "application/json"}, b"{}")

    @property
    def uploads(self) -> list[bytes]:
        return [request.content for request in self.backend.requests if request.method == "POST"]


@pytest.fixture
def service() -> Service:
    return Service()


def opened(service: Service, **options: Any) -> Runtime:
    plugins = Plugins([integration()], places=(), entry_points=dict)
    given = {"yes": True, "environ": {}, **options}
    return Runtime({"files": {"default": {}}}, plugins=plugins, backend=service.backend, **given)


@pytest.fixture
def runtime(service: Service) -> Iterator[Runtime]:
    with opened(service) as runtime:
        yield runtime


def value(runtime: Runtime, script: str, **options: Any) -> Any:
    outcome = runtime.run(FILES + script, **options)
    assert outcome.ok, outcome.error
    return outcome.result[0] if outcome.result else outcome.output


READING = {
    "its number": ("return files.get().bytes", len(PICTURE)),
    "its type": ("return files.get().content_type", "image/png"),
    "its base64": ("return files.get().base64", IN_BASE64),
    "its base64, twice": ("local f = files.get() return rawequal(f.base64, f.base64)", True),
    "its bytes": ("return #base64.decode(files.get().base64)", len(PICTURE)),
    "a part": ("return files.get().base64:sub(1, 4)", "AAEC"),
    "what is not there": ("return files.get().name == nil", True),
    "printed": ("print(files.get())", '{bytes = 2048, content_type = "image/png"}\n'),
    "returned": ("return files.get()", {"content_type": "image/png", "base64": IN_BASE64, "bytes": len(PICTURE)}),
    "as JSON": ("return json.decode(json.encode(files.get())).base64", IN_BASE64),
    "inside": ("return files.all_of_them().files[2].base64", IN_BASE64),
    "in branches": ("return parallel.map({ 1, 2 }, function() return files.get().base64 end)", [IN_BASE64] * 2),
    "in a coroutine": ("return coroutine.wrap(function() return files.get().base64 end)()", IN_BASE64),
    "its metatable": ("return getmetatable(files.get())", False),
    "set by the script": ("local f = files.get() f.base64 = 'AAAA' return f.base64", "AAAA"),
}


@pytest.mark.parametrize("name", READING)
def test_reading(runtime: Runtime, name: str) -> None:
    """A script finds the type and the number, and gets the base64 when it asks for it."""
    script, expected = READING[name]
    assert value(runtime, script) == expected


def test_passing_it_on(runtime: Runtime, service: Service) -> None:
    """The whole table goes to another function, whatever the script added to it."""
    assert value(runtime, "local f = files.get() f.filename = 'b.png' return files.add({ file = f })") == {}
    assert PICTURE in service.uploads[0]
    assert b'filename="b.png"' in service.uploads[0]
    assert b"Content-Type: image/png" in service.uploads[0]
    assert value(runtime, "return files.put({ file = files.all_of_them().files[1] })") == len(PICTURE)
    assert value(runtime, "local f = files.get() f.base64 = 'AAAA' return files.put({ file = f })") == 3


@pytest.mark.slow
def test_no_limit_of_arguments_counts_the_bytes(runtime: Runtime, service: Service) -> None:
    """Three MiB are passed on, of which the script had none; as text they are more than one argument table may hold."""
    service.content = bytes(3 << 20)
    assert value(runtime, "return files.put({ file = files.get() })", memory=8 << 20) == 3 << 20
    text = "local f = files.get() return files.put({ file = { content_type = 'a/b', bytes = 1, base64 = f.base64 } })"
    error = runtime.run(FILES + text).error
    assert error is not None
    assert "argument" in error.message


def test_nothing_shows_the_bytes(service: Service, tmp_path: Path) -> None:
    """Journal and events say how many bytes were passed, with a hash and the first of them; messages say how many."""
    seen: list[Any] = []
    with opened(service, journal=tmp_path / "journal") as runtime:
        outcome = runtime.run(
            FILES + "files.put({ file = files.get() }) files.count({ number = files.get() })",
            watch=lambda event: seen.append(event.arguments) if isinstance(event, CallStarted) else None,
        )
    shown = {"content_type": "image/png", "bytes": 2048, "base64": SHOWN}
    assert {"file": shown} in seen
    journal = (tmp_path / "journal").read_text()
    assert f"(2,048 bytes, SHA-256 {DIGEST}" in journal
    assert outcome.error is not None
    assert "must be an integer" in outcome.error.message
    assert IN_BASE64[:40] not in journal + outcome.error.message


def test_a_secret_in_the_bytes_is_passed_on_and_masked_where_it_is_read(service: Service) -> None:
    """A file that holds a key arrives whole at the next service; the script sees a mask in its base64."""
    service.content = b"key: canary-2f8d91c7-of-the-user!"
    with opened(service, secrets={"key": Secret("canary-2f8d91c7-of-the-user")}) as runtime:
        assert "***" in value(
            runtime, "local key = secrets.key files.put({ file = files.get() }) return files.get().base64"
        )
        assert value(runtime, "files.add({ file = files.get() })") == ""
    assert service.content in service.uploads[0]


@pytest.mark.slow
def test_what_is_kept_is_bounded(runtime: Runtime, service: Service) -> None:
    """Downloads are kept up to 64 MiB in base64; an older one says that it is gone, and the script can go on."""
    service.content = bytes(12 << 20)
    script = """
        local first = files.get()
        for _ = 1, 4 do files.get() end
        local ok, problem = pcall(files.put, { file = first })
        local read, again = pcall(function() return first.base64 end)
        return { ok, problem.code, read, again.code, files.put({ file = files.get() }) }
    """
    assert value(runtime, script) == [False, "not_configured", False, "not_configured", 12 << 20]


@pytest.mark.parametrize("places", [[[[1, "file", "base64"], "0.1"]], [[[2], "x"]], ["x"], [[["x"], 1]], [[[], "x"]]])
def test_a_frame_that_lies_about_places(runtime: Runtime, places: Any) -> None:
    """A child that names a handle it was not given, or a place that is none, gets an error and nothing else."""
    from kosmolua.calls.contents import Contents

    given = [{"file": {"base64": "***", "content_type": "a/b", "bytes": 1}}]
    with pytest.raises(CallError, match=r"no longer kept|bytes at a place where its arguments have none"):
        Contents().fill("files.add", given, places)


def test_a_session_keeps_them(runtime: Runtime) -> None:
    """What one line of a session downloaded, the next ones read and pass on."""
    with Session(runtime.run) as session:
        session.evaluate("f = app.integrations.files.get()")
        assert session.value("return f.base64").outcome.result == [IN_BASE64]
        assert session.value("return app.integrations.files.put({ file = f })").outcome.result == [len(PICTURE)]


def test_a_program_gets_the_base64(runtime: Runtime) -> None:
    """A call from Python returns what the type says."""
    assert runtime.call("files.get") == {"content_type": "image/png", "base64": IN_BASE64, "bytes": len(PICTURE)}
    assert runtime.call("files.put", {"file": runtime.call("files.get")}) == len(PICTURE)


def test_a_recording_has_them(service: Service, tmp_path: Path) -> None:
    """A replay reads the same bytes, also where only a changed script asks for them; a resumed run passes them on."""
    recording = tmp_path / "run.jsonl"
    script = FILES + "local f = files.get() print(f.bytes) files.add({ file = f }) return f.base64"
    with opened(service, yes=False) as runtime:
        paused = runtime.run(script, record=recording)
        assert paused.status == "paused"
        resumed = runtime.resume(recording, approve=[2])
        assert resumed.error is None
        assert resumed.result == [IN_BASE64]
        requests = len(service.backend.requests)
        assert runtime.replay(recording).result == [IN_BASE64]
        changed = FILES + "local f = files.get() files.add({ file = f }) return #f.base64"
        assert runtime.replay(recording, script=changed).result == [len(IN_BASE64)]
    assert requests == len(service.backend.requests) == 2
    assert PICTURE in service.uploads[0]


@pytest.mark.slow
def test_an_approval_fits_no_other_bytes_of_the_same_size(service: Service, tmp_path: Path) -> None:
    """A person approves what they have seen: after a change of the script, the other file waits anew."""
    recording = tmp_path / "run.jsonl"
    script = FILES + "local f = files.get({ name = 'a.bin' }) files.add({ file = f })"
    service.content = b"GOODGOODGOOD"
    with opened(service, yes=False) as runtime:
        assert runtime.run(script, record=recording).status == "paused"
        service.content = b"EVILEVILEVIL"
        resumed = runtime.resume(recording, approve=True, script=script.replace("a.bin", "b.bin"))
        assert resumed.status == "paused"
        assert "'EVILEVILEVIL'" in str(resumed.error.fields())
    assert service.uploads == []


def test_the_first_bytes_show_no_secret(service: Service) -> None:
    """A file with a secret in it is shown by size and hash alone, even if only a part of the secret stands in front."""
    key = "rnd_SECRETcanary1234567890"
    service.content = b"x" * 50 + key.encode()
    seen: list[Any] = []
    with opened(service, secrets={"bank": Secret(key)}) as runtime:
        outcome = runtime.run(
            FILES + "files.put({ file = files.get() })",
            watch=lambda event: seen.append(event.arguments) if isinstance(event, CallStarted) else None,
        )
        assert outcome.ok, outcome.error
    assert "SHA-256" in str(seen[-1])
    assert "rnd_" not in str(seen)


def test_a_plan_says_how_many_bytes(runtime: Runtime, service: Service, write: Write) -> None:
    """The download is made and the upload noted, without the bytes; the plan can be applied."""
    plan = runtime.plan(FILES + "files.add({ file = files.get() })")
    assert service.uploads == []
    assert json.loads(json.dumps(plan.calls[0].arguments))["file"]["base64"] == SHOWN
    outcome = runtime.apply(plan)
    assert outcome.ok, outcome.error
    assert PICTURE in service.uploads[0]


@pytest.mark.parametrize(
    ("text", "size"), [("", 0), ("YQ==", 1), ("YWI=", 2), ("YWJj", 3), ("YQ", 1), ("YWI", 2), ("YWJjZA", 4)]
)
def test_the_size_of_content_needs_no_padding(text: str, size: int) -> None:
    """A server of MCP may send base64 without the signs at its end."""
    assert Content(text).size == size
