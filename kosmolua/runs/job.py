"""Jobs: what a child is told to run, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kosmolua import protocol
from kosmolua.limits import Limits


class Job(NamedTuple):
    """A script, and what it finds when it starts.

    Args:
        source: Its text.
        name: Its name in messages.
        arguments: What it finds in ``arg`` and ``...``.
        asks_time: Whether its clocks are the host's, which it asks whenever the script looks at one.
    """

    source: bytes
    name: str
    arguments: Sequence[str] = ()
    asks_time: bool = False

    def frame(self, limits: Limits, *, isolated: bool) -> bytes:
        """Return the frame that tells a child to run it.

        Args:
            limits: Those of the run.
            isolated: Whether the child has to exit if a layer around it is missing.
        """
        chunk = self.name if self.name.startswith("=") else f"@{self.name}"
        return protocol.frame(
            "job",
            source=protocol.to_text(self.source),
            name=_text(chunk),
            args=[_text(argument) for argument in self.arguments],
            limits=limits.as_dict(),
            isolated=isolated,
            asks_time=self.asks_time,
        )


def _text(given: str) -> str:
    return protocol.to_text(given.encode("utf-8", "surrogateescape"))
