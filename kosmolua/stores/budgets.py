"""Budgets: how much scripts may do in an hour or a day, counted in the store over all runs and processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.errors import ConfigError, LimitExceeded
from kosmolua.schema.effects import changes, is_final
from kosmolua.schema.names import section_of

if TYPE_CHECKING:
    from kosmolua.accounts.accounts import Accounts
    from kosmolua.catalog.catalog import Target
    from kosmolua.clock import Clock
    from kosmolua.stores.store import Store

SECONDS = {"hour": 3_600, "day": 86_400}
_SECTION = "[kosmolua.budgets]"
MINUTE = 60_000
"""Milliseconds, in which minutes are counted."""


class SpendingLimit(NamedTuple):
    """One budget: ``most`` of a ``kind``, such as ``writes``, ``per`` hour or day (UTC), as ``section`` sets it."""

    kind: str
    most: float
    per: str
    section: str

    @property
    def unit(self) -> int:
        """How much a call takes before it is made: minutes are counted when they have passed."""
        return 0 if self.kind == "minutes" else 1

    @property
    def window(self) -> int:
        """The number of the hour or day that it is now."""
        return int(time.time() // SECONDS[self.per])

    @property
    def renews(self) -> datetime:
        """When the next hour or day begins, which has the whole budget."""
        return datetime.fromtimestamp((self.window + 1) * SECONDS[self.per], timezone.utc)

    def add(self, store: Store, more: int, *, is_bounded: bool = True) -> bool:
        """Add to what was used, and return True; or return False if the budget does not allow that."""
        # A minute that has begun may end.
        most = int(self.most * MINUTE) + more - 1 if self.kind == "minutes" else int(self.most)
        return self._count(store, more, most if is_bounded else None) is not None

    def used(self, store: Store) -> float:
        """Return how much of it is used in this hour or day."""
        count = self._count(store, 0, None) or 0
        return count / MINUTE if self.kind == "minutes" else count

    def _count(self, store: Store, more: int, most: int | None) -> int | None:
        name = sha256(f"{self.section} {self.kind} {self.per}".encode()).hexdigest()[:32]
        return store.count(f"budget-{name}", self.window, more, most)

    def exceeded(self, path: str) -> LimitExceeded:
        """Return the error for a call of ``path`` that the budget does not allow."""
        written = f'{self.kind} = {{ max = {self.most:g}, per = "{self.per}" }}'
        return LimitExceeded(
            f"{path} was not called, since the budget {written} of {self.section} is used up. Nothing was sent.",
            limit=f"budget of {self.kind} per {self.per}",
            value=self.most,
            hint=f"wait for the next {self.per}, which begins by UTC, or raise the budget",
        )


class Budgets:
    """The budgets of an accounts file: for all calls, for the functions of a pattern, and for accounts.

    ``fitting`` returns a function that says whether a call fits a pattern, and ``store`` the store that counts.
    """

    def __init__(
        self, accounts: Accounts, fitting: Callable[[str], Callable[[Target], object]], store: Callable[[], Store]
    ) -> None:
        given = accounts.sections.budgets
        own = list(_budgets({key: value for key, value in given.items() if key in KINDS}, _SECTION))
        self._accounts = accounts
        self.store = store
        self.of_run = next((each for each in own if each.kind == "minutes"), None)
        """How long scripts may run."""
        self._of_all = [each for each in own if each.kind != "minutes"]
        self._of_patterns = [
            (fitting(pattern), list(_budgets(value, f"{pattern} in {_SECTION}")))
            for pattern, value in given.items()
            if pattern not in KINDS
        ]

    def all(self) -> list[SpendingLimit]:
        """Return those for all calls, then those of patterns, then those of accounts.

        Raises:
            ConfigError: The budgets of an account have a mistake.
        """
        own = [*self._of_all, *([self.of_run] if self.of_run else [])]
        of_patterns = [each for _, budgets in self._of_patterns for each in budgets]
        given = self._accounts.sections.account_budgets().items()
        return own + of_patterns + [each for section, table in given for each in _budgets(table, f"[{section}]")]

    def of_one_run(self, clock: Clock) -> Spending:
        return Spending(self, clock)

    def taken_by(self, target: Target) -> Iterator[SpendingLimit]:
        """Yield the budgets that a call takes from."""
        option = self._accounts.option(target.integration, target.holder, "budgets") or {}
        section = section_of(target.integration.name, target.holder)
        found = [*self._of_all, *_budgets(option, f"[{section}]")]
        alike = [target, *(replace(target, function=each) for each in target.acted)]
        found += [each for fits, budgets in self._of_patterns if any(map(fits, alike)) for each in budgets]
        return (each for each in found if KINDS[each.kind](target))


class Spending:
    """What one run takes from budgets. Any thread may call the methods; ``clock`` is the run's."""

    def __init__(self, budgets: Budgets, clock: Clock) -> None:
        self._budgets = budgets
        self._clock = clock
        self._began, self._ends = time.monotonic(), clock.ends
        self._lock = Lock()
        self._counted = 0

    def take(self, target: Target) -> AbstractContextManager[None]:
        """Take a call from its budgets, and return a context in which to make it, which counts how long that takes.

        Raises:
            LimitExceeded: One of them is used up.
            ConfigError: The store cannot be used.
        """
        store, of_run, taken = self._budgets.store(), self._budgets.of_run, list[SpendingLimit]()
        if of_run and not of_run.add(store, passed := self._passed()):
            of_run.add(store, passed, is_bounded=False)
            raise of_run.exceeded(target.path)
        for budget in self._budgets.taken_by(target):
            if not budget.add(store, budget.unit):
                for each in taken:
                    each.add(store, -each.unit, is_bounded=False)
                raise budget.exceeded(target.path)
            taken.append(budget)
        return self._timed([each for each in taken if not each.unit])

    def close(self) -> None:
        """Count the time since the last call; the run has ended, so a store that cannot be used is no error."""
        if self._budgets.of_run:
            with suppress(ConfigError):
                self._budgets.of_run.add(self._budgets.store(), self._passed(), is_bounded=False)

    @contextmanager
    def _timed(self, budgets: list[SpendingLimit]) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            for each in budgets:
                with suppress(ConfigError):
                    each.add(self._budgets.store(), int((time.monotonic() - began) * 1000), is_bounded=False)

    def _passed(self) -> int:
        """Return the milliseconds that are not counted yet, without those in which the run's clock stood still."""
        stood_still = max(self._clock.ends - self._ends, 0.0)
        with self._lock:
            passed = int((time.monotonic() - self._began - stood_still) * 1000) - self._counted
            self._counted += passed
        return passed


KINDS: Mapping[str, Callable[[Target], bool]] = {
    "calls": lambda _: True,
    "writes": lambda target: changes(target.function.effect),
    "destroys": lambda target: is_final(target.function.effect),
    "minutes": lambda _: True,
}
"""For each kind of budget, whether a call takes from it."""


def _budgets(table: Mapping[str, Any], section: str) -> Iterator[SpendingLimit]:
    return (SpendingLimit(kind, given["max"], given["per"], section) for kind, given in table.items())
