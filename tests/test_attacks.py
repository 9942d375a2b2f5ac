"""Hostile and ordinary scripts, each with what must happen on its first line."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from support.rounds import rounds

from kosmolua import LimitExceeded, Limits, Outcome, Runtime, ScriptError, WorkerLost

pytestmark = pytest.mark.usefixtures("new_processes")
HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared" / "attacks"
OWN = HERE / "lua" / "attacks"
KEY = "rnd_SECRET_of_the_attack_test"
LIMITS = Limits(timeout=60, cpu=0.5, memory=96 * 1024**2, max_calls=50, max_output=64 * 1024)
ENOUGH_CPU = 20
"""Seconds for what has to end otherwise, on a slow machine too."""
ROWS = [{"id": "srv-1", "name": "web", "cost": 7.5}, {"id": "srv-2", "name": "db", "plan": "pro", "cost": 1}]
FORGERIES = ("err-01", "err-03", "err-04")


class Service(BaseHTTPRequestHandler):
    """Answers like a small Render and remembers the request lines."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.requestline, self.headers.get("Authorization", "")))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        found = next((row for row in ROWS if path == f"/v1/services/{row['id']}"), None)
        body = json.dumps(ROWS if path == "/v1/services" else found or {"message": "not found"}).encode()
        self.send_response(200 if path == "/v1/services" or found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def runtime(service: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    accounts = tmp_path_factory.mktemp("accounts") / "accounts.toml"
    # A second account keeps `production` from being the default one, which cred-07 takes for somebody else's.
    accounts.write_text(
        f'[render.production]\napi_key = "{KEY}"\nbase_url = "http://127.0.0.1:{service.server_port}/v1"\n'
        'permissions = { write = "allow" }\n\n[render.spare]\napi_key = { env = "NOT_SET" }\n'
    )
    with Runtime(accounts, plugins=[HERE / "plugins" / "render.py"], limits=LIMITS) as runtime:
        yield runtime


def scripts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.lua"))


def expectation(source: str) -> str:
    return source.partition("\n")[0].removeprefix("-- expect: ").strip()


def judge(script: Path, outcome: Outcome) -> None:
    expected = expectation(script.read_text(encoding="utf-8", errors="replace"))
    error = outcome.error
    assert outcome.result != ["PWNED"] and "PWNED" not in outcome.output, f"{script.name} broke out"
    if expected == "ok":
        assert outcome.ok and outcome.result == ["ok"], error
    elif expected == "blocked":
        assert not isinstance(error, (LimitExceeded, WorkerLost)), error
    elif expected.startswith("limit:"):
        assert isinstance(error, LimitExceeded) and error.limit == expected.removeprefix("limit:"), error
    else:
        assert expected == "contained"
    if script.name.startswith(FORGERIES):
        assert isinstance(error, ScriptError)


def run_here(runtime: Runtime, script: Path) -> None:
    Service.seen.clear()
    expected = expectation(script.read_text(encoding="utf-8", errors="replace"))
    cpu = LIMITS.cpu if expected in ("limit:cpu", "contained") else ENOUGH_CPU
    for _ in range(rounds(1, 2)):
        outcome = runtime.run(script.read_bytes(), name=script.name, cpu=cpu)
        judge(script, outcome)
        text = json.dumps(outcome.to_json(), default=str)
        assert KEY not in text and "SECRET" not in text
    for line, authorization in Service.seen:
        path = line.split(" ")[1].partition("?")[0]
        assert re.fullmatch(r"/v1/services(/srv-[a-z0-9]+)?", path), line
        assert authorization == f"Bearer {KEY}"
    assert runtime.run("return 1").result == [1]


@pytest.mark.slow
@pytest.mark.parametrize("script", scripts(SHARED) or [None], ids=lambda path: path.stem if path else "absent")
def test_shared_corpus(runtime: Runtime, script: Path | None) -> None:
    """Each script of the shared corpus ends as its first line says, and the next run does not notice."""
    if script is None:
        pytest.skip("the shared corpus is not here")
    run_here(runtime, script)


@pytest.mark.slow
@pytest.mark.parametrize("script", scripts(OWN), ids=lambda path: path.stem)
def test_own_corpus(runtime: Runtime, script: Path) -> None:
    """Each script of the project's own corpus ends as its first line says."""
    run_here(runtime, script)


def test_a_binary_main_chunk_is_refused(runtime: Runtime) -> None:
    """Bytecode as the script itself is a script error, never run."""
    outcome = runtime.run(b"\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08" + b"\x00" * 64)
    assert isinstance(outcome.error, ScriptError)
    assert "binary chunk" in outcome.error.message


@pytest.mark.slow
def test_many_runs_at_once_stay_apart(runtime: Runtime) -> None:
    """64 runs at once each see their own globals and their own result."""
    results: dict[int, object] = {}

    def run(number: int) -> None:
        results[number] = runtime.run(f"x = (x or 0) + {number} return x", timeout=60).result

    threads = [threading.Thread(target=run, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [number] for number in range(64)}
