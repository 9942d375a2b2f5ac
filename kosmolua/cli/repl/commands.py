"""The commands of the REPL, which begin with a colon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kosmolua.cli import console
from kosmolua.cli.commands.accounts import permissions_of, show_permissions
from kosmolua.errors import UsageError
from kosmolua.folders import expanded
from kosmolua.limits import LIMITS
from kosmolua.runtime import Runtime
from kosmolua.suggestions import did_you_mean

MAX_FILES = 200


def is_command(chunk: str) -> bool:
    """Return True if a chunk is a command and not a Lua label."""
    return chunk.startswith(":") and not chunk.startswith("::")


class Quit(Exception):
    """The user leaves the REPL."""


class Command(NamedTuple):
    """One command.

    Args:
        argument: The placeholder of its argument; empty if it takes none.
        about: What it does.
        work: Runs it with its argument.
        shows: Whether it shows text for people, which ``--json`` forbids.
    """

    argument: str
    about: str
    work: Callable[[str], None]
    shows: bool = True


class Commands:
    """The commands of one REPL.

    Args:
        runtime: The runtime of its session.
        load: Runs a file as a chunk.
        record: Begins to record the session, in a file if one is named; or ends the recording.
        reset: Begins a new session.
        calls: Returns the calls of the session, as outcomes have them.
        for_people: Whether commands may show text for people; with ``--json`` they may not.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        load: Callable[[Path], None],
        record: Callable[[Path | None], None],
        reset: Callable[[], None],
        calls: Callable[[], list[dict[str, object]]],
        for_people: bool,
    ) -> None:
        self._runtime = runtime
        self._load = load
        self._record = record
        self._reset = reset
        self._calls = calls
        self._for_people = for_people
        self._table = {
            "doc": Command("PAGE", "Read a page of the documentation; without one, list the pages.", self._doc),
            "search": Command("WORDS", "Find pages.", self._search),
            "accounts": Command("", "List the accounts and their permissions.", self._accounts),
            "calls": Command("", "List the calls of this session.", self._list_calls),
            "limits": Command("", "List the limits of each chunk.", self._limits),
            "load": Command("FILE", "Run a file in this session.", self._load_file, shows=False),
            "record": Command("[FILE]", "Begin to record the session, or end it.", self._record_in, shows=False),
            "reset": Command("", "Forget all state.", lambda _: self._reset(), shows=False),
            "help": Command("", "Show this help.", self._help),
            "quit": Command("", "Leave, as Ctrl-D does.", _leave, shows=False),
        }

    @property
    def names(self) -> dict[str, str]:
        """The commands, with their colons, each with its description."""
        return {f":{name}": command.about for name, command in self._table.items()}

    def do(self, line: str) -> None:
        """Run the command on a line.

        Raises:
            Quit: The user leaves.
            KosmoError: The command does not exist, or it failed.
        """
        name, _, argument = line.strip().partition(" ")
        command = self._find(name)
        if argument and not command.argument:
            raise UsageError(f"{name} takes no argument, and was given {argument.strip()!r}")
        if command.shows and not self._for_people:
            raise UsageError(f"{name} shows text for people, and with --json only JSON is written")
        command.work(argument.strip())

    def _find(self, name: str) -> Command:
        known = {f":{each}": command for each, command in self._table.items()}
        beginning = [each for each in known if name != ":" and each.startswith(name)]
        chosen = name if name in known else beginning[0] if len(beginning) == 1 else None
        if chosen is None:
            raise UsageError(f"There is no command {name}", hint=did_you_mean(name, known) or "see :help")
        return known[chosen]

    def _doc(self, page: str) -> None:
        console.markdown(self._runtime.docs.read(page) if page else self._runtime.docs.list())

    def _search(self, words: str) -> None:
        console.markdown(self._runtime.docs.search(words))

    def _accounts(self, _: str) -> None:
        show_permissions(permissions_of(self._runtime))

    def _list_calls(self, _: str) -> None:
        names = ("path", "account", "effect", "status", "duration_ms", "error")
        rows = [[_cell(call[name]) for name in names] for call in self._calls()]
        console.table("Calls", ["path", "account", "effect", "status", "ms", "error"], rows)

    def _limits(self, _: str) -> None:
        limits = self._runtime.limits
        rows = [[limit.code or name, limits.spell(name), limit.remedy] for name, limit in LIMITS.items()]
        console.table("Limits", ["limit", "value", "to change it"], rows)

    def _load_file(self, name: str) -> None:
        if not name:
            raise UsageError("Name a file, as in :load report.lua")
        self._load(Path(expanded(name)))

    def _record_in(self, name: str) -> None:
        self._record(Path(expanded(name)) if name else None)

    def _help(self, _: str) -> None:
        console.line(
            "An expression shows its values, and the first of them stays in _. Top-level locals are kept, too.\n"
        )
        rows = [[f":{name} {command.argument}".strip(), command.about] for name, command in self._table.items()]
        console.table("Commands", ["command", "does"], rows)


def _leave(_: str) -> None:
    raise Quit


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def files_that_begin_with(text: str) -> Iterator[str]:
    """Yield the paths that begin with a text; folders end with a slash."""
    folder = text[: text.rfind("/") + 1]
    try:
        entries = sorted(Path(expanded(folder or ".")).iterdir())
    except (OSError, ValueError):
        return
    for entry in entries[:MAX_FILES]:
        yield f"{folder}{entry.name}{'/' if entry.is_dir() else ''}"
