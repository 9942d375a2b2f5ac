"""Asking the person at the terminal whether a call may be made."""

from __future__ import annotations

import json
import sys

from kosmolua.cli import show
from kosmolua.policy import Approval

QUESTION = "Allow it? [y]es, [n]o, [a]ll calls of this function, [N]one from now on: "


class Approver:
    """Asks on standard error, reads from the terminal, and remembers answers that hold for more than one call."""

    def __init__(self) -> None:
        self._allowed: set[tuple[str, str]] = set()
        self._none = False

    def __call__(self, approval: Approval) -> bool:
        """Return whether the person allows the call. The end of input and Ctrl-C mean no."""
        if self._none or (approval.path, approval.account) in self._allowed:
            return not self._none
        sys.stderr.write(show.harmless(_describe(approval)) + "\n")
        while True:
            answer = _read_answer()
            if answer in ("y", "yes", "a", "all"):
                if answer.startswith("a"):
                    self._allowed.add((approval.path, approval.account))
                return True
            if answer in ("n", "no", "N", "none", ""):
                self._none = answer in ("N", "none")
                return False


def _read_answer() -> str:
    sys.stderr.write(QUESTION)
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    answer = answer.strip()
    return answer if answer == "N" else answer.lower()


def _describe(approval: Approval) -> str:
    lines = [f"The script wants to {approval.effect} with {approval.path}, account {approval.account}:"]
    for name, value in approval.arguments.items():
        lines.append(f"  {name} = {json.dumps(value, ensure_ascii=False, default=str)}")
    return "\n".join(lines)
