"""The Lua VM: one hardened runtime with the prelude in it, and the bridge through which it reaches the letterbox."""

from __future__ import annotations

import os
from collections.abc import Callable

from lupa.lua54 import LuaMemoryError, LuaRuntime

PRELUDE = ("json", "text", "errors", "letterbox", "app", "parallel", "regex", "env")
COPIES_OF_A_REPLY = 3
"""A reply is in memory as a string, as the pieces of its decoder and as tables, so that much room is asked for."""

Verbs = dict[bytes, Callable[..., "bytes | None"]]


def _deny(*_: object) -> None:
    raise AttributeError("the sandbox has no Python")


def read_prelude(name: str) -> bytes:
    """Return the source of one of the prelude's files, also from within a zip."""
    folder = os.path.dirname(os.path.abspath(__file__))
    source: bytes = __spec__.loader.get_data(os.path.join(folder, "lua", f"{name}.lua"))  # type: ignore[union-attr]
    return source


class OutOfMemory(Exception):
    """The VM has no room for what it asked for."""


class VM:
    """A Lua 5.4 VM that can only call the verbs it is given.

    Only bytes cross between Lua and Python. ``max_memory`` is lifted while Python pushes into Lua, since a push that
    fails there would hang the process; the prelude calls ``rearm`` before it goes on.

    Args:
        verbs: What Lua may ask of Python. A verb takes and returns bytes and must not raise.
    """

    def __init__(self, verbs: Verbs) -> None:
        self._limit = 0
        self._verbs = {b"rearm": self._rearm, **verbs}
        self._lua = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=False,
            attribute_handlers=(_deny, _deny),
            max_memory=0,
        )
        sources = self._lua.table_from({name.encode(): read_prelude(name) for name in PRELUDE})
        boot = self._lua.execute(b"return load(..., '=[host]', 't')", read_prelude("boot"))
        self._run = boot(self._bridge, sources)

    @property
    def memory_used(self) -> int:
        """Bytes that Lua holds now."""
        return int(self._lua.get_memory_used() or 0)

    def run(self, source: bytes, chunk: bytes, limits: bytes, arguments: list[bytes], memory: int) -> None:
        """Run a script; what became of it goes out through the verbs.

        Args:
            source: The text of the script.
            chunk: Its name in messages, with ``@`` or ``=`` before it as Lua wants.
            limits: The limits that the prelude keeps itself, as a JSON object.
            arguments: What the script finds in ``arg`` and ``...``.
            memory: Bytes that Lua may hold.

        Raises:
            OutOfMemory: Memory ran out where no Lua code could report it.
        """
        self._limit = memory
        try:
            self._run(source, chunk, limits, os.urandom(16), *arguments)
        except LuaMemoryError:
            raise OutOfMemory from None

    def _bridge(self, verb: bytes, *arguments: bytes) -> bytes | None:
        answer = self._verbs[verb](*arguments)
        if answer is not None:
            self._make_room(len(answer))
        return answer

    def _make_room(self, size: int) -> None:
        self._lua.set_max_memory(0)
        if self._limit and self.memory_used + COPIES_OF_A_REPLY * size > self._limit:
            self._verbs[b"limit"](b"memory")

    def _rearm(self) -> None:
        self._lua.set_max_memory(self._limit)
