"""Additions to the accounts file: an account, for whose fields a person is asked, or the section of an MCP server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from kosmolua.accounts.logins import asking_the_keyring, keyring_or_none
from kosmolua.accounts.toml import set_section
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.scripts import open_to_list
from kosmolua.errors import ConfigError, KosmoError, NotConfigured, UsageError
from kosmolua.folders import config_folder, expanded, replace_file
from kosmolua.runtime import Runtime
from kosmolua.schema.integration import AccountField, Integration
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.names import parts_of
from kosmolua.schema.settings import Table, parse
from kosmolua.secret import MIN_SECRET

PLACES = {"file": "a file that only you can read", "env": "an environment variable", "keyring": "the keyring"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@contextmanager
def open_to_add(options: Options, **given: Any) -> Iterator[Runtime]:
    """Open a runtime for the ``with`` block, which adds to the accounts file.

    If ``--accounts`` names a new file, it is made, and removed again if the block writes nothing into it.
    """
    path = expanded(options.accounts or "")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        is_new = True
    except OSError:  # the runtime says why the file cannot be read
        is_new = False
    try:
        with open_to_list(options, **given) as runtime:
            yield runtime
    finally:
        if is_new and not os.path.getsize(path):
            os.unlink(path)


def add(runtime: Runtime, name: str) -> tuple[str, Path]:
    """Ask for the fields of an account, try the account, and write it into the accounts file.

    Return the name of the account's section, such as ``render2.default``, and the accounts file.

    Raises:
        UsageError: The account already exists, or there is no terminal to ask on.
    """
    integration_name, *rest = parts_of(name)
    integration, account = runtime.catalog.integration(integration_name), rest[0] if rest else "default"
    section, file = f"{integration_name}.{account}", runtime.catalog.accounts_path
    if file.exists() and account in parse(file).get(integration_name, {}):
        hint = "edit that section, or give the new account another name"
        raise UsageError(f"{file} already has a section [{section}]", hint=hint)
    if not console.can_ask():
        hint = f"'kosmolua accounts example {integration_name}' prints what to write into {file}"
        raise UsageError(f"'kosmolua accounts add' must ask for each field, which needs a terminal ({hint})")
    given = {field.name: _asked(field) for field in integration.account_fields}
    table: Table = {key: value for key, value in given.items() if value is not None}
    _try(integration, account, table)
    for field in integration.account_fields:
        if field.secret and field.name in table:
            table[field.name] = _store_secret(integration, account, field, table[field.name])
    set_section(file, (integration_name, account), table)
    return section, file


def _asked(field: AccountField) -> Any:
    """Ask for a field until the value is valid, a secret without echo; None for an empty answer."""
    about = f" ({field.about})" if field.about else ""
    what = f"{field.name}{about}{'' if field.required else ', empty for none'}"
    while True:
        default = None if field.required and not field.login else ""
        text = console.ask(what, default=default, hide_input=field.secret, show_default=False).strip()
        if not text:
            return None
        if field.secret and len(text) < MIN_SECRET:
            console.complain(f"{field.name} has fewer than {MIN_SECRET} characters: type the whole of it")
            continue
        try:
            return text if field.secret else field.type.accept(field.type.read(text))
        except Mismatch as mismatch:
            console.complain(f"{field.name}{mismatch.where} {mismatch.problem}")


def _try(integration: Integration, account: str, table: Table) -> None:
    """Show to whom the account belongs. If the call for this fails, ask whether to keep the account anyway."""
    if integration.identify is None:
        return
    try:
        alone = Plugins(integration, places=(), entry_points=dict)
        with Runtime({integration.name: {account: table}}, plugins=alone, environ={}) as runtime:
            console.complain(f"the account belongs to {runtime.identify(integration.name, account)}")
    except NotConfigured as error:
        console.complain(error.message)
    except KosmoError as error:
        console.complain_of(error)
        if not console.agrees("Keep the account anyway?"):
            raise click.Abort from None


def _store_secret(integration: Integration, account: str, field: AccountField, secret: str) -> dict[str, str]:
    """Ask where to store a secret, and store it there."""
    keyring = keyring_or_none()
    places = [place for place in PLACES if place != "keyring" or keyring]
    words = ", ".join(f"{place}: {PLACES[place]}" for place in places)
    usual = "keyring" if keyring else "file"
    kind = click.Choice(places)
    chosen = console.ask(f"Where {field.name} goes ({words})", type=kind, default=usual)
    name = f"{integration.name}.{account}.{field.name}"
    if chosen == "keyring" and keyring:
        with asking_the_keyring():
            keyring.set_password("kosmolua", name, secret)
        return {"keyring": name}
    if chosen == "env":
        variable = integration.variable(field)
        named = console.ask("The name of the variable", default=variable)
        if not _NAME.fullmatch(named):
            raise UsageError(f"A variable cannot be called {named!r} (use letters, digits and underscores)")
        return {"env": named}
    file = Path(config_folder()) / "secrets" / name
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, f"{secret}\n".encode())
    except OSError as error:
        raise ConfigError(f"The secret cannot be written to {file}: {error.strerror}") from None
    return {"file": str(file)}
