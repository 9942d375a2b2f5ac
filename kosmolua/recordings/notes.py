"""Notes of a planned run: what its script asked, and a digest of each answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from kosmolua.recordings.recording import Event, question

DIGEST, TURN_DIGEST = 16, 12
"""The length of the digest of an answer, and of that of a request, in hexadecimal digits."""


def key_in_order(branch: str, ask: list[Any]) -> str:
    """Return a short digest of a request in a branch of ``parallel``, for an order of requests."""
    return sha256(question([branch, ask]).encode("utf-8", "surrogatepass")).hexdigest()[:TURN_DIGEST]


class Notes:
    """Notes what a planned script asks, in the order in which it got the answers, in place of a recording."""

    def __init__(self, redact: Callable[[Any], Any]) -> None:
        self.clocks: dict[str, list[float]] = {}
        self.reads: list[dict[str, Any]] = []
        self._asked: list[tuple[str, list[Any]]] = []
        self._redact = redact
        self._noted: dict[int, Event] = {}

    def write(self, event: Event, value: str | None = None) -> None:
        """Note an answer once the script has got it."""
        is_write = (event.get("call") or {}).get("effect") not in ("read", None)
        if event["event"] == "answer" and is_write and not event.get("given"):
            self._noted[event["id"]] = event
        elif event["event"] == "given":
            self._note(self._noted.pop(event["id"]), None)
        elif event["event"] == "answer":
            self._note(event, value)

    def _note(self, event: Event, value: str | None) -> None:
        ask, call = event["ask"], event.get("call") or {}
        self._asked.append((event["branch"], self._redact(ask)))
        if ask[0] == "time" and value is not None:
            self.clocks.setdefault(ask[1], []).append(json.loads(value))
        elif call.get("effect") == "read" and call["status"] != "planned":
            answer = value if value is not None else question([event.get("error", {}).get("type"), call.get("error")])
            about = {name: call[name] for name in ("number", "path", "account")}
            digest = sha256(answer.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
            self.reads.append({**about, "given": self._redact(ask[2]), "digest": digest})

    @property
    def order(self) -> list[str]:
        """The order in which branches of ``parallel`` got their answers; empty for a script without branches."""
        has_branches = any(branch for branch, _ in self._asked)
        return [key_in_order(*each) for each in self._asked] if has_branches else []

    def sync(self) -> None:
        """Do nothing: notes are kept in memory."""

    def close(self) -> None:
        """Do nothing, as :meth:`sync`."""
