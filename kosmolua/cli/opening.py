"""The runtime that a command's options ask for."""

from __future__ import annotations

from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.streams import standard
from kosmolua.runtime import Runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kosmolua.policy import Approve


def open_runtime(options: Options, approve: Approve | None = None) -> Runtime:
    """Return a runtime that makes calls.

    Args:
        options: The shared options of the command line.
        approve: Asks a person about them, where the run does not say who asks.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not.
    """
    standard.set_apart()
    runtime = Runtime(
        options.accounts,
        simulate=options.simulate,
        plugins=options.plugin,
        read_only=options.read_only,
        yes=options.yes,
        approve=approve,
        journal=options.journal,
        require_isolation=options.require_isolation,
        warn=show.warn,
    )
    runtime.limits = runtime.limits.but(
        timeout=options.timeout,
        cpu=options.cpu,
        memory=options.memory,
        max_calls=options.max_calls,
        max_output=options.max_output,
    )
    return runtime


def open_to_list(options: Options) -> Runtime:
    """Return a runtime for a command that only lists what there is."""
    standard.set_apart()
    return Runtime(options.accounts, plugins=options.plugin, simulate=options.simulate, warn=show.warn)
