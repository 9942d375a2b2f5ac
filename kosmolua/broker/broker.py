"""The front desk of a run: the catalog describes, the dispatcher calls, the library documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kosmolua import protocol
from kosmolua.broker.calls import Dispatcher, unsendable
from kosmolua.broker.faults import unloadable
from kosmolua.broker.journal import Summary
from kosmolua.catalog.catalog import Catalog
from kosmolua.errors import KosmoError, PluginError, UnknownPath
from kosmolua.limits import Limits
from kosmolua.secret import Redactor

if TYPE_CHECKING:
    from kosmolua.docs import Library


class FrontDesk:
    """Answers one script; every answer is JSON text.

    Args:
        catalog: What there is under ``app``.
        dispatcher: Makes the calls.
        library: Returns the documentation; asked on the first use only.
        redactor: Knows the secrets in use.
        limits: The limits of the run.
    """

    def __init__(
        self,
        catalog: Catalog,
        dispatcher: Dispatcher,
        library: Callable[[], Library],
        redactor: Redactor,
        limits: Limits,
    ) -> None:
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._library = library
        self._redactor = redactor
        self._limits = limits
        self._lookups = 0

    def close(self, error: KosmoError | None) -> list[Summary]:
        """Return what an outcome says of each call, in the order in which they came; none are made any more.

        Args:
            error: What ended the run, and with it any call that is still under way.
        """
        return self._dispatcher.close(error)

    def redact(self, result: list[Any]) -> list[Any]:
        """Return what a script returned without the secrets that were in use."""
        return [self._redactor.value(value) for value in result]

    def describe(self, path: str) -> str:
        """Say what is at a path under ``app``."""
        self._look_up()
        try:
            return protocol.encode(self._catalog.describe(path))
        except UnknownPath as error:
            raise _naming_the_list(error, path) from None
        except PluginError as error:
            raise unloadable(path.split(".")[1], error) from error

    def call(self, path: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """Make a call."""
        return self._dispatcher.call(path, given, fault)

    def doc(self, verb: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """List, search or read documentation."""
        from kosmolua.docs.library import NAMES, answer

        self._look_up()
        if fault:
            raise unsendable(NAMES.get(verb, verb), fault)
        return protocol.encode(answer(self._library(), verb, given))

    def _look_up(self) -> None:
        self._lookups += 1
        if self._lookups > self._limits.max_lookups:
            raise self._limits.exceeded("lookups")


def _naming_the_list(error: UnknownPath, path: str) -> UnknownPath:
    """Return the error for a path that leads nowhere with what lists the names beside it: a guess may be wrong."""
    _, *names = path.split(".")
    page = f'"{names[0]}"' if len(names) > 1 else ""
    way = f"lua_list_docs({page}) lists what there is"
    return UnknownPath(f"{error.message}; {way}") if error.hint else UnknownPath(error.message, hint=way)
