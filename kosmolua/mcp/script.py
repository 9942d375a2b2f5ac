"""A script as a client hands it in: its text, its arguments, and how little it may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kosmolua.limits import ADJUSTABLE
from kosmolua.mcp.tools import USUAL_ANSWER
from kosmolua.run_options import RunOptions


@dataclass(frozen=True)
class Script:
    """What execute_lua is asked to run.

    Args:
        code: The text.
        args: What the script finds in ``arg`` and ``...``.
        read_only: Whether every write is denied.
        limits: Those of :data:`ADJUSTABLE` that are lower than the host's.
        budget: Characters of the answer.
    """

    code: str
    args: tuple[str, ...] = ()
    read_only: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    budget: int = USUAL_ANSWER

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Script:
        """Return the script that checked arguments of execute_lua describe."""
        return cls(
            arguments["code"],
            tuple(arguments.get("args", ())),
            arguments.get("mode") == "read_only",
            {name: arguments[name] for name in ADJUSTABLE if name in arguments},
            int(arguments.get("budget", USUAL_ANSWER)),
        )

    @property
    def options(self) -> RunOptions:
        """What the runtime is told about its run."""
        options = RunOptions(args=self.args, read_only=self.read_only)
        options.update(self.limits)  # type: ignore[typeddict-item]
        return options
