"""Functions of integrations as attributes of a runtime, such as ``runtime.render2.list_services(limit=5)``.

``kosmolua stubs --python`` writes a stub in place of this module, with the user's integrations as typed attributes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kosmolua.protocol import Json


class IntegrationAttributes:
    """Base class of the runtime, whose other attributes are the names of integrations.

    An integration that is called like a method, such as ``run``, is not an attribute.
    """

    def __getattr__(self, name: str) -> CallablePath:
        host = None if name.startswith("_") else vars(self).get("_host")
        if host and name in (known.partition(".")[0] for known in host.catalog.names()):
            return CallablePath(self.call, name)
        raise AttributeError(f"a {type(self).__name__} has no attribute '{name}', and there is no such integration")


class CallablePath:
    """A function of an integration. Its attributes lead from an integration to its accounts and functions."""

    def __init__(self, call: Callable[..., Json], path: str) -> None:
        self._call = call
        self._path = path

    def __getattr__(self, name: str) -> CallablePath:
        if name.startswith("__"):
            raise AttributeError(name)
        return CallablePath(self._call, f"{self._path}.{name}")

    def __call__(self, arguments: Mapping[str, object] | Sequence[object] | None = None, /, **named: object) -> Json:
        """Make the call, see :meth:`kosmolua.Runtime.call`."""
        return self._call(self._path, arguments, **named)

    def __repr__(self) -> str:
        return f"<{self._path} of a runtime>"
