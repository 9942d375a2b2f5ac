"""What became of a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kosmolua.errors import KosmoError


@dataclass
class Outcome:
    """What became of a script.

    Args:
        result: The values that it returned.
        output: What it printed; bytes that are not UTF-8 are U+FFFD here.
        error: What ended it, or None.
        calls: For each call ``path``, ``account``, ``effect``, ``status``, ``duration_ms`` and ``error``.
        usage: ``wall_ms``, ``cpu_ms``, ``memory_bytes``, ``calls`` and ``output_bytes``; what is not known is left out.
    """

    result: list[Any]
    output: str
    error: KosmoError | None
    calls: list[dict[str, object]]
    usage: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the script ran to its end."""
        return self.error is None

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "ok": self.ok,
            "result": self.result,
            "output": self.output,
            "error": self.error.fields() if self.error else None,
            "calls": self.calls,
            "usage": self.usage,
        }
