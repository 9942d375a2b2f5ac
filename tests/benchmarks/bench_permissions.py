"""Permissions: decisions about calls with 1,000 rules, half of them patterns, all with conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

from ratio import Ratio, compare

from kosmolua.accounts.accounts import Accounts
from kosmolua.catalog.catalog import Catalog
from kosmolua.catalog.plugins import Plugins
from kosmolua.plugin import Api, Integration, Send
from kosmolua.secret import Redactor

RULES, DECISIONS, SECONDS = 1_000, 2_000, 50e-6


@dataclass(frozen=True)
class Account:
    """An account without settings."""

    def open(self, send: Send) -> Api:
        return Api(send, "https://shop.example")


def ratios() -> Iterator[Ratio]:
    """Yield the time of the processor for a decision, against the 50 us that one may take."""
    shop = Integration("shop", Account, about="A shop.")
    for number in range(RULES // 2):

        def order(api: Api, /, *, count: int) -> Any:
            """Order something."""

        order.__name__ = f"order_{number}"
        shop.writes(order)
    condition = {"allow": {"count": {"max": 3}}, "else": "ask"}
    rules = {f"order_{number}": condition for number in range(RULES // 2)}
    rules |= {f"*_{number}*": condition for number in range(RULES // 2)}
    tables = {"shop": {"permissions": rules, "default": {}}}
    accounts = Accounts(tables, Path("accounts.toml"), environ={}, redactor=Redactor())
    catalog = Catalog([Plugins([shop], places=(), entry_points=dict)], accounts)

    def decide() -> float:
        began = process_time()
        for number in range(DECISIONS):
            catalog.resolve(f"shop.order_{number % 100}").of_call({"count": number % 5}, Redactor())
        return process_time() - began

    yield compare(
        f"{DECISIONS:,} decisions with 1,000 rules", "50 us each", decide, lambda: DECISIONS * SECONDS, goal=1
    )
