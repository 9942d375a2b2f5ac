"""Approvals: the question that a person is asked about a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Approval:
    """A question for a person: whether a call may be made.

    Args:
        path: The function, such as ``render2.create_service``.
        account: The account.
        effect: ``read`` or ``write``.
        arguments: By name, secrets redacted.
    """

    path: str
    account: str
    effect: str
    arguments: Mapping[str, object]


Approve: TypeAlias = Callable[[Approval], bool]
