"""What writes are about to change: read before they are sent, for those who decide, and to take the writes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua import protocol
from kosmolua.broker.secrets import with_secrets
from kosmolua.calls.inverses import Later, inverse_of, replaced_by
from kosmolua.calls.records import Call
from kosmolua.errors import CallError, Denied, KosmoError

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.broker.open_accounts import OpenAccounts
    from kosmolua.broker.permissions import Permissions
    from kosmolua.catalog.catalog import Catalog, Target
    from kosmolua.clock import Until

TIMEOUT = 10.0
"""Seconds that the read before a write may take."""


class Preview(NamedTuple):
    """What a write is about to change.

    Args:
        before: The values that it replaces, by parameter, with secrets masked.
        undoable: Whether it can be undone.
        lost: A sentence that says what cannot be brought back; empty if nothing is known.
        kept: The answer of the read before the write, as JSON in which secrets are sealed; empty if there is none.
    """

    before: Mapping[str, object] = {}
    undoable: bool = False
    lost: str = ""
    kept: str = ""


class Previews:
    """Reads what writes are about to change. The reads do not count as calls of the script."""

    def __init__(
        self, host: Host, catalog: Catalog, permissions: Permissions, accounts: OpenAccounts, until: Until
    ) -> None:
        self._host = host
        self._catalog = catalog
        self._permissions = permissions
        self._accounts = accounts
        self._until = until

    def of(self, target: Target, arguments: Mapping[str, Any], *, exists: bool = True) -> Preview:
        """Return what a write is about to change.

        ``exists`` is False if it changes something that does not exist yet, so that there is nothing to read.
        """
        function = target.function
        if function.before is None and function.undo is None:
            return Preview()
        try:
            before = self._read(target, arguments) if exists else None
            sealed = self._host.sealer.seal(before, target.section)
            kept = protocol.encode(self._host.redactor.value(sealed))
        except Exception as error:  # noqa: BLE001 - the code of an integration can raise anything
            why = str(error) if isinstance(error, KosmoError) else type(error).__name__
            return Preview(lost=self._host.redactor.text(f"what it replaces could not be read: {why}"))
        inverse = inverse_of(function, arguments, self._host.sealer.open(sealed, target.section), Later())
        replaced = replaced_by(function, arguments, before, inverse, exists=exists)
        return Preview(
            {name: self._host.redactor.value(value) for name, value in replaced.items()},
            not isinstance(inverse, str),
            inverse if isinstance(inverse, str) else "",
            kept,
        )

    def is_done(self, target: Target, arguments: Mapping[str, Any]) -> bool:
        """Return True if a write that nothing is read before was done already, as its integration can read.

        Like any read that no script asks for, this is made only where reads are allowed.
        """
        function = target.function
        if function.before is not None or function.was_done is None:
            return False
        if self._host.accounts.permission(target.integration, target.holder, "read") != "allow":
            return False
        try:
            return self._use(target, f"{target.path}, if it was done", function.was_done, arguments) is not None
        except CallError:
            return False

    def _read(self, target: Target, arguments: Mapping[str, Any]) -> Any:
        """Return the answer to the read before a write; None if it finds nothing, or nothing is to be read."""
        step = target.function.before(arguments) if target.function.before else None
        if step is None:
            return None
        read = self._catalog.resolve(f"{target.section}.{step[0]}")
        self._permissions.refuse_if_denied(read)
        if read.function.effect != "read" or read.rule.permission != "allow":
            raise Denied(f"{read.path} is not a read that is always allowed")
        given = read.function.bind(read.path, [dict(step[1])])
        try:
            value = self._use(read, f"{read.path}, before {target.path}", read.function.handler, given)
        except CallError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        hides_variables = self._host.accounts.sections.hides_variables
        return with_secrets(read.function.returned({}), value, hides_variables=hides_variables)

    def _use(self, target: Target, what: str, handler: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        """Return what a function that only reads answers, with the account of a target."""
        call, ends = Call("", 0, what), min(monotonic() + TIMEOUT, self._until())
        call.effect = "read"
        return self._accounts.use(
            target.integration, target.account, call, lambda: ends, lambda opened: handler(opened, **given)
        )
