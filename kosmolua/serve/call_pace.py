"""The pace of calls: how many a tenant makes in a second while other tenants have scripts."""

from __future__ import annotations

from time import monotonic

CALL_RATE = 400
"""Calls of a tenant in a second. All that one interpreter can make is about twice as much."""
ACTIVE = 1.0
"""Seconds for which a tenant counts as one that has scripts, after a script has begun or made a call."""


class CallPace:
    """Spreads the calls of each tenant over time while others have scripts, since all share one Python interpreter."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def note(self, tenant: str) -> None:
        """Note that a tenant has a script."""
        self._seen[tenant] = monotonic()

    def delay(self, tenant: str) -> float:
        """Return after how many seconds the script that has made a call can go on."""
        now = self._seen[tenant] = monotonic()
        if not any(now - seen < ACTIVE for name, seen in list(self._seen.items()) if name != tenant):
            return 0.0
        begins = max(now, self._next.get(tenant, now))
        self._next[tenant] = begins + 1 / CALL_RATE
        return begins - now
