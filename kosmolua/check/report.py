"""The result of a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from kosmolua.errors import CheckFailed, ConfigError, NotConfigured, PluginFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kosmolua.check.fields import Charge
    from kosmolua.check.findings import Finding
    from kosmolua.lua.flows import ArgumentFlow
    from kosmolua.lua.site import Site
    from kosmolua.lua.values import Value


class Report(NamedTuple):
    """The result of a check.

    Args:
        findings: The problems of the script, in the order of the source.
        bill: The effects that the script can have on services, each once, in the order of the source.
        is_lua: True if the script could be parsed. If it could not, Lua itself reports the error when the script runs.
        is_read: False if the script is too long or too deeply nested to be checked.
        unconfigured: The errors of calls that use an account that is not configured or has invalid settings, or an
            integration that cannot be loaded, by line and column.
        dropped: The functions whose results the script never uses, such as ``render2.list_services``.
        session: What is known about the values of globals after this chunk of a session, for the next chunk.
        is_read_only: True if the script certainly changes nothing.
        sites: The places where the script calls functions of integrations, for what only the run can check.
        flows: What the arguments of its writes are made from.
    """

    findings: list[Finding]
    bill: list[Charge]
    is_lua: bool = True
    is_read: bool = True
    unconfigured: Mapping[str, ConfigError | NotConfigured | PluginFault] = MappingProxyType({})
    dropped: frozenset[str] = frozenset()
    session: Mapping[str, Value] = MappingProxyType({})
    is_read_only: bool = False
    sites: Sequence[Site] = ()
    flows: Sequence[ArgumentFlow] = ()

    @property
    def errors(self) -> list[Finding]:
        """The findings that are certain to make the script fail."""
        return [finding for finding in self.findings if finding.severity == "error"]

    def refusal(self) -> CheckFailed | ConfigError | NotConfigured | PluginFault | None:
        """Return the error with which to refuse the script, or None if the script is not certain to fail.

        If a file has invalid settings, return the error about them, which no change of the script would mend. If the
        only problem is an account or a plugin that the user has to set up, return the error that the script's call
        would raise. That error says what to do.
        """
        if not self.errors:
            return None
        causes = [self.unconfigured.get(error.place) for error in self.errors]
        if invalid := next((cause for cause in causes if isinstance(cause, ConfigError)), None):
            return invalid
        if all(error.place in self.unconfigured for error in self.errors):
            error = self.unconfigured[self.errors[0].place]
            error.line = self.errors[0].line
            return error
        return CheckFailed(
            "; ".join(f"{error.place}: {error.advice}" for error in self.errors),
            findings=[finding.to_json() for finding in self.findings],
            line=self.errors[0].line,
        )

    def summary(self) -> str:
        """Return the effects of the script on one line, such as ``reads render2.list_services (production)``.

        The line is empty if the script has no effects.
        """
        return "; ".join(f"{effect}s {', '.join(calls)}" for effect, calls in self.effects().items())

    def effects(self) -> dict[str, list[str]]:
        """Return the calls of the script by effect, each as ``render2.list_services (production)``."""
        found: dict[str, list[str]] = {}
        for charge in self.bill:
            found.setdefault(charge.effect, []).append(f"{charge.path} ({charge.account})")
        return found
