"""The Lua VM: a hardened Lua runtime with the prelude, and the bridge from Lua to Python."""

from __future__ import annotations

import os
from math import inf

from lupa.lua54 import LuaMemoryError, LuaRuntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn, TypeAlias

    Verbs: TypeAlias = dict[bytes, Callable[..., bytes | None]]

MODULES = (
    *("clocks", "codecs", "contents", "csv", "decode", "encode", "env", "errors", "hints", "idioms", "inspect", "json"),
    *("memory", "parallel", "placeholders", "readonly", "recorded", "regex", "registry", "requests", "scripts"),
    *("secrets", "session", "shapes", "strings", "time", "traceback", "tree"),
)
"""The modules of the prelude, KosmoLua's own Lua code. Each module is loaded on first use."""
COMMON = ("decode", "encode", "errors", "inspect", "recorded", "strings", "tree")
"""The modules that most scripts need, in addition to the modules that load before every script."""
BROKEN = 70
"""The exit status of a sandbox process after an error in Python: ``EX_SOFTWARE`` of ``sysexits.h``."""
COPIES_OF_A_REPLY = 3
"""How many copies of a reply to Lua are in memory: the string, the pieces that the decoder made from it, and tables."""


def _deny(*_: object) -> None:
    raise AttributeError("attributes of Python objects cannot be used in the sandbox")


def read_prelude(name: str) -> bytes:
    """Return the source of ``lua/NAME.lua``, even in a zip file."""
    folder = os.path.dirname(os.path.abspath(__file__))
    source: bytes = __spec__.loader.get_data(os.path.join(folder, "lua", f"{name}.lua"))  # type: ignore[union-attr]
    return source


class Prelude:
    """The prelude's files: ``boot``, which every VM runs first, and modules loaded on demand.

    All are read at once, since a confined process cannot open files.
    """

    def __init__(self) -> None:
        self.boot = read_prelude("boot")
        self.chunks = {name.encode(): read_prelude(name) for name in MODULES}

    def compile(self) -> None:
        """Turn all files into bytecode, for several VMs or forks."""
        dump = LuaRuntime(encoding=None).eval(b"function(text) return string.dump(load(text, '=[host]', 't')) end")
        self.boot = dump(self.boot)
        self.chunks = {name: dump(text) for name, text in self.chunks.items()}


class OutOfMemory(Exception):
    """Lua reached the memory limit."""


class VM:
    """A Lua 5.4 VM that can call only its verbs. Only bytes pass between Lua and Python.

    Meanwhile Lua's memory limit is off, since a failed allocation would hang the process; the prelude then calls the
    verb ``rearm`` to set it again. An exception in a verb ends the process.
    """

    def __init__(self, verbs: Verbs, prelude: Prelude) -> None:
        self._limit = 0
        self._verbs: Verbs = {b"rearm": self._rearm, b"module": prelude.chunks.__getitem__, **verbs}
        self._lua = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=False,
            attribute_handlers=(_deny, _deny),
            max_memory=0,
        )
        boot = self._lua.execute(b"return load(..., '=[host]')", prelude.boot)
        self._run, self._converse, self._preload = boot(self._bridge)

    def close(self) -> None:
        """Free the memory of the VM. The VM cannot be used afterwards."""
        self._lua.set_max_memory(0)
        del self._run, self._converse, self._preload, self._lua

    def preload(self, modules: Sequence[str]) -> None:
        """Load some of :data:`MODULES` before a script needs them."""
        self._preload(*(name.encode() for name in modules))

    @property
    def memory_used(self) -> int:
        """The bytes that Lua uses."""
        return int(self._lua.get_memory_used() or 0)

    @property
    def room(self) -> float:
        """The bytes that Lua can still allocate; infinity without a limit."""
        return self._limit - self.memory_used if self._limit else inf

    def run(
        self,
        source: bytes,
        chunk: bytes,
        settings: bytes,
        arguments: list[bytes],
        memory: int,
        seed: bytes,
    ) -> None:
        """Run a script; Lua passes its outcome to the verb ``end``.

        Args:
            source: The text of the script.
            chunk: Its name in messages, with ``@`` or ``=`` in front as Lua requires.
            settings: The settings, packed as ``prepare`` in ``lua/boot.lua`` reads them.
            arguments: The values of ``arg`` and ``...``.
            memory: The most bytes that Lua can hold.
            seed: Sixteen bytes for the random numbers.

        Raises:
            OutOfMemory: Lua reached its memory limit where no Lua code could report this.
        """
        self._within(memory, self._run, source, chunk, settings, seed, *arguments)

    def converse(
        self, verb: bytes, source: bytes, chunk: bytes, settings: bytes, memory: int, seed: bytes | None = None
    ) -> None:
        """Run a chunk of a session as :meth:`run` does, and keep its state for the next.

        ``verb``, as in ``lua/session.lua``: ``evaluate`` runs it and returns its values as text, ``value`` as they are,
        ``check`` says whether the source is complete, and ``names`` lists the names in the table at the path that is
        the source. Without a seed, the random numbers go on.
        """
        self._within(memory, self._converse, source, chunk, settings, verb, seed or b"")

    def _within(self, memory: int, work: Callable[..., object], *arguments: bytes) -> None:
        """Call a Lua function that begins with ``rearm``, with the memory limit off until then."""
        self._limit = memory
        self._lua.set_max_memory(0)
        size = sum(map(len, arguments))
        try:
            if size > memory - self._lua.get_memory_used() and not self._has_room(size):
                raise OutOfMemory
            work(*arguments)
        except LuaMemoryError:
            raise OutOfMemory from None

    def _bridge(self, verb: bytes, *arguments: bytes) -> bytes | None:
        try:
            answer = self._verbs[verb](*arguments)
            if answer is not None:
                self._make_room(len(answer))
        except BaseException as error:  # noqa: BLE001 - raised further, it would reach the script as a Python object
            error.__traceback__ = None  # frees what the verb held, so that there is memory to report the end
            self._give_up(error)
        return answer

    def _give_up(self, error: BaseException) -> NoReturn:
        try:
            if isinstance(error, MemoryError):
                self._verbs[b"limit"](b"memory")
        finally:
            os._exit(BROKEN)

    def _make_room(self, size: int) -> None:
        self._lua.set_max_memory(0)
        if not self._has_room(COPIES_OF_A_REPLY * size):
            self._verbs[b"limit"](b"memory")

    def _has_room(self, size: int) -> bool:
        if size <= self.room:
            return True
        self._lua.gccollect()
        return size <= self.room

    def _rearm(self) -> None:
        self._lua.set_max_memory(self._limit)
