"""Placeholders: what stands in for a setting of an account where nobody gave one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kosmolua.spec.integration import AccountField
    from kosmolua.spec.types import Type

_ADDRESS = re.compile(r"(url|(^|_)uri|endpoint)$", re.IGNORECASE)


def made_up(owner: str, field: AccountField) -> object:
    """Return what an account gets for a field in a simulation or a test; of a credential, its text.

    Args:
        owner: The integration's name.
        field: The field.
    """
    return placeholder(owner, field, f"made-up-{field.name}")


def placeholder(owner: str, field: AccountField, text: str = "...") -> object:
    """Return a value that fits a field.

    Args:
        owner: The integration's name, of which an address is made.
        field: The field.
        text: What stands for a string that is no address.
    """
    address = f"https://{owner.replace('_', '-')}.example"
    return _fitting(field.type, address if _ADDRESS.search(field.name) else text)


def _fitting(kind: Type, text: str) -> object:
    if kind.choices:
        return kind.choices[0]
    if kind.example is not None:
        return kind.example
    if kind.record:
        fields = kind.record.fields
        return {key: _fitting(fields[key], text) for key in fields if key in kind.record.required}
    if kind.label == "any" and kind.parts:
        return _fitting(kind.parts[0], text)
    return {"integer": 1, "number": 1.0, "boolean": False, "array": [], "object": {}}.get(kind.label, text)
