"""Stanzas: what to paste into accounts.toml, spelt from what an integration says of its accounts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kosmolua.limits import BYTES, Limits, spell_size
from kosmolua.spec.placeholder import placeholder

if TYPE_CHECKING:
    from kosmolua.spec.integration import AccountField, Integration

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# Accounts for KosmoLua. Copy this to the file that `kosmolua accounts` reads, keep what you need, and name accounts as
# you like: [render2.staging] is app.integrations.render2.staging in a script. With several, say which one is meant
# where none is named: [render2] default = "production".
#
# A secret is the string itself, { env = "NAME" }, { file = "PATH" }, { command = ["PROGRAM", "ARGUMENT"] } or
# { keyring = "NAME" }. An account or a whole integration may have permissions = { read = "allow", write = "ask" },
# which is what holds where nothing is said; each is allow, ask or deny."""


def stanza(integration: Integration, account: str = "default") -> str:
    """Return what to paste into accounts.toml for one account: required keys live, optional ones as comments."""
    head = f"[{integration.name}.{_key(account)}]"
    return "\n".join([head, *(_line(integration, field) for field in integration.account_fields)])


def example_file(integrations: Iterable[Integration]) -> str:
    """Return a whole accounts.toml to start from: an account of each integration, and the limits as comments."""
    accounts = (f"{_comment(integration.about)}\n{stanza(integration)}" for integration in integrations)
    defaults = Limits().as_dict().items()
    limits = (f"# {name} = {_toml(spell_size(int(value)) if name in BYTES else value)}" for name, value in defaults)
    return "\n\n".join([_HEAD, *accounts, "\n".join(["# [kosmolua.limits]", *limits])]) + "\n"


def _line(integration: Integration, field: AccountField) -> str:
    line = f"{_key(field.name)} = {_toml(_shown(integration, field))}"
    note = f"  {_comment(field.about)}" if field.about else ""
    return (line if field.required else f"# {line}") + note


def _shown(integration: Integration, field: AccountField) -> object:
    if field.secret:
        return {"env": integration.variable(field)}
    return placeholder(integration.name, field) if field.required or field.default is None else field.default


def _comment(sentence: str) -> str:
    return f"# {' '.join(sentence.split())}"


def _toml(value: object) -> str:
    """Return a value as TOML spells it; None has no spelling there, and is left out of lists and tables."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, dict):
        pairs = [f"{_key(key)} = {_toml(each)}" for key, each in value.items() if each is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(each) for each in value if each is not None)}]"
    return str(value) if isinstance(value, int) else _string(str(value))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
