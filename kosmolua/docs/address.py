"""Addresses of reference pages."""

from __future__ import annotations

from dataclasses import dataclass

from kosmolua.schema.names import page_of


@dataclass(frozen=True)
class Address:
    """The address of a reference page.

    Args:
        integration: The name of the integration.
        function: The short name of one of its functions; None for the page of the integration.
    """

    integration: str
    function: str | None = None

    def __str__(self) -> str:
        return page_of(self.integration, *filter(None, [self.function]))
