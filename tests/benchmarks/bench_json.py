"""What a megabyte of JSON costs as Lua tables, against Python's own decoder: as the host sends it, and as others do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from lupa.lua54 import LuaRuntime
from ratio import Ratio, Seconds, compare

from kosmolua.sandbox.vm import read_prelude

MEGABYTE = 1_000_000
GOAL = 2
STYLES = {"compact": (",", ":"), "with spaces": (", ", ": ")}


def service(number: int) -> dict[str, Any]:
    """Return a service as Render lists it, in its envelope."""
    name = f"service-{number}"
    details = {
        "buildPlan": "starter",
        "env": "node",
        "numInstances": 1 + number % 3,
        "openPorts": [{"port": 10000, "protocol": "TCP"}],
        "plan": "pro",
        "region": "oregon",
        "url": f"https://{name}.onrender.com",
        "healthCheckPath": "/",
        "maintenanceMode": {"enabled": False, "uri": ""},
        "cpu": 0.5,
        "disk": None,
    }
    fields = {
        "id": f"srv-{number:020d}",
        "autoDeploy": "yes",
        "branch": "main",
        "createdAt": "2024-01-01T00:00:00Z",
        "dashboardUrl": f"https://dashboard.render.com/web/srv-{number}",
        "name": name,
        "notifyOnFail": "default",
        "ownerId": "tea-123",
        "repo": "https://github.com/acme/app",
        "rootDir": "",
        "slug": name,
        "suspended": "not_suspended",
        "suspenders": [],
        "type": "web_service",
        "updatedAt": "2024-02-01T00:00:00Z",
        "serviceDetails": details,
    }
    return {"service": fields, "cursor": f"cursor-{number}"}


def services(separators: tuple[str, str]) -> str:
    """Return a list of services as JSON of a megabyte."""
    size = len(json.dumps(service(0), separators=separators))
    return json.dumps([service(number) for number in range(MEGABYTE // size)], separators=separators)


def decoding(text: bytes) -> Seconds:
    """Return a function that decodes a text as the sandbox does and returns the seconds it took, by Lua's clock."""
    lua = LuaRuntime(encoding=None)
    host = lua.table()
    for name in ("registry", "shapes", "decode"):
        host[name.encode()] = lua.execute(read_prelude(name), host)
    decode = host[b"decode"][b"decode"]
    timed: Any = lua.eval(
        b"function(decode, text) collectgarbage() local t = os.clock() decode(text, 100) return os.clock() - t end"
    )
    return lambda: float(timed(decode, text))


def loading(text: str) -> Seconds:
    """Return a function that decodes a text by Python's decoder and returns the seconds it took."""

    def measure() -> float:
        started = time.process_time()
        json.loads(text)
        return time.process_time() - started

    return measure


def ratios() -> Iterator[Ratio]:
    """Yield the ratio for each style of writing JSON."""
    for style, separators in STYLES.items():
        text = services(separators)
        work = f"1 MB of services to Lua tables, {style}"
        yield compare(work, "`json.loads`", decoding(text.encode()), loading(text), goal=GOAL)
