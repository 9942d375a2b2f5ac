"""The way of a call: the files and functions of the package that one live call crosses, over all threads.

    python tests/benchmarks/way_of_a_call.py           # the counts; the status is 1 if they are too high
    python tests/benchmarks/way_of_a_call.py --list    # and each step, in order

A script that makes one call over HTTP on the loopback interface runs twice in one runtime. The second run is traced,
from ``Runtime.run`` to its outcome. What the child itself does is not counted, nor are comprehensions and generator
expressions, which a reader sees as a part of the function around them and which Python 3.12 and later mostly inline.
Lambdas count.
"""

from __future__ import annotations

import itertools
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

import kosmolua
from kosmolua import Runtime

INSIDE = ("<module>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")
"""The last names of code that is a part of a function or module, not a function of its own."""
MAX_FILES, MAX_FUNCTIONS = 34, 215
PACKAGE = f"{Path(kosmolua.__file__).parent}/"
SCRIPT = "return app.integrations.render2.list_services({ limit = 20 })"


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


class Way:
    """Notes each function of the package that is entered while ``is_on``."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.is_on = False

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a step; the interpreter calls this in every thread."""
        file = frame.f_code.co_filename
        if self.is_on and event == "call" and file.startswith(PACKAGE):
            name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # since Python 3.11
            self.steps.append((file.removeprefix(PACKAGE), name))


def walk() -> list[tuple[str, str]]:
    """Make the call and return its steps."""
    way = Way()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    account = {"api_key": "rnd_of_the_benchmark", "base_url": f"http://127.0.0.1:{server.server_port}"}
    threading.setprofile(way.profile)
    sys.setprofile(way.profile)
    with Runtime({"render2": {"default": account}}) as runtime:
        runtime.run(SCRIPT)
        way.is_on = True
        outcome = runtime.run(SCRIPT)
        way.is_on = False
    sys.setprofile(None)
    server.shutdown()
    assert outcome.ok, outcome.error
    return [(file, name) for file, name in way.steps if not name.endswith(INSIDE)]


def main() -> bool:
    """Print what the call crosses, and return True if that is more than it may."""
    steps = walk()
    files = [file for file, _ in steps]
    changes = sum(before != after for before, after in itertools.pairwise(files))
    if "--list" in sys.argv:
        print("\n".join(f"{file:32} {function}" for file, function in steps))
    print(f"{len(set(files))} files, {len(set(steps))} functions, {len(steps)} calls, {changes} changes of file")
    return len(set(files)) > MAX_FILES or len(set(steps)) > MAX_FUNCTIONS


if __name__ == "__main__":
    sys.exit(main())
