"""The way of a call: the files and functions of the package that one live call crosses, over all threads.

    python tests/benchmarks/way_of_a_call.py                 # the counts; the status is 1 if one is too high
    python tests/benchmarks/way_of_a_call.py --list plain    # and each step of one way, in order

A script that makes one call over HTTP on the loopback interface runs twice in one runtime. The second run is traced,
from ``Runtime.run`` to its outcome. What the child itself does is not counted, nor are comprehensions and generator
expressions, which a reader sees as a part of the function around them and which Python 3.12 and later mostly inline.
Lambdas count.

The ways: ``plain`` is a call of an integration in Python, ``openapi`` that of a function of an OpenAPI document, and
``pausing`` a recorded run that pauses, since its second call needs an approval.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import kosmolua
from kosmolua import Runtime

INSIDE = ("<module>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")
"""The last names of code that is a part of a function or module, not a function of its own."""
PACKAGE = f"{Path(kosmolua.__file__).parent}/"
PETS = {
    "openapi": "3.1.0",
    "info": {"title": "Pets", "version": "1"},
    "paths": {
        "/owners/{owner}/pets": {
            "get": {
                "operationId": "list_pets",
                "parameters": [
                    {"name": "owner", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                ],
                "responses": {
                    "200": {
                        "description": "The pets",
                        "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}},
                    }
                },
            }
        }
    },
}


class Way(NamedTuple):
    """A script, how it ends, and the most files and functions that it may cross."""

    script: str
    status: str
    files: int
    functions: int


WAYS = {
    "plain": Way("return app.integrations.render2.list_services({ limit = 20 })", "done", 34, 200),
    "openapi": Way("return app.integrations.pets.list_pets({ owner = 'ann', limit = 20 })", "done", 47, 240),
    "pausing": Way(
        """
        app.integrations.render2.list_services({ limit = 20 })
        app.integrations.render2.restart_service({ service_id = "srv-1" })
        """,
        "paused",
        61,
        400,
    ),
}


class Service(BaseHTTPRequestHandler):
    """Answers every request with an empty list."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Steps:
    """Notes each function of the package that is entered while ``is_on``."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []
        self.is_on = False

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a step; the interpreter calls this in every thread."""
        file = frame.f_code.co_filename
        if self.is_on and event == "call" and file.startswith(PACKAGE):
            name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # since Python 3.11
            self.noted.append((file.removeprefix(PACKAGE), name))


def walk(name: str) -> list[tuple[str, str]]:
    """Go one of the ways, and return its steps."""
    steps = Steps()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    accounts = {
        "render2": {"default": {"api_key": "rnd_of_the_benchmark", "base_url": address}},
        "pets": {"default": {"base_url": address}},
    }
    threading.setprofile(steps.profile)
    sys.setprofile(steps.profile)
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "pets.openapi.json"
        document.write_text(json.dumps(PETS), encoding="utf-8")
        with Runtime(accounts, plugins=[document]) as runtime:
            for number in range(2):
                steps.is_on = number == 1
                record = f"{folder}/run{number}.jsonl" if WAYS[name].status == "paused" else None
                outcome = runtime.run(WAYS[name].script, record=record)
                steps.is_on = False
    sys.setprofile(None)
    threading.setprofile(None)
    server.shutdown()
    server.server_close()
    assert outcome.status == WAYS[name].status, outcome.error
    return [(file, function) for file, function in steps.noted if not function.endswith(INSIDE)]


def main() -> bool:
    """Print what each way crosses, and return True if one of them is too long."""
    listed = sys.argv[sys.argv.index("--list") + 1 :] if "--list" in sys.argv else ()
    is_too_long = False
    for name, way in WAYS.items():
        steps = walk(name)
        files = [file for file, _ in steps]
        changes = sum(before != after for before, after in itertools.pairwise(files))
        if name in listed:
            print("\n".join(f"{file:32} {function}" for file, function in steps))
        counts = len(set(files)), len(set(steps))
        print(f"{name}: {counts[0]} files, {counts[1]} functions, {len(steps)} calls, {changes} changes of file")
        is_too_long |= counts[0] > way.files or counts[1] > way.functions
    return is_too_long


if __name__ == "__main__":
    sys.exit(main())
