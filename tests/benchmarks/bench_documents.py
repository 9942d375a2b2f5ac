"""Documents: the CPU of a run with a call of a large OpenAPI document against that of one with a call of render2."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ratio import Ratio, compare

RENDER = "return app.integrations.render2.list_owners().owners[1].id"
GITHUB = 'return app.integrations.github.repos_get_branch({ owner = "a", repo = "b", branch = "c" }).name'
LARGE = 'return app.integrations.large.get_thing7({ id = "x" }).id'
OPERATIONS = 11_000


def ratios() -> Iterator[Ratio]:
    """Yield the ratio for the 1,223 operations of GitHub, and for a made document of 11,000."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": f"{home}/cache"}
        file = Path(home) / "large.json"
        file.write_text(json.dumps(large_document(OPERATIONS)), encoding="utf-8")
        program = [sys.executable, "-m", "kosmolua"]
        subprocess.run([*program, "integrations", "import", file], env=environment, check=True, capture_output=True)

        def run(script: str) -> Callable[[], float]:
            command = [*program, "run", "--simulate", "-e", script]
            return lambda: _cpu(command, environment)

        for script in (GITHUB, LARGE):
            run(script)()  # compiles the document
        yield compare("CPU of a call of GitHub's document", "render2", run(GITHUB), run(RENDER), goal=1.1, rounds=15)
        yield compare(f"CPU of a call among {OPERATIONS:,}", "render2", run(LARGE), run(RENDER), goal=1.5, rounds=15)


def large_document(operations: int) -> dict[str, Any]:
    """Return a document of so many operations, with schemas that refer to one another."""
    slot = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    paths = {}
    for number in range(operations):
        schema = {"$ref": f"#/components/schemas/Thing{number % 400}"}
        good = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
        operation = {"operationId": f"getThing{number}", "tags": [f"group {number % 90}"], "parameters": slot}
        paths[f"/things{number}/{{id}}"] = {"get": {**operation, "summary": f"Get thing {number}", "responses": good}}
    things = {
        f"Thing{number}": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "other": {"$ref": f"#/components/schemas/Thing{(number + 1) % 400}"},
            },
        }
        for number in range(400)
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Large", "version": "1"},
        "servers": [{"url": "https://large.example"}],
        "paths": paths,
        "components": {"schemas": things, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _cpu(command: list[str], environment: dict[str, str]) -> float:
    """Return the seconds of processor time that a program and its children take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
