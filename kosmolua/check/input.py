"""What is checked: a script, with what is known around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kosmolua.check.fields import CatalogView
from kosmolua.lua.syntax import Node
from kosmolua.lua.values import Secrets, Value
from kosmolua.schema.types import Type


class CheckInput(NamedTuple):
    """A script or a chunk of a session.

    Args:
        catalog: The integrations and accounts.
        root: The syntax tree.
        params: The type of the parameters that the script's header declares, or None.
        known: None for a script; for a chunk of a session, what is known about globals after the previous chunk.
        secrets: The secrets that the script can use, or None if these are not known.
    """

    catalog: CatalogView
    root: Node
    params: Type | None = None
    known: Mapping[str, Value] | None = None
    secrets: Secrets | None = None

    @property
    def is_chunk_of_session(self) -> bool:
        return self.known is not None
