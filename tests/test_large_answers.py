"""Many answers near the limit of a result at once, over HTTP: what they take of the host, and that all come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import linux_only
from support.rounds import rounds

MAX_GROWTH = 200 * 1024
"""KiB that the host may grow by over its idle."""
SERVICE = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODIES = {
    "/text": json.dumps("x" * 3_900_000),
    "/rows": json.dumps([{"id": "srv-1", "name": "service", "plan": "starter", "tags": ["a", "b"]}] * 50_000),
    "/small": json.dumps([{"a": 1}] * 400_000, separators=(",", ":")),
}

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, framing = self.path.partition("/as/")
        body = BODIES[path].encode()
        self.send_response(200)
        if framing == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(body), 65536):
                piece = body[start : start + 65536]
                self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
            self.wfile.write(b"0\\r\\n\\r\\n")
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
"""
PLUGIN = '''
"""Large answers."""
from dataclasses import dataclass
from typing import Any
from kosmolua.plugin import Api, Integration, Secret, Send

@dataclass(frozen=True)
class Account:
    """A key and an address."""
    api_key: Secret
    base_url: str
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url, bearer=self.api_key)

integration = Integration("large", Account, about="Large answers.")

@integration.reads
def get(api: Api, /, *, path: str) -> Any:
    """Get one."""
    return api.get(path)
'''
HOST = """
import re, sys
from threading import Thread
from kosmolua import Limits, Runtime

plugin, port, path, runs, calls, seconds = sys.argv[1:]

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

script = f'''
local list = {{}}
for i = 1, {calls} do list[i] = i end
local got = parallel.map(list, function()
  return #app.integrations.large.get({{ path = "{path}" }}) > 0
end, {{ limit = 32 }})
return #got
'''
accounts = {"large": {"main": {"api_key": "rnd_of_the_large", "base_url": f"http://127.0.0.1:{port}"}}}
limits = Limits(memory=1 << 30, timeout=600, cpu=300, call_timeout=float(seconds))
results = []
with Runtime(accounts, plugins=[plugin], environ={}, limits=limits) as runtime:
    runtime.run("return app.integrations.large")
    idle = peak()
    threads = [Thread(target=lambda: results.append(runtime.run(script))) for _ in range(int(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(peak() - idle, *{outcome.result[0] if outcome.ok else outcome.error for outcome in results})
"""


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """The port of a service in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout
        yield service.stdout.readline().strip()
        service.kill()


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "runs", "calls", "seconds"),
    [
        ("/text", 1, 16, 30),
        ("/text/as/chunks", 1, 16, 30),
        ("/rows", 3, rounds(2, 4), 2),
        ("/small", 1, rounds(2, 5), 30),
    ],
)
def test_the_host_grows_little(
    environment: dict[str, str], tmp_path: Path, port: str, path: str, runs: int, calls: int, seconds: int
) -> None:
    """They wait for each other, which costs none of them any of its time, and all of them come."""
    plugin = tmp_path / "large.py"
    plugin.write_text(PLUGIN)
    command = [sys.executable, "-c", HOST, *map(str, (plugin, port, path, runs, calls, seconds))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=True)
    grown, _, results = done.stdout.partition(" ")
    assert results.strip() == str(calls)
    assert int(grown) < MAX_GROWTH
