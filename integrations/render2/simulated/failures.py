"""Which operations of the simulator fail on purpose, and how."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_DEPLOY_ENDINGS = ("build_failed", "pre_deploy_failed", "update_failed", "canceled", "live")
_JOB_ENDINGS = ("failed", "canceled", "succeeded")
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "create_service": _DEPLOY_ENDINGS,
    "trigger_deploy": _DEPLOY_ENDINGS,
    "rollback_deploy": _DEPLOY_ENDINGS,
    "create_job": _JOB_ENDINGS,
}
"""The final statuses that can be chosen for each operation. Any operation can also fail with an HTTP status."""


class Failures:
    """The failures to simulate, by operation: a final status of what it starts, or an HTTP status of its reply.

    Raises:
        ValueError: An operation is unknown, or cannot have this outcome.
    """

    def __init__(self, outcomes: Mapping[str, str], operations: Collection[str]) -> None:
        for operation, outcome in outcomes.items():
            if operation not in operations:
                raise ValueError(f"{operation} is not an operation of render2")
            endings = ENDINGS.get(operation, ())
            if outcome not in endings and not _is_error(outcome):
                possible = "an HTTP status from 400 to 599"
                if endings:
                    possible = f"{', '.join(endings)} or {possible}"
                raise ValueError(f"{operation} cannot end as {outcome}: give {possible}")
        self._outcomes = dict(outcomes)

    def of(self, operation: str) -> tuple[int | None, str | None]:
        """Return the HTTP status with which an operation must fail, or the final status of what it starts, if any."""
        outcome = self._outcomes.get(operation, "")
        return (int(outcome), None) if outcome.isdecimal() else (None, outcome or None)


def _is_error(outcome: str) -> bool:
    return len(outcome) == 3 and outcome.isdecimal() and 400 <= int(outcome) <= 599
