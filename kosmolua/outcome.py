"""What became of a script."""

from __future__ import annotations

from kosmolua.errors import KosmoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Outcome:
    """What became of a script.

    Args:
        result: The values that it returned.
        output: What it printed; bytes that are not UTF-8 are U+FFFD here.
        error: What ended it, or None.
        calls: For each call ``path``, ``account``, ``effect``, ``status``, ``duration_ms`` and ``error``.
        usage: ``wall_ms``, ``cpu_ms``, ``memory_bytes``, ``calls``, ``output_bytes``, and in ``isolation`` the layers
            around the sandbox that were in force; what is not known is left out.
    """

    def __init__(
        self,
        result: list[Any],
        output: str,
        error: KosmoError | None,
        calls: list[dict[str, object]],
        usage: dict[str, Any] | None = None,
    ) -> None:
        self.result = result
        self.output = output
        self.error = error
        self.calls = calls
        self.usage = usage or {}

    def __repr__(self) -> str:
        return f"Outcome({self.to_json()!r})"

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
            "error": self.error.report() if self.error else None,
            "calls": self.calls,
            "usage": self.usage,
        }
